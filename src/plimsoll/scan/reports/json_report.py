"""JSON: one document with a line for each endpoint, its reader, and its schema.

The document is an object: ``schema`` ("plimsoll-scan/1"), ``tool``, ``started``, ``endpoints`` (one report a line, the
fields of `plimsoll.scan.report.EndpointReport`; bytes in Base64, times in seconds since the epoch) and, last,
``finished`` and ``count``: a document without them was cut off. Within one schema number fields are only ever added;
docs/scan.md is its documentation, ``scan/data/plimsoll-scan-1.schema.json`` its JSON Schema.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Self

import msgspec

from plimsoll import RELEASE
from plimsoll.scan.grade import grade
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.scan.reports import Differences, Verdicts, no_verdicts
from plimsoll.scan.targets import endpoint_key

SCHEMA: Final = "plimsoll-scan/1"
#: The schema's file in this package.
SCHEMA_FILE: Final = "plimsoll-scan-1.schema.json"


class ReportError(Exception):
    """A file that is no report of ours. The text says why."""


@dataclass(frozen=True, slots=True)
class WrittenGrade:
    """One accepted version's letters, in the order of its suites, and its warnings."""

    letters: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenFinding:
    """What one rule of a profile came to: "holds", "does not hold" or "not proved"."""

    rule: str
    sentence: str
    source: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenVerdict:
    """What a required profile came to, rule by rule."""

    profile: str
    verdict: str
    source: str
    date: str
    findings: tuple[WrittenFinding, ...]


@dataclass(frozen=True, slots=True)
class WrittenChange:
    """A change since the earlier scan; `kind` is "opened", "closed", "changed" or "unproved"."""

    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Derived:
    """What stands beside an endpoint's observations. `changes` is null where nothing was compared."""

    grades: dict[str, WrittenGrade]
    verdicts: tuple[WrittenVerdict, ...] = ()
    changes: tuple[WrittenChange, ...] | None = None


class JsonWriter:
    """Writes the document. With `already`, a document of so many endpoints that was cut off goes on."""

    def __init__(
        self,
        out: IO[str],
        verdicts: Verdicts = no_verdicts,
        differences: Differences | None = None,
        already: int | None = None,
    ) -> None:
        self._out = out
        self._verdicts = verdicts
        self._differences = differences
        self._count = already or 0
        self._goes_on = already is not None

    def begin(self) -> None:
        if self._goes_on:
            return
        self._out.write(head(time.time()))

    def add(self, report: EndpointReport) -> None:
        line = line_of(report, self._verdicts, self._differences).decode()
        self._out.write(("\n" if not self._count else ",\n") + line)
        self._count += 1

    def end(self) -> None:
        self._out.write(tail(time.time(), self._count))


def head(began: float, tool: str = "plimsoll scan") -> str:
    """The document's first line, up to its endpoints. `began` is in seconds since the epoch."""
    said = {"schema": SCHEMA, "tool": {"name": tool, "version": RELEASE}, "started": began}
    return msgspec.json.encode(said).decode()[:-1] + ',"endpoints":['


def tail(finished: float, count: int) -> str:
    """The document's last line."""
    return f'\n],"finished":{finished},"count":{count}}}\n'


def line_of(report: EndpointReport, verdicts: Verdicts, differences: Differences | None = None) -> bytes:
    """One endpoint's line: what was observed, and beside it grades, verdicts and changes."""
    seen, beside = msgspec.json.encode(report), msgspec.json.encode(_derived(report, verdicts, differences))
    return seen[:-1] + b"," + beside[1:]


def _derived(report: EndpointReport, verdicts: Verdicts, differences: Differences | None) -> Derived:
    grades = {
        version.value: WrittenGrade(tuple(one.letter for one in graded.suites), graded.warnings)
        for version, graded in grade(report).items()
    }
    written = tuple(
        WrittenVerdict(
            said.profile.name,
            said.verdict.value,
            said.profile.source,
            said.profile.date,
            tuple(
                WrittenFinding(one.rule.id, one.rule.sentence, one.rule.source, one.verdict.value, one.reasons)
                for one in said.findings
            ),
        )
        for said in verdicts(report)
    )
    changes = None
    if differences is not None:
        found = differences(report).changes
        changes = tuple(WrittenChange(one.kind.value, one.subject, one.text) for one in found)
    return Derived(grades, written, changes)


# Reading


class _Addressed(msgspec.Struct):
    target: Target


class _Head(msgspec.Struct):
    schema: str
    started: float


def started(path: Path) -> float:
    """When the scan of a document began. Raises ReportError where it is no document of ours."""
    with _Naming(path), path.open("rb") as file:
        return _head(path, file.readline()).started


