"""Who talks to whom, with which version (R19): the guide's two pictures as data, and as text.

Links are grouped as in the guide: relays, agents from 10.0 and before, appliances, newer and older programs. A group
whose members settle on different versions has a link for each.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from plimsoll.fleet.capabilities import capability
from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.parts import Database, Fleet, Part, Program, RelayFloor
from plimsoll.fleet.relay_floor import relay_floor
from plimsoll.tls.floors import DEFAULT_PORTS, Point, Rule
from plimsoll.tls.versions import Version

State = Literal["talks", "refused", "unknown"]
Basis = Literal["seen", "tabled", "unknown"]

MANAGER = "manager"
RELAYS = "relays"
DATABASE = "database"
NEW_AGENTS = "agents 10.0 and newer"
OLD_AGENTS = "agents before 10.0"
UNKNOWN_AGENTS = "agents of unknown version"
APPLIANCES = "appliances"
NEW_PROGRAMS = "newer programs"
OLD_PROGRAMS = "older programs"
UNKNOWN_PROGRAMS = "programs that were not read"

_GROUPS = (
    RELAYS,
    NEW_AGENTS,
    OLD_AGENTS,
    UNKNOWN_AGENTS,
    APPLIANCES,
    NEW_PROGRAMS,
    OLD_PROGRAMS,
    UNKNOWN_PROGRAMS,
    MANAGER,
)
_FIRST_MODERN = (10, 0)
#: How many members a link names; `count` says how many there are.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Link:
    """A line of the picture. `version` is what both settle on, None where refused, unknown or not TLS.

    `basis` says where the version comes from: seen in a handshake, or worked out from the table.
    """

    from_: str
    to: str
    point: Point | None
    version: Version | None
    state: State
    reason: str = ""
    basis: Basis = "tabled"
    count: int = 1
    members: tuple[str, ...] = ()


class _End(NamedTuple):
    """One end of a link: its newest version, where that comes from, and what it once settled on with the manager."""

    group: str
    newest: Version | None
    basis: Basis
    settled: Version | None = None


class _RelayEnd(NamedTuple):
    """A relay as agents meet it: its group, the floor that it holds and the newest version that it speaks."""

    relay_group: str | None
    floor: Version
    newest: Version


def links(fleet: Fleet, floors: Mapping[Point, Version], *, as_if: bool = False) -> list[Link]:
    """The lines of the picture at these floors, in the guide's order. A point without a floor holds TLS 1.2.

    Relays are drawn with the floor that each holds, as seen, reported or sent; `as_if` draws all with `floors` instead.
    """
    drawing = _Drawing(fleet, floors, as_if)
    for part in sorted(fleet.parts, key=lambda part: (part.name.casefold(), part.id)):
        if part.kind == "database":
            drawing.draw_database(part.database)
        elif part.kind != "manager":
            drawing.draw_part(part)
    for program in sorted(fleet.programs, key=lambda program: (program.who.casefold(), program.id)):
        drawing.draw_program(program)
    return drawing.finished()


class _Drawing:
    """Collects the lines; those that say the same become one, with a count."""

    def __init__(self, fleet: Fleet, floors: Mapping[Point, Version], as_if: bool) -> None:
        self._floors = {point: floors.get(point, Version.TLS1_2) for point in Point}
        self._manager = next(
            (newest for part in fleet.parts if part.kind == "manager" and (newest := _newest(part)[0]) is not None),
            Version.TLS1_3,
        )
        relays = [part for part in fleet.parts if part.kind == "relay"]
        self._relays = {
            _RelayEnd(
                relay.relay_group,
                self._floors[Point.RELAY] if as_if else held_floor(relay),
                _newest(relay)[0] or Version.TLS1_3,
            )
            for relay in relays
        }
        self._same_floor = len({relay.floor for relay in self._relays}) < 2
        self._lines: dict[Link, list[str]] = {}
        self._alike: dict[Hashable, list[list[str]]] = {}

    def draw_part(self, part: Part) -> None:
        likeness = (
            part.kind,
            part.version,
            part.points,
            part.offered,
            part.negotiated,
            part.relay_group,
            part.exceptions,
        )
        lines = self._alike.get(likeness)
        if lines is None:
            # Two relays can come to the same line, on which the part stands once.
            lines = self._alike[likeness] = [self._members(line) for line in dict.fromkeys(self._lines_of(part))]
        for members in lines:
            members.append(part.name)

    def _lines_of(self, part: Part) -> Iterator[Link]:
        newest, basis = _newest(part)
        end = _End(_group(part), newest, basis, part.negotiated)
        if Point.HEARTBEAT in part.points:
            floor = _excepted(self._floors[Point.HEARTBEAT], part.exceptions, Point.HEARTBEAT)
            yield _line(end, MANAGER, Point.HEARTBEAT, floor, self._manager)
        if Point.AGENT in part.points:
            yield _line(end, MANAGER, Point.AGENT, self._floor_of_calls(part), self._manager, turned=True)
        if Point.RELAY in part.points and part.kind != "relay":
            for relay in self._relays_of(part):
                target = RELAYS if self._same_floor else f"{RELAYS} that hold {relay.floor}"
                floor = _excepted(relay.floor, part.exceptions, Point.RELAY)
                yield _line(end._replace(settled=None), target, Point.RELAY, floor, relay.newest)

    def draw_program(self, program: Program) -> None:
        group = UNKNOWN_PROGRAMS
        if program.offered is not None:
            group = NEW_PROGRAMS if program.offered >= Version.TLS1_2 else OLD_PROGRAMS
        end = _End(group, program.offered, "unknown" if program.offered is None else "seen")
        floor = _excepted(self._floors[program.point], program.exceptions, program.point)
        self._members(_line(end, MANAGER, program.point, floor, self._manager)).append(program.who)

    def draw_database(self, database: Database | None) -> None:
        if database is None or database.engine == "sqlite" or not database.ours:
            return
        how = "not encrypted"
        if database.encrypted:
            how = "Oracle's native encryption" if database.engine == "oracle" else "TLS"
        version = database.speaks if how == "TLS" else None
        self._members(Link(MANAGER, DATABASE, None, version, "talks", how)).append(DATABASE)

    def finished(self) -> list[Link]:
        together: dict[Link, dict[Basis, list[str]]] = {}
        for line, members in self._lines.items():
            if members:
                together.setdefault(replace(line, basis="tabled"), {})[line.basis] = members
        return sorted((_merged(line, by_basis) for line, by_basis in together.items()), key=_place)

    def _members(self, line: Link) -> list[str]:
        """Those of whom the line holds; the same list for every line that says the same."""
        return self._lines.setdefault(line, [])

    def _floor_of_calls(self, part: Part) -> Version:
        """4120's floor also governs the manager's calls to 4118; the agent's own holds where it can enforce one."""
        floor = _excepted(self._floors[Point.HEARTBEAT], part.exceptions, Point.HEARTBEAT)
        version = parse_or_none(part.version)
        if version is None or not capability(part.kind, version).enforces:
            return floor
        return max(floor, _excepted(self._floors[Point.AGENT], part.exceptions, Point.AGENT))

    def _relays_of(self, part: Part) -> list[_RelayEnd]:
        """The relays of the part's group; all of them where it has none or its group is empty."""
        own = [relay for relay in self._relays if part.relay_group and relay.relay_group == part.relay_group]
        alike = {relay._replace(relay_group=None) for relay in own or self._relays}
        return sorted(alike, key=lambda relay: (relay.floor.rank, relay.newest.rank))


