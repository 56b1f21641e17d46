"""The whole fleet at a glance, fast at any size: what costs much is looked at ahead of whoever asks.

A small fleet is looked at whenever somebody asks and something may have changed. A large one is looked at by a loop
(`tick`), as rarely as its size demands, and whoever asks gets the last look with its time.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography import x509

from plimsoll.fleet.picture import Crowd, Digest, Line, Link, digest, group_of, lines
from plimsoll.manager.ca import CA_WARNED
from plimsoll.manager.ports import BadInput, Permission, Principal, Unavailable, internal, permits
from plimsoll.manager.services import change_views, floor_state, upgrade_views
from plimsoll.manager.services.computers import APPROVAL, ComputersService
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.exceptions import ExceptionsService
from plimsoll.manager.services.floor_views import FloorsView, PointView
from plimsoll.manager.services.floors import FloorsService, parse_floor
from plimsoll.manager.services.hub import Change
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.services.metrics import ComputerCount
from plimsoll.manager.services.needs import Standing, needs
from plimsoll.manager.services.overview_views import Expiry, LineKey, Members, Overview, PictureView, RelayGlance
from plimsoll.manager.services.sightings import SightingsService
from plimsoll.manager.store import Connection, handshake_totals, sightings
from plimsoll.manager.store import ca as ca_table
from plimsoll.manager.store import changes as change_table
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import floors as floor_table
from plimsoll.manager.store import notifications as notification_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.manager.store import upgrades as upgrade_table
from plimsoll.tls.cipher_profiles import DEFAULT
from plimsoll.tls.floors import DEFAULT_PORTS, Point
from plimsoll.tls.versions import Version

#: Up to so many computers a look takes some 50 ms: it is taken when somebody asks.
SMALL = 2_000
#: A look at a small fleet is good for that long, in seconds, where nothing is known to have changed.
FRESH = 2.0
#: A large fleet is looked at again after so many times what the last look took, but not sooner than after some seconds.
REST = 20.0
LEAST_REST = 5.0
#: Where nothing is known to have changed, a large fleet is looked at as often as that, in seconds.
OLDEST = 60.0
#: Nobody looks at a large fleet for nobody: only within that time after somebody asked, in seconds.
ASKED = 900.0

REFUSALS = 10
DAY = 86400.0
#: A certificate of the manager that ends sooner, in seconds, is said; one of a computer, which renews itself long
#: before, where it ends sooner than that.
EXPIRES = 30 * DAY
COMPUTERS_EXPIRE = 14 * DAY
#: Relays that are named; the rest is on their own screen.
RELAYS = 50
ROWS = 100
#: With fewer computers, and no floor ever set by anybody, the first steps are shown.
FIRST_COMPUTERS = 3


@dataclass(slots=True)
class _Look:
    """The last look. `began` and `took` are steady seconds."""

    at: float
    began: float
    took: float
    digest: Digest
    floors: FloorsView
    counts: tuple[ComputerCount, ...]
    relays: tuple[RelayGlance, ...]
    ending: int
    drawn: dict[Hashable, tuple[Line, ...]] = field(default_factory=dict)

    @property
    def ports(self) -> Mapping[Point, int]:
        return dict(DEFAULT_PORTS) | {point.point: point.port for point in self.floors.floors}

    @property
    def size(self) -> int:
        return sum(one.count for one in self.counts)


class OverviewService:
    def __init__(
        self,
        core: Core,
        floors: FloorsService,
        judgement: JudgementService,
        seen: SightingsService,
        exceptions: ExceptionsService,
        computers: ComputersService,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._floors = floors
        self._judgement = judgement
        self._seen = seen
        self._exceptions = exceptions
        self._computers = computers
        self._steady = steady
        self._looking = threading.Lock()
        self._last: _Look | None = None
        self._touched = self._asked = float("-inf")
        core.hub.subscribe(self._heard)

    @permits(Permission.FLOORS_READ)
    def show(
        self,
        principal: Principal,
        problems: Mapping[str, str] | None = None,
        serves: Mapping[Point, Sequence[Version]] | None = None,
    ) -> Overview:
        """`problems` and `serves` are what only a running manager knows: computers by id that cannot talk to it, and
        which versions each of its ports serves.
        """
        look = self._look_for()
        now = self._core.clock()

        def work(connection: Connection) -> Overview:
            state = floor_state.read(connection)
            profiles = floor_state.profiles(connection)
            floors = tuple(
                replace(
                    point,
                    floor=state.floor(point.point),
                    profile=None if point.profile is None else profiles.get(point.point, DEFAULT),
                )
                for point in (self._cheap_points() if look is None else look.floors.floors)
            )
            change, upgrade = change_table.under_way(connection), upgrade_table.under_way(connection)
            rotation = ca_table.newest(connection)
            totals = handshake_totals.since(connection, int((now - DAY) // sightings.HOUR) + 1, 24)
            counts = () if look is None else look.counts
            overview = Overview(
                at=None if look is None else look.at,
                floors=floors,
                shadows={Point(name): one.floor for name, one in shadow_table.read(connection).items()},
                drift=self._floors.drift_of(state),
                counts=counts,
                relays=() if look is None else look.relays,
                refusals=(),
                refusals_day=sum(one.count for one in totals if one.outcome in sightings.REFUSED),
                change=None if change is None else change_views.shown(connection, change.id),
                upgrade=None if upgrade is None else upgrade_views.shown(connection, upgrade.id),
                rotation=rotation if rotation is not None and rotation.state in ca_table.OPEN else None,
                exceptions=(),
                expiring=self._expiring(now),
                needs=(),
                first_steps=_first_steps(connection, look),
            )
            standing = Standing(
                now=now,
                floors=floors,
                drift=overview.drift,
                serves=serves or {},
                below={} if look is None else _below(self._drawn(look, state.floors(), False)),
                problems=len(problems or ()),
                problem_names=_names(connection, problems or ()),
                relays=overview.relays,
                change=overview.change,
                upgrade=overview.upgrade,
                rotation=overview.rotation,
                exceptions=exceptions,
                expiring=overview.expiring,
                ending_certificates=0 if look is None else look.ending,
                approvals=sum(one.count for one in counts if one.state == APPROVAL),
                offline=sum(one.count for one in counts if one.state == "active" and not one.online),
                targets=[
                    one.name
                    for one in notification_table.find(connection)
                    if one.active and one.failing_since is not None
                ],
            )
            return replace(overview, exceptions=exceptions, needs=needs(standing))

        exceptions = self._exceptions.in_force()
        refusals = self._seen.newest_refusals(now - DAY, REFUSALS)
        return replace(self._core.store.read(work), refusals=refusals)

    @permits(Permission.FLOORS_READ)
    def picture(self, principal: Principal, floor: str = "") -> PictureView | None:
        """Who talks to whom at the floors in force, or as if `floor` held at every point (R19).

        None: the fleet is large and was not looked at yet. Raises BadInput for what is no floor.
        """
        wanted = parse_floor(floor) if floor else None
        look = self._look_for()
        if look is None:
            return None
        floors = self._floors_for(wanted)
        drawn = self._drawn(look, floors, wanted is not None)
        groups: dict[str, int] = {}
        for crowd in look.digest.crowds:
            name = group_of(crowd.alike)
            groups[name] = groups.get(name, 0) + crowd.count
        cut: dict[str, int] = {}
        let_in: dict[str, int] = {}
        if wanted is not None:
            now = _talking(self._drawn(look, self._floors_for(None), False))
            then = _talking(drawn)
            for crowd in look.digest.crowds:
                before, after = now.get(id(crowd), set()), then.get(id(crowd), set())
                for moved, found in ((before - after, cut), (after - before, let_in)):
                    if moved:
                        name = group_of(crowd.alike)
                        found[name] = found.get(name, 0) + crowd.count
        return PictureView(look.at, wanted, floors, tuple(line.link for line in drawn), look.ports, groups, cut, let_in)

    @permits(Permission.COMPUTERS_READ)
    def members(self, principal: Principal, key: LineKey, floor: str = "", after: int = 0) -> Members:
        """Who is behind the lines that fit `key`, in the picture of `picture`; computers from a number on.

        Raises Unavailable where the fleet was not looked at yet, BadInput for what is no floor.
        """
        if key == LineKey():
            raise BadInput("say which line or which group of the picture")
        wanted = parse_floor(floor) if floor else None
        look = self._look_for()
        if look is None:
            raise Unavailable("the fleet is being looked at for the first time; ask again in a moment")
        drawn = [
            line for line in self._drawn(look, self._floors_for(wanted), wanted is not None) if _fits(line.link, key)
        ]
        # A crowd that stands on two of the lines is listed once; the crowd of a group is all of it.
        found: dict[int, Crowd] = {id(crowd): crowd for line in drawn for crowd in line.crowds}
        crowds = look.digest.of(key.group) if key == LineKey(key.group) else list(found.values())
        numbers = heapq.nsmallest(ROWS + 1, (number for crowd in crowds for number in crowd.numbers if number > after))
        programs = [program for crowd in crowds for program in crowd.programs]
        of_programs = sum(crowd.count for crowd in crowds if crowd.programs)
        newest = heapq.nlargest(ROWS, programs, key=lambda one: one.observed_at or 0.0)
        return Members(
            look.at,
            tuple(line.link for line in drawn),
            sum(crowd.count for crowd in crowds),
            self._computers.numbered(numbers[:ROWS]),
            numbers[ROWS - 1] if len(numbers) > ROWS else None,
            tuple(newest),
            of_programs - len(newest),
            look.ports,
        )

    @internal
    def tick(self) -> bool:
        """Looks at a large fleet where it is time to. For a loop; a small one is looked at by whoever asks."""
        last, now = self._last, self._steady()
        if last is None:
            if not self._is_small():
                self._look()
            return True
        if last.size <= SMALL or now - self._asked > ASKED:
            return True
        age = now - last.began
        old = age > OLDEST or self._touched >= last.began
        if old and age > max(LEAST_REST, REST * last.took):
            self._look()
        return True

    def _look_for(self) -> _Look | None:
        """For whoever asks: never waits for a look at a large fleet."""
        self._asked = now = self._steady()
        last = self._last
        if last is None:
            return self._look() if self._is_small() else None
        old = self._touched >= last.began or now - last.began > FRESH
        return self._look() if old and last.size <= SMALL else last

    def _is_small(self) -> bool:
        return self._core.store.read(count_table.number_of) <= SMALL

    def _look(self) -> _Look:
        """One at a time; who waited for another's takes that one."""
        wanted = self._steady()
        with self._looking:
            last = self._last
            if last is not None and last.began >= wanted:
                return last
            began, at = self._steady(), self._core.clock()
            fleet = digest(self._judgement.fleet())
            floors = self._floors.view()
            relays = tuple(
                RelayGlance(relay.number, relay.name, relay.required, relay.holds, relay.pending, relay.drift)
                for relay in self._judgement.relay_views()
                if relay.pending or relay.drift
            )
            soon = at + COMPUTERS_EXPIRE
            counts, ending = self._core.store.read(
                lambda c: (count_table.counted(c), count_table.certificates_end(c, soon))
            )
            counted = tuple(ComputerCount(*row) for row in counts)
            took = self._steady() - began
            self._last = _Look(at, began, took, fleet, floors, counted, relays[:RELAYS], ending)
            return self._last

    def _heard(self, change: Change) -> None:
        self._touched = self._steady()

    def _floors_for(self, wanted: Version | None) -> dict[Point, Version]:
        if wanted is not None:
            return dict.fromkeys(Point, wanted)
        return self._core.store.read(floor_state.read).floors()

    def _drawn(self, look: _Look, floors: Mapping[Point, Version], as_if: bool) -> tuple[Line, ...]:
        # Of two pictures with the same floors, the one that is drawn as if has all relays hold them too.
        key = (tuple(floors.items()), as_if)
        if key not in look.drawn:
            if len(look.drawn) > 2 * len(Version):
                look.drawn.clear()
            look.drawn[key] = tuple(lines(look.digest, floors, as_if=as_if))
        return look.drawn[key]

    def _cheap_points(self) -> Iterable[PointView]:
        config = self._core.home.config
        own = {Point.GUI: config.gui_port, Point.HEARTBEAT: config.heartbeat_port}
        return [
            PointView(
                point, (own.get(point, point.default_port),), Version.TLS1_2, profile=DEFAULT if point in own else None
            )
            for point in Point
        ]

    def _expiring(self, now: float) -> tuple[Expiry, ...]:
        """The manager's own certificates that end soon, the first one first."""
        home = self._core.home
        found = [("The certificate of the CA", "ca", home.ca_certificate)]
        found += [
            (f"The certificate {path.stem} of the manager", "certificate", path) for path in home.tls.glob("*.pem")
        ]
        ends = []
        for what, kind, path in found:
            try:
                end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
            except (OSError, ValueError):
                continue  # one that is being replaced is there at the next look
            if end - now < (CA_WARNED if kind == "ca" else EXPIRES):
                ends.append(Expiry(what, kind, end))
        return tuple(sorted(ends, key=lambda one: one.ends))


