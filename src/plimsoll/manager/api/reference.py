"""The description of REST as people read it: for the page at /api/docs and for `docs/reference`. Pure.

Whatever stands there comes from the description, so that neither can say something else than the application.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from plimsoll.manager.api.description import operations
from plimsoll.manager.api.examples import EXAMPLES

_PREFIX: Final = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter or a field. `shapes` are the shapes that its type names."""

    name: str
    kind: str
    text: str
    required: bool
    where: str = ""
    shapes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """`answer` is its shape's name, or the content type of what is no JSON. `curl` is a line that a test runs."""

    id: str
    method: str
    path: str
    text: str
    parameters: tuple[Row, ...]
    body: tuple[Row, ...]
    body_text: str
    answer: str
    answer_shapes: tuple[str, ...]
    success: str
    refusals: tuple[str, ...]
    curl: str
    status: int | None
    why: str


@dataclass(frozen=True, slots=True)
class ShapeView:
    name: str
    text: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Operations of one subject, and the shapes that their answers are made of."""

    name: str
    text: str
    operations: tuple[Operation, ...]
    shapes: tuple[ShapeView, ...]


def sections(described: dict[str, Any]) -> tuple[Section, ...]:
    schemas: dict[str, Any] = described["components"]["schemas"]
    found = []
    for tag in described["tags"]:
        own = [
            _operation(method, path, one, schemas)
            for method, path, one in operations(described)
            if tag["name"] in one.get("tags", ())
        ]
        used = _reached({name for one in own for name in one.answer_shapes}, schemas)
        shapes = tuple(ShapeView(name, _text(schemas[name]), _rows(schemas[name])) for name in sorted(used))
        found.append(Section(tag["name"], tag.get("description", ""), tuple(own), shapes))
    return tuple(found)


def _operation(method: str, path: str, one: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    example = EXAMPLES.get(one["operationId"])
    body = _content(one.get("requestBody", {}))
    success = next(status for status in one["responses"] if status.startswith("2"))
    kind, answer = _content(one["responses"][success])
    streams = kind == "text/event-stream"
    return Operation(
        id=one["operationId"],
        method=method,
        path=path,
        text=one.get("description", "") or one.get("summary", ""),
        parameters=tuple(_parameter(given) for given in one.get("parameters", ()) if "$ref" not in given),
        body=_rows(_resolved(body[1], schemas)) if body[0] == "application/json" else (),
        body_text=_text(_resolved(body[1], schemas)) if body[0] == "application/json" else body[0],
        answer=_said(answer) if kind == "application/json" else kind,
        answer_shapes=tuple(_named(answer)),
        success=success,
        refusals=tuple(status for status in one["responses"] if not status.startswith("2")),
        curl="" if example is None else example.curl(method, path, streams=streams),
        status=None if example is None else example.status,
        why="" if example is None else example.why,
    )


def _content(holder: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    for kind, content in holder.get("content", {}).items():
        return kind, content.get("schema", {})
    return "", {}


def _parameter(given: dict[str, Any]) -> Row:
    schema = given.get("schema", {})
    return Row(
        given["name"], _said(schema), given.get("description", "") or _text(schema), given.get("required", False),
        given["in"], tuple(_named(schema)),
    )  # fmt: skip


def _rows(schema: dict[str, Any]) -> tuple[Row, ...]:
    required = set(schema.get("required", ()))
    return tuple(
        Row(name, _said(one), _text(one), name in required, shapes=tuple(_named(one)))
        for name, one in schema.get("properties", {}).items()
    )


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The object itself; of a body that may be left out, what it is where it is there."""
    for one in schema.get("anyOf", ()):
        if one.get("type") != "null":
            return _resolved(one, schemas)
    reference = schema.get("$ref", "")
    found: dict[str, Any] = schemas[reference.removeprefix(_PREFIX)] if reference else schema
    return found


def _text(schema: dict[str, Any]) -> str:
    said = str(schema.get("description", ""))
    if not said:
        for one in schema.get("anyOf", ()):
            said = said or str(one.get("description", ""))
    return " ".join(said.split())


def _said(schema: dict[str, Any]) -> str:
    """A type in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_PREFIX)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_said(one) for one in schema["anyOf"]))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{word}"' for word in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_said(schema.get('items', {}))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object of {_said(inner)}" if isinstance(inner, dict) and inner else "object"
    return _limited(str(kind), schema)


def _limited(kind: str, schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None and abs(high) >= 1 << 53 - 1:
        low, high = (None if low is not None and low < 0 else low), None
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    return f"{kind}, {low} or more" if low is not None else kind


def _named(schema: Any) -> Iterator[str]:
    """The shapes that a schema names itself."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_PREFIX)
        for inner in schema.values():
            yield from _named(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _named(inner)


def _reached(names: set[str], schemas: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _named(schemas[name].get("properties", {}))
    return found
