"""plimsoll ca: the manager's CA, and its rotation in phases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plimsoll.cli._errors import Code
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, Session, group, session
from plimsoll.cli._times import seconds

if TYPE_CHECKING:
    from plimsoll.cli._client import Client

app = group(
    "The manager's CA: shown, and rotated in phases (announce, switch, retire), with a way back until the last."
)

Leave = Annotated[
    str,
    typer.Option("--leave-behind", metavar="REASON", help="Go on without those that cannot be waited for; audited."),
]

_OPEN = ("announce", "switch", "back")
_WATCH = 1.0
#: How much of a fingerprint is shown.
_SHORT = 16


@app.command("show")
def show(
    context: typer.Context,
    pem: Annotated[bool, typer.Option("--pem", help="Their certificates: what PLIMSOLL_CA is to hold.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The CAs that are trusted, and which of them issues."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/ca")
    if as_json:
        used.output.json(data["authorities"])
    elif pem:
        for one in data["authorities"]:
            used.output.line(one["certificate"].strip())
    else:
        _authorities(used, data)


@app.command("rotate")
def rotate(
    context: typer.Context,
    soak: Annotated[
        str, typer.Option(metavar="SPAN", help="How long all must have trusted both before it switches by itself.")
    ] = "10m",
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Switch only at 'ca switch'.")] = False,
    leave_behind: Leave = "",
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until a person is needed.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Make a new CA, announce it to every computer, and switch to it once all of them trust it."""
    used = session(context)
    body = {"byItself": not by_hand, "soak": seconds(soak, "--soak"), "leaveBehind": leave_behind}
    with used.client(home) as client:
        data = client.post("/api/ca/rotate", body)
        if watch:
            return _watch(used, client)
    _show(used, data, as_json)
    return Code.OK


@app.command("status")
def status(
    context: typer.Context,
    computers: Annotated[bool, typer.Option("--computers", help="Every computer, one by one.")] = False,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only computers that are ready, told, too old, or offline.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until a person is needed.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Where the rotation stands, and who is in the way. Exit code 3 while it waits for computers, else 0."""
    used = session(context)
    with used.client(home) as client:
        if watch:
            return _watch(used, client)
        data = client.get("/api/ca")
        if computers or state is not None:
            found = _all(client, state)
            if as_json:
                used.output.json({"computers": found})
            else:
                _computers(used, found)
            return _code(data)
    _show(used, data, as_json)
    return _code(data)


@app.command("renew")
def renew(context: typer.Context, home: Home = None, as_json: Json = False) -> int:
    """New certificates, good for ten years, for the same keys: puts the end off. For a new key: rotate."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/ca/renew")
    if as_json:
        used.output.json(data)
        return Code.OK
    _authorities(used, data)
    used.output.say(
        "renewed with the same key: computers take it over by themselves. Copies of ca.pem are good until the former"
        " certificate ends; for new ones: plimsoll ca show --pem"
    )
    return Code.OK


@app.command("switch")
def switch(context: typer.Context, leave_behind: Leave = "", home: Home = None, as_json: Json = False) -> int:
    """Issue from the new CA now. Refused while somebody who can be reached does not trust it."""
    return _do(context, "switch", leave_behind, home, as_json)


@app.command("retire")
def retire(context: typer.Context, leave_behind: Leave = "", home: Home = None, as_json: Json = False) -> int:
    """Trust the old CA no more. There is no way back after this; refused while a computer shows a certificate of it."""
    return _do(context, "retire", leave_behind, home, as_json)


@app.command("back")
def back(context: typer.Context, leave_behind: Leave = "", home: Home = None, as_json: Json = False) -> int:
    """Issue from the old CA again, and forget the new one once all computers are back."""
    return _do(context, "back", leave_behind, home, as_json)


def _do(context: typer.Context, what: str, leave_behind: str, home: Home, as_json: bool) -> int:
    used = session(context)
    with used.client(home) as client:
        data = client.post(f"/api/ca/{what}", {"leaveBehind": leave_behind})
    _show(used, data, as_json)
    return Code.OK