def _merged(line: Link, by_basis: Mapping[Basis, list[str]]) -> Link:
    """One line for members that come to the same, some as seen and some by the table; it says how many of each."""
    members = sorted((name for names in by_basis.values() for name in names), key=str.casefold)
    weakest: Basis = next(basis for basis in ("unknown", "tabled", "seen") if basis in by_basis)
    reason = line.reason
    if len(by_basis) > 1:
        told = f"{len(by_basis['tabled'])} of {len(members)} by the table, not seen yet"
        reason = f"{reason}; {told}" if reason else told
    return replace(line, basis=weakest, reason=reason, count=len(members), members=tuple(members[:_NAMED]))


def _line(end: _End, to: str, point: Point, floor: Version, served: Version, turned: bool = False) -> Link:
    """What two ends come to at a floor; `turned` where the manager is the one that calls."""
    version, state, reason = _settle(end, floor, served)
    from_, target = (to, end.group) if turned else (end.group, to)
    return Link(from_, target, point, version, state, reason, "unknown" if state == "unknown" else end.basis)


def _settle(end: _End, floor: Version, served: Version) -> tuple[Version | None, State, str]:
    """R2: the newest version that both support, by themselves, if the floor allows it."""
    if end.newest is None:
        return None, "unknown", "nobody knows what it speaks"
    if end.newest < floor:
        return None, "refused", f"speaks at most {end.newest}, the floor is {floor}"
    if end.settled is not None and floor <= end.settled <= end.newest:
        return end.settled, "talks", ""
    version = min(end.newest, served)
    if version < floor:
        return None, "refused", f"{served} is the newest that is served there, the floor is {floor}"
    return version, "talks", ""


