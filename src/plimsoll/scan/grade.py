"""Letters for suites, warnings for versions, and the least strength, by the rules of nmap's ssl-enum-ciphers (R18).

People compare our answer with nmap's, so letters and warnings agree with nmap 7.93 to the letter, where nmap is right.
A letter weighs the key exchange (43 %) and the cipher (57 %); version, mode and MAC have no say in it. They do in
`profiles`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from plimsoll.scan.report import CertificateReport, EndpointReport, KeyExchange, Outcome, SuiteReport, VersionReport
from plimsoll.tls.suite_parts import SuiteParts, parts
from plimsoll.tls.versions import Version

UNKNOWN: Final = "unknown"

_LETTERS: Final = ((0.80, "A"), (0.65, "B"), (0.50, "C"), (0.35, "D"), (0.20, "E"))
#: Upper limits (excluded) and scores. Exchange by the bits of an RSA key of equal strength, cipher by its own.
_EXCHANGE_SCORES: Final = ((512, 0.2), (1024, 0.4), (2048, 0.8), (4096, 0.9))
_CIPHER_SCORES: Final = ((128, 0.2), (256, 0.8))
#: Upper limits (excluded) of a curve's bits, and the RSA key of equal strength (NIST SP 800-57 part 1).
_CURVES_AS_RSA: Final = ((160, 512), (224, 1024), (256, 2048), (384, 3072), (512, 7680))
_LARGEST_CURVE: Final = 15360

#: Exchanges whose ServerKeyExchange (or key share) shows parameters of their own.
_EPHEMERAL: Final = frozenset({"DHE", "ECDHE", "DHE_PSK", "ECDHE_PSK"})
#: The key that a certificate must have for the suite's exchange or authentication to rest on it.
_KEY_OF: Final = {"RSA": "rsa", "DSS": "dsa", "ECDSA": "ec"}
_WEAK_HASHES: Final = ("md2", "md4", "md5", "sha1")
_SHORT_BLOCK: Final = 64


@dataclass(frozen=True, slots=True)
class SuiteGrade:
    """One suite's letter (A to F, or "unknown"), what its key exchange rests on in nmap's words, and its warnings."""

    suite: SuiteReport
    letter: str
    exchange: str = ""
    warnings: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VersionGrade:
    """All suites of one accepted version, in the report's order, and the version's warnings, sorted."""

    version: Version
    suites: tuple[SuiteGrade, ...]
    warnings: tuple[str, ...]


def grade(report: EndpointReport) -> dict[Version, VersionGrade]:
    """The accepted versions' grades, oldest first."""
    certificates = {certificate.fingerprint: certificate for certificate in report.certificates}
    return {version: grade_version(report.versions[version], certificates) for version in report.accepted}


def grade_version(seen: VersionReport, certificates: Mapping[str, CertificateReport]) -> VersionGrade:
    """One version's grades. `certificates` are by fingerprint."""
    graded = tuple(grade_suite(seen.version, suite, certificates) for suite in seen.suites)
    warnings = {warning for one in graded for warning in one.warnings}
    if graded and not any(_keeps_the_past_secret(parts(one.suite.code)) for one in graded):
        warnings.add("Forward Secrecy not supported by any cipher")
    return VersionGrade(seen.version, graded, tuple(sorted(warnings)))


def least_strength(grades: Iterable[VersionGrade]) -> str:
    """The worst letter of all suites; "unknown" is worse than F, and without any suite there is none ("")."""
    return max((one.letter for graded in grades for one in graded.suites), default="")


def letter(report: EndpointReport, seen: VersionReport, suite: SuiteReport) -> str:
    """One suite's letter, "" where its version was not accepted."""
    if seen.outcome is not Outcome.ACCEPTED:
        return ""
    certificates = {certificate.fingerprint: certificate for certificate in report.certificates}
    return grade_suite(seen.version, suite, certificates).letter


def grade_suite(version: Version, suite: SuiteReport, certificates: Mapping[str, CertificateReport]) -> SuiteGrade:
    """One suite's letter and warnings under that version."""
    made = parts(suite.code)
    warnings = _cipher_warnings(version, made)
    strength, exchange = _exchange(version, made, suite, certificates, warnings)
    if version is Version.SSL2:
        strength = 0  # whatever the suite: SSL 2 itself can be turned against its session
    return SuiteGrade(suite, _letter(strength, made.bits), exchange, frozenset(warnings))


def as_rsa(kind: str, bits: int) -> int | None:
    """The bits of an RSA key that is as strong; `kind` is "rsa", "dsa", "dh" or "ec". None where nothing is known."""
    if bits <= 0:
        return None
    if kind != "ec":
        return bits if kind in ("rsa", "dsa", "dh") else None
    return next((equal for limit, equal in _CURVES_AS_RSA if bits < limit), _LARGEST_CURVE)


