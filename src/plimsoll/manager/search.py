"""What a search asks: criteria over the fields of one kind of thing, in the reference's terms. Pure.

Rules of this file: all criteria must hold; a field has one kind, and a test of another kind is an error that says
which tests fit; texts are compared without regard to case, ``%`` stands for any characters and ``_`` for one where
wildcards are asked for, and a backslash before either takes its meaning away. A field without a value passes a test
for null and for "not equal", and no other.

`matches` judges values in memory, `store.search` writes the same as SQL; a test holds the two together.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError
from plimsoll.manager.ports import BadInput

#: What one page holds at most, and where nothing is said.
PAGE = 5000
#: More criteria, wildcards or characters than a person or a program means, and than a database likes to look for.
MOST_CRITERIA = 50
MOST_WILDCARDS = 20
MOST_CHARACTERS = 1000


class Kind(enum.StrEnum):
    """What a field holds, and so how it can be tested."""

    STRING = "string"
    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ID = "id"
    VERSION = "version"
    DATE = "date"


Op = Literal["less-than", "less-than-or-equal", "equal", "greater-than-or-equal", "greater-than", "not-equal"]
OPS: tuple[Op, ...] = (
    "less-than",
    "less-than-or-equal",
    "equal",
    "greater-than-or-equal",
    "greater-than",
    "not-equal",
)
EQUALITY: tuple[Op, ...] = ("equal", "not-equal")


@dataclass(frozen=True, slots=True)
class Field:
    """`choices` are the values that a field of that kind can have."""

    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """A string, number, boolean, choice, id or version against one value."""

    field: str
    kind: Kind
    op: Op
    value: Any
    wildcards: bool = False


@dataclass(frozen=True, slots=True)
class Within:
    """A date, in milliseconds since 1970, between two others; each end may be open, and belongs to it or not."""

    field: str
    first: int | None
    last: int | None
    first_inclusive: bool = False
    last_inclusive: bool = False


@dataclass(frozen=True, slots=True)
class IsNull:
    field: str
    null: bool


@dataclass(frozen=True, slots=True)
class OneOf:
    """A string, choice or id that is one of these, exactly; nothing is one of none."""

    field: str
    values: tuple[Any, ...]


Criterion = Compare | Within | IsNull | OneOf


@dataclass(frozen=True, slots=True)
class Given:
    """Computers that were given the same policy: all that decides whether something of it waits to be sent.

    `fingerprint` is that of what was given, empty where nothing was; the last three are a computer's own values.
    """

    policy_id: int
    fingerprint: str
    agent_floor: Any
    heartbeat_seconds: int | None
    missed_heartbeats: int | None
    direction: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """For whom something of the policy waits to be sent: `given` holds for all but relays, `relays` are ids.

    `total` is how many they are together.
    """

    given: tuple[Given, ...]
    relays: tuple[str, ...]
    total: int


#: What a list of computers can be sorted by: the name as people read it, without regard to case.
Order = Literal["number", "name", "last-seen"]
ORDERS: tuple[Order, ...] = ("name", "number", "last-seen")


@dataclass(frozen=True, slots=True)
class Search:
    """A page of at most `limit` of what passes all criteria, in the order of IDs.

    Of computers also: each of `words` stands in name, address, version or platform, without regard to the case of
    ASCII; `waiting` narrows to those; another `order` (last-seen: newest first); `after`, the place (`Place`) of the
    last one of the page before.
    """

    criteria: tuple[Criterion, ...] = ()
    limit: int = PAGE
    words: tuple[str, ...] = ()
    waiting: Waiting | None = None
    order: Order = "number"
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where one computer stands in an order. `key` is a name, seconds since 1970, or None in the order of numbers."""

    number: int
    key: str | float | None = None


def check(criteria: Sequence[Criterion], fields: Mapping[str, Field]) -> None:
    """Raises BadInput where a criterion does not fit: no such field, another kind, a choice that is none."""
    if len(criteria) > MOST_CRITERIA:
        raise BadInput(f"a search has at most {MOST_CRITERIA} criteria, not {len(criteria)}; nothing was searched")
    for one in criteria:
        known = fields.get(one.field)
        if known is None:
            raise BadInput(
                f"there is no field {one.field!r} to search by; there are {', '.join(sorted(fields))}."
                " Nothing was searched"
            )
        if isinstance(one, IsNull | OneOf):
            continue
        kind = Kind.DATE if isinstance(one, Within) else one.kind
        # A program that knows a choice as a string, or an id as a number, means the same.
        if kind is not known.kind and (kind, known.kind) not in _ALSO:
            raise BadInput(
                f"{one.field} is a {known.kind} field: test it by {_tests(known.kind)}; nothing was searched"
            )
        if isinstance(one, Compare):
            _check_value(one, known)


