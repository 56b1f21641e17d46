"""plimsoll relay-groups: which relays serve together."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli._session import Home, Json, group, session

app = group("Relay groups.")


@app.command("list")
def list_groups(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every relay group with its relays."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/relaygroups")
    if as_json:
        used.output.json(data)
        return
    rows = [(one["ID"], one["name"], one["relays"]) for one in data["relayGroups"]]
    used.output.table(("ID", "NAME", "RELAYS"), rows)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The new group's name.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a relay group; 'plimsoll computers set RELAY --relay-group NAME' puts a relay into it."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/relaygroups", {"name": name})
    if as_json:
        used.output.json(data)
    else:
        used.output.say(f"relay group {name} is made")
