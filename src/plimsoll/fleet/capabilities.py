"""The capability table: what each version of each part can do (R3), read from `data/*.toml`,
or from a newer table that was imported as signed software.

A table is checked when it is loaded: unknown names, gaps between rows, overlaps and missing sources are errors that
say which row. Capability is what the *table* says; what was seen in a handshake is `Observed`, and beats it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any

from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.fleet.kinds import Capability
from plimsoll.tls.versions import UnknownVersionError, Version

#: The kinds that have rows; a database's abilities are not a matter of our versions (R4).
COMPONENTS: tuple[str, ...] = ("manager", "relay", "agent", "appliance")

_START = ComponentVersion(0, 0)
_ROW_FIELDS = {"component", "from", "below", "lowest", "highest", "enforces", "source", "date", "note"}
_BUILD_FIELDS = {"component", "release", "build", "update", "source", "date"}
_PLATFORM_FIELDS = {"name", "match", "newest", "source", "date", "note"}


class CapabilityTableError(ValueError):
    """A capability table that cannot be used. The message names the row and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the versions from `start` (included) to `below` (excluded, None: open) of a component can do."""

    component: str
    start: ComponentVersion
    below: ComponentVersion | None
    capability: Capability

    def covers(self, version: ComponentVersion) -> bool:
        return self.start.level <= version.level and (self.below is None or version.level < self.below.level)


@dataclass(frozen=True, slots=True)
class Build:
    """From this build on, a component of that release has at least that update level."""

    component: str
    release: tuple[int, int]
    build: int
    update: int


@dataclass(frozen=True, slots=True)
class PlatformRow:
    """The newest agent that exists for a platform."""

    name: str
    match: tuple[str, ...]
    newest: ComponentVersion
    source: str
    date: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class CapabilityTable:
    """All rows, checked."""

    rows: tuple[Row, ...]
    builds: tuple[Build, ...] = ()
    platforms: tuple[PlatformRow, ...] = ()
    _by_component: Mapping[str, tuple[Row, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped = {
            component: tuple(
                sorted((row for row in self.rows if row.component == component), key=lambda row: row.start.level)
            )
            for component in COMPONENTS
        }
        for component, rows in grouped.items():
            _check_touching(component, rows)
        object.__setattr__(self, "_by_component", grouped)

    @classmethod
    def parse(cls, capabilities: str, platforms: str = "") -> CapabilityTable:
        """Read the two TOML texts. Raises CapabilityTableError."""
        data, more = _toml(capabilities, "capabilities"), _toml(platforms, "platforms")
        return cls(
            rows=tuple(_row(place, entry) for place, entry in _entries(data, "row")),
            builds=tuple(_build(place, entry) for place, entry in _entries(data, "build")),
            platforms=tuple(_platform(place, entry) for place, entry in _entries(more, "platform")),
        )

    def lookup(self, kind: str, version: ComponentVersion) -> Capability:
        """What that version of that kind can do. Raises CapabilityTableError for a kind that has no rows."""
        rows = self._by_component.get(kind)
        if rows is None:
            raise CapabilityTableError(f"no capability rows for {kind!r}; known are {', '.join(COMPONENTS)}")
        settled = self._with_update_level(kind, version)
        return next(row.capability for row in rows if row.covers(settled))

    def first_able(self, kind: str, target: Version, *, enforcing: bool = False) -> ComponentVersion | None:
        """The oldest version from which on the kind speaks (and, if asked, can enforce) the target, or None."""
        found: ComponentVersion | None = None
        for row in self._by_component[kind]:
            able = row.capability.speaks_to >= target and (row.capability.enforces is True or not enforcing)
            found = (found or row.start) if able else None
        return found

    def platform(self, text: str | None) -> PlatformRow | None:
        """The row for a platform as an inventory names it, or None: unknown stays unknown."""
        name = (text or "").casefold()
        matches = [(len(start), row) for row in self.platforms for start in row.match if name.startswith(start)]
        return max(matches, key=lambda match: match[0])[1] if matches else None

    def _with_update_level(self, kind: str, version: ComponentVersion) -> ComponentVersion:
        """The version with the update level that its build number means, where that is on record for its kind."""
        if version.update is not None or version.build is None:
            return version
        updates = [
            known.update
            for known in self.builds
            if known.component == kind and known.release == version.major_minor and known.build <= version.build
        ]
        if not updates:
            return version
        return ComponentVersion(version.major, version.minor, version.patch, max(updates), version.build, version.text)


@cache
def shipped() -> CapabilityTable:
    """The table that ships with this release."""
    data = resources.files("plimsoll.fleet") / "data"
    return CapabilityTable.parse(
        (data / "capabilities.toml").read_text("utf-8"), (data / "platforms.toml").read_text("utf-8")
    )


_imported: CapabilityTable | None = None


def table() -> CapabilityTable:
    """The table that counts: one that was imported, else the one that ships with this release."""
    return _imported or shipped()


def use(imported: CapabilityTable | None) -> None:
    """From now on every judgement of this process goes by that table; None goes back to the shipped one."""
    global _imported
    _imported = imported
    capability.cache_clear()


@lru_cache(maxsize=4096)
def capability(kind: str, version: ComponentVersion | str) -> Capability:
    """What the table says of that version. Raises UnknownComponentVersionError for a text that is none."""
    known = ComponentVersion.parse(version) if isinstance(version, str) else version
    return table().lookup(kind, known)


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CapabilityTableError(f"{name}: not TOML: {error}") from error


def _entries(data: Mapping[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name} {number}", entry) for number, entry in enumerate(data.get(name, []), start=1)]


def _row(place: str, entry: dict[str, Any]) -> Row:
    _check_fields(place, entry, _ROW_FIELDS, optional={"below", "note"})
    start = _version(place, "from", entry["from"])
    below = _version(place, "below", entry["below"]) if "below" in entry else None
    lowest, highest = _tls(place, entry["lowest"]), _tls(place, entry["highest"])
    if below is not None and below.level <= start.level:
        raise CapabilityTableError(f"{place}: 'below' {below} is not above 'from' {start}")
    if highest < lowest:
        raise CapabilityTableError(f"{place}: 'highest' {highest} is below 'lowest' {lowest}")
    if not isinstance(entry["enforces"], bool):
        raise CapabilityTableError(f"{place}: 'enforces' is true or false, not {entry['enforces']!r}")
    capability = Capability(lowest, highest, entry["enforces"], entry["source"], entry["date"], entry.get("note", ""))
    return Row(_component(place, entry), start, below, capability)


def _build(place: str, entry: dict[str, Any]) -> Build:
    _check_fields(place, entry, _BUILD_FIELDS, optional=set())
    release = _version(place, "release", entry["release"])
    if not isinstance(entry["build"], int) or not isinstance(entry["update"], int):
        raise CapabilityTableError(f"{place}: 'build' and 'update' are numbers")
    return Build(_component(place, entry), release.major_minor, entry["build"], entry["update"])


def _platform(place: str, entry: dict[str, Any]) -> PlatformRow:
    _check_fields(place, entry, _PLATFORM_FIELDS, optional={"note"})
    starts = entry["match"]
    if not isinstance(starts, list) or not starts or not all(isinstance(start, str) and start for start in starts):
        raise CapabilityTableError(f"{place}: 'match' lists the beginnings of platform names, none of them empty")
    newest = _version(place, "newest", entry["newest"])
    match = tuple(start.casefold() for start in starts)
    return PlatformRow(entry["name"], match, newest, entry["source"], entry["date"], entry.get("note", ""))


def _check_fields(place: str, entry: dict[str, Any], fields: set[str], optional: set[str]) -> None:
    if unknown := sorted(entry.keys() - fields):
        raise CapabilityTableError(f"{place}: unknown field {unknown[0]!r}; known are {', '.join(sorted(fields))}")
    if missing := sorted(fields - optional - entry.keys()):
        raise CapabilityTableError(f"{place}: {missing[0]!r} is missing")
    for name in ("source", "date"):
        if not isinstance(entry[name], str) or not entry[name]:
            raise CapabilityTableError(f"{place}: {name!r} says nothing; every row names its source and date")


def _component(place: str, entry: dict[str, Any]) -> str:
    component = entry["component"]
    if component not in COMPONENTS:
        raise CapabilityTableError(f"{place}: unknown component {component!r}; known are {', '.join(COMPONENTS)}")
    return str(component)


def _version(place: str, name: str, text: str) -> ComponentVersion:
    try:
        return ComponentVersion.parse(text)
    except UnknownComponentVersionError as error:
        raise CapabilityTableError(f"{place}: {name!r}: {error}") from error


def _tls(place: str, name: str) -> Version:
    try:
        return Version.parse_floor(name)
    except UnknownVersionError as error:
        raise CapabilityTableError(f"{place}: {error}") from error


def _check_touching(component: str, rows: Sequence[Row]) -> None:
    if not rows:
        raise CapabilityTableError(f"{component}: no row at all")
    if rows[0].start.level != _START.level:
        raise CapabilityTableError(f"{component}: nothing covers the versions below {rows[0].start}")
    for earlier, later in pairwise(rows):
        if earlier.below is None or earlier.below.level > later.start.level:
            raise CapabilityTableError(f"{component}: the rows from {earlier.start} and {later.start} overlap")
        if earlier.below.level < later.start.level:
            raise CapabilityTableError(f"{component}: nothing covers {earlier.below} up to {later.start}")
    if rows[-1].below is not None:
        raise CapabilityTableError(f"{component}: nothing covers {rows[-1].below} and newer")
