"""CSV (RFC 4180): a line for each endpoint and version, for spreadsheets."""

from __future__ import annotations

import csv
from typing import IO, Final

from plimsoll.scan.grade import grade
from plimsoll.scan.report import EndpointReport
from plimsoll.scan.reports import Verdicts, no_verdicts
from plimsoll.scan.reports.text import day, printable, utc

COLUMNS: Final = (
    "host", "port", "address", "opening", "server_name", "time", "state", "version", "outcome", "evidence",
    "preference", "suites", "letters", "groups", "certificate_subject", "certificate_not_after", "certificate_trust",
    "verdicts", "note",
)  # fmt: skip
#: What a spreadsheet would take for a formula when a server's words begin with it.
_FORMULA: Final = ("=", "+", "-", "@")


class CsvWriter:
    """Writes the lines. Lists within a cell are separated by a semicolon; times are UTC."""

    def __init__(self, out: IO[str], verdicts: Verdicts = no_verdicts, *, heading: bool = True) -> None:
        self._rows = csv.writer(out)
        self._verdicts = verdicts
        self._heading = heading

    def begin(self) -> None:
        if self._heading:
            self._rows.writerow(COLUMNS)

    def add(self, report: EndpointReport) -> None:
        target = report.target
        grades = grade(report)
        said = "; ".join(f"{one.profile.name}: {one.verdict.value}" for one in self._verdicts(report))
        for seen in sorted(report.versions.values(), key=lambda seen: seen.version):
            graded = grades.get(seen.version)
            served = [leaf for leaf in report.certificates if seen.version in leaf.seen_with]
            row = (
                target.host, target.port, report.address, target.opening, target.server_name, utc(report.started),
                report.state.value, seen.version.label, seen.outcome.value, "; ".join(seen.evidence),
                seen.preference.value, "; ".join(suite.name for suite in seen.suites),
                "; ".join(one.letter for one in graded.suites) if graded is not None else "",
                "; ".join(group.name for group in seen.groups), "; ".join(leaf.subject for leaf in served),
                "; ".join(day(leaf.not_after) for leaf in served), "; ".join(leaf.trust for leaf in served),
                said, report.note,
            )  # fmt: skip
            self._rows.writerow([_plain(cell) for cell in row])

    def end(self) -> None:
        """There is nothing to end."""


def _plain(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return f"'{printable(cell)}" if cell.startswith(_FORMULA) else printable(cell)
