"""What is worth a reader's eye in a report, with or without a profile: one list for tables, SARIF and others.

Rules of profiles keep their own ids (`profile/rule`). The rest are observations that need no policy to be faults: a
prohibited version, a question that stayed open, a warning that nmap would give, a certificate that no client trusts.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plimsoll.scan.grade import VersionGrade, grade
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import CertificateReport, EndpointReport, Outcome, State, VersionReport
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.scan.profiles import ProfileVerdict


class Weight(enum.Enum):
    """How much a finding weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    #: Nothing is known to be wrong, nor to be right.
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Topic:
    """What findings of one kind have in common: a stable id, a sentence, and where the rule comes from."""

    id: str
    sentence: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding at one endpoint."""

    topic: Topic
    weight: Weight
    text: str


PROHIBITED: Final = Topic(
    "prohibited-version", "No version is accepted that the IETF has prohibited", "RFC 6176, RFC 7568, RFC 8996"
)
OPEN: Final = Topic("question-open", "Every version is accepted or refused with evidence")
UNHEARD: Final = Topic("endpoint-unreachable", "The endpoint answers in TLS")
WARNED: Final = Topic("suite-warning", "No suite deserves a warning", "the rules of nmap's ssl-enum-ciphers")
COMPRESSES: Final = Topic("compression", "TLS does not compress", "RFC 9325 section 3.3; CVE-2012-4929")
RENEGOTIATION: Final = Topic("secure-renegotiation", "Renegotiation is secure", "RFC 5746")
UNTRUSTED: Final = Topic("certificate-trust", "Every certificate is trusted and within its time", "RFC 5280")
MISNAMED: Final = Topic("certificate-name", "Every certificate is made for the name that was asked for", "RFC 9525")
FAULTY: Final = Topic("certificate-fault", "Every certificate is sound", "RFC 5280")

_PROHIBITED_BY: Final = {
    Version.SSL2: "RFC 6176",
    Version.SSL3: "RFC 7568",
    Version.TLS1_0: "RFC 8996",
    Version.TLS1_1: "RFC 8996",
}
_WEIGHT_OF: Final = {Verdict.FAILS: Weight.ERROR, Verdict.NOT_PROVED: Weight.OPEN}


def findings(report: EndpointReport, verdicts: Iterable[ProfileVerdict] = ()) -> tuple[Finding, ...]:
    """Everything that is wrong or open, what profiles say first."""
    found = [*_of_profiles(verdicts)]
    if report.state in (State.UNREACHABLE, State.NOT_TLS):
        found.append(Finding(UNHEARD, Weight.OPEN, f"{report.state.value}: {report.note}".removesuffix(": ")))
        return tuple(found)
    grades = grade(report)
    for seen in sorted(report.versions.values(), key=lambda seen: seen.version):
        found += _of_version(seen, grades.get(seen.version))
    if report.features.secure_renegotiation is False:
        found.append(Finding(RENEGOTIATION, Weight.WARNING, "secure renegotiation is not supported"))
    for certificate in report.certificates:
        found += _of_certificate(certificate)
    return tuple(found)


def _of_profiles(verdicts: Iterable[ProfileVerdict]) -> Iterator[Finding]:
    for verdict in verdicts:
        for one in verdict.findings:
            if one.verdict is not Verdict.HOLDS:
                rule = one.rule
                topic = Topic(f"{verdict.profile.name}/{rule.id}", rule.sentence, rule.source)
                yield Finding(topic, _WEIGHT_OF[one.verdict], "; ".join(one.reasons) or one.verdict.value)


def _of_version(seen: VersionReport, graded: VersionGrade | None) -> Iterator[Finding]:
    label = seen.version.label
    if seen.outcome is Outcome.INCONCLUSIVE:
        yield Finding(OPEN, Weight.OPEN, f"{label} is not proved: {'; '.join(seen.evidence) or 'no clear answer'}")
    if seen.outcome is not Outcome.ACCEPTED:
        return
    if seen.version in _PROHIBITED_BY:
        yield Finding(PROHIBITED, Weight.ERROR, f"{label} is accepted, which {_PROHIBITED_BY[seen.version]} prohibits")
    for warning in graded.warnings if graded is not None else ():
        yield Finding(WARNED, Weight.WARNING, f"{label}: {warning}")
    if others := [name for name in seen.compressors if name != "NULL"]:
        yield Finding(COMPRESSES, Weight.WARNING, f"{label} compresses with {', '.join(others)}")


def _of_certificate(leaf: CertificateReport) -> Iterator[Finding]:
    named = f"the certificate {leaf.subject or leaf.fingerprint[:16]}"
    if leaf.trust not in ("trusted", "not checked"):
        yield Finding(UNTRUSTED, Weight.WARNING, f"{named}: {leaf.trust}")
    if leaf.name_matches is False:
        yield Finding(MISNAMED, Weight.WARNING, f"{named} is not for the name that was asked for")
    for fault in leaf.faults:
        yield Finding(FAULTY, Weight.WARNING, f"{named}: {fault}")