_ALSO = {(Kind.STRING, Kind.CHOICE), (Kind.NUMERIC, Kind.ID), (Kind.ID, Kind.NUMERIC), (Kind.STRING, Kind.VERSION)}


def _tests(kind: Kind) -> str:
    if kind is Kind.DATE:
        return "firstDateValue and lastDateValue"
    return f"{kind}Test" + ("" if kind is Kind.BOOLEAN else f" and {kind}Value")


def _check_value(one: Compare, known: Field) -> None:
    if one.kind in (Kind.STRING, Kind.CHOICE, Kind.BOOLEAN) and one.op not in EQUALITY:
        raise BadInput(f"{one.field} can be equal or not-equal, not {one.op}; nothing was searched")
    if known.kind is Kind.CHOICE and not one.wildcards and one.value not in known.choices:
        raise BadInput(f"{one.field} is one of {', '.join(known.choices)}, not {one.value!r}; nothing was searched")
    if known.kind is Kind.VERSION and one.kind is Kind.VERSION:
        version(one.value)
    if isinstance(one.value, str):
        if len(one.value) > MOST_CHARACTERS:
            raise BadInput(f"a text to search for has at most {MOST_CHARACTERS} characters; nothing was searched")
        if one.wildcards and one.value.count("%") > MOST_WILDCARDS:
            raise BadInput(f"a text to search for has at most {MOST_WILDCARDS} times %; nothing was searched")


def version(text: str) -> ComponentVersion:
    """Raises BadInput for what is no version."""
    try:
        return ComponentVersion.parse(text)
    except UnknownComponentVersionError as error:
        raise BadInput(f"{error}; nothing was searched") from None


def page(items: Iterable[Mapping[str, Any]], fields: Mapping[str, Field], search: Search) -> list[Any]:
    """The items that pass, in the order of their IDs: for kinds of things of which there are few."""
    check(search.criteria, fields)
    found = [item for item in items if all(matches(value_of(item, one.field), one) for one in search.criteria)]
    return sorted(found, key=lambda item: item["ID"])[: search.limit]


def value_of(item: Mapping[str, Any], field: str) -> Any:
    """A field's value; a dot or slash leads into a part of it."""
    at: Any = item
    for name in re.split("[./]", field):
        at = at.get(name) if isinstance(at, Mapping) else None
    return at


def matches(value: Any, criterion: Criterion) -> bool:
    """Whether one value passes."""
    if isinstance(criterion, IsNull):
        return (value is None) is criterion.null
    if isinstance(criterion, Within):
        return value is not None and _within(value, criterion)
    if isinstance(criterion, OneOf):
        return value in criterion.values
    if value is None:
        return criterion.op == "not-equal"
    if criterion.kind is Kind.STRING and isinstance(value, str):
        same = like(criterion.value) if criterion.wildcards else exactly(criterion.value)
        return (same.fullmatch(value) is not None) is (criterion.op == "equal")
    if criterion.kind is Kind.VERSION:
        return version_matches(value, criterion)
    return compare(value, criterion.op, criterion.value)


def version_matches(stored: str, criterion: Compare) -> bool:
    """A stored text that is no version, or none at all, lies below every version."""
    try:
        key = ComponentVersion.parse(stored).key
    except UnknownComponentVersionError:
        key = (-1, -1, -1, -1, -1)
    return compare(key, criterion.op, version(criterion.value).key)


def compare(value: Any, op: Op, other: Any) -> bool:
    match op:
        case "less-than":
            return bool(value < other)
        case "less-than-or-equal":
            return bool(value <= other)
        case "equal":
            return bool(value == other)
        case "greater-than-or-equal":
            return bool(value >= other)
        case "greater-than":
            return bool(value > other)
        case "not-equal":
            return bool(value != other)


def _within(value: int, one: Within) -> bool:
    if one.first is not None and (value < one.first or (value == one.first and not one.first_inclusive)):
        return False
    return one.last is None or value < one.last or (value == one.last and one.last_inclusive)


def tokens(pattern: str) -> list[str]:
    """The pattern in pieces: ``%`` and ``_`` as they are, every other character behind a backslash."""
    found: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char == "\\":
            found.append("\\" + next(characters, "\\"))
        elif char in "%_":
            found.append(char)
        else:
            found.append("\\" + char)
    return found


@lru_cache(maxsize=64)
def like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    text = "".join(parts.get(one) or re.escape(one[1]) for one in tokens(pattern))
    return re.compile(text, re.IGNORECASE | re.DOTALL | re.ASCII)


def exactly(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text), re.IGNORECASE | re.DOTALL | re.ASCII)
