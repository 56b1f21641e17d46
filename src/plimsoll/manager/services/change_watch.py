"""What is seen of the fleet while a change is under way: the time of a stage, who is there, who fell silent and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from plimsoll.fleet.changes import Direction, Observation, Plan, Stage
from plimsoll.fleet.preflight import Preflight
from plimsoll.manager.freeze import frozen_by
from plimsoll.manager.services import change_effects as effects_of
from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.change_refusals import RefusalBook
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.services.shadow import ShadowService
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.changes import ChangeRecord, Silent
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: Seconds between two looks at the whole fleet; refusals are looked at each time. A preflight is judged less often.
_LOOK = 1.0
_JUDGE = 30.0
#: Who was heard within so many of its heartbeat intervals, and a batch's time, has missed none.
_INTERVALS = 1.5
_BATCH = 2.0
#: Of how many silent computers the evidence is kept.
_EVIDENCE = 20


class Watch:
    """In memory alone. `judge` asks the preflight again."""

    def __init__(
        self,
        core: Core,
        judgement: JudgementService,
        shadow: ShadowService,
        judge: Callable[[Version, set[Point]], Preflight],
    ) -> None:
        self._core = core
        self._judgement = judgement
        self._shadow = shadow
        self._judge = judge
        self.clock = StageClock()
        self.refusals = RefusalBook(core)
        self._change: int | None = None
        self._since = 0.0
        #: What was seen last, of which stage and when.
        self._seen: tuple[Observation, tuple[int, str, float], float] | None = None

    def idle(self) -> None:
        """There is no change under way."""
        self.clock.idle()
        self._change = self._seen = None
        self.refusals.clear()

    def jumped(self, record: ChangeRecord, now: float) -> bool:
        """Keeps the time of the stage by a clock that does not jump. True where the wall clock did."""
        jumped = self.clock.follow(_key(record), record.soaked, now, counts=record.state == "running")
        if self._change != record.id:
            self._change = record.id
            self.refusals.clear()
            self._since = self.clock.looked
        elif jumped:
            self.refusals.clock_jumped(now)
            self._since = self.clock.looked
        return jumped

    def observe(self, record: ChangeRecord, plan: Plan, now: float) -> Observation:
        """Refusals as they are this moment, all else as it was a second ago at most."""
        stage, key, at = Stage(record.stage), _key(record), self.clock.looked
        self.refusals.sort(record, stage)
        every = _JUDGE if stage is Stage.PREFLIGHT else _LOOK
        if self._seen is None or self._seen[1] != key or at - self._seen[2] >= every:
            self._seen = self._look(record, plan, stage, now), key, at
        return replace(
            self._seen[0],
            soaked=self.clock.soaked,
            refused=tuple(self.refusals.breaches),
            programs=tuple(self.refusals.programs),
            frozen=frozen_by(record.options["freeze"], now),
        )

    def _look(self, record: ChangeRecord, plan: Plan, stage: Stage, now: float) -> Observation:
        if stage is Stage.PREFLIGHT:
            return Observation(fresh_blockers=self._fresh(record, plan))
        if stage is Stage.SHADOW:
            self._judgement.absorb()

        def work(connection: Connection) -> Observation:
            among = concerned(stage, record.effects)
            present = table.presence(connection, record.entered, _alive(record, plan), among)
            beats = _heartbeats(connection)
            missing, waited = self.refusals.suspects(connection, beats, now)
            known = {*record.seen.get("known_silent", ()), *missing}
            silent = [one for one in present.silent if one.id not in known]
            relays = _relays_open(connection, record, plan)
            watched = self.clock.looked - self._since
            return Observation(
                online=present.online,
                seen=present.seen,
                unseen=present.unseen,
                online_before=int(record.seen.get("online_before", 0)),
                silent_refused=tuple(missing.values()),
                suspects=tuple(waited.values()),
                silent=tuple(one.name for one in silent),
                evidence=tuple(self._evidence(one, record.entered) for one in silent[:_EVIDENCE]),
                heard=_heard(connection, beats, now)
                if watched >= _INTERVALS * plan.longest_heartbeat + _BATCH
                else None,
                heard_before=int(record.seen.get("heard_before", 0)),
                would_be=self.would_be(connection, record)[0] if stage is Stage.SHADOW else (),
                relays_open=tuple(relays),
                relay_evidence=tuple(f"{name}: {why}" for name, why in relays.items()),
            )

        return self._core.store.read(work)

    def _fresh(self, record: ChangeRecord, plan: Plan) -> tuple[str, ...]:
        preflight = self._judge(plan.target, {Point(name) for name in record.options["points"]})
        accepted = set(record.options["accepted"])
        return tuple(
            finding.who
            for finding in (*preflight.blockers, *preflight.affected)
            if not accepted.issuperset(effects_of.accepted_of([finding]))
        )

    def _evidence(self, one: Silent, since: float) -> str:
        """Why it counts as silent for another reason: nothing of its own was refused."""
        heard = datetime.fromtimestamp(one.last_seen, UTC).strftime("%H:%M:%S")
        refused = (
            "a hello was refused there that is not like its own"
            if self.refusals.stranger_at(one.address, since)
            else "no hello was refused there"
        )
        return f"{one.name}: last heard {heard} UTC from {one.address or 'an unknown address'}; {refused}"

    def would_be(self, connection: Connection, record: ChangeRecord) -> tuple[tuple[str, ...], Sequence[str]]:
        """Whom the shadow floor would have refused and nobody accepted: their names, and how they are accepted."""
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


def _key(record: ChangeRecord) -> tuple[int, str, float]:
    """Which stage that is: one that is entered again is another."""
    return record.id, record.stage, record.entered


def concerned(stage: Stage, effects: Mapping[str, Any]) -> list[str] | None:
    """The computers that a stage is about; None is all of them."""
    if stage is Stage.HEARTBEAT_CANARY:
        return list(effects.get("canary", []))
    if stage in (Stage.RELAY_CANARY, Stage.RELAYS):
        return list(effects.get("sent", []))
    return None


def baseline(connection: Connection, stage: Stage, effects: Mapping[str, Any], now: float) -> dict[str, int]:
    """Who is there when a stage begins: what its health rules compare with."""
    present = table.presence(connection, now, now, concerned(stage, effects))
    return {"online_before": present.online, "heard_before": _heard(connection, _heartbeats(connection), now)}


def silent_now(connection: Connection, record: ChangeRecord, plan: Plan) -> list[str]:
    """Who counts as silent in the stage under way: whoever resumes it has read their names."""
    among = concerned(Stage(record.stage), record.effects)
    return [one.id for one in table.presence(connection, record.entered, _alive(record, plan), among).silent]


def _alive(record: ChangeRecord, plan: Plan) -> float:
    """Who was heard after this may have been online when the stage began: two misses, with their jitter."""
    return record.entered - 1.2 * plan.longest_heartbeat * 3 - 10


def _heartbeats(connection: Connection) -> dict[int, int]:
    """The interval of each policy, in seconds."""
    policies = policy_rules.resolve(policy_table.all_policies(connection))
    return {identifier: policy.heartbeat_seconds for identifier, policy in policies.items()}


def _heard(connection: Connection, heartbeats: Mapping[int, int], now: float) -> int:
    return table.heard(connection, heartbeats, now, _INTERVALS, _BATCH)


def _relays_open(connection: Connection, record: ChangeRecord, plan: Plan) -> dict[str, str]:
    """The relays that were sent the floor and have not shown it, and what is missing of each."""
    if record.stage not in (Stage.RELAY_CANARY.value, Stage.RELAYS.value) or plan.direction is Direction.LOWER:
        return {}
    found = computer_table.find(connection, ids=record.effects.get("sent", []))
    missing = {one.display: _missing(one, plan.target) for one in found if one.kind == Kind.RELAY.value}
    return {name: why for name, why in missing.items() if why}


def _missing(relay: ComputerRecord, target: Version) -> str:
    if not policy_rules.acknowledged(relay):
        return "has not acknowledged its policy"
    if relay.relay_observed is None:
        return f"acknowledged it, but 4122 did not show its floor ({relay.relay_observed_detail or 'not asked yet'})"
    if relay.relay_observed < target:
        return f"acknowledged it, but 4122 still accepts {relay.relay_observed}"
    return ""
