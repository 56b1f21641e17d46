"""Who talks to whom, with which version (R19): the guide's two pictures as data, and as text.

Links are grouped as in the guide: relays, agents from 10.0 and before, appliances, newer and older programs. A group
whose members settle on different versions has a link for each.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
#: How many programs of one crowd are kept by name.
MOST_PROGRAMS = 1000


@dataclass(frozen=True, slots=True)
class Link:
    """A line of the picture. `version` is what both settle on, None where refused, unknown or not TLS.

    `basis` says where the version comes from: seen in a handshake, or worked out from the table. `excepted` are those
    whom only an exception lets stay below the floor.
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
    excepted: bool = False


@dataclass(slots=True)
class Crowd:
    """Parts, or programs, that are alike in all that a picture looks at.

    `names` are the first few of them, `numbers` those of the computers, `programs` the newest of the programs.
    """

    alike: Part | Program
    names: list[str] = field(default_factory=list)
    count: int = 0
    numbers: array[int] = field(default_factory=lambda: array("q"))
    programs: list[Program] = field(default_factory=list)

    def settled(self) -> Crowd:
        """Without the names that no picture shows: what is kept of a large fleet stays small."""
        self.count = len(self.names)
        self.names = sorted(self.names, key=str.casefold)[:_NAMED]
        self.programs = sorted(self.programs, key=lambda one: one.observed_at or 0.0, reverse=True)[:MOST_PROGRAMS]
        return self


@dataclass(frozen=True, slots=True)
class Digest:
    """All of a fleet that its pictures need, at any floor. It holds no part of the fleet itself."""

    crowds: tuple[Crowd, ...]
    databases: tuple[Database, ...]
    manager: Version
    relays: frozenset[_RelayEnd]

    def of(self, group: str) -> list[Crowd]:
        """The crowds that stand in that box of a picture."""
        return [crowd for crowd in self.crowds if group_of(crowd.alike) == group]


@dataclass(frozen=True, slots=True)
class Line:
    """A link with those who are behind it."""

    link: Link
    crowds: tuple[Crowd, ...]


class _End(NamedTuple):
    """One end of a link: its newest version, where that comes from, and what it once settled on with the manager."""

    group: str
    newest: Version | None
    basis: Basis
    settled: Version | None = None


class _Floor(NamedTuple):
    """The floor that is held against a peer, and the one that is held against those without an exception."""

    held: Version
    ordinary: Version


class _RelayEnd(NamedTuple):
    """A relay as agents meet it: its group, the floor that it holds and the newest version that it speaks."""

    relay_group: str | None
    floor: Version
    newest: Version


def links(fleet: Fleet, floors: Mapping[Point, Version], *, as_if: bool = False) -> list[Link]:
    """The lines of the picture at these floors, in the guide's order. A point without a floor holds TLS 1.2.

    Relays are drawn with the floor that each holds, as seen, reported or sent; `as_if` draws all with `floors` instead.
    """
    return [line.link for line in lines(digest(fleet), floors, as_if=as_if)]


def lines(fleet: Digest, floors: Mapping[Point, Version], *, as_if: bool = False) -> list[Line]:
    """The same with those who are behind each; it takes as long as there are crowds, not parts."""
    drawing = _Drawing(fleet, floors, as_if)
    for database in fleet.databases:
        drawing.draw_database(database)
    for crowd in fleet.crowds:
        drawing.draw(crowd)
    return drawing.finished()


def digest(fleet: Fleet) -> Digest:
    """One look at every part."""
    crowds: dict[Hashable, Crowd] = {}
    for part in fleet.parts:
        if part.kind in ("manager", "database"):
            continue
        likeness: Hashable = (
            part.kind,
            part.version,
            part.points,
            part.offered,
            part.negotiated,
            part.relay_group,
            part.exceptions,
        )
        crowd = crowds.get(likeness)
        if crowd is None:
            crowd = crowds[likeness] = Crowd(part)
        crowd.names.append(part.name)
        crowd.numbers.append(part.number)
    for program in fleet.programs:
        likeness = (program.point, program.offered, program.exceptions)
        crowd = crowds.get(likeness)
        if crowd is None:
            crowd = crowds[likeness] = Crowd(program)
        crowd.names.append(program.who)
        crowd.programs.append(program)
    newest = (_newest(part)[0] for part in fleet.parts if part.kind == "manager")
    return Digest(
        tuple(crowd.settled() for crowd in crowds.values()),
        tuple(part.database for part in fleet.parts if part.kind == "database" and part.database is not None),
        next((version for version in newest if version is not None), Version.TLS1_3),
        frozenset(
            _RelayEnd(part.relay_group, held_floor(part), _newest(part)[0] or Version.TLS1_3)
            for part in fleet.parts
            if part.kind == "relay"
        ),
    )


