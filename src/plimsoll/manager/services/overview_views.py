"""What the dashboard and the picture are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from plimsoll.fleet.parts import Program
from plimsoll.fleet.picture import Link
from plimsoll.manager.services.changes import ChangeView
from plimsoll.manager.services.computers import ComputerView
from plimsoll.manager.services.exceptions import ExceptionView
from plimsoll.manager.services.floor_views import Drift, PointView
from plimsoll.manager.services.metrics import ComputerCount
from plimsoll.manager.services.sightings import SightingView
from plimsoll.manager.services.upgrade_views import UpgradeView
from plimsoll.manager.store.ca import RotationRecord
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class RelayGlance:
    """A relay that somebody has to look at: it waits for a policy, or contradicts the one that it was sent."""

    number: int
    name: str
    required: Version
    holds: Version
    pending: bool
    drift: str | None


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate of the manager and its end, in seconds since the epoch. `what` is in words."""

    what: str
    kind: str
    ends: float


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person. `kind` says where it is done, `about` which one is meant, where one is.

    `level` is "bad" where somebody is cut off or something has failed, "warm" where it is going to, else "soft".
    `said` is what is so, `todo` one sentence of what to do.
    """

    kind: str
    level: str
    said: str
    todo: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at everything. `at` is when what costs much was counted (seconds since the epoch), None: not yet.

    `counts`, `relays` and what waits at a point are as of `at`; all else is as of now. `refusals_day` counts refused
    handshakes of the last 24 hours, `refusals` are the newest of them.
    """

    at: float | None
    floors: tuple[PointView, ...]
    shadows: Mapping[Point, Version]
    drift: Drift | None
    counts: tuple[ComputerCount, ...]
    relays: tuple[RelayGlance, ...]
    refusals: tuple[SightingView, ...]
    refusals_day: int
    change: ChangeView | None
    upgrade: UpgradeView | None
    rotation: RotationRecord | None
    exceptions: tuple[ExceptionView, ...]
    expiring: tuple[Expiry, ...]
    needs: tuple[Need, ...]
    first_steps: bool

    @property
    def computers(self) -> int:
        """Computers that are part of the fleet: the revoked are none."""
        return sum(one.count for one in self.counts if one.state != "revoked")

    @property
    def online(self) -> int:
        return sum(one.count for one in self.counts if one.state == "active" and one.online)

    @property
    def kinds(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.counts:
            if one.state != "revoked":
                found[one.kind] = found.get(one.kind, 0) + one.count
        return found

    @property
    def offered(self) -> dict[Version | None, int]:
        """How many computers offered which version at most, the newest first; None: never seen in a handshake."""
        found: dict[Version | None, int] = {}
        for one in self.counts:
            if one.state != "revoked":
                found[one.offered] = found.get(one.offered, 0) + one.count
        return dict(sorted(found.items(), key=lambda item: -1 if item[0] is None else item[0].rank, reverse=True))


@dataclass(frozen=True, slots=True)
class PictureView:
    """Who talks to whom. `floor` is the one that it is drawn with at all points, None: those in force.

    `groups` counts who stands in each box. `cut` counts those by group who talk at some point now and would not there,
    `let_in` those of whom the reverse is true; both are empty of a picture as it is now.
    """

    at: float
    floor: Version | None
    floors: Mapping[Point, Version]
    links: tuple[Link, ...]
    ports: Mapping[Point, int]
    groups: Mapping[str, int]
    cut: Mapping[str, int] = field(default_factory=dict)
    let_in: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many are refused somewhere: one that two points refuse counts twice."""
        return sum(link.count for link in self.links if link.state == "refused")


@dataclass(frozen=True, slots=True)
class LineKey:
    """Which lines of a picture: those that fit in all that is given; `group` is either end."""

    group: str = ""
    from_: str = ""
    to: str = ""
    point: str = ""
    version: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """Who is behind lines: a page of computers in the order of their numbers, and programs.

    `after` is where the next page of computers begins, None: this is the last.
    """

    at: float
    links: tuple[Link, ...]
    count: int
    computers: tuple[ComputerView, ...]
    after: int | None
    programs: tuple[Program, ...]
    more_programs: int
    ports: Mapping[Point, int]
