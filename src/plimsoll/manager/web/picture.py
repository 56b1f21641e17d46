"""The living picture as places on a sheet: what stands where, so that a template only writes it down. Pure.

Every line of the picture has a lane of its own, so that no two cross: programs and the database stand left of the
manager, computers right of it, relays right of the computers. What computers say to the manager goes left, what they
say to relays goes right, and what relays say to the manager goes above the computers.
"""

from __future__ import annotations

import math
import re
import textwrap
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from plimsoll.fleet.picture import (
    APPLIANCES,
    DATABASE,
    MANAGER,
    NEW_AGENTS,
    NEW_PROGRAMS,
    OLD_AGENTS,
    OLD_PROGRAMS,
    RELAYS,
    UNKNOWN_AGENTS,
    UNKNOWN_PROGRAMS,
    Link,
)
from plimsoll.manager.services.overview_views import PictureView
from plimsoll.manager.web.texts import count, plural
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

_LEFT = (NEW_PROGRAMS, OLD_PROGRAMS, UNKNOWN_PROGRAMS, DATABASE)
_COMPUTERS = (NEW_AGENTS, OLD_AGENTS, UNKNOWN_AGENTS, APPLIANCES)

#: Sizes in units of the drawing: one is about a pixel where there is room.
_BOX = 168
_GAP = 226
_MANAGER = 112
_RELAYS = 120
_LANE = 58
_PAD = 8
_BETWEEN = 14
_EDGE = 1
#: How many letters of a reason fit under a line.
_REASON = 34
_REASON_LINES = 2
_PARTLY = re.compile(r"([0-9]+) of [0-9]+ by the table, not seen yet")


@dataclass(frozen=True, slots=True)
class Box:
    """A group. `href` leads to its members; empty for what has none. `lines` are its name, a line of text each."""

    name: str
    lines: tuple[str, ...]
    note: str
    x: float
    y: float
    width: float
    height: float
    href: str

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line from `x1` to `x2` at the height `y`, with the arrow at `x2`, which is who is called.

    `kind` is a class of the sheet: the version's, ``refused`` or ``unknown``. `label` stands above it, `notes` below.
    `said` is all of it in one sentence.
    """

    link: Link
    x1: float
    x2: float
    y: float
    width: float
    kind: str
    label: str
    notes: tuple[str, ...]
    said: str
    href: str

    @property
    def tabled(self) -> bool:
        return tabled_alone(self.link)

    @property
    def middle(self) -> float:
        return (self.x1 + self.x2) / 2

    @property
    def arrow(self) -> str:
        """The points of the arrow's head."""
        back = self.x2 - math.copysign(11, self.x2 - self.x1)
        return f"{self.x2:g},{self.y:g} {back:g},{self.y - 6:g} {back:g},{self.y + 6:g}"

    @property
    def tip(self) -> float:
        """Where the line ends and the head of the arrow begins."""
        return self.x2 - math.copysign(10, self.x2 - self.x1)


@dataclass(frozen=True, slots=True)
class Row:
    """The same line for the list and the table."""

    link: Link
    stroke: Stroke
    port: str
    what: str


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    boxes: tuple[Box, ...]
    strokes: tuple[Stroke, ...]
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...]
    summary: str


def kind_of(link: Link) -> str:
    if link.state != "talks":
        return link.state
    return "plain" if link.version is None else version_class(link.version)


def version_class(version: Version) -> str:
    """Its class in the sheet: ``v10`` for TLS 1.0."""
    return {Version.TLS1_0: "v10", Version.TLS1_1: "v11", Version.TLS1_2: "v12", Version.TLS1_3: "v13"}.get(
        version, "v10"
    )


def draw(view: PictureView) -> Drawing:
    """Boxes and lines of this picture, and the same as rows."""
    sheet = _Sheet(view)
    sheet.place()
    strokes = tuple(sheet.strokes)
    kinds = {stroke.kind for stroke in strokes}
    legend = [
        (version_class(version), version.label)
        for version in reversed(Version)
        if version.rank >= Version.TLS1_0.rank and version_class(version) in kinds
    ]
    legend += [(kind, kind) for kind in ("refused", "unknown") if kind in kinds]
    rows = tuple(Row(stroke.link, stroke, sheet.port(stroke.link.point), _what(stroke.link)) for stroke in strokes)
    in_order = {id(link): place for place, link in enumerate(view.links)}
    rows = tuple(sorted(rows, key=lambda row: in_order[id(row.link)]))
    return Drawing(sheet.width, sheet.height, tuple(sheet.boxes), strokes, rows, tuple(legend), _summary(view))


