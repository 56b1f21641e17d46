"""JSON: one document with a line for each endpoint, and its reader.

The document is an object: ``schema`` ("plimsoll-scan/1"), ``tool``, ``started``, ``endpoints`` (one report a line, the
fields of `plimsoll.scan.report.EndpointReport`; bytes in Base64, times in seconds since the epoch) and, last,
``finished`` and ``count``: a document without them was cut off. Within one schema number fields are only ever added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from plimsoll import RELEASE
from plimsoll.scan.report import EndpointReport

SCHEMA: Final = "plimsoll-scan/1"


class ReportError(Exception):
    """A file that is no report of ours. The text says why."""


class JsonWriter:
    """Writes the document. `verdicts` gives what each report's object carries besides, under "verdicts"."""

    def __init__(self, out: IO[str], verdicts: Callable[[EndpointReport], list[dict[str, Any]]] | None = None) -> None:
        self._out = out
        self._verdicts = verdicts
        self._count = 0

    def begin(self) -> None:
        head = {"schema": SCHEMA, "tool": {"name": "plimsoll scan", "version": RELEASE}, "started": time.time()}
        self._out.write(msgspec.json.encode(head).decode()[:-1] + ',"endpoints":[')

    def add(self, report: EndpointReport) -> None:
        line = msgspec.json.encode(report).decode()
        if self._verdicts is not None:
            line = f'{line[:-1]},"verdicts":{msgspec.json.encode(self._verdicts(report)).decode()}}}'
        self._out.write(("\n" if not self._count else ",\n") + line)
        self._count += 1

    def end(self) -> None:
        self._out.write(f'\n],"finished":{time.time()},"count":{self._count}}}\n')


def read(path: Path) -> Iterator[EndpointReport]:
    """The reports of a document, one by one. Raises ReportError."""
    decoder = msgspec.json.Decoder(EndpointReport)
    try:
        with path.open(encoding="utf-8") as file:
            head = file.readline()
            if not head.startswith(f'{{"schema":"{SCHEMA}"'):
                raise ReportError(f"{path} is no {SCHEMA} document")
            for line in file:
                if line.startswith("]"):
                    return
                yield decoder.decode(line.rstrip().removesuffix(","))
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: {error}") from error
    except msgspec.DecodeError as error:
        raise ReportError(f"{path} holds a report that cannot be read: {error}") from error
    raise ReportError(f"{path} was cut off: its end is missing")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, made from the types that are written."""
    (reference,), components = msgspec.json.schema_components([EndpointReport], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "type": "object",
        "required": ["schema", "tool", "started", "endpoints", "finished", "count"],
        "properties": {
            "schema": {"const": SCHEMA},
            "tool": {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}}},
            "started": {"type": "number"},
            "endpoints": {"type": "array", "items": reference},
            "finished": {"type": "number"},
            "count": {"type": "integer"},
        },
        "$defs": components,
    }