def _cipher_warnings(version: Version, made: SuiteParts) -> set[str]:
    warnings = set()
    if made.mac == "MD5":
        warnings.add("Ciphersuite uses MD5 for message integrity")
    if made.mode == "CBC" and made.block_bits <= _SHORT_BLOCK:
        warnings.add(f"64-bit block cipher {made.cipher} vulnerable to SWEET32 attack")
    if version is Version.SSL3 and made.mode == "CBC":
        warnings.add("CBC-mode cipher in SSLv3 (CVE-2014-3566)")
    elif made.cipher == "RC4":
        warnings.add("Broken cipher RC4 is deprecated by RFC 7465")
    if version is Version.TLS1_3 and not made.post_tls13:
        warnings.add("Non-TLSv1.3 ciphersuite chosen for TLSv1.3")
    if made.export:
        warnings.add("Export key exchange")
    if made.anonymous:
        warnings.add("Anonymous key exchange, score capped at F")
    return warnings


def _exchange(
    version: Version,
    made: SuiteParts,
    suite: SuiteReport,
    certificates: Mapping[str, CertificateReport],
    warnings: set[str],
) -> tuple[int | None, str]:
    """The strength of the key exchange as an RSA key's, None where it is not known, and what it rests on."""
    strength: int | None = 0 if made.anonymous else made.export or None
    told = ""
    known = True
    kind = _KEY_OF.get(made.auth, "") if made.kex != "DH" else ""
    if made.kex == "ECDH":
        kind = "ec"  # the certificate's key is the exchange's, whoever signed it
    if kind and version is not Version.TLS1_3:
        certificate = certificates.get(suite.certificate)
        if certificate is None or not certificate.signature:
            # Its signature may be worth nothing, so that no letter could be trusted.
            known = False
            told = _told(version, suite.exchange) if suite.exchange is not None else ""
        elif certificate.key == kind:
            strength, told = _of_certificate(certificate, strength, warnings)
    if made.kex in _EPHEMERAL or made.post_tls13 or (made.kex == "RSA" and made.export):
        equal = None if suite.exchange is None else as_rsa(_kind(suite.exchange), suite.exchange.bits)
        if suite.exchange is None or equal is None:
            return (0 if strength == 0 else None), told
        told = _told(version, suite.exchange)
        if strength is not None and strength > equal:
            warnings.add(f"Key exchange ({told}) of lower strength than certificate key")
        strength = equal if strength is None else min(strength, equal)
    return strength if known or strength == 0 else None, told


def _of_certificate(certificate: CertificateReport, strength: int | None, warnings: set[str]) -> tuple[int | None, str]:
    told = certificate.curve or f"{certificate.key} {certificate.key_bits}"
    own = as_rsa(certificate.key, certificate.key_bits)
    found = own if strength is None or own is None else min(strength, own)
    signature = certificate.signature.lower().replace("-", "")
    weak = next((name for name in _WEAK_HASHES if name in signature), "")
    if weak:
        warnings.add(f"Insecure certificate signature ({weak.upper()}), score capped at F")
        found = 0
    if certificate.key == "rsa" and certificate.exponent == 1:
        warnings.add("Certificate RSA exponent is 1, score capped at F")
        found = 0
    return found, told


def _kind(exchange: KeyExchange) -> str:
    if exchange.group in ("rsa", "dh"):
        return exchange.group
    return "dh" if exchange.group.startswith("ffdhe") else "ec"


def _told(version: Version, exchange: KeyExchange) -> str:
    """What nmap writes in brackets: a curve's name, or a kind and its size (a prime's in whole bytes)."""
    if exchange.group == "dh" or (exchange.group.startswith("ffdhe") and version is not Version.TLS1_3):
        return f"dh {-(-exchange.bits // 8) * 8}"
    if exchange.group == "rsa":
        return f"rsa {exchange.bits}"
    return {"x25519": "ecdh_x25519", "x448": "ecdh_x448"}.get(exchange.group, exchange.group)


def _keeps_the_past_secret(made: SuiteParts) -> bool:
    return made.forward_secret and not made.anonymous and made.kex != "ECCPWD"


def _letter(strength: int | None, bits: int | None) -> str:
    if strength is None or bits is None:
        return UNKNOWN
    if strength <= 0 or bits <= 0:
        return "F"
    score = 0.43 * _score(strength, _EXCHANGE_SCORES) + 0.57 * _score(bits, _CIPHER_SCORES)
    return next((name for least, name in _LETTERS if score >= least), "F")


def _score(bits: int, scores: tuple[tuple[int, float], ...]) -> float:
    return next((score for limit, score in scores if bits < limit), 1.0)