def _all(client: Client, state: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1000} | ({"state": state} if state is not None else {})
    while True:
        page = client.get("/api/ca/computers", **query)["computers"]
        found += page
        if len(page) < query["limit"]:
            return found
        query["after"] = page[-1]["computer"]


def _code(data: dict[str, Any]) -> int:
    rotation = data["rotation"]
    waits = rotation is not None and rotation["state"] in _OPEN and _behind(rotation)
    return Code.BLOCKERS if waits else Code.OK


def _behind(rotation: dict[str, Any]) -> int:
    return sum(count for state, count in rotation["computers"].items() if state != "ready")


def _authorities(used: Session, data: dict[str, Any]) -> None:
    rows = [
        (one["fingerprint"][:_SHORT], "issues" if one["issues"] else "trusted", when(one["notAfter"]), one["keyHash"])
        for one in data["authorities"]
    ]
    used.output.table(("CA", "ROLE", "VALID UNTIL", "HASH IN TOKENS"), rows)


def _show(used: Session, data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        used.output.json(data)
        return
    _authorities(used, data)
    for one in data["authorities"]:
        if one["advice"]:
            used.output.say(one["advice"])
    rotation = data["rotation"]
    if rotation is None:
        used.output.say("the CA was never rotated; to begin: plimsoll ca rotate")
        return
    used.output.line()
    pairs = [
        ("rotation", rotation["id"]),
        ("phase", rotation["state"]),
        ("now", rotation["text"]),
        ("by", rotation["who"]),
        ("computers", ", ".join(f"{count} {state}" for state, count in sorted(rotation["computers"].items()))),
    ]
    pairs += [(f"left behind at {state}", reason) for state, reason in rotation["reasons"].items()]
    used.output.pairs(pairs)
    if rotation["behind"]:
        used.output.line()
        _computers(used, rotation["behind"])
    if rotation["log"]:
        used.output.line()
        entries = [(when(one["time"]), one["stage"], one["what"], one["text"]) for one in rotation["log"]]
        used.output.table(("TIME", "PHASE", "WHAT", "DETAIL"), entries)
    _hint(used, rotation)


def _hint(used: Session, rotation: dict[str, Any]) -> None:
    if rotation["oldTokens"] and rotation["state"] == "switch":
        count = rotation["oldTokens"]
        used.output.say(
            f"{count} activation token{'s' if count > 1 else ''} made before the switch end with the old CA"
        )
    if _behind(rotation) or rotation["state"] not in ("announce", "switch"):
        return
    if rotation["state"] == "switch":
        used.output.say("every computer shows a certificate of the new CA; to end it: plimsoll ca retire")
    elif not rotation["byItself"]:
        used.output.say("every computer trusts both CAs; to go on: plimsoll ca switch")


def _computers(used: Session, found: list[dict[str, Any]]) -> None:
    rows = [
        (
            one["name"],
            one["kind"],
            one["state"],
            when(one["lastSeen"]) if one["lastSeen"] else "",
            ", ".join(each[:_SHORT] for each in one["trusts"]),
            one["shown"][:_SHORT],
        )
        for one in found
    ]
    used.output.table(("COMPUTER", "KIND", "STATE", "LAST SEEN", "TRUSTS", "CERTIFICATE OF"), rows)


def _watch(used: Session, client: Client) -> int:
    """Log lines as they come, and a line whenever what it waits for changes, until a person is needed or it is over."""
    told, last = 0, ""
    while True:
        data = client.get("/api/ca")
        rotation = data["rotation"]
        if rotation is None:
            used.output.say("the CA was never rotated; to begin: plimsoll ca rotate")
            return Code.OK
        for one in rotation["log"][told:]:
            used.output.line(f"{when(one['time'])}  {one['stage']}: {one['what']}: {one['text']}")
        told = len(rotation["log"])
        now = f"{rotation['state']}: {rotation['text']}"
        if now != last:
            used.output.say(now)
            last = now
        needed = rotation["state"] == "switch" or (rotation["state"] == "announce" and not rotation["byItself"])
        if rotation["state"] not in _OPEN or (needed and not _behind(rotation)):
            _hint(used, rotation)
            return Code.OK
        time.sleep(_WATCH)
