"""How a change reads, for its status and while it is watched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plimsoll.cli._errors import Code
from plimsoll.cli._output import Output, when

Change = Mapping[str, Any]

#: States of a change that is not over.
OPEN = ("awaiting approval", "scheduled", "running", "paused", "halted")


def exit_code(data: Change) -> int:
    """0 under way or proved, 3 halted, taken back by itself or violated, 4 not proved."""
    if data["state"] == "halted" or (data["state"] == "taken back" and data["stage"] != "proof"):
        return Code.BLOCKERS
    if data["state"] == "done":
        verdict = (data["proof"] or {}).get("verdict")
        return Code.OK if verdict == "proved" else Code.BLOCKERS if verdict == "violated" else Code.NOT_PROVED
    return Code.OK


def stages(data: Change) -> Iterator[tuple[str, str]]:
    """Each stage with "ok", "now" or nothing."""
    at = data["stages"].index(data["stage"]) if data["stage"] in data["stages"] else -1
    over = data["state"] == "done"
    for number, stage in enumerate(data["stages"]):
        yield stage, "ok" if number < at or over else "now" if number == at else ""


def rules(data: Change) -> Iterator[tuple[bool, str, str, str, str]]:
    """Each health rule: whether it holds, its name, its figure, what is allowed, and what else happens."""
    for one in data["figures"]:
        yield bool(one["ok"]), str(one["rule"]), str(one["value"]), str(one["limit"]), str(one["breach"])


def log_line(entry: Mapping[str, Any]) -> str:
    return f"{when(entry['time'])}  {entry['stage']}: {entry['what']}: {entry['text']}"


def show(output: Output, data: Change) -> None:
    """All of it as results."""
    marked = [f"[{stage}]" if mark == "now" else f"{stage} {mark}".strip() for stage, mark in stages(data)]
    output.pairs(
        [
            ("change", f"{data['id']}, {data['direction']} to {data['to']} at {', '.join(data['points'])}"),
            ("state", data["state"]),
            ("stages", " > ".join(marked)),
            ("now", data["text"]),
            ("by", data["who"] + (f", approved by {data['approvedBy']}" if data["approvedBy"] else "")),
        ]
    )
    if data["figures"] and data["state"] != "done":
        output.line()
        rows = [(rule, value, limit, ok, breach) for ok, rule, value, limit, breach in rules(data)]
        output.table(("HEALTH RULE", "NOW", "ALLOWED", "OK", "ELSE"), rows)
        for one in data["figures"]:
            for line in one.get("evidence", ()):
                output.line(f"  {one['rule']}: {line}")
    if data["log"]:
        output.line()
        entries = [(when(one["time"]), one["stage"], one["what"], one["text"]) for one in data["log"]]
        output.table(("TIME", "STAGE", "WHAT", "DETAIL"), entries)