class _Sheet:
    def __init__(self, view: PictureView) -> None:
        self.view = view
        self.boxes: list[Box] = []
        self.strokes: list[Stroke] = []
        names = {name for link in view.links for name in (link.from_, link.to)}
        left = _BOX + _GAP if names & set(_LEFT) else 0
        self.x_manager = _EDGE + left
        self.x_computers = self.x_manager + _MANAGER + _GAP
        self.x_relays = self.x_computers + _BOX + _GAP
        self._relays = [name for name in sorted(names) if name.startswith(RELAYS)]
        right = self.x_relays + _RELAYS if self._relays else self.x_computers + _BOX
        has_right = bool(self._relays or names & set(_COMPUTERS))
        self.width = (right if has_right else self.x_manager + _MANAGER) + _EDGE
        self.height = 0.0

    def place(self) -> None:
        left = self._column(_LEFT, self._left)
        # Relays talk to the manager above the computers, and listen at the height of those that call them.
        top = [link for link in self.view.links if {RELAYS, MANAGER} == {link.from_, link.to}]
        y = float(_EDGE)
        for link in top:
            at = self.x_relays, self.x_manager + _MANAGER
            self._stroke(link, at if link.from_ == RELAYS else (at[1], at[0]), y + _PAD)
            y += _LANE
        y += _BETWEEN if top else 0
        right = self._column(_COMPUTERS, self._right, y)
        self.height = max(left, right, y, float(_EDGE + 2 * _LANE)) + _EDGE
        self._box(MANAGER, self.x_manager, _EDGE, _MANAGER, self.height - 2 * _EDGE, "")
        if self._relays:
            # One box as high as the sheet; which floor which of them hold is said at the lines.
            self._box(RELAYS, self.x_relays, _EDGE, _RELAYS, self.height - 2 * _EDGE, _href(self.view, group=RELAYS))

    def _column(self, names: Iterable[str], place: Callable[[str, float], float], y: float = _EDGE) -> float:
        end = y
        for name in names:
            below = place(name, y)
            if below > y:
                end = below
                y = below + _BETWEEN
        return end

    def _left(self, name: str, y: float) -> float:
        found = [link for link in self.view.links if name in (link.from_, link.to)]
        if not found:
            return y
        top = y
        for link in found:
            ends = _EDGE + _BOX, self.x_manager
            self._stroke(link, ends if link.from_ == name else (ends[1], ends[0]), y + _PAD)
            y += _LANE
        self._box(name, _EDGE, top, _BOX, y - top, _href(self.view, group=name) if name != DATABASE else "")
        return y

    def _right(self, name: str, y: float) -> float:
        to_manager = [link for link in self.view.links if {name, MANAGER} == {link.from_, link.to}]
        to_relays = [link for link in self.view.links if link.from_ == name and link.to.startswith(RELAYS)]
        if not to_manager and not to_relays:
            return y
        for place, link in enumerate(to_manager):
            ends = self.x_computers, self.x_manager + _MANAGER
            self._stroke(link, ends if link.from_ == name else (ends[1], ends[0]), y + _PAD + place * _LANE)
        for place, link in enumerate(to_relays):
            self._stroke(link, (self.x_computers + _BOX, self.x_relays), y + _PAD + place * _LANE)
        below = y + _LANE * max(len(to_manager), len(to_relays))
        self._box(name, self.x_computers, y, _BOX, below - y, _href(self.view, group=name))
        return below

    def _box(self, name: str, x: float, y: float, width: float, height: float, href: str) -> None:
        members = self.view.groups.get(name)
        note = ""
        if members is not None:
            note = plural(members, "program" if name in _LEFT else "computer")
            if name == RELAYS:
                note = plural(members, "relay")
        elif name == MANAGER:
            note = " ".join(self.port(point) for point in (Point.GUI, Point.HEARTBEAT))
        room = int(width / 9.5)
        self.boxes.append(Box(name, tuple(textwrap.wrap(name, room)), note, x, y, width, height, href))

    def _stroke(self, link: Link, ends: tuple[float, float], y: float) -> None:
        reason = short(link)
        notes = textwrap.wrap(reason, _REASON) if reason else []
        if len(notes) > _REASON_LINES:
            notes = [*notes[: _REASON_LINES - 1], f"{notes[_REASON_LINES - 1][: _REASON - 2]} …"]
        self.strokes.append(
            Stroke(
                link,
                *ends,
                y + 14,
                round(1.5 + math.log10(max(link.count, 1)), 2),
                kind_of(link),
                " · ".join(filter(None, [_what(link), self.port(link.point), _count(link)])),
                tuple(notes),
                sentence(link, self.port(link.point)),
                "" if DATABASE in (link.from_, link.to) else href_of(self.view, link),
            )
        )

    def port(self, point: Point | None) -> str:
        return "" if point is None else str(self.view.ports[point])


