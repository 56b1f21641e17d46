"""plimsoll upgrade: bring the fleet's agents, relays and appliances to another release, in waves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import Code, CommandError
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session
from plimsoll.cli._times import seconds

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

app = group("Upgrades in waves: relays first, halted where too many fail, each host back by itself where it must.")

Which = Annotated[int, typer.Argument(metavar="ID", help="The upgrade's number.")]
To = Annotated[str, typer.Option("--to", metavar="RELEASE", help="The release to reach; 12.1 is the newest 12.1.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="Those of a relay group; repeatable.")]
Policies = Annotated[list[str] | None, typer.Option("--policy", help="Those of a policy; repeatable.")]
Computers = Annotated[list[str] | None, typer.Option("--computers", help="A computer by name or id; repeatable.")]
Waves = Annotated[str, typer.Option("--wave", metavar="SHARES", help="How much is through after each wave.")]
Failures = Annotated[str, typer.Option(metavar="SHARE", help="How much of a wave may fail before it halts.")]

_OPEN = ("running", "paused", "halted")
_WATCH = 1.0


@app.command("start")
def start(
    context: typer.Context,
    to: To,
    groups: Groups = None,
    policies: Policies = None,
    computers: Computers = None,
    wave: Waves = "1%,10%,50%,100%",
    soak: Annotated[str, typer.Option(metavar="SPAN", help="How long a wave is watched once it is through.")] = "30m",
    failures: Failures = "2%",
    window: Annotated[
        str, typer.Option(metavar="SPAN", help="How long a new release may take to prove itself on its host.")
    ] = "10m",
    patience: Annotated[str, typer.Option(metavar="SPAN", help="How long a computer may say nothing new.")] = "1h",
    at_once: Annotated[int, typer.Option(min=1, help="How many computers may be under way at once.")] = 1000,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Start an upgrade: everybody, or those of the groups, policies and computers named."""
    used = session(context)
    body = _selection(to, groups, policies, computers, wave) | {
        "soak": seconds(soak, "--soak"),
        "failures": _share(failures, "--failures"),
        "watch": seconds(window, "--window"),
        "patience": seconds(patience, "--patience"),
        "atOnce": at_once,
    }
    with used.client(home) as client:
        data = client.post("/api/upgrades", body)
        if watch:
            _say_left(used, data)
            return _watch(used, client, data["id"])
    return _show(used, data, as_json)


@app.command("plan")
def plan(
    context: typer.Context,
    to: To,
    groups: Groups = None,
    policies: Policies = None,
    computers: Computers = None,
    wave: Waves = "1%,10%,50%,100%",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show who would be upgraded in which wave, and who would not, and change nothing."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/upgrades/plan", _selection(to, groups, policies, computers, wave))
    if as_json:
        used.output.json(data)
        return
    used.output.line(f"to {data['to']}: {_count(sum(one['size'] for one in data['waves']))}")
    used.output.table(
        ("WAVE", "WHAT", "COMPUTERS"), [(one["number"], one["what"], one["size"]) for one in data["waves"]]
    )
    if data["there"]:
        used.output.say(f"{_count(data['there'])} there already")
    _say_left(used, data)


