"""A step of a change: what `fleet.changes.decide` says of what is seen, done in one transaction with its entry.

A step that was decided on an older state is dropped (`StaleError`): a manager that is killed between any two steps goes
on from the last one, and two never take the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from plimsoll.fleet import changes as pure
from plimsoll.fleet.changes import Direction, Plan, Stage, Verb
from plimsoll.manager.ports import Principal, Role
from plimsoll.manager.services import change_effects as effects_of
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.change_views import moment, note, plan_of
from plimsoll.manager.services.change_watch import Watch, baseline
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import FloorsService
from plimsoll.manager.services.proving import Proved, ProvingService, overall
from plimsoll.manager.store import changes as table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store.changes import ChangeRecord, StaleError
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point

log = logging.getLogger(__name__)

#: Between two figures that are stored while nothing happens, in seconds.
_NOTE_EVERY = 2.0
_NAMES = 20
#: Rules whose "none" is worth an entry of its own when a stage has passed.
_ALWAYS_SAID = (pure.FRESH, pure.WOULD_BE, pure.REFUSED)
#: A start that is later than that, in seconds, is no longer the one that was planned.
LATE = 3600.0


class Steps:
    def __init__(self, core: Core, floors: FloorsService, proving: ProvingService, watch: Watch) -> None:
        self._core = core
        self._floors = floors
        self._proving = proving
        self._watch = watch
        self._ticking = threading.Lock()

    def tick(self) -> bool:
        """One look at the change under way, and at most one step. Whether there is one."""
        with self._ticking:
            record = self._core.store.read(table.under_way)
            if record is None:
                self._watch.idle()
                return False
            try:
                self._look(record)
            except StaleError:
                log.info("change %d moved on meanwhile", record.id)
            return True

    def _look(self, record: ChangeRecord) -> None:
        now = self._core.clock()
        if record.state == "awaiting approval":
            return
        if record.state == "scheduled":
            if now - record.options["at"] > LATE:
                self._missed(record)
            elif now >= record.options["at"]:
                self._begin(record)
            return
        if record.state == "running" and record.stage == Stage.PROOF.value:
            self._prove(record)
            return
        if self._watch.jumped(record, now):
            self._core.write(lambda unit: self._restart(unit, record))
            return
        plan = plan_of(record)
        seen = self._watch.observe(record, plan, now)
        decision = pure.decide(plan, Stage(record.stage), seen)
        if decision.verb is Verb.TAKE_BACK:
            self._breached(record, decision)
        elif record.state != "running":
            return
        elif decision.verb is Verb.HALT:
            self._halt(record, decision)
        elif decision.verb is Verb.NEXT:
            self._next(record, plan, decision)
        else:
            self._wait(record, decision)

    def _restart(self, unit: Unit, record: ChangeRecord) -> None:
        table.save(unit.connection, record, entered=unit.now, soaked=0.0, text="the clock jumped: the soak began anew")
        note(unit, record.id, record.stage, "clock", "the clock jumped: the soak of this stage began anew", "manager")

    def _begin(self, record: ChangeRecord) -> None:
        def work(unit: Unit) -> None:
            table.save(unit.connection, record, state="running", entered=unit.now, text="begins")
            note(unit, record.id, record.stage, "begun", "its start time has come", "manager")

        self._core.write(work)

    def _missed(self, record: ChangeRecord) -> None:
        """The manager was down at that time, or the clock jumped over it: whether now is as good is for a person."""
        at = moment(record.options["at"])
        said = f"its start time, {at}, passed more than an hour ago while nobody looked: the manager was down then, or"
        self._wait_for_a_person(record, f"{said} its clock jumped", "start time", {})

    def _next(self, record: ChangeRecord, plan: Plan, decision: pure.Decision) -> None:
        stage = Stage(record.stage)
        again = stage is Stage.RELAYS and plan.direction is Direction.RAISE and self._more_relays(record)
        following = stage if again else plan.after(stage)
        assert following is not None, "the proof is the last stage, and no decision is asked for it"
        entered: Stage = following
        principal = _principal(record)
        effects, options = dict(record.effects), record.options

        def move(unit: Unit, before: floor_state.FloorState, after: floor_state.FloorState) -> None:
            effects_of.note_floors(effects, before, after)
            done = effects_of.enter(unit, principal, record.id, entered, plan.target, options, effects)
            seen = baseline(unit.connection, entered, effects, unit.now)
            text = f"{entered.value}: {done}" if done else entered.value
            table.save(
                unit.connection, record, stage=entered.value, entered=unit.now, soaked=0.0, effects=effects,
                seen=seen, text=text,
            )  # fmt: skip
            told = [one for one in decision.figures if one.value != "none" or one.rule in _ALWAYS_SAID]
            said = "; ".join(f"{figure.rule}: {figure.value}" for figure in told)
            note(unit, record.id, stage.value, "passed", said or "passed", "manager")
            note(unit, record.id, entered.value, "entered", done or "every port is asked from outside", "manager")
            text = f"change {record.id} reached the stage {entered.value}" + (f": {done}" if done else "")
            unit.event(NewEvent(numbers.CHANGE_STAGE, "info", text, target=f"change {record.id}"))

        def moved(before: floor_state.FloorState) -> floor_state.FloorState:
            return effects_of.floors_after(before, entered, plan.target)

        self._floors.move(principal, moved, f"change {record.id}", "change", move)

    def _more_relays(self, record: ChangeRecord) -> bool:
        return self._core.store.read(
            lambda c: effects_of.relays_left(computer_table.find(c, kind=Kind.RELAY.value), record.effects)
        )

    def _wait(self, record: ChangeRecord, decision: pure.Decision) -> None:
        moved = decision.text != record.text
        if not self._watch.clock.due(0.5 if moved else _NOTE_EVERY):
            return
        soaked = self._watch.clock.soaked
        figures = [figure.as_json() for figure in decision.figures]
        noted = record.seen | {"figures": figures}
        self._core.write(
            lambda unit: table.save(
                unit.connection, record, soaked=soaked, seen=noted, text=decision.text
            )
        )  # fmt: skip

    def _halt(self, record: ChangeRecord, decision: pure.Decision) -> None:
        noted = record.seen | {"figures": [figure.as_json() for figure in decision.figures]}
        if record.stage == Stage.SHADOW.value:
            noted["would_be_ids"] = self._core.store.read(lambda c: self._watch.would_be(c, record))[1]
        named = {"named": list(decision.named[:_NAMES]), "evidence": _evidence(decision)}
        self._wait_for_a_person(record, decision.text, decision.rule, named, noted)

    def _wait_for_a_person(
        self, record: ChangeRecord, text: str, rule: str, named: dict[str, Any], seen: dict[str, Any] | None = None
    ) -> None:
        def work(unit: Unit) -> None:
            table.save(unit.connection, record, state="halted", seen=record.seen if seen is None else seen, text=text)
            why = "; ".join([text, *named.get("evidence", ())])
            note(unit, record.id, record.stage, "halted", why, "manager")
            said = (
                f"change {record.id} waits for a person in the stage {record.stage}: {why}. What was raised"
                f" stays. Go on: plimsoll change resume {record.id}; go back: plimsoll change abort {record.id}"
            )
            extra = {"rule": rule} | named
            unit.event(NewEvent(numbers.CHANGE_HALTED, "error", said, target=f"change {record.id}", extra=extra))

        self._core.write(work)

    def _breached(self, record: ChangeRecord, decision: pure.Decision) -> None:
        figures = [figure.as_json() for figure in decision.figures]
        said = f"{decision.text} (in the stage {record.stage})"
        self.take_back(_principal(record), record, said, "taken back", figures, decision.named)

    def take_back(
        self,
        principal: Principal,
        record: ChangeRecord,
        why: str,
        state: str,
        figures: Sequence[dict[str, Any]] | None = None,
        named: Sequence[str] = (),
    ) -> None:
        effects = dict(record.effects)

        def also(unit: Unit, before: floor_state.FloorState, after: floor_state.FloorState) -> None:
            sent = effects_of.take_back(unit, principal, record.id, effects)
            back = [f"{p.value} to {after.floor(p)}" for p in Point if before.floor(p) is not after.floor(p)]
            done = f"floors back: {', '.join(back) or 'none had moved'}" + (
                f"; the policy was sent again to {effects_of.counted(sent, 'computer')}" if sent else ""
            )
            seen = record.seen | ({"figures": figures} if figures else {}) | {"named": list(named)}
            table.save(
                unit.connection, record, state=state, ended=unit.now, effects=effects, seen=seen, text=f"{why}; {done}"
            )
            note(unit, record.id, record.stage, state, f"{why}; {done}", principal.who)
            unit.audit(principal, "changes.back", f"change {record.id}", record.effects, {"why": why, "done": done})
            text = f"change {record.id} was taken back: {why}; {done}"
            extra = {"named": list(named[:_NAMES])}
            unit.event(NewEvent(numbers.CHANGE_TAKEN_BACK, "error", text, target=f"change {record.id}", extra=extra))

        self._floors.move(
            principal,
            lambda now: effects_of.floors_back(effects, now),
            f"change {record.id}: {why}"[:300],
            "back",
            also,
        )

    def _prove(self, record: ChangeRecord) -> None:
        principal, effects = _principal(record), dict(record.effects)
        try:
            found: tuple[Proved, ...] = self._proving.prove()
        except OSError as error:
            log.warning("change %d: the proof could not be made yet: %s", record.id, error)
            return
        verdict = overall(found)
        open_ones = [f"{one.place.point.value} of {one.place.name}" for one in found if one.verdict != "proved"]
        text = verdict + (f": {', '.join(open_ones[:_NAMES])}" if open_ones else "")
        proof = {"verdict": verdict, "time": self._core.clock(), "places": [one.as_json() for one in found]}

        def work(unit: Unit) -> None:
            effects_of.end(unit, principal, record.id, effects)
            table.save(unit.connection, record, state="done", ended=unit.now, effects=effects, proof=proof, text=text)
            note(unit, record.id, record.stage, "done", text, "manager")
            level = "info" if verdict == "proved" else "warning"
            said = f"change {record.id} to {record.target} is done: {text}"
            unit.event(NewEvent(numbers.CHANGE_ENDED, level, said, target=f"change {record.id}"))

        self._core.write(work)


def _evidence(decision: pure.Decision) -> list[str]:
    """What the broken rule rests on."""
    return [line for one in decision.figures if one.rule == decision.rule for line in one.evidence[:_NAMES]]


def _principal(record: ChangeRecord) -> Principal:
    """The change acts in the name of who started it; what it may was checked then."""
    kind, _, identifier = record.who.partition(":")
    known: Any = kind if kind in ("user", "apikey", "socket", "system") else "system"
    via: Any = record.via
    return Principal(known, f"{record.name} (change {record.id})", Role.ADMINISTRATOR, via, id=identifier)
