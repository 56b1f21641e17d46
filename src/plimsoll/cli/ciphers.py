"""plimsoll ciphers: which suites the manager's ports accept at TLS 1.2, beside the floor."""

from __future__ import annotations

from typing import Annotated

import typer

from plimsoll.cli import _findings
from plimsoll.cli._output import when
from plimsoll.cli._session import Home, Json, group, session

app = group("Cipher profiles: the suites that the manager's ports accept at TLS 1.2.")


@app.command("show")
def show(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Each port with its profile, and the suites that a handshake in memory showed, the best first."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/ciphers")
    if as_json:
        used.output.json(data)
        return
    rows = [
        (point["point"], point["port"], point["profile"], suite)
        for point in data["points"]
        for suite in point["suites"] or [None]
    ]
    used.output.table(("POINT", "PORT", "PROFILE", "ACCEPTS AT TLS 1.2"), rows)
    for point in data["points"]:
        if point["missing"]:
            used.output.say(
                f"{point['point']}: its certificates do not serve {', '.join(point['missing'])},"
                f" which {point['profile']} has"
            )
    used.output.say("TLS 1.3 has suites of its own, which no profile changes; relay and agent ports: intermediate")


@app.command("set")
def set_profile(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="strong, modern, intermediate or legacy.")],
    point: Annotated[str, typer.Option(help="heartbeat, gui or all.")] = "all",
    force: Annotated[bool, typer.Option("--force", help="Set it although parts would be cut off; needs --reason.")] = (
        False
    ),
    reason: Annotated[str | None, typer.Option(help="Why; kept in the history.")] = None,
    seen: _findings.Seen = None,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Set the profile; one that would cut parts off is refused, with their names (exit code 3)."""
    used = session(context)
    body = {"point": point, "profile": profile, "force": force, "reason": reason}
    return _findings.move(used, home, "/api/tls/ciphers", body, as_json, again="to set it anyway", seen=seen)


@app.command("history")
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who changed a profile, when, from what to what, and why."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/tls/ciphers/history", limit=limit)
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            when(entry["time"]),
            entry["who"],
            entry["via"],
            entry["point"],
            entry["from"],
            entry["to"],
            "by force" if entry["forced"] else None,
            entry["reason"],
            entry["named"],
        )
        for entry in data["history"]
    ]
    used.output.table(("WHEN", "WHO", "VIA", "POINT", "FROM", "TO", "HOW", "REASON", "CUT OFF BY FORCE"), rows)
