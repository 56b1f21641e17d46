"""plimsoll audit: who did what, through which door."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from plimsoll.cli._errors import Code
from plimsoll.cli._output import Output, when
from plimsoll.cli._session import Home, Json, group, session

app = group("The audit trail: who did what, through which door.", alone=True)


@app.callback()
def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who did what, when, through which door and from where; `verify` says whether the trail is whole."""
    if context.invoked_subcommand is not None:
        return
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/audit", limit=limit)
    if as_json:
        used.output.json(data)
        return
    rows = [
        (
            when(one["time"]),
            one["who"],
            one["via"],
            one["address"],
            one["action"],
            one["target"],
            _text(one["before"]),
            _text(one["after"]),
        )
        for one in data["audit"]
    ]
    used.output.table(("WHEN", "WHO", "VIA", "ADDRESS", "ACTION", "TARGET", "BEFORE", "AFTER"), rows)


def _text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


@app.command("verify")
def verify(
    context: typer.Context,
    home: Home = None,
    as_json: Json = False,
) -> int:
    """Is the chain of hashes whole? A changed, removed or inserted entry is named (exit code 3)."""
    used = session(context)
    with used.client(home) as client:
        data = client.get("/api/audit/verify")
    if as_json:
        used.output.json(data)
    else:
        _told(used.output, data)
    return Code.OK if data["ok"] else Code.BLOCKERS


def _told(output: Output, data: dict[str, Any]) -> None:
    since, head = data["since"], data["head"]
    output.pairs(
        [
            ("chain", "whole" if data["ok"] else "BROKEN"),
            ("entries", data["entries"]),
            ("since", None if since is None else f"{when(since['time'])}, {since['why']}"),
            ("newest", None if head is None else f"entry {head['entry']}, {head['hash']}"),
        ]
    )
    for fault in data["faults"]:
        output.line(fault["text"])
    if data["faultsFound"] > len(data["faults"]):
        output.say(f"{data['faultsFound'] - len(data['faults'])} more faults are not shown")


@app.command("prune")
def prune(
    context: typer.Context,
    days: Annotated[float, typer.Option("--older-than", min=1, metavar="DAYS", help="What is older goes.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Delete old entries; the chain is anchored anew, and the rest can still be proved."""
    used = session(context)
    with used.client(home) as client:
        data = client.post("/api/audit/prune", {"olderThanDays": days})
    if as_json:
        used.output.json(data)
    else:
        used.output.line(f"{data['deleted']} entries deleted")
