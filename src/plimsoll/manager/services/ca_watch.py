"""The look at a rotation of the CA, once a second by one manager: who is asked to renew, what goes on by itself, and
who is in the way.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from plimsoll.fleet import ca_rotation as pure
from plimsoll.fleet.ca_rotation import Goal, Judgement, Stand, Verdict
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.services import ca_steps as steps
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.ca_checks import behind, check_ready, late_managers, late_text
from plimsoll.manager.services.ca_views import goal_of
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.sending import effective_policies
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.store import ca as table
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store.ca import RotationRecord
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.manager.store.nodes import NodeRecord
from plimsoll.messages import Command, Direction

#: How many computers are asked to renew in one look, a second: a fleet does not renew as one.
BATCH = 50
#: Seconds until a computer that did not show its new certificate is asked once more.
ASK_AGAIN = 600.0
#: Seconds between two events about computers that are in the way; only where there are others by then.
SAY_AGAIN = 3600.0
_NOTE_EVERY = 5.0


class Watch:
    """`clock` counts how long everybody has been ready."""

    def __init__(self, core: Core, clock: StageClock) -> None:
        self._core = core
        self.clock = clock

    def look(self, record: RotationRecord, standing: Standing) -> bool:
        """At most one step. Whether there was one that changes who issues or is trusted.

        Raises StaleError where the rotation moved on meanwhile, Conflict where somebody came in the way just now.
        """
        core = self._core
        goal = goal_of(record, standing)
        judgement = pure.judge(goal, core.store.read(table.counts))
        late = core.store.read(lambda c: late_managers(core, c, standing))
        ready = judgement.verdict is Verdict.READY and not late
        self.clock.follow((record.id, record.state), record.soaked, core.clock(), counts=ready)
        if not ready:
            self.clock.begin_anew()
        if record.state == table.ANNOUNCE:
            if ready and record.options["by_itself"] and self.clock.soaked >= record.options["soak"]:
                core.write(lambda unit: self._switch_if_ready(unit, record))
                return True
        elif ready and record.state == table.BACK:
            core.write(lambda unit: self._withdraw_if_ready(unit, record))
            return True
        elif self._ask(record, goal):
            return False
        self._wait(record, goal, judgement, late)
        return False

    def _switch_if_ready(self, unit: Unit, record: RotationRecord) -> None:
        check_ready(self._core, unit, record, "", "not yet trusted by all", "switched")
        steps.switch(self._core, unit, record, "the manager", "manager", "")

    def _withdraw_if_ready(self, unit: Unit, record: RotationRecord) -> None:
        check_ready(self._core, unit, record, "", "still needed", "ended")
        steps.withdraw(self._core, unit, record, "the manager", "manager", "")

    def _ask(self, record: RotationRecord, goal: Goal) -> bool:
        """Asks the next computers to renew. Whether there were any."""

        def work(unit: Unit) -> bool:
            visited = [
                policy
                for policy, effective in effective_policies(unit).items()
                if effective.direction is Direction.MANAGER_INITIATED
            ]
            # What was asked in an earlier phase was for another certificate.
            since = max(record.entered, unit.now - ASK_AGAIN)
            ids = table.to_ask(unit.connection, goal.shown, since, visited, BATCH)
            commands = []
            for computer in ids:
                command = Command(id=uuid.uuid4().hex, kind="renew-certificate")
                body = msgspec.to_builtins(command)
                commands.append(CommandRecord(command.id, computer, command.kind, body, unit.now))
            command_table.add_commands(unit.connection, commands)
            unit.changed(*ids)
            return bool(ids)

        return self._core.write(work)

    def _wait(self, record: RotationRecord, goal: Goal, judgement: Judgement, late: Sequence[NodeRecord]) -> None:
        """Notes how it stands, and says once who is in the way."""
        core, now = self._core, self._core.clock()
        members = core.store.read(lambda c: behind(c, goal)) if judgement.behind else ()
        way = "; ".join(filter(None, (pure.in_the_way(goal, members), late_text(late) if late else "")))
        names = [name for name, _ in members] + [f"manager {one.name}" for one in late]
        text = _stands(record, judgement) + (f"; {way}" if way else "")
        seen = {"behind": judgement.behind} | {
            key: record.seen[key] for key in ("said", "said_at", "ready") if key in record.seen
        }
        event = self._news(record, judgement, names, way, now)
        if event is not None:
            if event.number == numbers.CA_READY:
                seen["ready"] = True
            else:
                seen |= {"said": names, "said_at": now}
        elif text == record.text and not (judgement.verdict is Verdict.READY and self.clock.due(_NOTE_EVERY)):
            return
        soaked = self.clock.soaked

        def work(unit: Unit) -> None:
            table.save(unit.connection, record, soaked=soaked, seen=seen, text=text)
            if event is not None:
                steps.note(unit, record.id, record.state, "waits", text, "manager")
                unit.event(event)

        core.write(work)

    def _news(
        self, record: RotationRecord, judgement: Judgement, names: list[str], way: str, now: float
    ) -> NewEvent | None:
        target = f"rotation {record.id}"
        if not names:
            automatic = record.state == table.ANNOUNCE and record.options["by_itself"]
            if automatic or record.seen.get("ready"):
                return None
            command = "plimsoll ca switch" if record.state == table.ANNOUNCE else "plimsoll ca retire"
            said = f"rotation {record.id} of the CA: {_stands(record, judgement)}. To go on: {command}"
            return NewEvent(numbers.CA_READY, "info", said, target=target)
        if now - record.entered < self._patience():
            return None
        said_before = record.seen.get("said")
        if said_before is not None and (set(names) <= set(said_before) or now - record.seen["said_at"] < SAY_AGAIN):
            return None
        said = f"rotation {record.id} of the CA waits for {self._whom(judgement)}: {way}"
        extra = {"named": names[: table.NAMED]}
        return NewEvent(numbers.CA_WAITS, "warning", said, target=target, extra=extra)

    def _whom(self, judgement: Judgement) -> str:
        return f"{judgement.behind} computers" if judgement.behind else "managers"

    def _patience(self) -> float:
        """Who answers at all has answered by then, in seconds."""
        policies = self._core.store.read(lambda c: effective_policies(Unit(c, self._core.clock())))
        return 2.2 * max((one.heartbeat_seconds for one in policies.values()), default=600)


def _stands(record: RotationRecord, judgement: Judgement) -> str:
    done = judgement.counts.get(Stand.READY, 0)
    if record.state == table.ANNOUNCE:
        return f"{done} of {judgement.total} computers trust both CAs"
    which = "new" if record.state == table.SWITCH else "old"
    return f"{done} of {judgement.total} computers show a certificate of the {which} CA"
