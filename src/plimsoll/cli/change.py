"""plimsoll change: raise or lower a floor in stages that take themselves back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plimsoll.cli._change_view import exit_code, show
from plimsoll.cli._change_watch import watch as watch_change
from plimsoll.cli._errors import BlockedError, Code
from plimsoll.cli._findings import Seen, seen_in
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session
from plimsoll.cli._times import moment, seconds

app = group("Staged changes: raise a floor step by step; whoever is cut off takes it back.")

Which = Annotated[int, typer.Argument(metavar="ID", help="The change's number.")]


@app.command("start")
def start(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="The floor to reach.")],
    points: Annotated[
        list[str] | None, typer.Option(help="heartbeat, gui, relay, agent; repeatable, or all (the default).")
    ] = None,
    soak: Annotated[str, typer.Option(metavar="SPAN", help="How long each stage is watched.")] = "30m",
    canary: Annotated[
        str, typer.Option(help="Who is held to the new floor on 4120 first: 5%, a number, group:NAME, policy:NAME.")
    ] = "5%",
    accept_affected: Annotated[
        bool, typer.Option("--accept-affected", help="Programs that would be cut off are known; the audit names them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start although parts would be cut off; needs --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why; it is kept and shown.")] = None,
    seen: Seen = None,
    at: Annotated[str | None, typer.Option(metavar="WHEN", help="Begin then: 2026-12-31T22:00 (UTC), or 8h.")] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOURS",
            help='No stage begins then: "Mon-Fri 08:00-18:00 Europe/Berlin"; UTC without a zone; repeatable.',
        ),
    ] = None,
    approval: Annotated[bool, typer.Option("--approval", help="Begin only after a second person approved it.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Start a change. Exit code 3: parts would be cut off; 5: only programs would; nothing was started."""
    used = session(context)
    body: dict[str, object] = {
        "to": to,
        "points": points or ["all"],
        "soak": seconds(soak, "--soak"),
        "canary": canary,
        "acceptAffected": accept_affected,
        "force": force,
        "reason": reason,
        "at": None if at is None else moment(at, "--at"),
        "freeze": freeze or [],
        "approval": approval,
    }
    known = seen_in(seen)
    if known is not None:
        body["seen"] = known
    with used.client(home) as client:
        try:
            data = client.post("/api/tls/changes", body)
        except BlockedError as error:
            if not error.details.get("blockers"):
                error.code = Code.AFFECTED
            raise
        if watch:
            return watch_change(used.output, client, data["id"])
    return _show(used, data, as_json)


@app.command("status")
def status(
    context: typer.Context,
    change: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="The one under way, or the last, without it.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Where a change stands, with every health rule. Exit code 0 under way or proved, 3 taken back or halted, 4 not
    proved.
    """
    used = session(context)
    with used.client(home) as client:
        data = client.get(f"/api/tls/changes/{change if change is not None else 'current'}")
        if watch:
            return watch_change(used.output, client, data["id"])
    return _show(used, data, as_json)


@app.command("list")
def list_changes(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """All changes, the newest first."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/changes")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (one["id"], when(one["created"]), one["to"], one["points"], one["state"], one["stage"], one["who"], one["text"])
        for one in data["changes"]
    ]
    used.output.table(("ID", "STARTED", "TO", "POINTS", "STATE", "STAGE", "BY", "NOW"), rows)


@app.command("pause")
def pause(context: typer.Context, change: Which, home: Home = None, as_json: Json = False) -> int:
    """Go no further. What was raised stays and is watched."""
    return _do(context, change, "pause", home, as_json)


@app.command("resume")
def resume(context: typer.Context, change: Which, home: Home = None, as_json: Json = False) -> int:
    """Go on with the stage that it stood in."""
    return _do(context, change, "resume", home, as_json)


@app.command("abort")
def abort(context: typer.Context, change: Which, home: Home = None, as_json: Json = False) -> int:
    """Take back at once what it has moved so far."""
    return _do(context, change, "abort", home, as_json)


@app.command("back")
def back(context: typer.Context, change: Which, home: Home = None, as_json: Json = False) -> int:
    """Take back a change that is done."""
    return _do(context, change, "back", home, as_json)


@app.command("approve")
def approve(context: typer.Context, change: Which, home: Home = None, as_json: Json = False) -> int:
    """Approve somebody else's change."""
    return _do(context, change, "approve", home, as_json)


def _do(context: typer.Context, change: int, what: str, home: Home, as_json: bool) -> int:
    used = session(context)
    with used.client(home) as client:
        data = client.post(f"/api/tls/changes/{change}/{what}")
    _show(used, data, as_json)
    return Code.OK


def _show(used: Session, data: dict[str, Any], as_json: bool) -> int:
    if as_json:
        used.output.json(data)
    else:
        show(used.output, data)
    return exit_code(data)
