"""Reports made by hand, of an endpoint that is as a rule book wants it; tests then change one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from plimsoll.scan.report import (
    CertificateReport,
    Control,
    EndpointReport,
    Features,
    GroupReport,
    KeyExchange,
    Outcome,
    Preference,
    State,
    SuiteReport,
    Target,
    VersionReport,
)
from plimsoll.tls.codepoints import GROUPS, suite_name
from plimsoll.tls.suite_parts import parts
from plimsoll.tls.versions import Version

LEAF = "ab" * 32
_CODES = {name: code for code, name in GROUPS.items()}
_BITS = {"x25519": 256, "secp256r1": 256, "secp384r1": 384, "X25519MLKEM768": 256, "ffdhe2048": 2048, "sect163k1": 163}


def suite(code: int, exchange: KeyExchange | None = None, certificate: str = LEAF) -> SuiteReport:
    made = parts(code)
    if exchange is None and (made.kex in ("ECDHE", "ECDHE_PSK") or made.post_tls13):
        exchange = KeyExchange("x25519", 256)
    if exchange is None and made.kex == "DHE":
        exchange = KeyExchange("dh", 2048)
    if exchange is None and made.kex == "RSA":
        exchange = KeyExchange("rsa", 2048)
    return SuiteReport(code, suite_name(code), exchange, "" if made.post_tls13 or made.anonymous else certificate)


def group(name: str) -> GroupReport:
    return GroupReport(_CODES[name], name, _BITS[name], "MLKEM" in name)


def accepted(version: Version, codes: Sequence[int | SuiteReport], groups: Sequence[str] = ()) -> VersionReport:
    return VersionReport(
        version,
        Outcome.ACCEPTED,
        suites=tuple(code if isinstance(code, SuiteReport) else suite(code) for code in codes),
        suites_complete=True,
        preference=Preference.CLIENT if len(codes) > 1 else Preference.INDETERMINATE,
        compressors=("NULL",),
        groups=tuple(group(name) for name in groups),
        groups_complete=True,
    )


def refused(version: Version) -> VersionReport:
    return VersionReport(version, Outcome.REFUSED, ("alert protocol_version (70) to all suites",))


def certificate(**changes: Any) -> CertificateReport:
    leaf = CertificateReport(
        LEAF,
        (b"leaf",),
        subject="CN=target.test",
        key="ec",
        key_bits=256,
        curve="secp256r1",
        signature="ecdsa-with-SHA256",
        not_before=1.7e9,
        not_after=1.7e9 + 80 * 86400,
        trust="trusted",
        name_matches=True,
        seen_with=(Version.TLS1_2, Version.TLS1_3),
    )
    return replace(leaf, **changes)


def endpoint(
    *seen: VersionReport, certificates: Sequence[CertificateReport] | None = None, **changes: Any
) -> EndpointReport:
    """TLS 1.2 with one good suite and 1.3 with three; each of `seen` takes the place of its version."""
    versions = {version: refused(version) for version in Version}
    groups = ("X25519MLKEM768", "x25519", "secp256r1", "secp384r1")
    versions[Version.TLS1_2] = accepted(Version.TLS1_2, [0xC02B, 0xC02C], groups[1:])
    versions[Version.TLS1_3] = accepted(Version.TLS1_3, [0x1301, 0x1302, 0x1303], groups)
    versions |= {one.version: one for one in seen}
    report = EndpointReport(
        Target("target.test", 443, server_name="target.test"),
        State.COMPLETE,
        address="127.0.0.1",
        versions=versions,
        certificates=tuple([certificate()] if certificates is None else certificates),
        features=Features(
            secure_renegotiation=True, extended_master_secret=True, fallback_scsv=True, ocsp_staple=False
        ),
        control=Control(held=True),
    )
    return replace(report, **changes)