def held_floor(relay: Part) -> Version:
    """The floor to draw a relay with: what a handshake showed, else its report, else what R17 concludes."""
    known = relay.relay or RelayFloor()
    return known.observed or known.reported or relay_floor(relay.version, known.sent, known.kept).floor


def _newest(part: Part) -> tuple[Version | None, Basis]:
    """The newest version that a part speaks: observed beats tabled."""
    if part.offered is not None:
        return part.offered, "seen"
    version = parse_or_none(part.version)
    if version is None:
        return None, "unknown"
    return capability(part.kind, version).speaks_to, "tabled"


def _group(part: Part) -> str:
    if part.kind == "relay":
        return RELAYS
    if part.kind == "appliance":
        return APPLIANCES
    version = parse_or_none(part.version)
    if version is None:
        return UNKNOWN_AGENTS
    return NEW_AGENTS if version.major_minor >= _FIRST_MODERN else OLD_AGENTS


def _excepted(floor: Version, rules: Iterable[Rule], point: Point) -> Version:
    return min([floor, *(rule.floor for rule in rules if rule.point is point)])


def _place(link: Link) -> tuple[int, int, str, int, str]:
    points = list(Point)
    return (
        len(points) if link.point is None else points.index(link.point),
        _GROUPS.index(link.from_),
        link.to,
        -1 if link.version is None else -link.version.rank,
        link.reason,
    )


def link_as_json(link: Link) -> dict[str, Any]:
    return {
        "from": link.from_,
        "to": link.to,
        "point": link.point.value if link.point else None,
        "version": link.version.value if link.version else None,
        "state": link.state,
        "reason": link.reason,
        "basis": link.basis,
        "count": link.count,
        "members": list(link.members),
    }


def example(*, enforced: bool) -> list[Link]:
    """One of the guide's two pictures: with TLS 1.2 enforced, or with early TLS allowed."""
    met = frozenset({Point.HEARTBEAT, Point.RELAY})
    parts = (
        Part("manager", "manager", "manager", "11.1"),
        Part("database", "database", "database", database=Database("postgresql")),
        Part("relay", "relay", "relay", "11.1", points=met),
        Part("new", "agent", "agent 10.0", "10.0", points=met),
        Part("old", "agent", "agent 9.6", "9.6", points=met),
        Part("appliance", "appliance", "appliance", "10.0"),
    )
    programs = (
        Program("new", "newer browsers and API clients", offered=Version.TLS1_2),
        Program("old", "older browsers and API clients", offered=Version.TLS1_0),
    )
    floor = Version.TLS1_2 if enforced else Version.TLS1_0
    return links(Fleet(parts, programs), dict.fromkeys(Point, floor), as_if=True)


def rows(drawn: Iterable[Link], ports: Mapping[Point, int] = DEFAULT_PORTS) -> list[tuple[str, str, str, str, str]]:
    """The picture as rows for a table: from, to, port, version, what is to be said of it."""
    return [
        (_counted(link), link.to, _port(link.point, ports), str(link.version or "–"), _said(link)) for link in drawn
    ]


def picture_text(
    drawn: Iterable[Link], title: str = "Who talks to whom", ports: Mapping[Point, int] = DEFAULT_PORTS
) -> str:
    """The picture as plain text, a block for each port; a refused line carries ``✗`` and the reason."""
    blocks: dict[tuple[str, Point | None], list[Link]] = {}
    for link in drawn:
        blocks.setdefault((_called(link), link.point), []).append(link)
    lines = [title]
    for (called, point), block in blocks.items():
        lines += ["", f"{called}, {_port(point, ports)}" if point else called, *_aligned(block)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _called(link: Link) -> str:
    """The heading of a link's block: the side that listens, all computers together on their 4118."""
    return "computers" if link.point is Point.AGENT else link.to


def _aligned(block: list[Link]) -> list[str]:
    signs: dict[State, str] = {"talks": "──▶", "refused": "──✗", "unknown": "─ ?"}
    names = [
        f"{MANAGER} to {link.to} ({link.count})" if link.point is Point.AGENT else _counted(link) for link in block
    ]
    width = max(len(name) for name in names)
    return [
        f"  {name:<{width}}  {signs[link.state]}  {link.version or '–'!s:<8} {_said(link)}"
        for name, link in zip(names, block, strict=True)
    ]


def _counted(link: Link) -> str:
    return link.from_ if link.from_ == MANAGER else f"{link.from_} ({link.count})"


def _port(point: Point | None, ports: Mapping[Point, int]) -> str:
    return f"{ports.get(point, point.default_port)} {point.value}" if point else ""


def _said(link: Link) -> str:
    """The state where it is not the ordinary one, and the reason where there is one."""
    return link.reason if link.state == "talks" else f"{link.state}: {link.reason}"
