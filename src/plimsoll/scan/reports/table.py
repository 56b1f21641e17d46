"""The readable form: a page for one endpoint, a line each for many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final

from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import EndpointReport, Outcome, State
from plimsoll.scan.reports import Verdicts, no_verdicts
from plimsoll.scan.reports.lines import BOLD, DIM, GREEN, RED, YELLOW, Lines
from plimsoll.scan.reports.text import day, plural
from plimsoll.tls.versions import Version

_OF_VERDICT: Final = {Verdict.HOLDS: GREEN, Verdict.FAILS: RED, Verdict.NOT_PROVED: YELLOW}
#: A rule's reasons on a page; JSON has them all.
_MOST_REASONS: Final = 4


class TableWriter:
    """Writes pages (`pages`) or lines. `colour` uses ANSI sequences; long sentences are wrapped at `width`."""

    def __init__(
        self, out: IO[str], *, pages: bool, colour: bool, verdicts: Verdicts = no_verdicts, width: int = 110
    ) -> None:
        self._lines = Lines(out, colour, width)
        self._line = self._lines.line
        self._wrapped = self._lines.wrapped
        self._pages = pages
        self._verdicts = verdicts
        self._count = 0
        self._states: dict[State, int] = {}
        self._said: dict[tuple[str, Verdict], int] = {}

    def begin(self) -> None:
        if not self._pages:
            self._line(f"{'ENDPOINT':32} {'ACCEPTS':16} {'PROVED':6} PREFERRED SUITE, CERTIFICATE", BOLD)

    def add(self, report: EndpointReport) -> None:
        self._count += 1
        self._states[report.state] = self._states.get(report.state, 0) + 1
        if self._pages:
            if self._count > 1:
                self._line("")
            from plimsoll.scan.reports.page import Page

            Page(self._lines).write(report)
            self._profiles(report)
        else:
            self._row(report)

    def end(self) -> None:
        if self._pages and self._count == 1:
            return
        parts = [f"{number} {state.value}" for state, number in self._states.items()]
        self._line(
            f"{plural(self._count, 'endpoint')}: {', '.join(parts)}" if parts else "no endpoint was scanned", DIM
        )
        for (name, verdict), number in sorted(self._said.items(), key=lambda item: item[0][0]):
            self._line(f"{name} {_of(verdict)} at {plural(number, 'endpoint')}", _OF_VERDICT[verdict])

    # One line

    def _row(self, report: EndpointReport) -> None:
        target = str(report.target)
        if report.state in (State.UNREACHABLE, State.NOT_TLS):
            self._line(f"{target:32} {report.state.value}: {report.note}", DIM)
            self._profiles(report, short=True)
            return
        accepted = " ".join(version.label.removeprefix("TLSv") for version in report.accepted) or "nothing"
        open_ones = [v.label for v, seen in report.versions.items() if seen.outcome is Outcome.INCONCLUSIVE]
        old = any(version < Version.TLS1_2 for version in report.accepted)
        newest = report.versions[report.accepted[-1]] if report.accepted else None
        parts = [newest.suites[0].name] if newest is not None and newest.suites else []
        if report.certificates:
            leaf = report.certificates[0]
            until = f", until {day(leaf.not_after)}" if leaf.not_after else ""
            parts.append(f"{leaf.subject or leaf.fingerprint[:16]}{until}")
        if open_ones:
            parts.append(f"not proved: {', '.join(open_ones)}")
        text = f"{target:32} {accepted:16} {'NO' if open_ones else 'yes':6} {'; '.join(parts)}"
        self._line(text, RED if old else YELLOW if open_ones else "")
        self._profiles(report, short=True)

    def _profiles(self, report: EndpointReport, *, short: bool = False) -> None:
        """What the required profiles say; every rule that does not hold, with its source."""
        said = self._verdicts(report)
        if said and not short:
            self._line("")
        for one in said:
            place = (one.profile.name, one.verdict)
            self._said[place] = self._said.get(place, 0) + 1
            if short and one.verdict is Verdict.HOLDS:
                continue
            indent = "  " if short else ""
            self._line(f"{indent}{one.profile.name} {_of(one.verdict)}", _OF_VERDICT[one.verdict])
            for finding in one.failed + one.open:
                mark = "!" if finding.verdict is Verdict.FAILS else "?"
                why = _why(finding.reasons, 1 if short else _MOST_REASONS)
                source = "" if short else f" [{finding.rule.source}]"
                self._wrapped(f"{indent}  {mark} ", f"{finding.rule.id}: {why}{source}", _OF_VERDICT[finding.verdict])


def _why(reasons: Sequence[str], most: int) -> str:
    """The first reasons, without the evidence that stands beside its version already."""
    stop = " is not proved"
    short = [reason[: reason.index(f"{stop}:")] + stop if f"{stop}:" in reason else reason for reason in reasons]
    more = f"; and {len(short) - most} more" if len(short) > most else ""
    return "; ".join(short[:most]) + more


def _of(verdict: Verdict) -> str:
    return {Verdict.HOLDS: "holds", Verdict.FAILS: "does not hold"}.get(verdict, "is not proved")
