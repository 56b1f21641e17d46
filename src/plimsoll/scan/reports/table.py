"""The readable form: a page for one endpoint, a line each for many."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import IO, Final

from plimsoll.scan.findings import FAULTY, MISNAMED, OPEN, UNHEARD, UNTRUSTED, Finding, Weight, findings
from plimsoll.scan.grade import UNKNOWN, VersionGrade, grade, least_strength
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import (
    CertificateReport,
    EndpointReport,
    Features,
    Outcome,
    Preference,
    State,
    SuiteReport,
    VersionReport,
)
from plimsoll.scan.reports import Verdicts, no_verdicts
from plimsoll.scan.reports.text import day, moment, plural, printable
from plimsoll.tls.versions import Version

RED, GREEN, YELLOW, DIM, BOLD, OFF = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_WORDS: Final = {
    Outcome.ACCEPTED: "accepted",
    Outcome.REFUSED: "refused",
    Outcome.INCONCLUSIVE: "NOT PROVED",
    Outcome.NOT_ASKED: "not asked",
}
_ORDERS: Final = {
    Preference.SERVER: ", in the server's order",
    Preference.CLIENT: ", the client's order counts",
    Preference.INDETERMINATE: "",
}
_OF_WEIGHT: Final = {Weight.ERROR: ("!", RED), Weight.WARNING: ("!", YELLOW), Weight.OPEN: ("?", YELLOW)}
_OF_VERDICT: Final = {Verdict.HOLDS: GREEN, Verdict.FAILS: RED, Verdict.NOT_PROVED: YELLOW}
_OF_LETTER: Final = {"A": GREEN, "B": GREEN, "C": YELLOW, "D": YELLOW, UNKNOWN: YELLOW}
#: Findings that the page shows where they belong, so that its list need not repeat them.
_SHOWN: Final = (OPEN, UNHEARD, UNTRUSTED, MISNAMED, FAULTY)
_LEAST_WIDTH: Final = 60
#: A rule's reasons on a page; JSON has them all.
_MOST_REASONS: Final = 4


class TableWriter:
    """Writes pages (`pages`) or lines. `colour` uses ANSI sequences; long sentences are wrapped at `width`."""

    def __init__(
        self, out: IO[str], *, pages: bool, colour: bool, verdicts: Verdicts = no_verdicts, width: int = 110
    ) -> None:
        self._out = out
        self._pages = pages
        self._colour = colour
        self._verdicts = verdicts
        self._width = max(width, _LEAST_WIDTH)
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
            self._page(report)
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

    # A page

    def _page(self, report: EndpointReport) -> None:
        name = f" as {report.target.server_name}" if report.target.server_name not in ("", report.target.host) else ""
        opening = f" by {report.target.opening}" if report.target.opening else ""
        at = f" ({report.address})" if report.address not in ("", report.target.host) else ""
        self._line(f"{report.target}{at}{opening}{name}", BOLD)
        took = report.ended - report.started
        connections = plural(report.connections, "connection")
        self._line(f"{report.state.value}; {moment(report.started)}, {took:.2f} s, {connections}", DIM)
        if report.note:
            self._wrapped("", report.note, YELLOW)
        if report.state not in (State.UNREACHABLE, State.NOT_TLS):
            self._seen(report)
        self._profiles(report)

    def _seen(self, report: EndpointReport) -> None:
        grades = grade(report)
        self._line("")
        for seen in sorted(report.versions.values(), key=lambda seen: seen.version):
            self._version(seen, grades.get(seen.version))
        if strength := least_strength(grades.values()):
            self._line(f"{'weakest':8} {strength}", _OF_LETTER.get(strength, RED))
        for certificate in report.certificates:
            self._certificate(certificate)
        self._features(report.features)
        for note in report.control.notes:
            self._wrapped("control  ", note, DIM)
        self._findings([one for one in findings(report) if one.topic not in _SHOWN])

    def _version(self, seen: VersionReport, graded: VersionGrade | None) -> None:
        head = f"{seen.version.label:8} {_WORDS[seen.outcome]}"
        if seen.outcome is Outcome.ACCEPTED:
            head += f"  {plural(len(seen.suites), 'suite')}{_ORDERS[seen.preference]}"
            head += "" if seen.suites_complete or not seen.suites else ", not proved to be all"
            self._line(head, RED if seen.version < Version.TLS1_2 else GREEN)
        else:
            colour = YELLOW if seen.outcome is Outcome.INCONCLUSIVE else ""
            self._wrapped(f"{head:20}", "; ".join(seen.evidence), colour)
        if seen.only_with_name or seen.only_without_name:
            self._line(f"         only {'with' if seen.only_with_name else 'without'} a server name", YELLOW)
        letters = [one.letter for one in graded.suites] if graded is not None else [""] * len(seen.suites)
        for suite, letter in zip(seen.suites, letters, strict=True):
            shown = "?" if letter == UNKNOWN else letter
            self._line(f"  {shown:2} {suite.name:46} {_exchange(suite)}", _OF_LETTER.get(letter, RED))
        if seen.groups:
            names = [f"{group.name} (post-quantum)" if group.hybrid else group.name for group in seen.groups]
            more = "" if seen.groups_complete else ", ... (not proved to be all)"
            self._wrapped("     groups: ", ", ".join(names) + more, DIM)
        if seen.signature_schemes:
            self._wrapped("     signatures: ", ", ".join(seen.signature_schemes), DIM)

    def _certificate(self, leaf: CertificateReport) -> None:
        size = leaf.curve or f"{leaf.key_bits} bits"
        facts = [f"{leaf.key} {size}"] if leaf.key else []
        facts += [leaf.signature] if leaf.signature else []
        facts += [f"{day(leaf.not_before)} to {day(leaf.not_after)}"] if leaf.not_after else []
        facts += [f"issued by {leaf.issuer}"] if leaf.issuer else []
        self._wrapped("certificate ", leaf.subject or leaf.fingerprint)
        self._wrapped("     ", ", ".join(facts))
        if leaf.seen_with:
            labels = ", ".join(version.label for version in leaf.seen_with)
            self._line(f"     with {labels}; {len(leaf.chain)} in its chain", DIM)
        wrong = leaf.trust not in ("trusted", "not checked") or leaf.name_matches is False
        named = {None: "", True: ", the name fits", False: ", THE NAME DOES NOT FIT"}[leaf.name_matches]
        names = f"; for {', '.join(leaf.names)}" if leaf.names else ""
        self._wrapped("     ", f"{leaf.trust}{named}{names}", YELLOW if wrong else "")
        for fault in leaf.faults:
            self._wrapped("   ! ", fault, YELLOW)

    def _features(self, features: Features) -> None:
        told = {
            "secure renegotiation": features.secure_renegotiation,
            "extended master secret": features.extended_master_secret,
            "encrypt-then-MAC": features.encrypt_then_mac,
            "fallback SCSV": features.fallback_scsv,
            "session ids": features.session_ids,
            "tickets": features.tickets,
            "early data": features.early_data,
            "needs a server name": features.needs_name,
            "OCSP staple": features.ocsp_staple,
        }
        known = [f"{name} {_yes(value)}" for name, value in told.items() if value is not None]
        known += [f"resumes {version} {_yes(value)}" for version, value in features.resumption.items()]
        if features.alpn:
            known.append(f"ALPN {' '.join(features.alpn)}")
        if features.client_certificate:
            known.append(f"client certificate {features.client_certificate}")
        if known:
            self._wrapped("features ", ", ".join(known), DIM)

    def _findings(self, found: Sequence[Finding]) -> None:
        for one in found:
            mark, colour = _OF_WEIGHT.get(one.weight, ("-", ""))
            self._wrapped(f"{mark} ", one.text, colour)

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

    # Writing

    def _wrapped(self, head: str, text: str, colour: str = "") -> None:
        """A head, and a sentence beside it that may take several lines."""
        if len(head) + len(text) <= self._width:
            self._line(f"{head}{text}".rstrip(), colour)
            return
        for line in textwrap.wrap(
            text, self._width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
        ):
            self._line(line, colour)

    def _line(self, text: str, colour: str = "") -> None:
        # What a server says of itself must not steer the reader's terminal.
        text = printable(text)
        self._out.write(f"{colour}{text}{OFF}\n" if colour and self._colour else f"{text}\n")


def _exchange(suite: SuiteReport) -> str:
    exchange = suite.exchange
    if exchange is None:
        return ""
    size = f" {exchange.bits}" if exchange.group in ("dh", "rsa") and exchange.bits else ""
    prime = f" ({exchange.prime})" if exchange.prime else ""
    return f"{exchange.group}{size}{prime}"


def _why(reasons: Sequence[str], most: int) -> str:
    """The first reasons, without the evidence that stands beside its version already."""
    stop = " is not proved"
    short = [reason[: reason.index(f"{stop}:")] + stop if f"{stop}:" in reason else reason for reason in reasons]
    more = f"; and {len(short) - most} more" if len(short) > most else ""
    return "; ".join(short[:most]) + more


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _of(verdict: Verdict) -> str:
    return {Verdict.HOLDS: "holds", Verdict.FAILS: "does not hold"}.get(verdict, "is not proved")