class _Drawing:
    """Collects the lines; those that say the same become one, with a count."""

    def __init__(self, fleet: Digest, floors: Mapping[Point, Version], as_if: bool) -> None:
        self._floors = {point: floors.get(point, Version.TLS1_2) for point in Point}
        self._manager = fleet.manager
        held = self._floors[Point.RELAY]
        self._relays = {relay._replace(floor=held) for relay in fleet.relays} if as_if else fleet.relays
        self._same_floor = len({relay.floor for relay in self._relays}) < 2
        self._lines: dict[Link, list[Crowd]] = {}

    def draw(self, crowd: Crowd) -> None:
        one = crowd.alike
        found = self._lines_of(one) if isinstance(one, Part) else [self._line_of_program(one)]
        # Two relays can come to the same line, on which a part stands once.
        for line in dict.fromkeys(found):
            self._lines.setdefault(line, []).append(crowd)

    def _lines_of(self, part: Part) -> Iterator[Link]:
        newest, basis = _newest(part)
        end = _End(group_of(part), newest, basis, part.negotiated)
        if Point.HEARTBEAT in part.points:
            yield _line(end, MANAGER, Point.HEARTBEAT, self._at(Point.HEARTBEAT, part), self._manager)
        if Point.AGENT in part.points:
            yield _line(end, MANAGER, Point.AGENT, self._of_calls(part), self._manager, turned=True)
        if Point.RELAY in part.points and part.kind != "relay":
            for relay in self._relays_of(part):
                target = RELAYS if self._same_floor else f"{RELAYS} that hold {relay.floor}"
                floor = _Floor(_excepted(relay.floor, part.exceptions, Point.RELAY), relay.floor)
                yield _line(end._replace(settled=None), target, Point.RELAY, floor, relay.newest)

    def _line_of_program(self, program: Program) -> Link:
        end = _End(group_of(program), program.offered, "unknown" if program.offered is None else "seen")
        return _line(end, MANAGER, program.point, self._at(program.point, program), self._manager)

    def draw_database(self, database: Database) -> None:
        if database.engine == "sqlite" or not database.ours:
            return
        how = "not encrypted"
        if database.encrypted:
            how = "Oracle's native encryption" if database.engine == "oracle" else "TLS"
        version = database.speaks if how == "TLS" else None
        self._lines.setdefault(Link(MANAGER, DATABASE, None, version, "talks", how), [])

    def finished(self) -> list[Line]:
        together: dict[Link, dict[Basis, list[Crowd]]] = {}
        for line, crowds in self._lines.items():
            together.setdefault(replace(line, basis="tabled"), {})[line.basis] = crowds
        found = (_merged(line, by_basis) for line, by_basis in together.items())
        return sorted(found, key=lambda line: _place(line.link))

    def _at(self, point: Point, one: Part | Program) -> _Floor:
        ordinary = self._floors[point]
        return _Floor(_excepted(ordinary, one.exceptions, point), ordinary)

    def _of_calls(self, part: Part) -> _Floor:
        """4120's floor also governs the manager's calls to 4118; the agent's own holds where it can enforce one."""
        called = self._at(Point.HEARTBEAT, part)
        version = parse_or_none(part.version)
        if version is None or not capability(part.kind, version).enforces:
            return called
        own = self._at(Point.AGENT, part)
        return _Floor(max(called.held, own.held), max(called.ordinary, own.ordinary))

    def _relays_of(self, part: Part) -> list[_RelayEnd]:
        """The relays of the part's group; all of them where it has none or its group is empty."""
        own = [relay for relay in self._relays if part.relay_group and relay.relay_group == part.relay_group]
        alike = {relay._replace(relay_group=None) for relay in own or self._relays}
        return sorted(alike, key=lambda relay: (relay.floor.rank, relay.newest.rank))


def _merged(line: Link, by_basis: Mapping[Basis, list[Crowd]]) -> Line:
    """One line for members that come to the same, some as seen and some by the table; it says how many of each."""
    crowds = tuple(crowd for found in by_basis.values() for crowd in found)
    if not crowds:  # the database, of which there is one
        return Line(replace(line, members=(line.to,)), ())
    counts = {basis: sum(crowd.count for crowd in found) for basis, found in by_basis.items()}
    members = sorted((name for crowd in crowds for name in crowd.names), key=str.casefold)
    weakest: Basis = next(basis for basis in ("unknown", "tabled", "seen") if basis in by_basis)
    count = sum(counts.values())
    reason = line.reason
    if len(by_basis) > 1:
        told = f"{counts['tabled']} of {count} by the table, not seen yet"
        reason = f"{reason}; {told}" if reason else told
    return Line(replace(line, basis=weakest, reason=reason, count=count, members=tuple(members[:_NAMED])), crowds)


def _line(end: _End, to: str, point: Point, floor: _Floor, served: Version, turned: bool = False) -> Link:
    """What two ends come to at a floor; `turned` where the manager is the one that calls."""
    version, state, reason = _settle(end, floor.held, served)
    excepted = version is not None and version < floor.ordinary
    if excepted:
        reason = f"by an exception from the floor {floor.ordinary}"
    from_, target = (to, end.group) if turned else (end.group, to)
    basis: Basis = "unknown" if state == "unknown" else end.basis
    return Link(from_, target, point, version, state, reason, basis, excepted=excepted)


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


def group_of(part: Part | Program) -> str:
    """The box of the picture that it stands in."""
    if isinstance(part, Program):
        if part.offered is None:
            return UNKNOWN_PROGRAMS
        return NEW_PROGRAMS if part.offered >= Version.TLS1_2 else OLD_PROGRAMS
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
