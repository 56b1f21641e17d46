"""plimsoll send-policy: queue policies for computers; a floor travels by no other way (R14)."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._session import Home, Json, session


def command(
    context: typer.Context,
    everyone: Annotated[bool, typer.Option("--all", help="To every computer.")] = False,
    computer: Annotated[list[str] | None, typer.Option(help="To this computer (ID or host name); repeatable.")] = None,
    relay_group: Annotated[str | None, typer.Option(help="To every relay of this group.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Send the current policy to computers; each takes it home with its next heartbeat."""
    used = session(context)
    chosen = [bool(everyone), bool(computer), relay_group is not None]
    if sum(chosen) != 1:
        raise CommandError("say to whom: one of --all, --computer or --relay-group", Code.USAGE)
    with used.client(home) as client:
        body: dict[str, object] = {"all": True}
        if relay_group is not None:
            body = {"relayGroup": relay_group}
        elif computer:
            from plimsoll.cli.computers import find

            known = client.get("/api/computers")["computers"]
            body = {"computers": [find(known, name)["ID"] for name in computer]}
        data = client.post("/api/tls/send-policy", body)
    if as_json:
        used.output.json(data)
        return
    queued = data.get("queued", 0)
    used.output.line(f"{queued} {'policy' if queued == 1 else 'policies'} queued")
