"""The readable form: a page for one endpoint, a line each for many."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, Final

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
from plimsoll.tls.versions import Version

_RED, _GREEN, _YELLOW, _DIM, _BOLD, _OFF = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_WORDS: Final = {
    Outcome.ACCEPTED: "accepted",
    Outcome.REFUSED: "refused",
    Outcome.INCONCLUSIVE: "NOT PROVED",
    Outcome.NOT_ASKED: "not asked",
}

#: Letter of a suite under a version; "" where there is no verdict.
Grade = Callable[[EndpointReport, VersionReport, SuiteReport], str]
#: What the profiles say of a report: (holds / does not hold / not proved, sentence) lines.
Verdicts = Callable[[EndpointReport], list[tuple[str, str]]]


class TableWriter:
    """Writes pages (`pages`) or lines. `colour` uses ANSI sequences."""

    def __init__(
        self,
        out: IO[str],
        *,
        pages: bool,
        colour: bool,
        grade: Grade | None = None,
        verdicts: Verdicts | None = None,
    ) -> None:
        self._out = out
        self._pages = pages
        self._colour = colour
        self._grade = grade
        self._verdicts = verdicts
        self._count = 0
        self._states: dict[State, int] = {}

    def begin(self) -> None:
        if not self._pages:
            self._line(f"{'endpoint':40} {'accepts':28} {'proved':8} preferred suite, certificate", _BOLD)

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
        if not self._pages or self._count > 1:
            parts = [f"{number} {state.value}" for state, number in self._states.items()]
            self._line(f"{self._count} endpoints: {', '.join(parts)}" if parts else "no endpoint was scanned", _DIM)

    # One line

    def _row(self, report: EndpointReport) -> None:
        target = str(report.target)
        if report.state in (State.UNREACHABLE, State.NOT_TLS):
            self._line(f"{target:40} {report.state.value}: {report.note}", _DIM)
            return
        accepted = " ".join(version.label.removeprefix("TLSv") for version in report.accepted) or "nothing"
        open_ones = [v.label for v, seen in report.versions.items() if seen.outcome is Outcome.INCONCLUSIVE]
        old = any(version < Version.TLS1_2 for version in report.accepted)
        proved = "yes" if not open_ones else "NO"
        newest = report.versions[report.accepted[-1]] if report.accepted else None
        parts = [newest.suites[0].name] if newest is not None and newest.suites else []
        if report.certificates:
            leaf = report.certificates[0]
            parts.append(f"{leaf.subject or leaf.fingerprint[:16]}, until {day(leaf.not_after)}")
        if open_ones:
            parts.append(f"open: {', '.join(open_ones)}")
        text = f"{target:40} {accepted:28} {proved:8} {'; '.join(parts)}"
        self._line(text, _RED if old else _YELLOW if open_ones else "")
        self._say_verdicts(report)

    # A page

    def _page(self, report: EndpointReport) -> None:
        name = f" as {report.target.server_name}" if report.target.server_name else ""
        opening = f" by {report.target.opening}" if report.target.opening else ""
        at = f" ({report.address})" if report.address not in ("", report.target.host) else ""
        self._line(f"{report.target}{at}{opening}{name}", _BOLD)
        when = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(report.started))
        took = report.ended - report.started
        self._line(f"  {report.state.value}; {when}, {took:.2f} s, {report.connections} connections", _DIM)
        if report.note:
            self._line(f"  {report.note}", _YELLOW)
        if report.state in (State.UNREACHABLE, State.NOT_TLS):
            return
        for seen in sorted(report.versions.values(), key=lambda seen: seen.version):
            self._version(report, seen)
        for certificate in report.certificates:
            self._certificate(certificate)
        self._features(report.features)
        for note in report.control.notes:
            self._line(f"  control: {note}", _DIM)
        self._say_verdicts(report)

    def _version(self, report: EndpointReport, seen: VersionReport) -> None:
        colour = ""
        if seen.outcome is Outcome.ACCEPTED:
            colour = _RED if seen.version < Version.TLS1_2 else _GREEN
        elif seen.outcome is Outcome.INCONCLUSIVE:
            colour = _YELLOW
        why = ""
        if seen.outcome is Outcome.ACCEPTED and seen.suites:
            order = {
                Preference.SERVER: "in the server's order",
                Preference.CLIENT: "the client's order counts",
                Preference.INDETERMINATE: "",
            }[seen.preference]
            noun = "suite" if len(seen.suites) == 1 else "suites"
            why = f"{len(seen.suites)} {noun}" + (f", {order}" if order else "")
            if not seen.suites_complete:
                why += ", not proved to be all"
        elif seen.evidence:
            why = "; ".join(seen.evidence)
        self._line(f"  {seen.version.label:8} {_WORDS[seen.outcome]:11} {why}".rstrip(), colour)
        for suite in seen.suites:
            letter = self._grade(report, seen, suite) if self._grade is not None else ""
            exchange = suite.exchange
            how = "" if exchange is None else f"{exchange.group} {exchange.bits}".replace(" 0", "")
            if exchange is not None and exchange.prime:
                how += f" ({exchange.prime})"
            self._line(f"    {letter:2} {suite.name:48} {how}".rstrip())
        if seen.groups:
            names = ", ".join(f"{group.name}{' (post-quantum)' if group.hybrid else ''}" for group in seen.groups)
            self._line(f"       groups: {names}", _DIM)
        if seen.signature_schemes:
            self._line(f"       signatures: {', '.join(seen.signature_schemes)}", _DIM)
        if seen.only_with_name or seen.only_without_name:
            self._line(f"       only {'with' if seen.only_with_name else 'without'} a server name", _YELLOW)

    def _certificate(self, leaf: CertificateReport) -> None:
        size = f"{leaf.key} {leaf.curve or leaf.key_bits}"
        self._line(f"  certificate {leaf.subject or leaf.fingerprint}")
        self._line(
            f"    {size}, {leaf.signature}, {day(leaf.not_before)} to {day(leaf.not_after)}; issued by {leaf.issuer}"
        )
        named = (
            "" if leaf.name_matches is None else (", the name fits" if leaf.name_matches else ", THE NAME DOES NOT FIT")
        )
        self._line(f"    {leaf.trust}{named}; for {', '.join(leaf.names) or 'no name'}")
        for fault in leaf.faults:
            self._line(f"    {fault}", _YELLOW)

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
        known = [f"{name}: {'yes' if value else 'no'}" for name, value in told.items() if value is not None]
        known += [f"resumes {version}: {'yes' if value else 'no'}" for version, value in features.resumption.items()]
        if features.alpn:
            known.append(f"ALPN: {', '.join(features.alpn)}")
        if features.client_certificate:
            known.append(f"client certificate: {features.client_certificate}")
        for start in range(0, len(known), 4):
            self._line("  " + "; ".join(known[start : start + 4]), _DIM)

    def _say_verdicts(self, report: EndpointReport) -> None:
        if self._verdicts is None:
            return
        for outcome, sentence in self._verdicts(report):
            colour = {"holds": _GREEN, "does not hold": _RED}.get(outcome, _YELLOW)
            self._line(f"  {sentence}", colour)

    def _line(self, text: str, colour: str = "") -> None:
        # What a server says of itself must not steer the reader's terminal.
        text = "".join(mark if mark.isprintable() else "?" for mark in text)
        self._out.write(f"{colour}{text}{_OFF}\n" if colour and self._colour else f"{text}\n")


def day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment)) if moment else "unknown"
