"""A staged change, as a pure decision: which stages it has, which health rules hold in each, and what comes next.

No clock, no store, no network: who runs it hands in an `Observation` and does what the answer says (design §7).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


class Stage(enum.StrEnum):
    """The stages of a raise, in their order. Lowering goes the other way and has those that move a floor only."""

    PREFLIGHT = "preflight"
    SHADOW = "shadow"
    RELAY_CANARY = "relay canary"
    RELAYS = "relays"
    AGENTS = "agents"
    HEARTBEAT_CANARY = "heartbeat canary"
    HEARTBEAT = "heartbeat"
    GUI = "gui"
    PROOF = "proof"


#: The point whose floor a stage moves for good.
MOVES: Mapping[Stage, Point] = {
    Stage.RELAYS: Point.RELAY,
    Stage.AGENTS: Point.AGENT,
    Stage.HEARTBEAT: Point.HEARTBEAT,
    Stage.GUI: Point.GUI,
}
#: Stages in which relays must take their policy home and show it at 4122.
_RELAY_STAGES = frozenset({Stage.RELAY_CANARY, Stage.RELAYS})
_HEARTBEAT_STAGES = frozenset({Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT})
#: Stages that wait for their soak time and for coverage.
_SOAKED = frozenset(
    {Stage.SHADOW, Stage.RELAY_CANARY, Stage.RELAYS, Stage.AGENTS, Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT, Stage.GUI}
)


class Direction(enum.StrEnum):
    RAISE = "raise"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the health rules, each with its default.

    `coverage` is the share of online computers that must have been seen in a stage (design §11). `silent` is the
    share of the computers online at the stage's beginning that may fall silent for another reason before the change
    waits for a person, and `silent_few` the number that never matters. `heard` is the share of the former heartbeat
    rate that must be left. `remaining` is the share of those whom a stage is about that must be online for it to
    say anything: of a canary that is gone nothing is learnt. `relays` is how many of their heartbeats relays have
    time for to take a floor home, `others` how many intervals a stage waits for coverage once its soak is over: who
    was not seen for that long is offline by then.
    """

    coverage: float = 0.95
    silent: float = 0.05
    silent_few: int = 5
    heard: float = 0.9
    remaining: float = 0.5
    relays: float = 2.2
    others: float = 3.5

    def silent_of(self, before: int) -> int:
        """How many of that many may fall silent."""
        return max(self.silent_few, int(self.silent * before))

    def heard_of(self, before: int) -> int:
        """How many of that many must still be heard in an interval."""
        return max(0, min(int(self.heard * before), before - self.silent_few))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change is to do. Times are seconds; `longest_heartbeat` is the longest interval of any policy in use,
    `relay_heartbeat` that of relays.
    """

    target: Version
    direction: Direction
    stages: tuple[Stage, ...]
    soak: float = 1800.0
    longest_heartbeat: float = 600.0
    relay_heartbeat: float = 600.0
    forced: bool = False
    limits: Limits = Limits()

    def soak_of(self, stage: Stage) -> float:
        """The soak of a stage: the shadow lasts at least the longest heartbeat interval, with its jitter."""
        if self.direction is Direction.LOWER or stage not in _SOAKED:
            return 0.0
        return max(self.soak, 1.1 * self.longest_heartbeat) if stage is Stage.SHADOW else self.soak

    def patience_of(self, stage: Stage) -> float:
        """How long a stage waits before it asks for a person."""
        if stage in _RELAY_STAGES:
            return max(self.soak_of(stage), self.limits.relays * self.relay_heartbeat + 10.0)
        return self.soak_of(stage) + self.limits.others * self.longest_heartbeat + 10.0

    def after(self, stage: Stage) -> Stage | None:
        """The stage that follows."""
        at = self.stages.index(stage) + 1
        return self.stages[at] if at < len(self.stages) else None


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen in a stage.

    `soaked` is how long the stage has lasted, by a clock that cannot jump. `online` counts the computers that the
    stage concerns and that are online, `seen` those of them that were seen since it began, `unseen` names the rest,
    `online_before` is how many were online then. `refused` names computers refused for certain by what this change
    raised, `silent_refused` those whose next heartbeat is missing after a refusal that may have been theirs,
    `suspects` those whose is not due yet, `silent` those that fell silent without any, with the `evidence` for
    that. `heard` counts the computers that were heard within their heartbeat interval, None where nobody has looked
    for that long, `heard_before` those when the stage began. `would_be` names whom the shadow floor would have
    refused and nobody accepted, `programs` the programs that 4119 refused and nobody accepted. `relays_open` names
    relays that have not acknowledged or not shown their floor yet, `relay_evidence` what is missing of each.
    `fresh_blockers` are those that nobody had seen at the start. `frozen` is the freeze window that holds now.
    """

    soaked: float = 0.0
    online: int = 0
    seen: int = 0
    unseen: Sequence[str] = ()
    online_before: int = 0
    refused: Sequence[str] = ()
    silent_refused: Sequence[str] = ()
    suspects: Sequence[str] = ()
    silent: Sequence[str] = ()
    evidence: Sequence[str] = ()
    heard: int | None = None
    heard_before: int = 0
    would_be: Sequence[str] = ()
    programs: Sequence[str] = ()
    relays_open: Sequence[str] = ()
    relay_evidence: Sequence[str] = ()
    fresh_blockers: Sequence[str] = ()
    frozen: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A health rule as it stands: its value beside its limit, in words, and what a breach leads to.

    `evidence` says of each computer that counts why it does.
    """

    rule: str
    value: str
    limit: str
    ok: bool
    breach: str
    evidence: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "value": self.value,
            "limit": self.limit,
            "ok": self.ok,
            "breach": self.breach,
            "evidence": list(self.evidence),
        }


class Verb(enum.Enum):
    """What to do next."""

    WAIT = "wait"
    NEXT = "next"
    HALT = "halt"
    TAKE_BACK = "take back"


@dataclass(frozen=True, slots=True)
class Decision:
    """`verb`, why in words, and the figures that it rests on. A breach names its rule and the computers."""

    verb: Verb
    text: str
    figures: tuple[Figure, ...] = ()
    rule: str = ""
    named: tuple[str, ...] = ()


TAKES_BACK = "takes the change back"
HALTS = "halts the change"
WAITS = "waits"
WAITS_THEN_HALTS = "waits, then halts"

SOAK = "soak"
COVERAGE = "seen in this stage"
REMAINING = "still online"
RELAYS = "relays that have not shown their floor yet"
FRESH = "new blockers since the start"
WOULD_BE = "would be refused, and not accepted"
REFUSED = "refused by what was raised"
SILENT_REFUSED = "silent after a refusal that may be theirs"
SUSPECTS = "to be heard after a refusal that may be theirs"
SILENT = "silent for another reason"
HEARD = "heartbeat rate"
PROGRAMS = "programs refused that nobody accepted"


def stages_of(direction: Direction, points: Collection[Point], *, relays: bool) -> tuple[Stage, ...]:
    """The stages of a change of these points; one relay is no canary of others."""
    if direction is Direction.LOWER:
        order = (Stage.GUI, Stage.HEARTBEAT, Stage.AGENTS, Stage.RELAYS)
        return (Stage.PREFLIGHT, *(stage for stage in order if MOVES[stage] in points), Stage.PROOF)
    stages = [Stage.PREFLIGHT]
    if Point.HEARTBEAT in points or Point.GUI in points:
        stages.append(Stage.SHADOW)
    if Point.RELAY in points:
        stages += [Stage.RELAY_CANARY, Stage.RELAYS] if relays else [Stage.RELAYS]
    if Point.AGENT in points:
        stages.append(Stage.AGENTS)
    if Point.HEARTBEAT in points:
        stages += [Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT]
    if Point.GUI in points:
        stages.append(Stage.GUI)
    return (*stages, Stage.PROOF)


def figures(plan: Plan, stage: Stage, seen: Observation) -> tuple[Figure, ...]:
    """The health rules of a stage with their figures."""
    if stage is Stage.PREFLIGHT:
        return (_none(FRESH, seen.fresh_blockers, HALTS),)
    found: list[Figure] = []
    watched = stage in _SOAKED and plan.direction is Direction.RAISE
    if watched:
        found += _time(plan, stage, seen)
    if stage is Stage.SHADOW:
        found.append(_none(WOULD_BE, seen.would_be, HALTS))
    if stage in _RELAY_STAGES:
        found.append(_none(RELAYS, seen.relays_open, WAITS_THEN_HALTS, seen.relay_evidence))
    if watched and stage is not Stage.SHADOW:
        found += _health(plan, seen)
    if stage is Stage.GUI:
        found.append(_none(PROGRAMS, seen.programs, TAKES_BACK))
    return tuple(found)


def _time(plan: Plan, stage: Stage, seen: Observation) -> list[Figure]:
    soak, limits = plan.soak_of(stage), plan.limits
    share = seen.seen / seen.online if seen.online else 1.0
    return [
        Figure(SOAK, f"{min(seen.soaked, soak):.0f} s", f"{soak:.0f} s", seen.soaked >= soak, WAITS),
        Figure(
            COVERAGE, f"{seen.seen} of {seen.online} online ({100 * share:.0f} %)",
            f"at least {100 * limits.coverage:.0f} %", share >= limits.coverage, WAITS_THEN_HALTS,
        ),
    ]  # fmt: skip


def _health(plan: Plan, seen: Observation) -> list[Figure]:
    limits, before = plan.limits, seen.online_before
    allowed, least = limits.silent_of(before), limits.heard_of(seen.heard_before)
    names = f": {some(seen.silent)}" if seen.silent else ""
    heard = "not known yet" if seen.heard is None else f"{seen.heard} of {seen.heard_before} heard in their interval"
    return [
        _none(REFUSED, seen.refused, TAKES_BACK),
        _none(SILENT_REFUSED, seen.silent_refused, TAKES_BACK),
        _none(SUSPECTS, seen.suspects, WAITS),
        Figure(
            SILENT, f"{len(seen.silent)} of {before} online before{names}", f"at most {allowed}",
            len(seen.silent) <= allowed, HALTS, tuple(seen.evidence),
        ),
        Figure(HEARD, heard, f"at least {least}", seen.heard is None or seen.heard >= least, HALTS),
        Figure(
            REMAINING, f"{seen.online} of {before} online before", f"at least {100 * limits.remaining:.0f} %",
            seen.online >= limits.remaining * before, WAITS_THEN_HALTS,
        ),
    ]  # fmt: skip


def _none(rule: str, names: Sequence[str], breach: str, evidence: Sequence[str] = ()) -> Figure:
    return Figure(rule, some(names) if names else "none", "none", not names, breach, tuple(evidence))


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def decide(plan: Plan, stage: Stage, seen: Observation) -> Decision:
    """What comes next in a stage that has been entered. A breach comes before all else, waiting before going on."""
    found = figures(plan, stage, seen)
    breach = _breach(seen, found)
    if breach is not None:
        return breach
    hurries = plan.direction is Direction.LOWER
    waiting = [] if hurries else [one for one in found if not one.ok and one.breach in (WAITS, WAITS_THEN_HALTS)]
    late = [one for one in waiting if one.breach == WAITS_THEN_HALTS]
    if late and seen.soaked >= plan.patience_of(stage):
        named = {RELAYS: seen.relays_open, COVERAGE: seen.unseen, REMAINING: seen.silent}[late[0].rule]
        whom = f": {some(named)}" if named and late[0].rule != RELAYS else ""
        text = f"{late[0].rule}, after {seen.soaked:.0f} s: {late[0].value}{whom}"
        return Decision(Verb.HALT, text, found, late[0].rule, tuple(named))
    if waiting:
        return Decision(Verb.WAIT, _waits((late or waiting)[0]), found)
    if seen.frozen and plan.after(stage) not in (None, Stage.PROOF):
        return Decision(Verb.WAIT, f"no stage begins during freeze hours ({seen.frozen})", found)
    return Decision(Verb.NEXT, "healthy", found)


def _waits(figure: Figure) -> str:
    asked = {SOAK: f" of {figure.limit}", RELAYS: "", SUSPECTS: ""}.get(figure.rule, f", {figure.limit}")
    return f"waits for {figure.rule}: {figure.value}{asked}"


def _breach(seen: Observation, found: tuple[Figure, ...]) -> Decision | None:
    whom: dict[str, Sequence[str]] = {
        FRESH: seen.fresh_blockers,
        WOULD_BE: seen.would_be,
        REFUSED: seen.refused,
        SILENT_REFUSED: seen.silent_refused,
        SILENT: seen.silent,
        HEARD: seen.silent,
        PROGRAMS: seen.programs,
    }
    wording = {
        FRESH: "would now cut off {}, which nobody had accepted",
        WOULD_BE: "the shadow floor would have refused {}",
    }
    # One that takes back comes first, whatever else is wrong.
    for breach, verb in ((TAKES_BACK, Verb.TAKE_BACK), (HALTS, Verb.HALT)):
        for figure in found:
            if figure.ok or figure.breach != breach:
                continue
            named = tuple(whom[figure.rule])
            if figure.rule == HEARD:
                text = f"the heartbeat rate fell: {figure.value}, {figure.limit}"
            else:
                text = wording.get(figure.rule, f"{figure.rule}: {{}}").replace("{}", some(named))
            return Decision(verb, text, found, figure.rule, named)
    return None


def choose_canary(candidates: Sequence[tuple[str, str, Version | None]], count: int) -> tuple[str, ...]:
    """That many of (id, release, newest version offered): one of every kind, the oldest first, before a second of any.

    A canary is to find trouble with the fewest computers, so it begins where trouble is likeliest.
    """
    kinds: dict[tuple[int, str], list[str]] = {}
    for identifier, release, offered in sorted(candidates, key=lambda one: one[0]):
        kinds.setdefault((-1 if offered is None else offered.rank, release), []).append(identifier)
    order = [kinds[kind] for kind in sorted(kinds)]
    chosen: list[str] = []
    at = 0
    while len(chosen) < count and any(at < len(kind) for kind in order):
        chosen += [kind[at] for kind in order if at < len(kind)]
        at += 1
    return tuple(chosen[:count])
