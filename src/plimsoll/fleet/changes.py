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

    `coverage` is the share of online computers that must have been seen in a stage (design §11). `refused` computers,
    for certain, are one too many. `silent` is the share of the computers online at the stage's beginning that may fall
    silent for another reason before the change waits for a person, and `silent_few` the number that never matters.
    `patience` is how many soak times relays may take to acknowledge and show their floor.
    """

    coverage: float = 0.95
    refused: int = 0
    silent: float = 0.05
    silent_few: int = 5
    patience: float = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change is to do. Times are seconds; `longest_heartbeat` is the longest interval of any policy in use."""

    target: Version
    direction: Direction
    stages: tuple[Stage, ...]
    soak: float = 1800.0
    longest_heartbeat: float = 600.0
    forced: bool = False
    limits: Limits = Limits()

    def soak_of(self, stage: Stage) -> float:
        """The soak of a stage: the shadow lasts at least the longest heartbeat interval, with its jitter."""
        if self.direction is Direction.LOWER or stage not in _SOAKED:
            return 0.0
        return max(self.soak, 1.1 * self.longest_heartbeat) if stage is Stage.SHADOW else self.soak

    def after(self, stage: Stage) -> Stage | None:
        """The stage that follows."""
        at = self.stages.index(stage) + 1
        return self.stages[at] if at < len(self.stages) else None


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen in a stage.

    `soaked` is how long the stage has lasted, by a clock that cannot jump. `online` counts the computers that the stage
    concerns and that are online, `seen` those of them that were seen since it began, `online_before` how many were
    online then. `refused` names computers refused for certain by what this change raised, `silent_refused` those that
    fell silent after a refusal that may have been theirs, `silent` those that fell silent without any. `would_be` names
    whom the shadow floor would have refused and nobody accepted, `programs` the programs that 4119 refused and nobody
    accepted. `relays_open` names relays that have not acknowledged or not shown their floor yet. `fresh_blockers` are
    those that nobody had seen at the start.
    """

    soaked: float = 0.0
    online: int = 0
    seen: int = 0
    online_before: int = 0
    refused: Sequence[str] = ()
    silent_refused: Sequence[str] = ()
    silent: Sequence[str] = ()
    would_be: Sequence[str] = ()
    programs: Sequence[str] = ()
    relays_open: Sequence[str] = ()
    fresh_blockers: Sequence[str] = ()
    frozen: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A health rule as it stands: its value beside its limit, in words, and what a breach leads to."""

    rule: str
    value: str
    limit: str
    ok: bool
    breach: str

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "value": self.value, "limit": self.limit, "ok": self.ok, "breach": self.breach}


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
    limits = plan.limits
    found: list[Figure] = []
    if stage is Stage.PREFLIGHT:
        found.append(_none("new blockers since the start", seen.fresh_blockers, HALTS))
    if stage in _SOAKED and plan.direction is Direction.RAISE:
        soak = plan.soak_of(stage)
        found.append(Figure("soak", f"{min(seen.soaked, soak):.0f} s", f"{soak:.0f} s", seen.soaked >= soak, "waits"))
        share = seen.seen / seen.online if seen.online else 1.0
        found.append(
            Figure(
                "seen in this stage", f"{seen.seen} of {seen.online} online ({100 * share:.0f} %)",
                f"at least {100 * limits.coverage:.0f} %", share >= limits.coverage, "waits",
            )
        )  # fmt: skip
    if stage is Stage.SHADOW:
        found.append(_none("would be refused, and not accepted", seen.would_be, HALTS))
    if stage in _RELAY_STAGES:
        found.append(_none("relays that have not shown their floor yet", seen.relays_open, "waits, then halts"))
    if plan.direction is Direction.RAISE and stage in _SOAKED and stage is not Stage.SHADOW:
        found.append(_none("refused by what was raised", seen.refused, TAKES_BACK))
        found.append(_none("silent after a refusal that may be theirs", seen.silent_refused, TAKES_BACK))
        allowed = max(limits.silent_few, int(limits.silent * seen.online_before))
        found.append(
            Figure(
                "silent for another reason", f"{len(seen.silent)} of {seen.online_before} online before",
                f"at most {allowed}", len(seen.silent) <= allowed, HALTS,
            )
        )  # fmt: skip
    if stage is Stage.GUI:
        found.append(_none("programs refused that nobody accepted", seen.programs, TAKES_BACK))
    return tuple(found)


