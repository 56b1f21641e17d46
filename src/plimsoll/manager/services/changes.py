"""Staged changes (design §7): raised step by step, watched, and taken back by themselves where somebody is cut off.

How it flows: `tick` reads the change under way, observes, asks `fleet.changes.decide` and does what it says. A step's
effects and its entry in the journal are one transaction, and a step that was decided on an older state is dropped
(`StaleError`): a manager that is killed between any two steps goes on from the last one, and two never take the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plimsoll.fleet import changes as pure
from plimsoll.fleet.changes import Direction, Observation, Plan, Stage, Verb, stages_of
from plimsoll.fleet.preflight import Preflight, judge
from plimsoll.manager.ports import (
    BadInput,
    Blocked,
    Conflict,
    Forbidden,
    NotFound,
    Permission,
    Principal,
    internal,
    permits,
)
from plimsoll.manager.services import change_effects as effects_of
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services import floor_state, policy_rules
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import FloorsService, parse_floor, parse_points
from plimsoll.manager.services.guard import check_not_locked_out
from plimsoll.manager.services.judgement import PROGRAM_DAYS, JudgementService
from plimsoll.manager.services.proving import Proved, ProvingService, overall
from plimsoll.manager.services.shadow import ShadowService
from plimsoll.manager.store import Connection, sightings
from plimsoll.manager.store import changes as table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.changes import ChangeRecord, LogRecord, StaleError
from plimsoll.messages import Kind
from plimsoll.net.sightings import Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)

SOAK = 1800.0
CANARY = "5%"
#: Between two figures that are stored while nothing happens, in seconds.
_NOTE_EVERY = 2.0
#: A step of the wall clock that is more than this beside the steady one is a jump, in seconds.
_JUMP = 5.0
_LONGEST_SOAK = 30 * 86400.0
_NOTICES = 50
_TRIES = 20
_NAMES = 20


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change as it stands. `figures` are the health rules of its stage, `log` what was done, oldest first."""

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


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What a new change is asked to do; `canary` is "5%", "5", "group:NAME" (a relay group) or "policy:NAME"."""

    to: str
    points: Sequence[str] = ("all",)
    soak: float = SOAK
    canary: str = CANARY
    accept_affected: bool = False
    force: bool = False
    reason: str | None = None
    at: float | None = None
    freeze: Sequence[str] = ()
    approval: bool = False


@dataclass(frozen=True, slots=True)
class _Refused:
    point: Point
    names: tuple[tuple[str, str], ...]
    address: str
    ja4: str
    version: Version | None
    when: float


@dataclass(slots=True)
class _Stage:
    """What is only in memory of the stage under way: a restart begins its soak anew from what was stored."""

    key: tuple[int, str, float]
    soaked: float
    steady: float
    wall: float
    noted: float = 0.0


class ChangesService:
    def __init__(
        self,
        core: Core,
        floors: FloorsService,
        judgement: JudgementService,
        shadow: ShadowService,
        proving: ProvingService,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._floors = floors
        self._judgement = judgement
        self._shadow = shadow
        self._proving = proving
        self._steady = steady
        self._stage: _Stage | None = None
        self._refused: deque[_Refused] = deque(maxlen=10_000)
        self._breaches: dict[str, None] = {}
        self._suspects: dict[str, str] = {}
        self._programs: dict[str, None] = {}
        self._ticking = threading.Lock()

    # -- asked by people

    @permits(Permission.FLOORS_READ)
    def list(self, principal: Principal, limit: int = 50) -> tuple[ChangeView, ...]:
        """Newest first, without their logs."""
        return tuple(_view(one, ()) for one in self._core.store.read(lambda c: table.find(c, limit)))

    @permits(Permission.FLOORS_READ)
    def get(self, principal: Principal, change: int | None = None) -> ChangeView:
        """That change, or the one under way, or the last one."""

        def work(connection: Connection) -> ChangeView:
            found = _known(connection, change)
            return _view(found, table.logs(connection, found.id, 200))

        return self._core.store.read(work)

    @permits(Permission.FLOORS_CHANGE)
    def start(self, principal: Principal, request: StartRequest) -> ChangeView:
        """Begins a change, or plans it (`at`, `approval`). Nothing was changed where this raises.

        Raises BadInput, Conflict (another one is under way), Blocked (parts would be cut off and `force` was not said,
        or programs would and `accept_affected` was not), Forbidden (it would lock out who asks), Unavailable.
        """
        target, points = parse_floor(request.to), _points(request.points)
        _check(request, self._core.clock())
        running = self._core.store.read(table.under_way)
        if running is not None:
            raise Conflict(_busy(running))
        before = self._core.store.read(floor_state.read)
        direction, moved = _direction(before.floors(), points, target, self._own_floors())
        preflight: Preflight | None = None
        if direction is Direction.RAISE:
            if Point.GUI in moved:
                check_not_locked_out(principal, before.gui, target)
            preflight = self._judge(target, moved)
            self._consent(request, preflight)
        options = self._options(request, direction, moved, preflight)
        state = "awaiting approval" if request.approval else "scheduled" if request.at else "running"

        def work(unit: Unit) -> int:
            other = table.under_way(unit.connection)
            if other is not None:
                raise Conflict(_busy(other))
            self._resolve_canary(unit.connection, options)
            relays = computer_table.find(unit.connection, kind=Kind.RELAY.value)
            stages = stages_of(direction, moved, relays=len(relays) > 1)
            options["stages"] = [stage.value for stage in stages]
            new = ChangeRecord(
                id=0, created=unit.now, who=principal.who, name=principal.name, via=principal.via, target=target,
                direction=direction.value, state=state, stage=stages[0].value, entered=unit.now, soaked=0.0,
                options=options, effects={}, seen={"online_before": 0}, text=_begins(state, request.at),
            )  # fmt: skip
            identifier = table.add(unit.connection, new)
            said = f"{direction.value} to {target} at {', '.join(p.value for p in Point if p in moved)}"
            _note(unit, identifier, stages[0].value, "started", said, principal.who)
            unit.audit(principal, "changes.start", f"change {identifier}", None, options | {"to": target.value})
            text = f"{principal.name} started change {identifier}: {said}" + (
                f": {request.reason}" if request.reason else ""
            )
            unit.event(NewEvent(numbers.CHANGE_STARTED, "info", text, target=f"change {identifier}"))
            self._notify(unit, identifier, target, preflight, request.at)
            return identifier

        return self._get(self._core.write(work))

    @permits(Permission.FLOORS_CHANGE)
    def approve(self, principal: Principal, change: int) -> ChangeView:
        """A second person's word; whoever asked for the change cannot give it."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state != "awaiting approval":
                raise Conflict(f"change {change} does not wait for approval (it is {found.state}); nothing was changed")
            if principal.who == found.who:
                raise Forbidden(f"change {change} is yours: a second person has to approve it; nothing was changed")
            at = found.options.get("at")
            state = "scheduled" if at else "running"
            table.save(
                unit.connection,
                found,
                state=state,
                approved_by=principal.who,
                text=_begins(state, at),
                entered=unit.now,
            )
            self._said(unit, principal, found, "approve", f"approved by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def pause(self, principal: Principal, change: int) -> ChangeView:
        """Goes no further; what was raised stays, and is watched."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state not in ("running", "scheduled"):
                raise Conflict(f"change {change} is {found.state}; nothing was changed")
            table.save(unit.connection, found, state="paused", text=f"paused by {principal.name}")
            self._said(unit, principal, found, "pause", f"paused by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def resume(self, principal: Principal, change: int) -> ChangeView:
        """Goes on with the stage that it stood in, whose soak begins anew."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state not in ("paused", "halted"):
                raise Conflict(f"change {change} is {found.state}; nothing was changed")
            options = dict(found.options)
            if found.state == "halted" and found.stage == Stage.SHADOW.value:
                # Who resumes has read the names.
                options["accepted"] = sorted({*options["accepted"], *found.seen.get("would_be_ids", [])})
            table.save(
                unit.connection, found, state="running", entered=unit.now, soaked=0.0, options=options,
                text=f"goes on, by {principal.name}",
            )  # fmt: skip
            self._said(unit, principal, found, "resume", f"resumed by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def abort(self, principal: Principal, change: int) -> ChangeView:
        """Takes back what it has moved so far, at once."""

        def check(connection: Connection) -> ChangeRecord:
            found = _known(connection, change)
            if found.state not in table.OPEN:
                raise Conflict(
                    f"change {change} is {found.state}; nothing was changed. A done one: plimsoll change back {change}"
                )
            return found

        return self._undo(principal, check, f"aborted by {principal.name}", "aborted")

    @permits(Permission.FLOORS_CHANGE)
    def back(self, principal: Principal, change: int) -> ChangeView:
        """Takes back a change that is done: each point that still stands where it was put."""

        def check(connection: Connection) -> ChangeRecord:
            found = _known(connection, change)
            running = table.under_way(connection)
            if running is not None and running.id != change:
                raise Conflict(_busy(running))
            if found.state != "done":
                raise Conflict(f"change {change} is {found.state}; only a done one goes back, nothing was changed")
            return found

        return self._undo(principal, check, f"taken back by {principal.name}", "taken back")

    def _undo(
        self, principal: Principal, check: Callable[[Connection], ChangeRecord], why: str, state: str
    ) -> ChangeView:
        """Against a change that moves on meanwhile: read it again, and take back what it is by then."""
        for _ in range(_TRIES):
            found = self._core.store.read(check)
            try:
                self._take_back(principal, found, why, state)
            except StaleError:
                continue
            return self._get(found.id)
        raise Conflict("the change moves on all the time; nothing was changed, try again")

    # -- told by the gates, in the loop's thread

    @internal
    def saw_refusal(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        """A refused hello or handshake, and the (id, name) of each computer whose last own hello it is like."""
        version = sighting.negotiated or sighting.offered
        self._refused.append(
            _Refused(sighting.point, tuple(computers), sighting.address, sighting.ja4, version, sighting.last)
        )

    # -- run by the manager

    @internal
    def tick(self) -> bool:
        """One look at the change under way, and at most one step. Whether there is one."""
        with self._ticking:
            record = self._core.store.read(table.under_way)
            if record is None:
                self._stage = None
                self._refused.clear()
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
            if now >= record.options["at"]:
                self._begin(record)
            return
        if record.state == "running" and record.stage == Stage.PROOF.value:
            self._prove(record)
            return
        if self._follow(record, now):
            return
        plan = _plan(record)
        seen = self._observe(record, plan, now)
        decision = pure.decide(plan, Stage(record.stage), seen)
        if decision.verb is Verb.TAKE_BACK:
            self._breached(record, decision, seen)
        elif record.state != "running":
            return
        elif decision.verb is Verb.HALT:
            self._halt(record, decision, seen)
        elif decision.verb is Verb.NEXT:
            self._next(record, plan, decision, seen)
        else:
            self._wait(record, decision, seen)

    def _follow(self, record: ChangeRecord, now: float) -> bool:
        """Keep the time of the stage by a clock that does not jump. True where the soak began anew."""
        key, steady = (record.id, record.stage, record.entered), self._steady()
        stage = self._stage
        if stage is None or stage.key != key:
            if stage is None or stage.key[:2] != key[:2]:
                self._breaches, self._suspects, self._programs = {}, {}, {}
            self._stage = _Stage(key, record.soaked, steady, now)
            return False
        passed = steady - stage.steady
        jumped = abs((now - stage.wall) - passed) > _JUMP
        stage.steady, stage.wall = steady, now
        if jumped:
            self._core.write(lambda unit: self._restart(unit, record))
            return True
        if record.state == "running":
            stage.soaked += passed
        return False

    def _restart(self, unit: Unit, record: ChangeRecord) -> None:
        table.save(unit.connection, record, entered=unit.now, soaked=0.0, text="the clock jumped: the soak began anew")
        _note(unit, record.id, record.stage, "clock", "the clock jumped: the soak of this stage began anew", "manager")

    # -- steps

    def _begin(self, record: ChangeRecord) -> None:
        def work(unit: Unit) -> None:
            table.save(unit.connection, record, state="running", entered=unit.now, text="begins")
            _note(unit, record.id, record.stage, "begun", "its start time has come", "manager")

        self._core.write(work)

    def _next(self, record: ChangeRecord, plan: Plan, decision: pure.Decision, seen: Observation) -> None:
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
            among = _concerned(entered, effects)
            present = table.presence(unit.connection, unit.now, unit.now, among)
            text = f"{entered.value}: {done}" if done else entered.value
            table.save(
                unit.connection, record, stage=entered.value, entered=unit.now, soaked=0.0, effects=effects,
                seen={"online_before": present.online}, text=text,
            )  # fmt: skip
            said = "; ".join(f"{figure.rule}: {figure.value}" for figure in decision.figures)
            _note(unit, record.id, stage.value, "passed", said or "passed", "manager")
            _note(unit, record.id, entered.value, "entered", done or "entered", "manager")
            text = f"change {record.id} reached the stage {entered.value}" + (f": {done}" if done else "")
            unit.event(NewEvent(numbers.CHANGE_STAGE, "info", text, target=f"change {record.id}"))

        def moved(before: floor_state.FloorState) -> floor_state.FloorState:
            return effects_of.floors_after(before, entered, plan.target)

        self._floors.move(principal, moved, f"change {record.id}", "change", move)

    def _more_relays(self, record: ChangeRecord) -> bool:
        return self._core.store.read(
            lambda c: effects_of.relays_left(computer_table.find(c, kind=Kind.RELAY.value), record.effects)
        )

    def _wait(self, record: ChangeRecord, decision: pure.Decision, seen: Observation) -> None:
        stage = self._stage
        assert stage is not None
        moved = decision.text != record.text
        if stage.steady - stage.noted < (0.5 if moved else _NOTE_EVERY):
            return
        stage.noted = stage.steady
        figures = [figure.as_json() for figure in decision.figures]
        noted = record.seen | {"figures": figures}
        self._core.write(
            lambda unit: table.save(
                unit.connection, record, soaked=stage.soaked, seen=noted, text=decision.text
            )
        )  # fmt: skip

    def _halt(self, record: ChangeRecord, decision: pure.Decision, seen: Observation) -> None:
        def work(unit: Unit) -> None:
            noted = record.seen | {"figures": [figure.as_json() for figure in decision.figures]}
            if record.stage == Stage.SHADOW.value:
                noted["would_be_ids"] = self._would_be(unit.connection, record)[1]
            table.save(unit.connection, record, state="halted", seen=noted, text=decision.text)
            _note(unit, record.id, record.stage, "halted", f"{decision.rule}: {decision.text}", "manager")
            text = (
                f"change {record.id} waits for a person in the stage {record.stage}: {decision.text}. What was raised"
                f" stays. Go on: plimsoll change resume {record.id}; go back: plimsoll change abort {record.id}"
            )
            named = {"rule": decision.rule, "named": list(decision.named[:_NAMES])}
            unit.event(NewEvent(numbers.CHANGE_HALTED, "error", text, target=f"change {record.id}", extra=named))

        self._core.write(work)

    def _breached(self, record: ChangeRecord, decision: pure.Decision, seen: Observation) -> None:
        figures = [figure.as_json() for figure in decision.figures]
        said = f"{decision.text} (rule: {decision.rule}, stage: {record.stage})"
        self._take_back(_principal(record), record, said, "taken back", figures, decision.named)

    def _take_back(
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
                f"; the policy was sent again to {sent} computers" if sent else ""
            )
            seen = record.seen | ({"figures": figures} if figures else {}) | {"named": list(named)}
            table.save(
                unit.connection, record, state=state, ended=unit.now, effects=effects, seen=seen, text=f"{why}; {done}"
            )
            _note(unit, record.id, record.stage, state, f"{why}; {done}", principal.who)
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
        text = f"done; {verdict}" + (f": {', '.join(open_ones[:_NAMES])}" if open_ones else "")
        proof = {"verdict": verdict, "time": self._core.clock(), "places": [one.as_json() for one in found]}

        def work(unit: Unit) -> None:
            effects_of.end(unit, principal, record.id, effects)
            table.save(unit.connection, record, state="done", ended=unit.now, effects=effects, proof=proof, text=text)
            _note(unit, record.id, record.stage, "done", text, "manager")
            level = "info" if verdict == "proved" else "warning"
            said = f"change {record.id} to {record.target} is {text}"
            unit.event(NewEvent(numbers.CHANGE_ENDED, level, said, target=f"change {record.id}"))

        self._core.write(work)

    # -- what is seen

    def _observe(self, record: ChangeRecord, plan: Plan, now: float) -> Observation:
        stage = Stage(record.stage)
        memory = self._stage
        assert memory is not None
        self._sort_refusals(record, stage)
        fresh: tuple[str, ...] = ()
        if stage is Stage.PREFLIGHT:
            preflight = self._judge(plan.target, {Point(name) for name in record.options["points"]})
            accepted = set(record.options["accepted"])
            fresh = tuple(
                finding.who
                for finding in (*preflight.blockers, *preflight.affected)
                if not accepted.issuperset(effects_of.accepted_of([finding]))
            )

        def work(connection: Connection) -> Observation:
            among = _concerned(stage, record.effects)
            alive = record.entered - 1.2 * plan.longest_heartbeat * 3 - 10
            present = table.presence(connection, record.entered, alive, among)
            silent_refused = [name for name in present.silent if name in self._suspects.values()]
            silent = [name for name in present.silent if name not in silent_refused]
            would_be = self._would_be(connection, record)[0] if stage is Stage.SHADOW else ()
            minute = int(now % 86400 // 60)
            return Observation(
                soaked=memory.soaked, online=present.online, seen=present.seen,
                online_before=int(record.seen.get("online_before", 0)), refused=tuple(self._breaches),
                silent_refused=silent_refused, silent=silent, would_be=would_be, programs=tuple(self._programs),
                relays_open=_relays_open(connection, record, plan), fresh_blockers=fresh,
                frozen=pure.in_freeze(record.options["freeze"], minute),
            )  # fmt: skip

        if stage in (Stage.SHADOW, Stage.PREFLIGHT):
            self._judgement.absorb()
        return self._core.store.read(work)

    def _sort_refusals(self, record: ChangeRecord, stage: Stage) -> None:
        """Which refusals are this change's doing: of a version that was let in before, since the stage began."""
        while self._refused:
            one = self._refused.popleft()
            if one.version is None or one.version >= record.target or one.when < record.entered - 1.0:
                continue
            if one.point is Point.HEARTBEAT and stage in (Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT, Stage.GUI):
                if one.version < _floor_before(record, one.point, self._floor_now(one.point)) or not one.names:
                    continue
                if len(one.names) == 1:
                    self._breaches[one.names[0][1]] = None
                else:
                    self._suspects.update(one.names)
                continue
            allowed = one.version >= _floor_before(record, one.point, self._floor_now(one.point))
            if one.point is Point.GUI and stage is Stage.GUI and allowed:
                self._blame_program(record, one)

    def _floor_now(self, point: Point) -> Version:
        return self._core.store.read(floor_state.read).floor(point)

    def _blame_program(self, record: ChangeRecord, one: _Refused) -> None:
        """A program that was let in lately, and that nobody accepted to lose."""
        since = self._core.clock() - PROGRAM_DAYS
        accepted = set(record.options["accepted"])

        def work(connection: Connection) -> list[str]:
            return [
                f"{row.who or 'a client'} at {row.address}"
                for row in sightings.programs(connection, Point.GUI.value, since, but="scan:own")
                if (row.address, row.ja4) == (one.address, one.ja4) and f"{row.who}|{row.address}" not in accepted
            ]

        self._programs.update(dict.fromkeys(self._core.store.read(work)))

    def _would_be(self, connection: Connection, record: ChangeRecord) -> tuple[tuple[str, ...], Sequence[str]]:
        accepted = set(record.options["accepted"])
        names: dict[str, str] = {}
        for point in (Point.HEARTBEAT, Point.GUI):
            if point.value not in record.options["points"]:
                continue
            for one in self._shadow.refused(connection, point, record.entered):
                is_part = one.who is not None and one.who.startswith("computer:")
                key = one.who if is_part and one.who is not None else f"{one.who or ''}|{one.address}"
                if key not in accepted:
                    names[key] = one.name
        return tuple(sorted(names.values())), sorted(names)

    # -- before the start

    def _judge(self, target: Version, points: set[Point]) -> Preflight:
        return judge(self._judgement.fleet(), target, points, self._core.store.read(floor_state.read).floors())

    def _own_floors(self) -> dict[Point, Sequence[Version]]:
        """Floors of policies that have their own, by point."""
        records = self._core.store.read(policy_table.all_policies)
        return {
            Point.RELAY: [one.relay_floor for one in records if one.relay_floor is not None],
            Point.AGENT: [one.agent_floor for one in records if one.agent_floor is not None],
        }

    def _consent(self, request: StartRequest, preflight: Preflight) -> None:
        reason = (request.reason or "").strip()
        if preflight.blockers and not request.force:
            names = ", ".join(finding.who for finding in preflight.blockers[:5])
            raise Blocked(
                f"{len(preflight.blockers)} parts would be cut off ({names}…); nothing was started. Upgrade them, give"
                " them an exception, or force it with a reason: a forced change still takes itself back",
                preflight,
            )
        if preflight.blockers and not reason:
            raise BadInput("a change is forced only with a reason, which is kept and shown; nothing was started")
        if preflight.affected and not request.accept_affected:
            names = ", ".join(finding.who for finding in preflight.affected[:5])
            raise Blocked(
                f"{len(preflight.affected)} programs would be cut off ({names}); nothing was started. Tell their owners"
                ", or start with --accept-affected, which names them in the audit trail",
                preflight,
            )

    def _options(
        self, request: StartRequest, direction: Direction, moved: set[Point], preflight: Preflight | None
    ) -> dict[str, Any]:
        findings = () if preflight is None else (*preflight.blockers, *preflight.affected)
        policies = policy_rules.resolve(self._core.store.read(policy_table.all_policies))
        return {
            "points": [point.value for point in Point if point in moved],
            "soak": request.soak,
            "canary": request.canary,
            "lowers": direction is Direction.LOWER,
            "forced": bool(preflight and preflight.blockers),
            "reason": request.reason,
            "accepted": effects_of.accepted_of(findings),
            "named": {
                "blockers": [] if preflight is None else [finding.who for finding in preflight.blockers],
                "affected": [] if preflight is None else [finding.who for finding in preflight.affected],
            },
            "at": request.at,
            "freeze": list(request.freeze),
            "approval": request.approval,
            "longest": max((policy.heartbeat_seconds for policy in policies.values()), default=600),
        }

    def _resolve_canary(self, connection: Connection, options: dict[str, Any]) -> None:
        named: str = options["canary"]
        kind, _, name = named.partition(":")
        if kind == "group":
            group = policy_table.group_named(connection, name)
            if group is None:
                raise NotFound(f"there is no relay group {name!r}; nothing was started")
            options["canary_group"] = group.id
        elif kind == "policy":
            policy = policy_table.policy_named(connection, name)
            if policy is None:
                raise NotFound(f"there is no policy {name!r}; nothing was started")
            options["canary_policy"] = policy.id

    def _notify(self, unit: Unit, change: int, target: Version, preflight: Preflight | None, at: float | None) -> None:
        """A notice for each blocker and program, so that their owners hear of it before the date."""
        findings = () if preflight is None else (*preflight.blockers, *preflight.affected)
        when = "now" if at is None else _moment(at)
        for finding in findings[:_NOTICES]:
            text = (
                f"change {change} to {target} begins {when} and would cut off {finding.who}: {finding.reason}."
                f" {finding.remedy}"
            )
            computer = None if finding.kind == "program" else finding.id
            unit.event(NewEvent(numbers.CHANGE_NOTICE, "warning", text, computer=computer, target=finding.who))

    # -- small

    def _change(self, change: int, work: Callable[[Unit, ChangeRecord], None]) -> ChangeView:
        def run(unit: Unit) -> None:
            work(unit, _known(unit.connection, change))

        self._core.write(run)
        return self._get(change)

    def _get(self, change: int) -> ChangeView:
        def work(connection: Connection) -> ChangeView:
            found = _known(connection, change)
            return _view(found, table.logs(connection, found.id, 200))

        return self._core.store.read(work)

    def _said(self, unit: Unit, principal: Principal, found: ChangeRecord, what: str, text: str) -> None:
        _note(unit, found.id, found.stage, what, text, principal.who)
        unit.audit(principal, f"changes.{what}", f"change {found.id}", {"state": found.state}, {"text": text})


def _known(connection: Connection, change: int | None) -> ChangeRecord:
    found = (
        table.get(connection, change)
        if change is not None
        else table.under_way(connection) or next(iter(table.find(connection, 1)), None)
    )
    if found is None:
        what = "no change yet" if change is None else f"no change {change}"
        raise NotFound(f"there is {what}; nothing was changed")
    return found


def _busy(running: ChangeRecord) -> str:
    return (
        f"change {running.id} to {running.target} is under way ({running.state}, stage {running.stage}): one at a time;"
        f" nothing was started. See: plimsoll change status {running.id}"
    )


def _points(names: Sequence[str]) -> set[Point]:
    points = {point for name in names for point in parse_points(name)}
    if not points:
        raise BadInput("say which points; nothing was started")
    return points


def _check(request: StartRequest, now: float) -> None:
    if not 0 < request.soak <= _LONGEST_SOAK:
        raise BadInput("a soak lasts from a second to 30 days; nothing was started")
    for window in request.freeze:
        if not pure.check_window(window):
            raise BadInput(f"freeze hours are HH:MM-HH:MM in UTC, not {window!r}; nothing was started")
    if request.at is not None and request.at <= now:
        raise BadInput(f"{_moment(request.at)} is in the past; nothing was started")
    if not request.canary.startswith(("group:", "policy:")):
        try:
            effects_of.canary_count(request.canary, 1)
        except ValueError:
            raise BadInput(
                f"a canary is a share (5%), a number (5), group:NAME or policy:NAME, not {request.canary!r}; nothing"
                " was started"
            ) from None


def _direction(
    floors: dict[Point, Version], points: set[Point], target: Version, own: dict[Point, Sequence[Version]]
) -> tuple[Direction, set[Point]]:
    """Up where any of the points is below the target; those above it then stay. Raises BadInput where none moves."""
    below = {p for p in points if floors[p] < target or any(floor < target for floor in own.get(p, []))}
    if below:
        return Direction.RAISE, below
    above = {p for p in points if floors[p] > target}
    if above:
        return Direction.LOWER, above
    raise BadInput(f"{', '.join(p.value for p in Point if p in points)}: {target} is the floor already; nothing to do")


def _plan(record: ChangeRecord) -> Plan:
    options = record.options
    return Plan(
        target=record.target,
        direction=Direction(record.direction),
        stages=tuple(Stage(stage) for stage in options["stages"]),
        soak=options["soak"],
        longest_heartbeat=options["longest"],
        forced=options["forced"],
    )


def _concerned(stage: Stage, effects: dict[str, Any]) -> list[str] | None:
    """The computers that a stage is about; None is all of them."""
    if stage is Stage.HEARTBEAT_CANARY:
        return list(effects.get("canary", []))
    if stage in (Stage.RELAY_CANARY, Stage.RELAYS):
        return list(effects.get("sent", []))
    return None


def _relays_open(connection: Connection, record: ChangeRecord, plan: Plan) -> tuple[str, ...]:
    if record.stage not in (Stage.RELAY_CANARY.value, Stage.RELAYS.value) or plan.direction is Direction.LOWER:
        return ()
    found = computer_table.find(connection, ids=record.effects.get("sent", []))
    return tuple(
        one.display
        for one in found
        if one.kind == Kind.RELAY.value
        and not (
            one.policy_acked == one.policy_fingerprint != ""
            and one.relay_observed is not None
            and one.relay_observed >= plan.target
        )
    )


def _floor_before(record: ChangeRecord, point: Point, now: Version) -> Version:
    moved = record.effects.get("floors", {}).get(point.value)
    return now if moved is None else Version(moved["from"])


def _principal(record: ChangeRecord) -> Principal:
    """The change acts in the name of who started it; what it may was checked then."""
    from plimsoll.manager.ports import Role

    kind, _, identifier = record.who.partition(":")
    known: Any = kind if kind in ("user", "apikey", "socket", "system") else "system"
    via: Any = record.via
    return Principal(known, f"{record.name} (change {record.id})", Role.ADMINISTRATOR, via, id=identifier)


def _note(unit: Unit, change: int, stage: str, what: str, text: str, who: str) -> None:
    table.log(unit.connection, change, LogRecord(unit.now, stage, what, text, who))


def _begins(state: str, at: float | None) -> str:
    if state == "awaiting approval":
        return "waits for a second person's approval"
    return "begins" if at is None else f"begins {_moment(at)}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _view(record: ChangeRecord, entries: Sequence[LogRecord]) -> ChangeView:
    plan = _plan(record)
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
    )
