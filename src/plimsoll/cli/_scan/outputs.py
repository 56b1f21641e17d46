"""Where the result of `plimsoll scan` goes, and in which form. Each form is imported only where it is asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from plimsoll.cli._scan import USAGE, StopError
from plimsoll.scan.report import EndpointReport
from plimsoll.scan.reports import Writer

if TYPE_CHECKING:
    from plimsoll.cli._scan.judging import Comparison, Judge
    from plimsoll.scan.resume import Journal

#: Up to so many endpoints have a page each in a table; more have a line.
_PAGES: Final = 3
#: Forms of which a beginning is worth something, so that a later run can go on with it.
_GO_ON: Final = ("json", "csv", "table")


class Result:
    """The open output and its writer, with all that is written beside."""

    def __init__(
        self,
        given: argparse.Namespace,
        stack: ExitStack,
        total: int,
        judge: Judge,
        comparison: Comparison | None,
        journal: Journal | None,
    ) -> None:
        self._given = given
        self._comparison = comparison
        self._already: int | None = None
        self.out = self._open(stack, journal)
        beside: list[Writer] = []
        if comparison is not None:
            beside.append(_DiffWriter(self._talk(), comparison, self._colour(self._talk())))
        if given.prometheus is not None:
            from plimsoll.scan.reports.prometheus import PrometheusWriter

            metrics = PrometheusWriter(Path(given.prometheus), judge)
            stack.callback(metrics.close)
            beside.append(metrics)
        self._beside = beside
        self._writers = [*beside]
        if comparison is None or given.format != "table":
            self._writers.append(self._writer(total, judge))

    def begin(self) -> None:
        for writer in self._writers:
            writer.begin()

    def earlier(self) -> Iterator[EndpointReport]:
        """What the document holds that goes on: already written, yet part of every conclusion."""
        if self._given.format != "json" or not self._already:
            return
        from plimsoll.scan.reports.json_report import load_part

        for report in load_part(Path(self._given.output), self._already):
            for writer in self._beside:
                writer.add(report)
            yield report

    def add(self, report: EndpointReport) -> None:
        for writer in self._writers:
            writer.add(report)

    def end(self) -> None:
        for writer in self._writers:
            writer.end()
        self.out.flush()

    def _talk(self) -> IO[str]:
        """Where changes are told: in place of a table, else beside a form that programs read."""
        return self.out if self._given.format == "table" else sys.stderr

    def _open(self, stack: ExitStack, journal: Journal | None) -> IO[str]:
        given = self._given
        if given.output is None:
            return sys.stdout
        path = Path(given.output)
        try:
            if journal is not None and len(journal) and path.exists() and path.stat().st_size:
                self._cut(path, journal)
                return stack.enter_context(path.open("a", encoding="utf-8", newline=_newline(given)))
            return stack.enter_context(path.open("w", encoding="utf-8", newline=_newline(given)))
        except OSError as error:
            raise StopError(f"{path} cannot be written: {error.strerror}; nothing was scanned", USAGE) from error

    def _cut(self, path: Path, journal: Journal) -> None:
        """Keep what an interrupted run wrote whole, so that this one can go on behind it."""
        form = self._given.format
        if form not in _GO_ON:
            raise StopError(
                f"{path} holds an interrupted run's {form}, which cannot be continued; resume with --format json, "
                f"then make the {form} of it with --from; nothing was scanned",
                USAGE,
            )
        if form == "json":
            from plimsoll.scan.reports.json_report import ReportError, Unfinished

            try:
                found = Unfinished(path)
            except ReportError as error:
                raise StopError(f"{error}; nothing was scanned", USAGE) from error
            # What was written and not noted as done will be asked again.
            known = found.last is None or journal.done(found.last)
            os.truncate(path, found.length if known else found.before)
            self._already = found.count if known else found.count - 1
            return
        with path.open("rb") as file:
            length = sum(len(line) for line in file if line.endswith(b"\n"))
        os.truncate(path, length)
        self._already = 1

    def _colour(self, out: IO[str]) -> bool:
        given = self._given
        return given.colour == "always" or (given.colour == "auto" and out.isatty() and not os.environ.get("NO_COLOR"))

    def _writer(self, total: int, judge: Judge) -> Writer:
        form, out = self._given.format, self.out
        if form == "json":
            from plimsoll.scan.reports.json_report import JsonWriter

            return JsonWriter(out, judge, self._comparison, self._already)
        if form == "nmap":
            from plimsoll.scan.reports.nmap_text import NmapTextWriter

            return NmapTextWriter(out)
        if form == "nmap-xml":
            from plimsoll.scan.reports.nmap_xml import NmapXmlWriter

            return NmapXmlWriter(out, arguments=self._given.arguments)
        if form == "sarif":
            from plimsoll.scan.reports.sarif import SarifWriter

            return SarifWriter(out, judge)
        if form == "csv":
            from plimsoll.scan.reports.csv_report import CsvWriter

            return CsvWriter(out, judge, heading=self._already is None)
        if form == "cbom":
            from plimsoll.scan.reports.cbom import CbomWriter

            return CbomWriter(out)
        return self._table(total, judge)

    def _table(self, total: int, judge: Judge) -> Writer:
        from plimsoll.scan.reports.table import TableWriter

        width = 110
        if self.out.isatty():
            import shutil

            width = shutil.get_terminal_size().columns
        pages = total <= _PAGES and self._given.mode != "sweep"
        return TableWriter(self.out, pages=pages, colour=self._colour(self.out), verdicts=judge, width=width)


def _newline(given: argparse.Namespace) -> str | None:
    """CSV brings its own ends of lines (RFC 4180)."""
    return "" if given.format == "csv" else None


class _DiffWriter:
    """Changes as they are found, and at the end what was not looked at any more."""

    def __init__(self, out: IO[str], comparison: Comparison, colour: bool) -> None:
        from plimsoll.scan.reports.diff import DiffWriter

        self._comparison = comparison
        self._writer = DiffWriter(out, colour=colour)

    def begin(self) -> None:
        """Nothing stands before the changes."""

    def add(self, report: EndpointReport) -> None:
        self._writer.add(str(report.target), self._comparison(report))

    def end(self) -> None:
        from plimsoll.scan.reports.text import moment

        archive = self._comparison.archive
        self._writer.end(map(str, archive.rest()), moment(archive.started))