def load(path: Path) -> Iterator[EndpointReport]:
    """The reports of a document, one by one. Raises ReportError, also where the document was cut off."""
    decoder = msgspec.json.Decoder(EndpointReport)
    with _Naming(path), path.open("rb") as file:
        for _, line in _lines(path, file):
            yield decoder.decode(line)


def load_part(path: Path, count: int) -> Iterator[EndpointReport]:
    """The first reports of a document that is not ended yet. Raises ReportError."""
    decoder = msgspec.json.Decoder(EndpointReport)
    with _Naming(path), path.open("rb") as file:
        _head(path, file.readline())
        for line in islice(file, count):
            yield decoder.decode(line.rstrip().removesuffix(b","))


class Archive:
    """An earlier scan, its reports found by their endpoint: sixteen bytes an endpoint in memory. Use with ``with``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(EndpointReport)
        self._targets = msgspec.json.Decoder(_Addressed)
        self.started = started(path)
        self._file = path.open("rb")
        try:
            with _Naming(path):
                keys, places = array("Q"), array("Q")
                for at, line in _lines(path, self._file):
                    keys.append(endpoint_key(self._targets.decode(line).target))
                    places.append(at)
        except ReportError:
            self._file.close()
            raise
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = array("Q", map(keys.__getitem__, order))
        self._places = array("Q", map(places.__getitem__, order))
        self._used = bytearray(len(order))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, target: Target) -> EndpointReport | None:
        """The report of that endpoint, or None."""
        key = endpoint_key(target)
        place = bisect_left(self._keys, key)
        if place == len(self._keys) or self._keys[place] != key:
            return None
        self._used[place] = 1
        with _Naming(self._path):
            report = self._decoder.decode(self._line(place))
        return report if report.target == target else None

    def rest(self) -> Iterator[Target]:
        """The endpoints that nobody asked for."""
        for place, used in enumerate(self._used):
            if not used:
                yield self._targets.decode(self._line(place)).target

    def _line(self, place: int) -> bytes:
        self._file.seek(self._places[place])
        return self._file.readline().rstrip().removesuffix(b",")


class Unfinished:
    """A document that was cut off, as it can go on: how much of it is whole, and how many endpoints that has."""

    def __init__(self, path: Path) -> None:
        self.length = 0
        self.count = 0
        self.last: Target | None = None
        decoder = msgspec.json.Decoder(_Addressed)
        with _Naming(path), path.open("rb") as file:
            head = file.readline()
            _head(path, head)
            end = len(head) - (1 if head.endswith(b"\n") else 0)
            self.before = self.length = end
            for line in file:
                text = line.rstrip().removesuffix(b",")
                if line.startswith(b"]") or not text.endswith(b"}"):
                    break
                try:
                    self.last = decoder.decode(text).target
                except msgspec.DecodeError:
                    break
                self.before = self.length
                self.length = end + 1 + len(text)
                end += len(line)
                self.count += 1


def _head(path: Path, line: bytes) -> _Head:
    if line.startswith(f'{{"schema":"{SCHEMA}"'.encode()):
        text = line.rstrip()
        try:
            return msgspec.json.decode(text + b"]}" if text.endswith(b"[") else text, type=_Head)
        except msgspec.DecodeError as error:
            raise ReportError(f"{path} has a head that cannot be read: {error}") from error
    raise ReportError(f"{path} is no {SCHEMA} document")


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Where each endpoint's line begins, and its JSON."""
    head = file.readline()
    _head(path, head)
    at = len(head)
    for line in file:
        if line.startswith(b"]"):
            return
        yield at, line.rstrip().removesuffix(b",")
        at += len(line)
    raise ReportError(f"{path} was cut off: its end is missing; the scan can go on with --resume")


class _Naming:
    """Errors of files and of JSON, as ReportError with the path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError):
            raise ReportError(f"{self._path}: {error.strerror}") from error
        if isinstance(error, msgspec.DecodeError):
            raise ReportError(f"{self._path} holds a report that cannot be read: {error}") from error


def schema_text() -> str:
    """The schema as its file has it."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, made from the types that are written."""
    types = (EndpointReport, Derived)
    (seen, derived), components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    for component in components.values():
        component.pop("description", None)  # it is the text of our source, which may change with every release
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "What plimsoll scan observed; times in seconds since the epoch, bytes in Base64.",
        "type": "object",
        "required": ["schema", "tool", "started", "endpoints", "finished", "count"],
        "properties": {
            "schema": {"const": SCHEMA},
            "tool": {"type": "object", "properties": {"name": {"type": "string"}, "version": {"type": "string"}}},
            "started": {"type": "number"},
            "endpoints": {"type": "array", "items": {"allOf": [seen, derived]}},
            "finished": {"type": "number"},
            "count": {"type": "integer"},
        },
        "$defs": components,
    }
