"""A search as SQL: the same answers as `manager.search` gives in memory, in whatever database."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, collate, false, func, not_, or_, select

from plimsoll.manager.search import Compare, Criterion, IsNull, Kind, OneOf, Within, tokens, version_matches

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "less-than": operator.lt,
    "less-than-or-equal": operator.le,
    "equal": operator.eq,
    "greater-than-or-equal": operator.ge,
    "greater-than": operator.gt,
    "not-equal": operator.ne,
}

#: Every field that can be searched, and what it is made of. A date's column holds seconds.
Columns = Mapping[str, ColumnElement[Any]]


def conditions(connection: Connection, columns: Columns, criteria: Sequence[Criterion]) -> list[ColumnElement[bool]]:
    """One condition a criterion; all of them must hold. The criteria fit the fields: `search.check` saw to that."""
    return [_condition(connection, columns[one.field], one) for one in criteria]


def _condition(connection: Connection, column: ColumnElement[Any], one: Criterion) -> ColumnElement[bool]:
    if isinstance(one, IsNull):
        return column.is_(None) if one.null else column.is_not(None)
    if isinstance(one, Within):
        return _within(column, one)
    if isinstance(one, OneOf):
        return column.in_(one.values) if one.values else false()
    if one.kind is Kind.VERSION:
        return _version(connection, column, one)
    if one.kind is Kind.STRING:
        return _text(connection, column, one)
    test: ColumnElement[bool] = _OPERATORS[one.op](column, one.value)
    return or_(test, column.is_(None)) if one.op == "not-equal" else test


def _within(column: ColumnElement[Any], one: Within) -> ColumnElement[bool]:
    """Answers show whole milliseconds, cut off: so they are compared, by the milliseconds around them."""
    exact = column * 1000.0
    tests: list[ColumnElement[bool]] = [column.is_not(None)]
    if one.first is not None:
        tests.append(exact >= (one.first if one.first_inclusive else one.first + 1))
    if one.last is not None:
        tests.append(exact < (one.last + 1 if one.last_inclusive else one.last))
    return and_(*tests)


def _text(connection: Connection, column: ColumnElement[Any], one: Compare) -> ColumnElement[bool]:
    # The letters of ASCII and no others, as SQLite does it by itself.
    plain = connection.dialect.name == "sqlite"
    lowered = func.lower(column if plain else collate(column, "C"))
    test: ColumnElement[bool]
    if one.wildcards:
        pattern = "".join(token if len(token) == 1 else _plain(token[1]) for token in tokens(one.value))
        test = lowered.like(_lower(pattern), escape="\\")
    else:
        test = lowered == _lower(one.value)
    return test if one.op == "equal" else or_(not_(test), column.is_(None))


def holds(connection: Connection, columns: Sequence[ColumnElement[Any]], word: str) -> ColumnElement[bool]:
    """Whether the word stands in one of the columns, without regard to the case of ASCII."""
    pattern = f"%{''.join(map(_plain, _lower(word)))}%"
    # SQLite's LIKE passes over that case by itself, and faster than it can be done before.
    plain = connection.dialect.name == "sqlite"
    return or_(*((one if plain else func.lower(collate(one, "C"))).like(pattern, escape="\\") for one in columns))


def _plain(char: str) -> str:
    return "\\" + char if char in "%_\\" else char


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _version(connection: Connection, column: ColumnElement[Any], one: Compare) -> ColumnElement[bool]:
    """Of the versions that there are, which are few, those that pass."""
    passing = [text for text in connection.scalars(select(column).distinct()) if version_matches(text, one)]
    return column.in_(passing) if passing else false()
