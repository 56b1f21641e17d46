"""Letters, least strength and warnings by nmap's rules, worked out by hand from what those rules say."""

from __future__ import annotations

import pytest
from tests.unit.scan.made import LEAF, accepted, certificate, endpoint, refused, suite

from plimsoll.scan.grade import VersionGrade, as_rsa, grade, grade_version, least_strength, letter
from plimsoll.scan.report import CertificateReport, KeyExchange
from plimsoll.tls.versions import Version

RSA_LEAF = certificate(key="rsa", key_bits=2048, curve="", exponent=65537, signature="sha256WithRSAEncryption")


def graded(version: Version, code: int, exchange: KeyExchange | None, leaf: CertificateReport) -> VersionGrade:
    return grade_version(accepted(version, [suite(code, exchange)]), {LEAF: leaf})


@pytest.mark.rule("R18")
@pytest.mark.parametrize(
    ("code", "exchange", "expected"),
    [
        (0xC02F, KeyExchange("x25519", 256), ("A", "ecdh_x25519")),
        (0xC030, KeyExchange("secp256r1", 256), ("A", "secp256r1")),
        (0x009E, KeyExchange("dh", 2048), ("A", "dh 2048")),
        (0x0033, KeyExchange("dh", 1024), ("A", "dh 1024")),
        (0x0033, KeyExchange("dh", 1023), ("C", "dh 1024")),
        (0x0039, KeyExchange("dh", 768), ("B", "dh 768")),
        (0x0033, KeyExchange("dh", 511), ("C", "dh 512")),
        (0x009C, KeyExchange("rsa", 2048), ("A", "rsa 2048")),
        (0x000A, KeyExchange("rsa", 2048), ("C", "rsa 2048")),
        (0xC012, KeyExchange("secp256r1", 256), ("C", "secp256r1")),
        (0x0016, KeyExchange("dh", 1024), ("D", "dh 1024")),
        (0x0016, KeyExchange("dh", 768), ("E", "dh 768")),
        (0x0005, KeyExchange("rsa", 2048), ("C", "rsa 2048")),
        (0x0002, KeyExchange("rsa", 2048), ("F", "rsa 2048")),
        (0x0003, KeyExchange("rsa", 512), ("E", "rsa 512")),
        (0x0034, KeyExchange("dh", 2048), ("F", "dh 2048")),
        (0xC018, KeyExchange("x25519", 256), ("F", "ecdh_x25519")),
        (0x00A8, None, ("unknown", "")),
        (0x00AA, KeyExchange("dh", 2048), ("A", "dh 2048")),
    ],
)
def test_letters_under_an_rsa_certificate(code: int, exchange: KeyExchange, expected: tuple[str, str]) -> None:
    (one,) = graded(Version.TLS1_2, code, exchange, RSA_LEAF).suites
    assert (one.letter, one.exchange) == expected


@pytest.mark.rule("R18")
def test_the_sample_of_the_guide() -> None:
    """The letters of R18's sample: ECDHE and RSA suites with AES are A, 3DES is C, and so is the least strength."""
    codes = [0xC030, 0xC02F, 0xC028, 0xC027, 0x9D, 0x9C, 0x3D, 0x3C, 0x35, 0x2F, 0x0A]
    suites = [suite(code, KeyExchange("secp256r1", 256) if code > 0xFF else None) for code in codes]
    found = grade_version(accepted(Version.TLS1_2, suites), {LEAF: RSA_LEAF})
    assert [one.letter for one in found.suites] == ["A"] * 10 + ["C"]
    assert {one.exchange for one in found.suites} == {"secp256r1", "rsa 2048"}
    assert least_strength([found]) == "C"
    assert found.warnings == ("64-bit block cipher 3DES vulnerable to SWEET32 attack",)


def test_tls13_does_not_see_the_certificate() -> None:
    report = endpoint(certificates=[certificate(signature="ecdsa-with-SHA1")])
    grades = grade(report)
    assert list(grades) == [Version.TLS1_2, Version.TLS1_3]
    assert {one.letter for one in grades[Version.TLS1_2].suites} == {"F"}
    assert {one.letter for one in grades[Version.TLS1_3].suites} == {"A"}
    assert least_strength(grades.values()) == "F"


