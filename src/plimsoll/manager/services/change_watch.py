"""What is seen of the fleet while a change is under way: the time of a stage, refusals, who fell silent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.fleet import changes as pure
from plimsoll.fleet.changes import Direction, Observation, Plan, Stage
from plimsoll.fleet.preflight import Preflight
from plimsoll.manager.services import change_effects as effects_of
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.judgement import PROGRAM_DAYS, JudgementService
from plimsoll.manager.services.shadow import ShadowService
from plimsoll.manager.store import Connection, sightings
from plimsoll.manager.store import changes as table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store.changes import ChangeRecord
from plimsoll.messages import Kind
from plimsoll.net.sightings import Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: A step of the wall clock that is more than this beside the steady one is a jump, in seconds.
_JUMP = 5.0


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


class Watch:
    """In memory alone. `judge` asks the preflight again, `steady` is a clock that cannot jump."""

    def __init__(
        self,
        core: Core,
        judgement: JudgementService,
        shadow: ShadowService,
        judge: Callable[[Version, set[Point]], Preflight],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._judgement = judgement
        self._shadow = shadow
        self._judge = judge
        self.steady = steady
        self._stage: _Stage | None = None
        self._refused: deque[_Refused] = deque(maxlen=10_000)
        self._breaches: dict[str, None] = {}
        self._suspects: dict[str, str] = {}
        self._programs: dict[str, None] = {}

    def saw_refusal(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        """A refused hello or handshake, and the (id, name) of each computer whose last own hello it is like."""
        version = sighting.negotiated or sighting.offered
        self._refused.append(
            _Refused(sighting.point, tuple(computers), sighting.address, sighting.ja4, version, sighting.last)
        )

    def idle(self) -> None:
        """There is no change: what was seen until now is nobody's."""
        self._stage = None
        self._refused.clear()

    def jumped(self, record: ChangeRecord, now: float) -> bool:
        """Keeps the time of the stage by a clock that does not jump. True where the wall clock did."""
        key, steady = (record.id, record.stage, record.entered), self.steady()
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
            return True
        if record.state == "running":
            stage.soaked += passed
        return False

    @property
    def soaked(self) -> float:
        """How long the stage has lasted, in seconds."""
        return self._now().soaked

    def due(self, every: float) -> bool:
        """Whether figures were last noted that long ago; they are now."""
        stage = self._now()
        if stage.steady - stage.noted < every:
            return False
        stage.noted = stage.steady
        return True

    def _now(self) -> _Stage:
        assert self._stage is not None, "the stage is followed before anybody asks"
        return self._stage

    def observe(self, record: ChangeRecord, plan: Plan, now: float) -> Observation:
        stage = Stage(record.stage)
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
            among = concerned(stage, record.effects)
            alive = record.entered - 1.2 * plan.longest_heartbeat * 3 - 10
            present = table.presence(connection, record.entered, alive, among)
            silent_refused = [name for name in present.silent if name in self._suspects.values()]
            silent = [name for name in present.silent if name not in silent_refused]
            would_be = self.would_be(connection, record)[0] if stage is Stage.SHADOW else ()
            minute = int(now % 86400 // 60)
            return Observation(
                soaked=self.soaked, online=present.online, seen=present.seen,
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

    def would_be(self, connection: Connection, record: ChangeRecord) -> tuple[tuple[str, ...], Sequence[str]]:
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


def concerned(stage: Stage, effects: dict[str, Any]) -> list[str] | None:
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
