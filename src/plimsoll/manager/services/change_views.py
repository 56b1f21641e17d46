"""How a change is shown, and the words that its service, its steps and its start share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plimsoll.fleet.changes import Direction, Plan, Stage
from plimsoll.manager.ports import NotFound
from plimsoll.manager.services.core import Unit
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as table
from plimsoll.manager.store.changes import ChangeRecord, LogRecord
from plimsoll.tls.versions import Version

#: How many entries of a change's log are shown.
LOGGED = 200


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change as it stands. `figures` are the health rules of its stage, `log` what was done, oldest first.

    `before` is the floor that each point had which it has moved so far.
    """

    id: int
    created: float
    who: str
    target: Version
    direction: str
    state: str
    stage: str
    stages: tuple[str, ...]
    entered: float
    soaked: float
    soak: float
    text: str
    figures: tuple[dict[str, Any], ...]
    options: dict[str, Any]
    canary: tuple[str, ...]
    approved_by: str | None
    ended: float | None
    proof: dict[str, Any] | None
    log: tuple[LogRecord, ...]
    before: dict[str, Version]


def view(record: ChangeRecord, entries: Sequence[LogRecord]) -> ChangeView:
    plan = plan_of(record)
    return ChangeView(
        id=record.id,
        created=record.created,
        who=record.who,
        target=record.target,
        direction=record.direction,
        state=record.state,
        stage=record.stage,
        stages=tuple(stage.value for stage in plan.stages),
        entered=record.entered,
        soaked=record.soaked,
        soak=plan.soak_of(Stage(record.stage)),
        text=record.text,
        figures=tuple(record.seen.get("figures", ())),
        options=record.options,
        canary=tuple(record.effects.get("canary", ())),
        approved_by=record.approved_by,
        ended=record.ended,
        proof=record.proof,
        log=tuple(entries),
        before={point: Version(moved["from"]) for point, moved in record.effects.get("floors", {}).items()},
    )


def shown(connection: Connection, change: int | None) -> ChangeView:
    """That change with its log, or the one under way, or the last one. Raises NotFound."""
    found = known(connection, change)
    return view(found, table.logs(connection, found.id, LOGGED))


def known(connection: Connection, change: int | None) -> ChangeRecord:
    found = (
        table.get(connection, change)
        if change is not None
        else table.under_way(connection) or next(iter(table.find(connection, 1)), None)
    )
    if found is None:
        what = "no change yet" if change is None else f"no change {change}"
        raise NotFound(f"there is {what}; nothing was changed")
    return found


def busy(running: ChangeRecord) -> str:
    return (
        f"change {running.id} to {running.target} is under way ({running.state}, stage {running.stage}): one at a time;"
        f" nothing was started. See: plimsoll change status {running.id}"
    )


def plan_of(record: ChangeRecord) -> Plan:
    options = record.options
    return Plan(
        target=record.target,
        direction=Direction(record.direction),
        stages=tuple(Stage(stage) for stage in options["stages"]),
        soak=options["soak"],
        longest_heartbeat=options["longest"],
        relay_heartbeat=options["relay_longest"],
        forced=options["forced"],
    )


def note(unit: Unit, change: int, stage: str, what: str, text: str, who: str) -> None:
    table.log(unit.connection, change, LogRecord(unit.now, stage, what, text, who))


def begins(state: str, at: float | None) -> str:
    if state == "awaiting approval":
        return "waits for a second person's approval"
    return "begins" if at is None else f"begins {moment(at)}"


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