@pytest.mark.parametrize(
    ("version", "code", "leaf", "expected"),
    [
        (Version.TLS1_0, 0x0004, {}, "Ciphersuite uses MD5 for message integrity"),
        (Version.TLS1_0, 0x0004, {}, "Broken cipher RC4 is deprecated by RFC 7465"),
        (Version.TLS1_0, 0x0004, {}, "Forward Secrecy not supported by any cipher"),
        (Version.TLS1_0, 0x0007, {}, "64-bit block cipher IDEA vulnerable to SWEET32 attack"),
        (Version.TLS1_0, 0x0008, {}, "64-bit block cipher DES40 vulnerable to SWEET32 attack"),
        (Version.TLS1_0, 0x0008, {}, "Export key exchange"),
        (Version.SSL3, 0x002F, {}, "CBC-mode cipher in SSLv3 (CVE-2014-3566)"),
        (Version.TLS1_0, 0x0034, {}, "Anonymous key exchange, score capped at F"),
        (Version.TLS1_3, 0xC02F, {}, "Non-TLSv1.3 ciphersuite chosen for TLSv1.3"),
        (
            Version.TLS1_2, 0xC02F, {"signature": "sha1WithRSAEncryption"},
            "Insecure certificate signature (SHA1), score capped at F",
        ),
        (
            Version.TLS1_2, 0x009C, {"signature": "md5WithRSAEncryption"},
            "Insecure certificate signature (MD5), score capped at F",
        ),
        (Version.TLS1_2, 0x009C, {"exponent": 1}, "Certificate RSA exponent is 1, score capped at F"),
        (
            Version.TLS1_2, 0xC02F, {"key_bits": 4096},
            "Key exchange (ecdh_x25519) of lower strength than certificate key",
        ),
        (Version.TLS1_2, 0x009E, {"key_bits": 3072}, "Key exchange (dh 2048) of lower strength than certificate key"),
    ],
)  # fmt: skip
def test_warnings(version: Version, code: int, leaf: dict[str, object], expected: str) -> None:
    faulty = certificate(
        **{"key": "rsa", "key_bits": 2048, "curve": "", "signature": "sha256WithRSAEncryption", "exponent": 3, **leaf}
    )
    found = graded(version, code, None, faulty)
    assert expected in found.warnings
    assert found.warnings == tuple(sorted(found.warnings))
    if "capped at F" in expected:
        assert found.suites[0].letter == "F"


def test_no_warning_without_a_reason() -> None:
    assert graded(Version.TLS1_2, 0xC02F, None, RSA_LEAF).warnings == ()


def test_what_is_not_known_is_not_graded() -> None:
    """A certificate that was not seen may be signed with SHA-1, and a group without a size may be any."""
    assert grade_version(accepted(Version.TLS1_2, [0xC02F]), {}).suites[0].letter == "unknown"
    odd = graded(Version.TLS1_2, 0xC02F, KeyExchange("0x1234", 0), RSA_LEAF)
    assert odd.suites[0].letter == "unknown"
    assert least_strength([odd, graded(Version.TLS1_2, 0x0002, None, RSA_LEAF)]) == "unknown"
    assert least_strength([]) == ""


def test_ssl2_is_worth_nothing() -> None:
    found = grade_version(accepted(Version.SSL2, [suite(0x010080, certificate="")]), {})
    assert found.suites[0].letter == "F"


def test_one_letter_for_a_table() -> None:
    report = endpoint(refused(Version.TLS1_3))
    seen = report.versions[Version.TLS1_2]
    assert letter(report, seen, seen.suites[0]) == "A"
    assert letter(report, report.versions[Version.TLS1_3], seen.suites[0]) == ""


@pytest.mark.parametrize(
    ("kind", "bits", "expected"),
    [("ec", 159, 512), ("ec", 160, 1024), ("ec", 256, 3072), ("ec", 384, 7680), ("ec", 521, 15360), ("rsa", 1000, 1000),
     ("dh", 0, None), ("srp", 2048, None)],
)  # fmt: skip
def test_strengths_compared(kind: str, bits: int, expected: int | None) -> None:
    assert as_rsa(kind, bits) == expected