def _none(rule: str, names: Sequence[str], breach: str) -> Figure:
    return Figure(rule, some(names) if names else "none", "none", not names, breach)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of these names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def decide(plan: Plan, stage: Stage, seen: Observation) -> Decision:
    """What comes next in a stage that has been entered. A breach comes before all else, waiting before going on."""
    found = figures(plan, stage, seen)
    breach = _breach(stage, seen, found)
    if breach is not None:
        return breach
    soak = plan.soak_of(stage)
    if stage in _RELAY_STAGES and seen.relays_open and plan.direction is Direction.RAISE:
        if seen.soaked >= plan.limits.patience * soak:
            text = f"relays did not take their floor home in {seen.soaked:.0f} s: {some(seen.relays_open)}"
            return Decision(Verb.HALT, text, found, "relays", tuple(seen.relays_open))
        return Decision(Verb.WAIT, f"waits for {len(seen.relays_open)} relays", found)
    waiting = [figure for figure in found if not figure.ok and figure.breach == "waits"]
    if waiting:
        return Decision(Verb.WAIT, f"waits for {waiting[0].rule}: {waiting[0].value} of {waiting[0].limit}", found)
    if seen.frozen and plan.after(stage) not in (None, Stage.PROOF):
        return Decision(Verb.WAIT, f"no stage begins during freeze hours ({seen.frozen} UTC)", found)
    return Decision(Verb.NEXT, "healthy", found)


def _breach(stage: Stage, seen: Observation, found: tuple[Figure, ...]) -> Decision | None:
    if stage is Stage.PREFLIGHT and seen.fresh_blockers:
        text = f"would now cut off {some(seen.fresh_blockers)}, which nobody had accepted"
        return Decision(Verb.HALT, text, found, "new blockers since the start", tuple(seen.fresh_blockers))
    if stage is Stage.SHADOW and seen.would_be:
        text = f"the shadow floor would have refused {some(seen.would_be)}"
        return Decision(Verb.HALT, text, found, "would be refused, and not accepted", tuple(seen.would_be))
    for figure in found:
        if figure.ok or figure.breach not in (TAKES_BACK, HALTS):
            continue
        named = {
            "refused by what was raised": seen.refused,
            "silent after a refusal that may be theirs": seen.silent_refused,
            "silent for another reason": seen.silent,
            "programs refused that nobody accepted": seen.programs,
        }[figure.rule]
        verb = Verb.TAKE_BACK if figure.breach == TAKES_BACK else Verb.HALT
        return Decision(verb, f"{figure.rule}: {some(named)}", found, figure.rule, tuple(named))
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


def in_freeze(windows: Sequence[str], minute: int) -> str:
    """The window ("HH:MM-HH:MM", UTC) that holds this minute of the day, or an empty text. One may cross midnight."""
    for window in windows:
        begin, end = (_minute(part) for part in window.split("-"))
        inside = begin <= minute < end if begin <= end else minute >= begin or minute < end
        if inside:
            return window
    return ""


def _minute(text: str) -> int:
    hours, minutes = text.strip().split(":")
    value = int(hours) * 60 + int(minutes)
    if not (0 <= int(hours) <= 24 and 0 <= int(minutes) < 60 and value <= 1440):
        raise ValueError(text)
    return value


def check_window(window: str) -> bool:
    """Whether that is a freeze window."""
    try:
        begin, end = (_minute(part) for part in window.split("-"))
    except ValueError:
        return False
    return begin != end