def _talking(drawn: Iterable[Line]) -> dict[int, set[Point]]:
    """At which points each crowd talks to anybody."""
    found: dict[int, set[Point]] = {}
    for line in drawn:
        if line.link.state == "talks" and line.link.point is not None:
            for crowd in line.crowds:
                found.setdefault(id(crowd), set()).add(line.link.point)
    return found


def _below(drawn: Iterable[Line]) -> dict[str, int]:
    """Computers by group that cannot speak with the manager at its floors: each counts once."""
    found: dict[str, int] = {}
    counted: set[int] = set()
    for line in drawn:
        if line.link.state != "refused" or line.link.point not in (Point.HEARTBEAT, Point.AGENT):
            continue
        for crowd in line.crowds:
            if id(crowd) not in counted:
                counted.add(id(crowd))
                name = group_of(crowd.alike)
                found[name] = found.get(name, 0) + crowd.count
    return found


def _fits(link: Link, key: LineKey) -> bool:
    return (
        (not key.group or key.group in (link.from_, link.to))
        and (not key.from_ or key.from_ == link.from_)
        and (not key.to or key.to == link.to)
        and (not key.point or (link.point is not None and key.point == link.point.value))
        and (not key.version or (link.version is not None and key.version == link.version.value))
        and (not key.state or key.state == link.state)
    )


def _names(connection: Connection, computers: Iterable[str]) -> list[str]:
    """Of so many of them as could ever be named in one sentence."""
    some = heapq.nsmallest(ROWS, computers)
    names = computer_table.names(connection, some)
    return sorted(names.get(one, one) for one in some)


def _first_steps(connection: Connection, look: _Look | None) -> bool:
    """Whether this home is at its beginning: hardly a computer, and nobody has set a floor."""
    if look is None or look.size > FIRST_COMPUTERS:
        return False
    return all(row.cause != "set" for row in floor_table.history(connection, 50))
