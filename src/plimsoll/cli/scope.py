"""plimsoll scope: what is in the scope of PCI DSS, and so has a section of its own in every proof (R10)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session

app = group("The scope of PCI DSS: points and computers that have a section of their own in proofs.")

Point = Annotated[str | None, typer.Option(help="This point: heartbeat, gui, relay or agent.")]
Computer = Annotated[str | None, typer.Option(help="This computer (ID or host name), with all of its ports.")]


@app.command("list")
def list_scope(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """What is in scope."""
    used = session(context)
    with used.client(home) as client:
        _show(used, client.get("/api/tls/scope"), as_json)


@app.command("add")
def add(
    context: typer.Context,
    point: Point = None,
    computer: Computer = None,
    note: Annotated[str, typer.Option(help="Why, for the auditor.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Mark a point or a computer as in scope."""
    used = session(context)
    with used.client(home) as client:
        body = {"point": point, "computer": _id(client, computer), "note": note}
        _show(used, client.post("/api/tls/scope", body), as_json)


@app.command("remove")
def remove(
    context: typer.Context, point: Point = None, computer: Computer = None, home: Home = None, as_json: Json = False
) -> None:
    """Take a mark away."""
    used = session(context)
    with used.client(home) as client:
        identifier = _id(client, computer)
        query = f"point={point}" if point is not None else f"computer={identifier}" if identifier else ""
        _show(used, client.delete(f"/api/tls/scope?{query}"), as_json)


def _id(client: Any, computer: str | None) -> str | None:
    if computer is None:
        return None
    from plimsoll.cli.computers import find

    return str(find(client.get("/api/computers")["computers"], computer)["ID"])


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
        return
    if not data["scope"]:
        used.output.say("nothing is marked as in scope")
        return
    rows = [
        (one["point"] or one["name"] or one["computer"], one["note"], one["who"], when(one["created"]))
        for one in data["scope"]
    ]
    used.output.table(("IN SCOPE", "NOTE", "BY", "SINCE"), rows)
