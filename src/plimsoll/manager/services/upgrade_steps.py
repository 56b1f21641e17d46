"""A step of an upgrade: what `fleet.upgrades.decide` says of what is seen, done in one transaction with its entry.

Orders wait in the outbox until their computer takes them home. An order that no longer stands there was taken back: its
computer stops before it switches. A step that was decided on an older state is dropped (`StaleError`).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from plimsoll.fleet import upgrades as pure
from plimsoll.fleet.upgrades import Decision, Plan, Seen, Verb
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.sending import UPGRADE, effective_policies
from plimsoll.manager.services.software import SoftwareService
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.services.upgrade_views import note, plan_of, stage_of
from plimsoll.manager.store import Connection
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store import upgrades as table
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.manager.store.upgrades import HostRecord, StaleError, UpgradeRecord
from plimsoll.messages import Command, Direction, UpgradeOrder

log = logging.getLogger(__name__)

#: How many orders go out in one step. More at once would make the registry read the whole fleet anew.
BATCH = 60
#: Seconds between two figures that are stored while nothing happens.
_NOTE_EVERY = 2.0
#: How much longer than its window a host that switched may be silent: it starts, goes back, and starts again.
_GRACE = 120.0
_NAMES = 20

_OPEN = (table.ORDERED, table.WORKING, table.SWITCHING)


class Steps:
    def __init__(self, core: Core, software: SoftwareService, clock: StageClock) -> None:
        self._core = core
        self._software = software
        self.clock = clock
        self._ticking = threading.Lock()

    def tick(self) -> bool:
        """One look at the upgrade under way, and at most one step. Whether there is one."""
        with self._ticking:
            record = self._core.store.read(table.under_way)
            if record is None:
                self.clock.idle()
                return False
            try:
                self._look(record)
            except StaleError:
                log.info("upgrade %d moved on meanwhile", record.id)
            return True

    def _look(self, record: UpgradeRecord) -> None:
        now, plan = self._core.clock(), plan_of(record)
        through = self._core.store.read(lambda c: self._through(c, record))
        key = (record.id, record.wave, record.entered)
        if self.clock.follow(key, record.soaked, now, counts=through and record.state == "running"):
            self.clock.begin_anew()
            self._core.write(lambda unit: table.restart_clocks(unit.connection, record.id, unit.now))
            return
        if not through:
            self.clock.begin_anew()
        self._core.write(lambda unit: self._conclude(unit, record, plan))
        if record.state != "running":
            return
        seen = self._core.store.read(lambda c: self._observe(c, record, plan))
        decision = pure.decide(plan, plan.waves[record.wave], seen)
        if decision.verb is Verb.HALT:
            self._halt(record, decision)
        elif decision.verb is Verb.NEXT:
            self._next(record, plan, decision)
        elif not (seen.waiting and self._order(record, plan, decision)):
            self._wait(record, decision)

    # -- seen

    def _through(self, connection: Connection, record: UpgradeRecord) -> bool:
        """Whether everybody in the wave who can be reached is through."""
        counts = table.counts(connection, record.id)
        if _waiting(record, counts) or counts.get(record.wave, {}).get(table.SWITCHING):
            return False
        online, _ = table.present(connection, record.id, record.wave, table.RECALLABLE)
        return online == 0

    def _conclude(self, unit: Unit, record: UpgradeRecord, plan: Plan) -> None:
        """Who fell silent after the switch, and who takes too long."""
        window = float(record.options["watch"])
        longest = max((one.heartbeat_seconds for one in effective_policies(unit).values()), default=600)
        patience = max(1.5 * window, 2.2 * longest) + _GRACE
        table.move_all(
            unit.connection, record.id, (table.SWITCHING,), table.LOST, unit.now, before=unit.now - patience,
            detail="it said that it switches, and was not heard of since", code="silent",
        )  # fmt: skip
        limit = plan.limits.patience
        table.move_all(
            unit.connection, record.id, (table.WORKING,), table.LOST, unit.now, before=unit.now - limit,
            detail=f"it did not say in {limit:.0f} s how it ended", code="late", online=True,
        )  # fmt: skip

    def _observe(self, connection: Connection, record: UpgradeRecord, plan: Plan) -> Seen:
        wave, size = record.wave, record.options["waves"][record.wave]["size"]
        by_wave = table.counts(connection, record.id)
        counts = by_wave.get(wave, {})
        bad = table.bad(connection, record.id, wave, record.entered)
        ordered, _ = table.present(connection, record.id, wave, (table.ORDERED,))
        working, _ = table.present(connection, record.id, wave, (table.WORKING,))
        return Seen(
            size=size,
            waiting=_waiting(record, by_wave),
            ordered=ordered,
            working=working + counts.get(table.SWITCHING, 0),
            done=counts.get(table.DONE, 0),
            failed=bad.get(table.FAILED, ()),
            back=bad.get(table.BACK, ()),
            lost=bad.get(table.LOST, ()),
            silent=table.offline(connection, record.id, wave, (table.DONE,)),
            away=table.offline(connection, record.id, wave, table.RECALLABLE),
            held=self._held(connection, record),
            accepted=int(record.options["accepted"].get(str(wave), 0)),
            soaked=self.clock.soaked,
        )

    def _held(self, connection: Connection, record: UpgradeRecord) -> dict[str, str]:
        """Who waits in this wave and downloads from a relay that is not upgraded, with the relay."""
        if record.options.get("back_of"):
            return {}
        return {name: relay for _, name, relay in held(connection, record)}

    # -- done

    def _order(self, record: UpgradeRecord, plan: Plan, decision: Decision) -> bool:
        """The next orders, as many as may be under way at once. Whether there were any."""

        def work(unit: Unit) -> bool:
            room = plan.limits.at_once - table.in_flight(unit.connection, record.id)
            hosts = table.next_waiting(unit.connection, record.id, record.wave, max(0, min(BATCH, room)))
            if not hosts:
                return False
            self._send(unit, record, hosts)
            table.save(unit.connection, record, seen=_noted(record, decision), text=decision.text)
            return True

        return self._core.write(work)

    def _send(self, unit: Unit, record: UpgradeRecord, hosts: Sequence[HostRecord]) -> None:
        packages = {one.target: one for one in self._software.everything()}
        policies = effective_policies(unit)
        records = {one.id: one for one in computer_table.find(unit.connection, ids=[one.computer for one in hosts])}
        commands: list[CommandRecord] = []
        given: dict[str, str] = {}
        for host in hosts:
            package, computer = packages.get(host.package), records.get(host.computer)
            if computer is None or computer.state != "active":
                table.move(unit.connection, host, table.LEFT, unit.now, "it is no computer of this manager any more")
                continue
            if host.package and package is None:
                why = f"its package {host.package} is not in the repository any more"
                table.move(unit.connection, host, table.FAILED, unit.now, why, "no-package")
                continue
            policy = policies[computer.policy_id]
            watch = float(record.options["watch"])
            if policy.direction is Direction.MANAGER_INITIATED:
                # It proves itself when it is visited.
                watch = max(watch, 2.5 * policy.heartbeat_seconds)
            order = UpgradeOrder(
                version=host.goal if package is None else package.version,
                target=host.package,
                length=0 if package is None else package.length,
                sha256="" if package is None else package.sha256,
                watch_seconds=watch,
            )
            command = Command(id=uuid.uuid4().hex, kind=UPGRADE, upgrade=order)
            body = msgspec.to_builtins(command)
            commands.append(CommandRecord(command.id, host.computer, UPGRADE, body, unit.now))
            given[host.computer] = command.id
        command_table.add_commands(unit.connection, commands)
        table.order(unit.connection, record.id, given, unit.now)
        unit.changed(*given)

    def _next(self, record: UpgradeRecord, plan: Plan, decision: Decision) -> None:
        def work(unit: Unit) -> None:
            stage = stage_of(record)
            said = "; ".join(f"{figure.rule}: {figure.value}" for figure in decision.figures)
            note(unit, record.id, stage, "passed", said, "manager")
            if record.wave + 1 < len(plan.waves):
                following = record.wave + 1
                text = f"{plan.waves[following].label}: {record.options['waves'][following]['size']} computers"
                table.save(unit.connection, record, wave=following, entered=unit.now, soaked=0.0, seen={}, text=text)
                note(unit, record.id, stage_of(record, following), "entered", text, "manager")
                reached = f"upgrade {record.id} to {record.target} reached {stage_of(record, following)}: {text}"
                unit.event(NewEvent(numbers.UPGRADE_WAVE, "info", reached, target=f"upgrade {record.id}"))
                return
            recall(unit, record, to=table.LEFT, detail="it was offline until the upgrade was over")
            text = outcome(unit.connection, record)
            table.save(unit.connection, record, state="done", ended=unit.now, seen=_noted(record, decision), text=text)
            note(unit, record.id, stage, "done", text, "manager")
            level = "info" if text.startswith("done: all") else "warning"
            event = NewEvent(
                numbers.UPGRADE_ENDED, level, f"upgrade {record.id} to {record.target} is {text}",
                target=f"upgrade {record.id}",
            )  # fmt: skip
            unit.event(event)

        self._core.write(work)

    def _halt(self, record: UpgradeRecord, decision: Decision) -> None:
        def work(unit: Unit) -> None:
            stopped = recall(unit, record)
            text = decision.text + (f"; {stopped} orders were taken back" if stopped else "")
            table.save(unit.connection, record, state="halted", seen=_noted(record, decision), text=text)
            note(unit, record.id, stage_of(record), "halted", text, "manager")
            said = (
                f"upgrade {record.id} to {record.target} waits for a person in {stage_of(record)}: {text}. Who was"
                f" upgraded stays so. Go on: plimsoll upgrade resume {record.id}; end it: plimsoll upgrade abort"
                f" {record.id}, and then undo it: plimsoll upgrade back {record.id}"
            )
            extra = {"rule": decision.rule, "named": list(decision.named[:_NAMES])}
            unit.event(NewEvent(numbers.UPGRADE_HALTED, "error", said, target=f"upgrade {record.id}", extra=extra))

        self._core.write(work)

    def _wait(self, record: UpgradeRecord, decision: Decision) -> None:
        moved = decision.text != record.text
        if not self.clock.due(0.5 if moved else _NOTE_EVERY):
            return
        soaked, noted = self.clock.soaked, _noted(record, decision)
        self._core.write(
            lambda unit: table.save(unit.connection, record, soaked=soaked, seen=noted, text=decision.text)
        )  # fmt: skip


def _waiting(record: UpgradeRecord, counts: Mapping[int, Mapping[str, int]]) -> int:
    """Who has no order, in this wave or, since theirs was taken back, in an earlier one."""
    return sum(states.get(table.WAITING, 0) for wave, states in counts.items() if wave <= record.wave)


def _noted(record: UpgradeRecord, decision: Decision) -> dict[str, Any]:
    return record.seen | {"figures": [figure.as_json() for figure in decision.figures]}


def held(connection: Connection, record: UpgradeRecord) -> tuple[tuple[str, str, str], ...]:
    """Id and name of those that wait in this wave, and the relay that they download from and is not upgraded (R9)."""
    plan = plan_of(record)
    parents = {group.id: group.parent_id for group in policy_table.all_groups(connection)}
    relays = table.relays(connection)
    late = pure.late_sources(relays, plan.target, parents, plan.waves[record.wave].layer)
    if not late:
        return ()
    found = table.waiting_below(connection, record.id, record.wave, late.keys())
    return tuple((identifier, name, f"relay {pure.called(late[group][0])}") for identifier, name, group in found)


def recall(unit: Unit, record: UpgradeRecord, to: str = table.WAITING, detail: str = "") -> int:
    """Takes back the orders that nobody can have obeyed yet. How many.

    Who is at it reads with its next answer that the order is gone, and stops before it switches.
    """
    ids = table.move_all(unit.connection, record.id, table.RECALLABLE, to, unit.now, detail=detail)
    command_table.drop_waiting(unit.connection, ids, UPGRADE)
    unit.changed(*ids)
    return len(ids)


def outcome(connection: Connection, record: UpgradeRecord) -> str:
    """How many of whom are where, in words."""
    total: dict[str, int] = {}
    for states in table.counts(connection, record.id).values():
        for state, count in states.items():
            total[state] = total.get(state, 0) + count
    size, done = sum(total.values()), total.get(table.DONE, 0)
    rest = ", ".join(f"{count} {state}" for state, count in sorted(total.items()) if state != table.DONE and count)
    return f"done: all {size} upgraded" if done == size else f"done: {done} of {size} upgraded, {rest}"