@app.command("status")
def status(
    context: typer.Context,
    upgrade: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="The one under way, or the last, without it.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Where an upgrade stands. Exit code 0 under way or all upgraded, 3 halted, 4 over with some that were not."""
    used = session(context)
    with used.client(home) as client:
        data = client.get(f"/api/upgrades/{upgrade if upgrade is not None else 'current'}")
        if watch:
            return _watch(used, client, data["id"])
    return _show(used, data, as_json)


@app.command("list")
def list_upgrades(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """All upgrades, the newest first."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/upgrades")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            one["id"],
            when(one["created"]),
            _goal(one),
            one["state"],
            f"{one['wave']}/{len(one['waves'])}",
            one["who"],
            one["text"],
        )
        for one in data["upgrades"]
    ]
    used.output.table(("ID", "STARTED", "TO", "STATE", "WAVE", "BY", "NOW"), rows)


@app.command("computers")
def computers_of(
    context: typer.Context,
    upgrade: Which,
    state: Annotated[
        str | None,
        typer.Option(help="Only those: waiting, ordered, working, switching, done, failed, back, lost, left out."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """How far each computer of an upgrade is."""
    used = session(context)
    found: list[dict[str, Any]] = []
    with used.client(home) as client:
        after: str | None = None
        while True:
            given = {"state": state, "after": after, "limit": 1000}
            page = client.get(f"/api/upgrades/{upgrade}/computers", **{k: v for k, v in given.items() if v is not None})
            found += page["computers"]
            if len(page["computers"]) < 1000:
                break
            after = found[-1]["computer"]
    if as_json:
        used.output.json({"computers": found})
        return
    _computers(used, found)


@app.command("pause")
def pause(context: typer.Context, upgrade: Which, home: Home = None, as_json: Json = False) -> int:
    """Give no more orders; who has not switched yet stops."""
    return _do(context, upgrade, "pause", home, as_json)


@app.command("resume")
def resume(context: typer.Context, upgrade: Which, home: Home = None, as_json: Json = False) -> int:
    """Go on with the wave that it stood in; the failures until now are known."""
    return _do(context, upgrade, "resume", home, as_json)


@app.command("abort")
def abort(context: typer.Context, upgrade: Which, home: Home = None, as_json: Json = False) -> int:
    """End it here. Who was upgraded stays so."""
    return _do(context, upgrade, "abort", home, as_json)


@app.command("back")
def back(context: typer.Context, upgrade: Which, home: Home = None, as_json: Json = False) -> int:
    """Take an upgrade back that is over: an upgrade of its own, to the releases that the computers still keep."""
    return _do(context, upgrade, "back", home, as_json)


def _selection(
    to: str, groups: list[str] | None, policies: list[str] | None, computers: list[str] | None, wave: str
) -> dict[str, Any]:
    named = [part.strip() for text in computers or [] for part in text.split(",") if part.strip()]
    return {"to": to, "groups": groups or [], "policies": policies or [], "computers": named, "wave": wave}


def _share(text: str, option: str) -> float:
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise CommandError(f"{option} {text!r} is no share of a wave: write 2% or 0%", Code.USAGE)
    return share


def _do(context: typer.Context, upgrade: int, what: str, home: Home, as_json: bool) -> int:
    used = session(context)
    with used.client(home) as client:
        data = client.post(f"/api/upgrades/{upgrade}/{what}")
    _show(used, data, as_json)
    return Code.OK


def _code(data: dict[str, Any]) -> int:
    if data["state"] == "halted":
        return Code.BLOCKERS
    states = [state for wave in data["waves"] for state, count in wave["states"].items() if count]
    return Code.NOT_PROVED if data["state"] not in _OPEN and set(states) - {"done"} else Code.OK


def _goal(data: dict[str, Any]) -> str:
    return f"back of {data['backOf']}" if data["backOf"] else str(data["to"])


def _wave(data: dict[str, Any]) -> str:
    return f"{data['wave']}/{len(data['waves'])}"


def _show(used: Session, data: dict[str, Any], as_json: bool) -> int:
    if as_json:
        used.output.json(data)
        return _code(data)
    goal = f"{data['id']}, {_goal(data)}"
    used.output.pairs([("upgrade", goal), ("state", data["state"]), ("now", data["text"]), ("by", data["who"])])
    used.output.line()
    at = data["wave"] if data["state"] in _OPEN else 0
    rows = [
        (
            f"[{one['number']}]" if one["number"] == at else one["number"],
            one["what"],
            one["size"],
            one["states"].get("done", 0),
            _rest(one["states"]),
        )
        for one in data["waves"]
    ]
    used.output.table(("WAVE", "WHAT", "COMPUTERS", "UPGRADED", "ELSE"), rows)
    if data["figures"] and data["state"] in _OPEN:
        used.output.line()
        figures = [(one["rule"], one["value"], one["limit"], one["ok"], one["breach"]) for one in data["figures"]]
        used.output.table(("HEALTH RULE", "NOW", "ALLOWED", "OK", "ELSE"), figures)
    if data["failing"]:
        used.output.line()
        _computers(used, data["failing"])
    if data["log"]:
        used.output.line()
        entries = [(when(one["time"]), one["stage"], one["what"], one["text"]) for one in data["log"]]
        used.output.table(("TIME", "STAGE", "WHAT", "DETAIL"), entries)
    _say_left(used, data)
    return _code(data)


def _rest(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "done" and count)


def _computers(used: Session, found: list[dict[str, Any]]) -> None:
    rows = [(one["name"], one["wave"], one["state"], one["former"], one["goal"], one["detail"]) for one in found]
    used.output.table(("COMPUTER", "WAVE", "STATE", "FROM", "TO", "WHY"), rows)


def _count(number: int) -> str:
    return f"{number} computer{'' if number == 1 else 's'}"


def _say_left(used: Session, data: dict[str, Any]) -> None:
    for why, names in data["left"].items():
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        used.output.say(f"not taken along: {', '.join(names[:5])}{more}: {why}")


def _watch(used: Session, client: Client, upgrade: int) -> int:
    """Log lines as they come, and a line whenever what it waits for changes."""
    told, last = 0, ""
    while True:
        data = client.get(f"/api/upgrades/{upgrade}")
        for one in data["log"][told:]:
            used.output.line(f"{when(one['time'])}  {one['stage']}: {one['what']}: {one['text']}")
        told = len(data["log"])
        if data["state"] not in _OPEN or data["state"] == "halted":
            if data["failing"]:
                _computers(used, data["failing"])
            used.output.line(f"upgrade {upgrade} is {data['state']}: {data['text']}")
            if data["state"] == "halted":
                used.output.say(f"go on: plimsoll upgrade resume {upgrade}; end it: plimsoll upgrade abort {upgrade}")
            return _code(data)
        now = f"{data['state']}, wave {data['wave']} of {len(data['waves'])}: {data['text']}"
        if now != last:
            used.output.say(now)
            last = now
        time.sleep(_WATCH)
