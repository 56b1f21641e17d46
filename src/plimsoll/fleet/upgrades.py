"""An upgrade of a fleet as a pure decision: who takes part, in which waves, and what comes next in a wave (R9).

No clock, no store, no network: who runs it hands in what is seen and does what the answer says, as with `changes`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from plimsoll.fleet import capabilities
from plimsoll.fleet.changes import Decision, Figure, Verb, choose_canary, some
from plimsoll.fleet.component import ComponentVersion, parse_or_none
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

__all__ = ["Candidate", "Decision", "Figure", "Layer", "Limits", "Plan", "Seen", "Verb", "Wave"]

#: The waves of an upgrade: shares of its computers that are through once each of them is over.
SHARES = (0.01, 0.1, 0.5, 1.0)


class Layer(enum.StrEnum):
    """Relays go before who downloads from them: an old relay may not have what a newer agent asks for (R9)."""

    RELAYS = "relays"
    COMPUTERS = "computers"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A computer that an upgrade may concern. An appliance's `version` is that of its embedded agent (R3).

    `group` is the relay group that a relay belongs to or a computer downloads from, None where none was set.
    `upgradable` says whether its launcher lets it change its own release; `package` names what would be installed.
    """

    id: str
    name: str
    kind: str
    version: ComponentVersion | None
    group: int | None = None
    online: bool = True
    upgradable: bool = True
    platform: str = ""
    architecture: str = ""
    package: str = ""

    @property
    def layer(self) -> Layer:
        return Layer.RELAYS if self.kind == "relay" else Layer.COMPUTERS


@dataclass(frozen=True, slots=True)
class Wave:
    """Some computers that begin together. `share` is how much of their layer is through after it."""

    layer: Layer
    share: float
    hosts: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.layer.value} to {100 * self.share:g} %"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of an upgrade, each with its default.

    `failed` is the share of a wave that may fail before it halts, and `failed_few` the number that always may.
    `patience` is how long, in seconds, a computer that has begun may say nothing new. `at_once` is how many
    may be under way at the same moment.
    """

    failed: float = 0.02
    failed_few: int = 0
    patience: float = 3600.0
    at_once: int = 1000

    def allowed(self, size: int) -> int:
        """How many of a wave of that size may fail."""
        return max(self.failed_few, math.floor(self.failed * size))


@dataclass(frozen=True, slots=True)
class Plan:
    """`soak` is how long, in seconds, a wave is watched once everybody in it is through."""

    target: ComponentVersion
    waves: tuple[Wave, ...]
    soak: float = 1800.0
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen in a wave. Names where somebody has to look, counts elsewhere.

    `waiting` have no order yet, `ordered` have not taken it home, `working` are at it. `done` are those that heartbeat
    with the new release. `failed` said that they could not, `back` went back to the former release by themselves,
    `lost` fell silent after they had said that they switch, `silent` after they were done. `away` are offline for a
    reason of their own: before the order reached them, or before they switched. `held` wait for a relay of theirs.
    `accepted` of the failures somebody has read, by resuming. `soaked` is how long all of them have been through.
    """

    size: int = 0
    waiting: int = 0
    ordered: int = 0
    working: int = 0
    done: int = 0
    failed: Sequence[str] = ()
    back: Sequence[str] = ()
    lost: Sequence[str] = ()
    silent: Sequence[str] = ()
    away: Sequence[str] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    accepted: int = 0
    soaked: float = 0.0

    @property
    def bad(self) -> tuple[str, ...]:
        return (*self.failed, *self.back, *self.lost, *self.silent)


FAILURES = "failed, went back, or silent since"
HALTS = "halts the upgrade"


def figures(plan: Plan, wave: Wave, seen: Seen) -> tuple[Figure, ...]:
    """The health rules of a wave with their figures."""
    allowed = plan.limits.allowed(seen.size) + seen.accepted
    open_ones = seen.waiting + seen.ordered + seen.working
    limit = f"at most {plan.limits.allowed(seen.size)}" + (f" beside {seen.accepted} known" if seen.accepted else "")
    return (
        Figure("upgraded", f"{seen.done} of {seen.size}", "all that can be reached", open_ones == 0, "waits"),
        Figure(FAILURES, some(seen.bad) if seen.bad else "none", limit, len(seen.bad) <= allowed, HALTS),
        Figure(
            "their relays upgraded before them", some([f"{host} ({why})" for host, why in seen.held.items()]) or "all",
            "all", not seen.held, HALTS,
        ),
        Figure("offline for another reason", some(seen.away) if seen.away else "none", "any number", True, "-"),
        Figure("soak", f"{min(seen.soaked, plan.soak):.0f} s", f"{plan.soak:.0f} s", seen.soaked >= plan.soak, "waits"),
    )  # fmt: skip


