"""plimsoll exception: who may stay below a floor, why, and until when."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session
from plimsoll.cli._times import moment

app = group("Exceptions: a source that may stay below the floor of one point until a date.")

_COLUMNS = ("ID", "POINT", "FOR", "LOWEST", "UNTIL", "STATE", "REASON", "BY")


@app.command("list")
def list_exceptions(
    context: typer.Context,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended too.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Exceptions, the newest first."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/exceptions", ended=ended)
    if as_json:
        used.output.json(data)
        return
    if not data["exceptions"]:
        used.output.say("there are no exceptions: every peer is held to the floors")
        return
    used.output.table(_COLUMNS, map(_row, data["exceptions"]))


@app.command("add")
def add(
    context: typer.Context,
    until: Annotated[str, typer.Option(metavar="WHEN", help="Its end: 2026-12-31, 2026-12-31T18:00 (UTC), or 30d.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept and shown.")],
    lowest: Annotated[str, typer.Option(metavar="VERSION", help="The lowest version that it may use.")],
    point: Annotated[str, typer.Option(help="heartbeat (4120) or gui (4119).")] = "heartbeat",
    source: Annotated[str | None, typer.Option(metavar="NETWORK", help="For this address or network.")] = None,
    computer: Annotated[str | None, typer.Option(help="For this computer (ID or host name).")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let one source stay below the floor of one point. It is in force when the command returns."""
    used = session(context)
    body: dict[str, object] = {
        "point": point,
        "floor": lowest,
        "until": moment(until, "--until"),
        "reason": reason,
        "source": source,
    }
    with used.client(home) as client:
        if computer is not None:
            from plimsoll.cli.computers import find

            body["computer"] = find(client.get("/api/computers")["computers"], computer)["ID"]
        data = client.post("/api/tls/exceptions", body)
    _show(used, data, as_json)
    if not as_json and data["state"] == "waiting":
        used.output.say("the point's floor is not above it yet: it will count once the floor is raised")


@app.command("end")
def end(
    context: typer.Context,
    exception: Annotated[int, typer.Argument(metavar="ID", help="The exception's number.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End an exception now; whom it let in is refused from the next hello on."""
    used = session(context)
    with used.client(home) as client:
        data = client.delete(f"/api/tls/exceptions/{exception}")
    _show(used, data, as_json)


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
    else:
        used.output.table(_COLUMNS, [_row(data)])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return (
        one["id"],
        one["point"],
        one["source"] or one["name"] or one["computer"],
        one["floor"],
        when(one["until"]),
        one["state"],
        one["reason"],
        one["who"],
    )
