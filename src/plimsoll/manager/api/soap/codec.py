"""Declared types to XML and back. What arrives is read leniently, what leaves is exactly what the WSDL says.

Lenient: elements in any order, with or without our namespace; what is not declared is passed over; a missing list is
an empty one. Strict: numbers, dates and enumerations must be what they say, and nothing is nested deeper than `DEPTH`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from datetime import UTC, datetime
from typing import Any, Union

from lxml import etree

from plimsoll.manager.api.markup import Element, children, holdable, local
from plimsoll.manager.api.soap.names import wire
from plimsoll.manager.ports import BadInput

NAMESPACE = "urn:Manager"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
#: No type of ours comes near; a bomb does.
DEPTH = 16
_INT = range(-(2**31), 2**31)


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What a declaration says: the plain type, and whether there may be none, or many."""

    plain: Any
    optional: bool
    many: bool


def kind_of(declared: Any) -> Kind:
    """Reads ``T``, ``T | None`` and ``list[T]``."""
    origin = typing.get_origin(declared)
    if origin in (Union, types.UnionType):
        (inner,) = [one for one in typing.get_args(declared) if one is not type(None)]
        return Kind(inner, True, False)
    if origin is list:
        (inner,) = typing.get_args(declared)
        return Kind(inner, True, True)
    return Kind(declared, False, False)


@functools.cache
def fields_of(kind: type) -> tuple[tuple[str, str, Kind], ...]:
    """A type's fields: name in Python, name on the wire, kind."""
    hints = typing.get_type_hints(kind)
    return tuple(
        (one.name, str(one.metadata.get("wire") or wire(one.name)), kind_of(hints[one.name]))
        for one in dataclasses.fields(kind)
    )


def read_fields(parent: Element, declared: typing.Iterable[tuple[str, str, Kind]], depth: int = 0) -> dict[str, Any]:
    """The values of these fields. Raises BadInput, naming the element."""
    if depth > DEPTH:
        raise BadInput(f"elements are nested deeper than {DEPTH}; nothing was changed")
    found: dict[str, list[Element]] = {}
    for child in children(parent):
        if etree.QName(child).namespace in (NAMESPACE, None):
            found.setdefault(local(child), []).append(child)
    return {name: _field(called, kind, found.get(called, []), depth) for name, called, kind in declared}


def _field(called: str, kind: Kind, elements: list[Element], depth: int) -> Any:
    given = [element for element in elements if element.get(NIL) not in ("true", "1")]
    if kind.many:
        return [_value(called, kind.plain, element, depth) for element in given]
    if not given:
        if kind.optional:
            return None
        raise BadInput(f"{called} is missing; nothing was changed")
    if len(given) > 1:
        raise BadInput(f"{called} stands there {len(given)} times; nothing was changed")
    element = given[0]
    # Programs write an empty element where they have no value.
    if kind.optional and kind.plain is not str and not len(element) and not (element.text or "").strip():
        return None
    return _value(called, kind.plain, element, depth)


def _value(called: str, plain: Any, element: Element, depth: int) -> Any:
    if dataclasses.is_dataclass(plain):
        return plain(**read_fields(element, fields_of(typing.cast(type, plain)), depth + 1))  # type: ignore[operator]  # it is a class
    text = element.text or ""
    if plain is str:
        return text
    said = text.strip()
    try:
        return _plain(plain, said)
    except (ValueError, KeyError, OverflowError):
        raise BadInput(f"{called}: {said[:60]!r} is no {_named(plain)}; nothing was changed") from None


def _plain(plain: Any, text: str) -> Any:
    if plain is bool:
        return {"true": True, "1": True, "false": False, "0": False}[text]
    if plain is int:
        if not text.isascii() or int(text) not in _INT:
            raise ValueError(text)
        return int(text)
    if plain is datetime:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if isinstance(plain, type) and issubclass(plain, enum.StrEnum):
        return plain(text)
    raise TypeError(plain)


def _named(plain: Any) -> str:
    if isinstance(plain, type) and issubclass(plain, enum.StrEnum):
        return f"{plain.__name__} ({', '.join(one.value for one in plain)})"
    return {bool: "boolean", int: "number of 32 bits", datetime: "date and time (2026-12-31T18:00:00Z)"}[plain]


def write(parent: Element, called: str, declared: Any, value: Any) -> None:
    """Appends the value's element or elements. A list's own element is never nil: an empty one has no elements."""
    kind = declared if isinstance(declared, Kind) else kind_of(declared)
    values = value if kind.many else [] if value is None else [value]
    for one in values:
        element = etree.SubElement(parent, f"{{{NAMESPACE}}}{called}")
        if dataclasses.is_dataclass(one):
            for name, inner, inner_kind in fields_of(typing.cast(type, type(one))):
                write(element, inner, inner_kind, getattr(one, name))
        else:
            element.text = _text(one)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return holdable(str(value))
