"""What can be deployed under the floors of now (R20): a package whose agent they would refuse is named beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plimsoll.fleet.capabilities import capability
from plimsoll.fleet.deployment import obstacles
from plimsoll.manager.ports import Conflict
from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.manager.services.software import SoftwareView


class Undeployable(Conflict):
    """Floors that an agent of this version could not come over (R20). `obstacles` has them for programs."""

    def __init__(self, message: str, found: Sequence[Obstacle]) -> None:
        super().__init__(message)
        self.obstacles = tuple(found)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A point whose floor is above what this package's agent speaks."""

    package: str
    point: Point
    floor: Version
    speaks: Version


@dataclass(frozen=True, slots=True)
class Deployable:
    """One package, and what keeps it from being deployed now; nothing where it can be."""

    package: SoftwareView
    speaks: Version
    obstacles: tuple[Obstacle, ...]


def judge(
    one: SoftwareView, snapshot: FloorSnapshot, now: float, *, relay: bool = False, address: str = ""
) -> Deployable:
    """The floors that its agent could not come over; with an address, those that hold for a host there."""
    kind: Literal["agent", "relay"] = "relay" if relay else "agent"
    floors = {
        point: snapshot.floor_for(point, address, None, now) if address else snapshot.floor(point) for point in Point
    }
    speaks = capability(kind, one.component).speaks_to
    name = f"agent {one.version} for {one.platform} {one.architecture}"
    found = tuple(Obstacle(name, point, floors[point], speaks) for point in obstacles(one.component, floors, kind))
    return Deployable(one, speaks, found)


def said(one: Deployable) -> str:
    """In words: what it speaks, and who refuses that."""
    where = ", ".join(f"{found.point.value} ({found.floor} and newer)" for found in one.obstacles)
    return f"{one.obstacles[0].package} speaks {one.speaks} at most, and is refused by {where}"


def undeployable(refused: Sequence[Deployable]) -> Undeployable:
    """The error that names them all."""
    texts = "; ".join(said(one) for one in refused[:5])
    more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
    return Undeployable(
        f"{texts}{more}. Nothing was downloaded and no script was made. Deploy 10.0 or newer, or allow early TLS again"
        " first, wherever it is named: dsm_c -action settlsprotocol -MinimumTLSProtocol TLSv1, and for relays send"
        " their policy",
        [found for one in refused for found in one.obstacles],
    )


def excepted(one: Deployable, snapshot: FloorSnapshot, now: float, notes: list[str]) -> bool:
    """Whether one network may stay below every floor that stands in the way: then hosts there can be deployed."""
    open_to: set[str] | None = None
    for found in one.obstacles:
        networks = {
            str(rule.source)
            for rule in snapshot.rules
            if rule.point is found.point and _admits(rule, one.speaks) and rule.active(now)
        }
        open_to = networks if open_to is None else open_to & networks
    if not open_to:
        return False
    notes.append(f"{said(one)}; exceptions let it in from {', '.join(sorted(open_to))} only")
    return True


def _admits(rule: Rule, speaks: Version) -> bool:
    return rule.source is not None and not rule.raises and rule.floor <= speaks
