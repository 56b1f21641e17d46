"""How an upgrade is shown, and the words that its service, its start and its steps share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.fleet.component import ComponentVersion
from plimsoll.fleet.upgrades import Layer, Limits, Plan, Wave
from plimsoll.manager.ports import NotFound
from plimsoll.manager.services.core import Unit
from plimsoll.manager.store import Connection
from plimsoll.manager.store import upgrades as table
from plimsoll.manager.store.upgrades import HostRecord, LogRecord, UpgradeRecord

#: How many entries of an upgrade's log, and how many of the computers that failed, are shown.
LOGGED = 200
FAILING = 100


@dataclass(frozen=True, slots=True)
class WaveView:
    """A wave with how many of its computers are in each state."""

    number: int
    label: str
    size: int
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class HostView:
    """One computer of an upgrade. `wave` counts from 1."""

    computer: str
    name: str
    wave: int
    state: str
    former: str
    goal: str
    since: float
    detail: str
    code: str


@dataclass(frozen=True, slots=True)
class UpgradeView:
    """An upgrade as it stands. `wave` counts from 1, `failing` are computers with their reasons, `log` oldest first.

    `left` are those that were not taken along, by reason. `back_of` is the upgrade that this one takes back.
    """

    id: int
    created: float
    who: str
    target: str
    state: str
    wave: int
    entered: float
    soaked: float
    soak: float
    text: str
    waves: tuple[WaveView, ...]
    figures: tuple[dict[str, Any], ...]
    failing: tuple[HostView, ...]
    left: Mapping[str, Sequence[str]]
    back_of: int | None
    options: dict[str, Any]
    ended: float | None
    log: tuple[LogRecord, ...]


@dataclass(frozen=True, slots=True)
class PlanView:
    """What an upgrade would do. `there` counts the computers that run the target already."""

    target: str
    waves: tuple[WaveView, ...]
    there: int
    left: Mapping[str, Sequence[str]]


def plan_of(record: UpgradeRecord) -> Plan:
    """Its waves without their computers, which stand in rows of their own."""
    options = record.options
    limits = Limits(options["failed"], 0, options["patience"], options["at_once"])
    waves = tuple(Wave(Layer(one["layer"]), one["share"], ()) for one in options["waves"])
    return Plan(ComponentVersion.parse(record.target), waves, options["soak"], limits)


def stage_of(record: UpgradeRecord, wave: int | None = None) -> str:
    """What the log calls a wave."""
    waves = plan_of(record).waves
    number = record.wave if wave is None else wave
    return f"wave {number + 1} of {len(waves)}"


def shown(connection: Connection, upgrade: int | None) -> UpgradeView:
    """That upgrade with its log, or the one under way, or the last one. Raises NotFound."""
    found = known(connection, upgrade)
    failing = table.hosts(connection, found.id, states=(*table.BAD, table.LEFT), limit=FAILING)
    return view(connection, found, failing, table.logs(connection, found.id, LOGGED))


def view(
    connection: Connection, record: UpgradeRecord, failing: Sequence[HostRecord] = (), log: Sequence[LogRecord] = ()
) -> UpgradeView:
    counts = table.counts(connection, record.id)
    plan = plan_of(record)
    sizes = record.options["waves"]
    return UpgradeView(
        id=record.id,
        created=record.created,
        who=record.who,
        target=record.target,
        state=record.state,
        wave=record.wave + 1,
        entered=record.entered,
        soaked=record.soaked,
        soak=plan.soak,
        text=record.text,
        waves=tuple(
            WaveView(number + 1, wave.label, sizes[number]["size"], counts.get(number, {}))
            for number, wave in enumerate(plan.waves)
        ),
        figures=tuple(record.seen.get("figures", ())),
        failing=tuple(host_view(one) for one in failing),
        left=record.options["left"],
        back_of=record.options.get("back_of"),
        options=record.options,
        ended=record.ended,
        log=tuple(log),
    )


def host_view(host: HostRecord) -> HostView:
    return HostView(
        host.computer, host.name, host.wave + 1, host.state, host.former, host.goal, host.since, host.detail, host.code
    )


def known(connection: Connection, upgrade: int | None) -> UpgradeRecord:
    found = (
        table.get(connection, upgrade)
        if upgrade is not None
        else table.under_way(connection) or next(iter(table.find(connection, 1)), None)
    )
    if found is None:
        what = "no upgrade yet" if upgrade is None else f"no upgrade {upgrade}"
        raise NotFound(f"there is {what}; nothing was changed")
    return found


def busy(running: UpgradeRecord) -> str:
    return (
        f"upgrade {running.id} to {running.target} is under way ({running.state}, {stage_of(running)}): one at a time;"
        f" nothing was started. See: plimsoll upgrade status {running.id}"
    )


def note(unit: Unit, upgrade: int, stage: str, what: str, text: str, who: str) -> None:
    table.log(unit.connection, upgrade, LogRecord(unit.now, stage, what, text, who))
