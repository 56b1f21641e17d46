"""Exceptions (G5, R16): a source that may stay below the floor of one point, for a reason and until a date.

Rules of this file: an exception has an end and a reason, or it is refused; it lowers the floor for whom it names and
for nobody else; it ends by its time in every gate, whether this service looks or not.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.floors import parse_floor
from plimsoll.manager.store import Connection, facts
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import rules as table
from plimsoll.manager.store.rules import RuleRecord
from plimsoll.tls.floors import Network, Point
from plimsoll.tls.versions import Version

DAY = 86400.0
#: No exception outlives the audit after the next one.
LONGEST = 400 * DAY
#: When it is said that one will end, in seconds before.
WARNINGS = (7 * DAY, DAY)
#: The widest network of an exception: what covers more is a floor.
WIDEST = {4: 16, 6: 48}
#: The points whose gates are the manager's own.
POINTS = (Point.HEARTBEAT, Point.GUI)
_REASON = 500
_MOST = 1000


@dataclass(frozen=True, slots=True)
class ExceptionView:
    """`state` is "in force" (it lowers a floor now), "waiting" (the floor is not above it yet) or "ended"."""

    id: int
    point: Point
    floor: Version
    source: str | None
    computer: str | None
    name: str | None
    until: float
    reason: str
    who: str
    created: float
    ended: float | None
    state: str


class ExceptionsService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.FLOORS_READ)
    def list(self, principal: Principal, *, ended: bool = False, limit: int = 1000) -> tuple[ExceptionView, ...]:
        """Newest first; with those that have ended too."""
        return self._views(ended, limit)

    @internal
    def in_force(self) -> tuple[ExceptionView, ...]:
        """Those that let somebody stay below a floor now."""
        return tuple(view for view in self._views(False, _MOST) if view.state == "in force")

    def _views(self, ended: bool, limit: int) -> tuple[ExceptionView, ...]:
        now = self._core.clock()

        def work(connection: Connection) -> tuple[ExceptionView, ...]:
            floors = floor_state.read(connection).floors()
            found = table.exceptions(connection, limit, ended=ended)
            return tuple(_view(connection, one, floors[Point(one.point)], now) for one in found)

        views = self._core.store.read(work)
        return views if ended else tuple(view for view in views if view.state != "ended")

    @permits(Permission.FLOORS_CHANGE)
    def add(
        self,
        principal: Principal,
        *,
        point: str,
        floor: str,
        until: float | None,
        reason: str | None,
        source: str | None = None,
        computer: str | None = None,
    ) -> ExceptionView:
        """In force when it returns. `until` is seconds since the epoch, `computer` an id.

        Raises BadInput (no end, an end in the past or beyond 400 days, no reason, a network that is wider than what it
        names, a proxy), NotFound, Conflict (there is the same already). Nothing was changed then.
        """
        where, lowest = _point(point), parse_floor(floor)
        if (source is None) == (computer is None):
            raise BadInput("an exception names either a source network or a computer; nothing was changed")
        why = (reason or "").strip()
        if not why:
            raise BadInput("an exception needs a reason, which is kept and shown; nothing was changed")
        if len(why) > _REASON:
            raise BadInput(f"a reason has at most {_REASON} characters; nothing was changed")
        end = _end(until, self._core.clock())
        network = None if source is None else self._network(source)
        if computer is not None and where is Point.GUI:
            raise BadInput(
                "browsers and programs at the GUI port show no certificate: name their source network;"
                " nothing was changed"
            )

        def work(unit: Unit) -> int:
            if computer is not None and computer_table.get(unit.connection, computer) is None:
                raise NotFound(f"there is no computer {computer!r}; nothing was changed. The list shows their ids")
            text = None if network is None else str(network)
            for known in table.in_force(unit.connection):
                same = (known.point, known.source, known.computer) == (where.value, text, computer)
                if same and known.kind == table.EXCEPTION and (known.until or 0.0) > unit.now:
                    raise Conflict(
                        f"exception {known.id} is for the same at {where.value} already; end it first;"
                        " nothing was changed"
                    )
            # Warnings whose moment has passed already are not told.
            warned = sum(1 for ahead in WARNINGS if end - unit.now <= ahead)
            new = RuleRecord(0, where.value, lowest, text, computer, end, why, principal.who, unit.now, warned=warned)
            identifier = table.add(unit.connection, new)
            facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)
            view = self._one(unit.connection, identifier, unit.now)
            unit.audit(principal, "exceptions.add", f"{where.value} {_whom(view)}", None, _said(view))
            said = f"{_whom(view)} may use {lowest} at the {where.value} port until {_day(end)}, by {principal.name}"
            unit.event(
                NewEvent(
                    event_numbers.EXCEPTION_ADDED, "warning", f"{said}: {why}", computer=computer, target=_whom(view)
                )
            )
            return identifier

        identifier = self._core.write(work)
        self._core.publish_floors()
        return self._core.store.read(lambda c: self._one(c, identifier, self._core.clock()))

    @permits(Permission.FLOORS_CHANGE)
    def end(self, principal: Principal, exception: int) -> ExceptionView:
        """Ends it now: what it let in below the floor is closed after the answer in flight."""

        def work(unit: Unit) -> None:
            view = self._one(unit.connection, exception, unit.now)
            if view.state == "ended":
                raise Conflict(f"exception {exception} has ended already; nothing was changed")
            self._end(unit, view, f"by {principal.name}")
            unit.audit(principal, "exceptions.end", f"{view.point.value} {_whom(view)}", _said(view), None)

        self._core.write(work)
        self._core.publish_floors()
        return self._core.store.read(lambda c: self._one(c, exception, self._core.clock()))

    @internal
    def look(self) -> int:
        """Says which end soon, and notes which have ended. How many ended; the gates did not wait for this."""
        now = self._core.clock()
        due = [
            one
            for one in self._core.store.read(table.in_force)
            if one.kind == table.EXCEPTION and one.until is not None and _due(one, now)
        ]
        if not due:
            return 0

        def work(unit: Unit) -> int:
            ended = 0
            for one in due:
                view = self._one(unit.connection, one.id, unit.now)
                if view.until <= unit.now:
                    self._end(unit, view, "its time was up")
                    ended += 1
                    continue
                warned = sum(1 for ahead in WARNINGS if view.until - unit.now <= ahead)
                table.note_warned(unit.connection, one.id, warned)
                text = (
                    f"the exception for {_whom(view)} at the {view.point.value} port ends {_day(view.until)}; then it"
                    f" is refused below the floor. It was made because: {view.reason}"
                )
                unit.event(
                    NewEvent(
                        event_numbers.EXCEPTION_ENDS_SOON, "warning", text, computer=view.computer, target=_whom(view)
                    )
                )
            return ended

        ended = self._core.write(work)
        if ended:
            self._core.publish_floors()
        return ended

    @internal
    def refresh(self) -> bool:
        """Gives the gates what is stored, where they have something else; whether they had.

        A computer's rules go by its known addresses, and with the computer: both change without a word to the gates.
        """
        return self._core.refresh_floors()

    def _end(self, unit: Unit, view: ExceptionView, how: str) -> None:
        table.end(unit.connection, view.id, unit.now)
        facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)
        text = f"the exception for {_whom(view)} at the {view.point.value} port has ended: {how}"
        unit.event(NewEvent(event_numbers.EXCEPTION_ENDED, "info", text, computer=view.computer, target=_whom(view)))

    def _one(self, connection: Connection, exception: int, now: float) -> ExceptionView:
        found = table.get(connection, exception)
        if found is None or found.kind != table.EXCEPTION:
            raise NotFound(f"there is no exception {exception}; nothing was changed")
        return _view(connection, found, floor_state.read(connection).floor(Point(found.point)), now)

    def _network(self, text: str) -> Network:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError:
            try:
                wider = ipaddress.ip_network(text.strip(), strict=False)
            except ValueError:
                raise BadInput(
                    f"{text!r} is no address and no network (10.0.0.7, 10.0.0.0/24, 2001:db8::/64); nothing was changed"
                ) from None
            alone = ipaddress.ip_interface(text.strip()).ip
            raise BadInput(
                f"{text} names one address but covers {wider.num_addresses}: write {alone}/{wider.max_prefixlen} for it"
                f" alone, or {wider} for all; nothing was changed"
            ) from None
        network = _unmapped(network)
        if network.prefixlen < WIDEST[network.version]:
            raise BadInput(
                f"{network} covers {network.num_addresses} addresses: what is wider than /{WIDEST[network.version]} is"
                " no exception but a floor; nothing was changed"
            )
        for proxy in self._core.home.config.trusted_proxies:
            if _overlaps(network, proxy):
                raise BadInput(
                    f"{network} covers the trusted proxy {proxy}, and with it everybody behind it; nothing was changed"
                )
        return network


def _unmapped(network: Network) -> Network:
    """As IPv4 where it is IPv4 written as IPv6 (::ffff:10.0.0.7): the gates know such peers by their IPv4 address."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _overlaps(network: Network, proxy: str) -> bool:
    try:
        other = ipaddress.ip_network(proxy, strict=False)
    except ValueError:
        return False
    return other.version == network.version and network.overlaps(other)


