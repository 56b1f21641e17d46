"""Shadow floors: they refuse nobody and count whom they would have, so that a raise can be tried without one.

Whoever came in below a shadow floor has shown a certificate, a key or a name, so the count says who it was; a real
refusal cannot, for at the hello nobody has a name yet. Exceptions excuse here as they will there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from plimsoll.manager.ports import BadInput, Permission, Principal, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import parse_floor
from plimsoll.manager.store import Connection, access
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import shadow as table
from plimsoll.manager.store.shadow import ShadowRecord, WouldBeRecord
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: The points whose handshakes the manager sees itself.
POINTS = (Point.HEARTBEAT, Point.GUI)
_COMPUTER = "computer:"
_DAYS = 400
_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ShadowView:
    """A point's floor and its shadow floor, if it has one. `would_be` counts since the shadow floor was set."""

    point: Point
    floor: Version
    shadow: Version | None
    since: float | None
    who: str | None
    would_be: int
    last: WouldBe | None


@dataclass(frozen=True, slots=True)
class WouldBe:
    """Who came in on a day, and would not have. `name` is the best one known; times are seconds since the epoch."""

    day: int
    point: Point
    floor: Version
    name: str
    who: str | None
    address: str
    ja4: str
    offered: Version | None
    negotiated: Version | None
    count: int
    first: float
    last: float