def decide(plan: Plan, wave: Wave, seen: Seen) -> Decision:
    """What comes next in a wave that has begun. A breach comes before all else, waiting before going on."""
    found = figures(plan, wave, seen)
    for figure in found:
        if figure.breach == HALTS and not figure.ok:
            named = tuple(seen.held) if seen.held and figure.rule != FAILURES else seen.bad
            return Decision(
                Verb.HALT, f"{figure.rule}: {figure.value}; allowed: {figure.limit}", found, figure.rule, named
            )
    open_ones = seen.waiting + seen.ordered + seen.working
    if open_ones:
        doing = [
            f"{count} {what}"
            for count, what in (
                (seen.waiting, "wait for their turn"),
                (seen.ordered, "have not taken the order home"),
                (seen.working, "are at it"),
            )
            if count
        ]
        return Decision(Verb.WAIT, f"{seen.done} of {seen.size} upgraded; {', '.join(doing)}", found)
    if seen.done and seen.soaked < plan.soak:
        return Decision(Verb.WAIT, f"{seen.done} of {seen.size} upgraded; watches them for {plan.soak:.0f} s", found)
    return Decision(Verb.NEXT, "healthy", found)


# -- who, and in which order


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who takes part, who is there already, and who is left out, each with the reason."""

    hosts: tuple[Candidate, ...]
    there: int
    left: Mapping[str, tuple[str, ...]]


BY_PACKAGE = "cannot change its own release: upgrade it by hand or by its package"
UNKNOWN_VERSION = "its release is not known"


def choose(candidates: Iterable[Candidate], target: ComponentVersion) -> Chosen:
    """Of the candidates, those that are older than the target and can be upgraded from here."""
    hosts: list[Candidate] = []
    left: dict[str, list[str]] = {}
    there = 0
    for one in candidates:
        if one.version is not None and reached(one.version, target):
            there += 1
        elif one.version is None:
            left.setdefault(UNKNOWN_VERSION, []).append(one.name)
        elif not one.upgradable:
            left.setdefault(BY_PACKAGE, []).append(one.name)
        elif not one.package:
            system = " ".join(part for part in (one.platform, one.architecture) if part) or "its system"
            left.setdefault(f"no package of {target} for {system} was imported", []).append(one.name)
        else:
            hosts.append(one)
    return Chosen(tuple(hosts), there, {why: tuple(sorted(names)) for why, names in sorted(left.items())})


def reached(version: ComponentVersion, target: ComponentVersion) -> bool:
    """Whether that version is the target or newer; a build or update that one of the two does not say is no matter."""
    if version.key[:3] != target.key[:3]:
        return version > target
    for own, wanted in ((version.update, target.update), (version.build, target.build)):
        if own is not None and wanted is not None and own != wanted:
            return own > wanted
    return True


def is_release(text: str, target: ComponentVersion) -> bool:
    """Whether a host that says it runs this release runs the target, neither older nor newer."""
    version = parse_or_none(text)
    return version is not None and reached(version, target) and reached(target, version)


def waves_of(
    hosts: Sequence[Candidate], shares: Sequence[float] = SHARES, parents: Mapping[int, int | None] | None = None
) -> tuple[Wave, ...]:
    """Relays first, those that others download from before these; then all other computers.

    In each layer one of every kind of system goes first, who is offline last: a small wave is to find trouble.
    """
    relays = [one for one in hosts if one.layer is Layer.RELAYS]
    found: list[Wave] = []
    depths = {one.id: _depth(one.group, parents or {}) for one in relays}
    for depth in sorted(set(depths.values())):
        found += _cut(Layer.RELAYS, [one for one in relays if depths[one.id] == depth], shares)
    found += _cut(Layer.COMPUTERS, [one for one in hosts if one.layer is Layer.COMPUTERS], shares)
    return tuple(found)


def _cut(layer: Layer, hosts: Sequence[Candidate], shares: Sequence[float]) -> list[Wave]:
    order = _order([one for one in hosts if one.online]) + _order([one for one in hosts if not one.online])
    found: list[Wave] = []
    at = 0
    for share in shares:
        # A share that is through already has no wave of its own.
        until = len(order) if share >= 1 else math.ceil(share * len(order))
        if until > at:
            found.append(Wave(layer, share, tuple(order[at:until])))
            at = until
    return found


def _order(hosts: Sequence[Candidate]) -> list[str]:
    kinds = [(one.id, f"{one.kind} {one.platform} {one.architecture} {one.version}", None) for one in hosts]
    return list(choose_canary(kinds, len(kinds)))


def _depth(group: int | None, parents: Mapping[int, int | None]) -> int:
    """How many groups lie above it."""
    depth, at = 0, group
    while at is not None and (at := parents.get(at)) is not None and depth < len(parents):
        depth += 1
    return depth


def backwards(hosts: Sequence[Candidate]) -> tuple[Wave, ...]:
    """The way back: everybody at once, computers before the relays that they download from."""
    found = []
    for layer in (Layer.COMPUTERS, Layer.RELAYS):
        some_of = tuple(one.id for one in hosts if one.layer is layer)
        if some_of:
            found.append(Wave(layer, 1.0, some_of))
    return tuple(found)


# -- what forbids it


def late_sources(
    relays: Iterable[Candidate],
    target: ComponentVersion,
    parents: Mapping[int, int | None],
    layer: Layer,
    along: Collection[str] = (),
) -> dict[int, tuple[Candidate, ...]]:
    """By relay group, the relays that its computers (or its relays) download from and that are older than the target.

    Computers ask the relays of their group that are online, else those of the group above it, and so on; relays begin
    with the group above their own. Who has no group, or finds nobody, asks the manager. `parents` has every group;
    relays that go `along` in the same upgrade have their turn before.
    """
    there: dict[int | None, list[Candidate]] = {}
    for relay in relays:
        if relay.online:
            there.setdefault(relay.group, []).append(relay)
    late: dict[int, tuple[Candidate, ...]] = {}
    for group in parents:
        at: int | None = group if layer is Layer.COMPUTERS else parents[group]
        for _ in parents:
            if at is None or at in there:
                break
            at = parents.get(at)
        sources = [] if at is None else there.get(at, [])
        old = [one for one in sources if one.id not in along and not (one.version and reached(one.version, target))]
        if old:
            late[group] = tuple(old)
    return late


def late_relays(
    hosts: Iterable[Candidate],
    relays: Collection[Candidate],
    target: ComponentVersion,
    parents: Mapping[int, int | None],
    along: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """By relay, who of these downloads from it although it is older than the target (R9)."""
    by_layer = {layer: late_sources(relays, target, parents, layer, along) for layer in Layer}
    late: dict[str, list[str]] = {}
    for host in hosts:
        for relay in by_layer[host.layer].get(host.group, ()) if host.group is not None else ():
            late.setdefault(called(relay), []).append(host.name)
    return {name: tuple(sorted(names)) for name, names in sorted(late.items())}


def called(relay: Candidate) -> str:
    """A relay with its release."""
    return f"{relay.name} {relay.version or 'of an unknown release'}"


def too_new_for(manager: ComponentVersion, target: ComponentVersion) -> bool:
    """Whether the manager has to be upgraded first (R9)."""
    return not reached(manager, target)


def cut_off(
    kinds: Collection[str],
    target: ComponentVersion,
    floors: Mapping[Point, Version],
    table: capabilities.CapabilityTable | None = None,
) -> str:
    """Why computers of these kinds could not reach their manager with that release under the floors in force (R20).

    Empty where they could.
    """
    known = table or capabilities.table()
    for kind in sorted(kinds):
        able = known.lookup(kind, target)
        floor = floors[Point.HEARTBEAT]
        if able.speaks_to < floor:
            first = known.first_able(kind, floor)
            instead = f"Take {first} or later, or lower that floor first" if first else "Lower that floor first"
            return (
                f"{kind} {target} speaks {able.speaks_to} at most and could not reach its manager: 4120 enforces"
                f" {floor}. {instead}"
            )
        if kind == "relay" and floors[Point.RELAY] > able.speaks_from and able.enforces is False:
            first = known.first_able(kind, floors[Point.RELAY], enforcing=True)
            return (
                f"relay {target} cannot enforce {floors[Point.RELAY]}, which the relays hold. Take"
                f" {first or 'a later release'} or later"
            )
    return ""


def parse_shares(text: str) -> tuple[float, ...]:
    """The shares in ``1%,10%,50%,100%``. Raises ValueError, which says what is wrong."""
    found: list[float] = []
    for part in text.split(","):
        number = part.strip().removesuffix("%").strip()
        try:
            share = float(number) / 100
        except ValueError:
            raise ValueError(f"{part.strip()!r} is no share: waves are written like 1%,10%,50%,100%") from None
        if not 0 < share <= 1 or not math.isfinite(share):
            raise ValueError(f"{part.strip()} is no share of a fleet: waves are written like 1%,10%,50%,100%")
        if found and share <= found[-1]:
            raise ValueError(f"waves grow: {part.strip()} does not come after {100 * found[-1]:g}%")
        found.append(share)
    if found[-1] < 1:
        raise ValueError(f"the last wave is 100%, not {100 * found[-1]:g}%: else some would never have their turn")
    return tuple(found)
