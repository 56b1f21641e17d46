"""The page of a table: everything that is known of one endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plimsoll.scan.findings import FAULTY, MISNAMED, OPEN, UNHEARD, UNTRUSTED, Finding, Weight, findings
from plimsoll.scan.grade import UNKNOWN, VersionGrade, grade, least_strength
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
from plimsoll.scan.reports.lines import BOLD, DIM, GREEN, RED, YELLOW, Lines
from plimsoll.scan.reports.text import day, moment, plural
from plimsoll.tls.versions import Version

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
_OF_LETTER: Final = {"A": GREEN, "B": GREEN, "C": YELLOW, "D": YELLOW, UNKNOWN: YELLOW}
#: Findings that the page shows where they belong, so that its list need not repeat them.
_SHOWN: Final = (OPEN, UNHEARD, UNTRUSTED, MISNAMED, FAULTY)


class Page:
    """Writes one page."""

    def __init__(self, lines: Lines) -> None:
        self._line = lines.line
        self._wrapped = lines.wrapped

    def write(self, report: EndpointReport) -> None:
        """Everything but what profiles say."""
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


def _exchange(suite: SuiteReport) -> str:
    exchange = suite.exchange
    if exchange is None:
        return ""
    size = f" {exchange.bits}" if exchange.group in ("dh", "rsa") and exchange.bits else ""
    prime = f" ({exchange.prime})" if exchange.prime else ""
    return f"{exchange.group}{size}{prime}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