def _point(name: str) -> Point:
    try:
        point = Point(name)
    except ValueError:
        names = ", ".join(one.value for one in POINTS)
        raise BadInput(f"unknown point {name!r}; exceptions are for {names}. Nothing was changed") from None
    if point is Point.AGENT:
        raise BadInput(
            "only managers call agents on 4118, and none of them needs an exception; give that computer a policy with"
            " a lower agent floor instead; nothing was changed"
        )
    if point is Point.RELAY:
        raise BadInput(
            "a relay holds one floor for all who download from it: give that relay a policy with a lower relay floor"
            " instead; nothing was changed"
        )
    return point


def _end(until: float | None, now: float) -> float:
    if until is None:
        raise BadInput("an exception needs an end; nothing was changed")
    if until <= now:
        raise BadInput(f"{_day(until)} is in the past; nothing was changed")
    if until - now > LONGEST:
        raise BadInput(f"an exception lasts at most {LONGEST / DAY:.0f} days; nothing was changed")
    return until


def _due(one: RuleRecord, now: float) -> bool:
    assert one.until is not None
    return one.until <= now or any(one.until - now <= ahead for ahead in WARNINGS[one.warned :])


def _view(connection: Connection, one: RuleRecord, floor: Version, now: float) -> ExceptionView:
    computer = None if one.computer is None else computer_table.get(connection, one.computer)
    until = one.until or 0.0
    over = one.ended is not None or until <= now
    return ExceptionView(
        id=one.id,
        point=Point(one.point),
        floor=one.floor,
        source=one.source,
        computer=one.computer,
        name=None if computer is None else computer.display,
        until=until,
        reason=one.reason,
        who=one.who,
        created=one.created,
        ended=one.ended if one.ended is not None else until if over else None,
        state="ended" if over else "in force" if one.floor < floor else "waiting",
    )


def _whom(view: ExceptionView) -> str:
    return view.source or view.name or view.computer or "?"


def _said(view: ExceptionView) -> dict[str, object]:
    return {
        "floor": view.floor.value,
        "source": view.source,
        "computer": view.computer,
        "until": view.until,
        "reason": view.reason,
    }


def _day(moment: float) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{moment:g}"
