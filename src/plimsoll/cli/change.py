"""plimsoll change: raise or lower a floor in stages that take themselves back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import BlockedError, Code
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session
from plimsoll.cli._times import moment, seconds

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

app = group("Staged changes: raise a floor step by step; whoever is cut off takes it back.")

Which = Annotated[int, typer.Argument(metavar="ID", help="The change's number.")]
_OPEN = ("awaiting approval", "scheduled", "running", "paused", "halted")
_WATCH = 1.0


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
    at: Annotated[str | None, typer.Option(metavar="WHEN", help="Begin then: 2026-12-31T22:00 (UTC), or 8h.")] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(metavar="HH:MM-HH:MM", help="No stage begins in these hours (UTC); repeatable.")
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
    with used.client(home) as client:
        try:
            data = client.post("/api/tls/changes", body)
        except BlockedError as error:
            if not error.details.get("blockers"):
                error.code = Code.AFFECTED
            raise
        if watch:
            return _watch(used, client, data["id"])
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
            return _watch(used, client, data["id"])
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


def _code(data: dict[str, Any]) -> int:
    if data["state"] == "halted" or (data["state"] == "taken back" and data["stage"] != "proof"):
        return Code.BLOCKERS
    if data["state"] == "done":
        verdict = (data["proof"] or {}).get("verdict")
        return Code.OK if verdict == "proved" else Code.BLOCKERS if verdict == "violated" else Code.NOT_PROVED
    return Code.OK


def _show(used: Session, data: dict[str, Any], as_json: bool) -> int:
    if as_json:
        used.output.json(data)
        return _code(data)
    used.output.pairs(
        [
            ("change", f"{data['id']}, {data['direction']} to {data['to']} at {', '.join(data['points'])}"),
            ("state", data["state"]),
            ("stages", _stages(data)),
            ("now", data["text"]),
            ("by", data["who"] + (f", approved by {data['approvedBy']}" if data["approvedBy"] else "")),
        ]
    )
    if data["figures"] and data["state"] in _OPEN:
        used.output.line()
        rows = [(one["rule"], one["value"], one["limit"], one["ok"], one["breach"]) for one in data["figures"]]
        used.output.table(("HEALTH RULE", "NOW", "ALLOWED", "OK", "ELSE"), rows)
    if data["log"]:
        used.output.line()
        entries = [(when(one["time"]), one["stage"], one["what"], one["text"]) for one in data["log"]]
        used.output.table(("TIME", "STAGE", "WHAT", "DETAIL"), entries)
    return _code(data)


def _stages(data: dict[str, Any]) -> str:
    at = data["stages"].index(data["stage"]) if data["stage"] in data["stages"] else -1
    over = data["state"] == "done"
    marked = [
        f"[{stage}]" if number == at and not over else f"{stage} ok" if number < at or over else stage
        for number, stage in enumerate(data["stages"])
    ]
    return " > ".join(marked)


def _watch(used: Session, client: Client, change: int) -> int:
    """Log lines as they come, and a line whenever what it waits for changes."""
    told, last = 0, ""
    while True:
        data = client.get(f"/api/tls/changes/{change}")
        for one in data["log"][told:]:
            used.output.line(f"{when(one['time'])}  {one['stage']}: {one['what']}: {one['text']}")
        told = len(data["log"])
        if data["state"] not in _OPEN:
            used.output.line(f"change {change} is {data['state']}: {data['text']}")
            return _code(data)
        now = f"{data['state']}, {data['stage']}: {data['text']}"
        if now != last:
            used.output.say(now)
            last = now
        if data["state"] == "halted":
            used.output.say(f"go on: plimsoll change resume {change}; go back: plimsoll change abort {change}")
            return _code(data)
        time.sleep(_WATCH)