class ShadowService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.FLOORS_READ)
    def show(self, principal: Principal) -> tuple[ShadowView, ...]:
        """The points that can have one, with when the last would-be refusal was."""

        def work(connection: Connection) -> tuple[ShadowView, ...]:
            floors, shadows = floor_state.read(connection).floors(), table.read(connection)
            views = []
            for point in POINTS:
                shadow = shadows.get(point.value)
                since = 0.0 if shadow is None else shadow.since
                last = table.last(connection, point.value, since)
                names = _names(connection, [] if last is None else [last])
                views.append(
                    ShadowView(
                        point,
                        floors[point],
                        None if shadow is None else shadow.floor,
                        None if shadow is None else shadow.since,
                        None if shadow is None else shadow.who,
                        0 if shadow is None else table.total(connection, point.value, since),
                        None if last is None else _would_be(last, names),
                    )
                )
            return tuple(views)

        return self._core.store.read(work)

    @permits(Permission.FLOORS_CHANGE)
    def set(self, principal: Principal, floor: str, point: str = "all") -> tuple[Point, ...]:
        """From now on it is counted who comes in below that floor. Raises BadInput where nobody could."""
        target, points = parse_floor(floor), _points(point)

        def work(unit: Unit) -> tuple[Point, ...]:
            floors = floor_state.read(unit.connection).floors()
            chosen = tuple(one for one in points if floors[one] < target)
            if not chosen:
                where = ", ".join(f"{one.value} holds {floors[one]}" for one in points)
                raise BadInput(f"a shadow floor lies above the floor in force, but {where}; nothing was changed")
            for one in chosen:
                put(unit, principal, one, target)
            return chosen

        chosen = self._core.write(work)
        self._core.publish_floors()
        return chosen

    @permits(Permission.FLOORS_CHANGE)
    def clear(self, principal: Principal, point: str = "all") -> tuple[Point, ...]:
        """Counts no more; what was counted stays in the report."""
        points = _points(point)

        def work(unit: Unit) -> tuple[Point, ...]:
            known = table.read(unit.connection)
            cleared = tuple(one for one in points if one.value in known)
            for one in cleared:
                drop(unit, principal, one)
            return cleared

        cleared = self._core.write(work)
        if cleared:
            self._core.publish_floors()
        return cleared

    @permits(Permission.FLOORS_READ)
    def report(self, principal: Principal, days: int = 30) -> tuple[WouldBe, ...]:
        """Who would have been refused, by day (UTC), the newest first."""
        if not 1 <= days <= _DAYS:
            raise BadInput(f"a report covers 1 to {_DAYS} days")
        since = self._core.clock() - days * table.DAY

        def work(connection: Connection) -> tuple[WouldBe, ...]:
            found = _merged(table.report(connection, since, _ROWS))
            names = _names(connection, found)
            return tuple(_would_be(one, names) for one in found)

        return self._core.store.read(work)

    @internal
    def count(self, connection: Connection, seen: Iterable[Sighting]) -> None:
        """Counts those of a batch that a shadow floor would have refused, in the batch's own transaction."""
        shadows = table.read(connection)
        if not shadows:
            return
        snapshot = floor_state.snapshot(connection)
        floors = {**snapshot.floors, **{Point(point): shadow.floor for point, shadow in shadows.items()}}
        imagined = replace(snapshot, floors=floors)
        batch = []
        for one in seen:
            if one.outcome is not Outcome.ADMITTED or one.negotiated is None or one.point.value not in shadows:
                continue
            shadow = shadows[one.point.value]
            computer = one.who.removeprefix(_COMPUTER) if one.who and one.who.startswith(_COMPUTER) else None
            if one.last < shadow.since or one.negotiated >= imagined.floor_for(
                one.point, one.address, computer, one.last
            ):
                continue
            batch.append(
                WouldBeRecord(
                    int(one.last // table.DAY), one.point.value, shadow.floor.value, one.who or "", one.address,
                    one.ja4, shadow.since, one.offered, one.negotiated, one.count, max(one.first, shadow.since),
                    one.last,
                )
            )  # fmt: skip
        table.count(connection, _merged(batch))

    @internal
    def forget(self) -> int:
        """Deletes what is older than any report reaches; how many rows went."""
        before = self._core.clock() - _DAYS * table.DAY
        return self._core.store.write(lambda c: table.forget(c, before))

    @internal
    def refused(self, connection: Connection, point: Point, since: float) -> tuple[WouldBe, ...]:
        """Who would have been refused at the point since then."""
        found = [one for one in table.report(connection, since, _ROWS) if one.point == point.value]
        names = _names(connection, found)
        return tuple(_would_be(one, names) for one in found)


def put(unit: Unit, principal: Principal, point: Point, floor: Version) -> None:
    """Sets the point's shadow floor in this transaction."""
    before = table.read(unit.connection).get(point.value)
    table.put(unit.connection, ShadowRecord(point.value, floor, principal.who, unit.now))
    old = None if before is None else {"floor": before.floor.value}
    unit.audit(principal, "shadow.set", point.value, old, {"floor": floor.value})
    text = f"{principal.name} set a shadow floor of {floor} for {point.value}: it refuses nobody and counts"
    unit.event(NewEvent(event_numbers.SHADOW_CHANGED, "info", text, target=point.value))


def drop(unit: Unit, principal: Principal, point: Point) -> None:
    """Ends the point's shadow floor in this transaction."""
    before = table.read(unit.connection).get(point.value)
    if before is None:
        return
    table.drop(unit.connection, point.value)
    unit.audit(principal, "shadow.clear", point.value, {"floor": before.floor.value}, None)
    text = f"{principal.name} ended the shadow floor of {point.value}"
    unit.event(NewEvent(event_numbers.SHADOW_CHANGED, "info", text, target=point.value))


def _merged(batch: Iterable[WouldBeRecord]) -> list[WouldBeRecord]:
    """One row a day for each client: a statement may not meet a row twice, and nobody asks how often it was set."""
    rows: dict[tuple[object, ...], WouldBeRecord] = {}
    for one in batch:
        key = (one.day, one.point, one.floor, one.who, one.address, one.ja4)
        known = rows.get(key)
        rows[key] = one if known is None else replace(
            one, count=one.count + known.count, first=min(one.first, known.first), last=max(one.last, known.last)
        )  # fmt: skip
    return list(rows.values())


def _points(name: str) -> tuple[Point, ...]:
    if name == "all":
        return POINTS
    try:
        point = Point(name)
    except ValueError:
        point = None
    if point not in POINTS:
        names = ", ".join(one.value for one in POINTS)
        said = "relays and agents keep their own handshakes" if point else f"unknown point {name!r}"
        raise BadInput(f"{said}; a shadow floor is for all or one of {names}. Nothing was changed")
    assert point is not None
    return (point,)


def _names(connection: Connection, found: Iterable[WouldBeRecord]) -> dict[str, str]:
    """The names of those that are in it: of a large fleet only few are, or the floor would not be raised."""
    ids = {one.who.removeprefix(_COMPUTER) for one in found if one.who.startswith(_COMPUTER)}
    keys = {f"apikey:{key.id}": key.name for key in access.all_api_keys(connection)}
    return keys | {f"{_COMPUTER}{one.id}": one.display for one in computer_table.find(connection, ids=sorted(ids))}


def _would_be(one: WouldBeRecord, names: dict[str, str]) -> WouldBe:
    name = names.get(one.who) or one.who.partition(":")[2] or f"a client at {one.address}"
    return WouldBe(
        one.day, Point(one.point), Version(one.floor), name, one.who or None, one.address, one.ja4, one.offered,
        one.negotiated, one.count, one.first, one.last,
    )  # fmt: skip