def _count(link: Link) -> str:
    return "" if link.from_ == MANAGER and link.point is None else f"×\u202f{count(link.count)}"


def _what(link: Link) -> str:
    """The version, or what came of it instead."""
    if link.state != "talks":
        return "✗ refused" if link.state == "refused" else "? unknown"
    if link.version is None:
        return link.reason or "no TLS"
    return link.version.label


def short(link: Link) -> str:
    """What is to be said of a line beside its version, as short as a drawing needs it."""
    if link.point is None and link.version is None:
        return ""
    said = link.reason.replace("speaks at most", "at most").replace(", the floor is", ", floor")
    said = said.replace("is the newest that is served there", "is the newest served")
    said = _PARTLY.sub(r"\1 by the table", said)
    if tabled_alone(link):
        said = "by the table, not seen yet"
    where = link.to.removeprefix(f"{RELAYS} that ") if link.to.startswith(f"{RELAYS} that ") else ""
    return "; ".join(filter(None, [where, said]))


def tabled_alone(link: Link) -> bool:
    """Whether no member of a line was seen: it is what the table says that they can do."""
    return (
        link.state == "talks"
        and link.basis == "tabled"
        and link.point is not None
        and "by the table" not in link.reason
    )


def sentence(link: Link, port: str) -> str:
    """For those who do not see the drawing, and as a tip."""
    parts = [f"{link.from_} to {link.to}"]
    if port:
        parts.append(f"port {port}")
    if link.point is not None:
        parts.append(plural(link.count, "program" if link.from_ in _LEFT else "computer"))
    come = _what(link).removeprefix("✗ ").removeprefix("? ")
    if tabled_alone(link):
        come += " by the table, not seen yet"
    if link.reason and link.reason != come:
        come += f", {link.reason}"
    said = f"{', '.join(parts)}: {come}"
    if link.point is None or not link.members:
        return said
    return f"{said} ({', '.join(link.members)}{', …' if link.count > len(link.members) else ''})"


def href_of(view: PictureView, link: Link) -> str:
    """The page of those behind a line."""
    return _href(
        view,
        **{"from": link.from_, "to": link.to},
        point="" if link.point is None else link.point.value,
        version="" if link.version is None else link.version.value,
        state=link.state,
    )


def _href(view: PictureView, **query: str) -> str:
    if view.floor is not None:
        query["floor"] = view.floor.value
    return "/picture/members?" + urllib.parse.urlencode({name: value for name, value in query.items() if value})


def _summary(view: PictureView) -> str:
    """The picture in a sentence or two."""
    talks: dict[Version, int] = {}
    for link in view.links:
        if link.state == "talks" and link.version is not None and link.point is not None:
            talks[link.version] = talks.get(link.version, 0) + link.count
    said = [f"{count(number)} with {version.label}" for version, number in sorted(talks.items(), reverse=True)]
    refused = view.refused
    return (f"Talking: {', '.join(said)}. " if said else "Nobody talks to anybody yet. ") + (
        f"Refused: {count(refused)}." if refused else "Nobody is refused."
    )
