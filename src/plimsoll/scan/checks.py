"""What a profile's rule can ask of a report. Each check answers holds, fails or not proved, and says why.

Three rules hold in all of them. What fails, fails, however much stayed open elsewhere. A question that stayed open is
never a pass. And a refusal counts only where the control after it was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from plimsoll.scan.judgement import Judgement
from plimsoll.scan.report import (
    CertificateReport,
    EndpointReport,
    KeyExchange,
    Outcome,
    Preference,
    State,
    SuiteReport,
    VersionReport,
)
from plimsoll.tls.suite_parts import SuiteParts, parts
from plimsoll.tls.versions import Version

#: The first argument is the report, the second takes the answer; the rest are the rule's own fields.
Check = Callable[..., None]

#: SSL 2 and 3, and TLS before 1.3, have what TLS 1.3 has left behind.
_BEFORE_13: Final = tuple(version for version in Version if version < Version.TLS1_3)
_CERTIFIED: Final = frozenset({"RSA", "DSS", "ECDSA"})
_EPHEMERAL: Final = frozenset({"DHE", "ECDHE", "DHE_PSK", "ECDHE_PSK"})
_SHORT_BLOCK: Final = 64
_DAY: Final = 86400.0
#: How a certificate names its OCSP responder: the object identifier of id-ad-ocsp in DER.
_OCSP: Final = bytes.fromhex("06082b06010505073001")


# Versions


def versions_refused(report: EndpointReport, judged: Judgement, *, versions: Sequence[str]) -> None:
    """Each of the versions was refused with evidence, and the control held."""
    for version in map(Version, versions):
        standing = _standing(report, version)
        if standing is True:
            judged.fail(f"{version.label} is accepted")
        elif standing is None:
            judged.leave_open(_why_open(report, version))
        else:
            judged.note(f"{version.label} is refused: {'; '.join(report.versions[version].evidence) or 'by alert'}")


def version_accepted(report: EndpointReport, judged: Judgement, *, versions: Sequence[str]) -> None:
    """At least one of the versions is accepted."""
    asked = [Version(name) for name in versions]
    found = [version.label for version in asked if _standing(report, version) is True]
    if found:
        judged.note(f"{', '.join(found)} accepted")
        return
    missing = [version for version in asked if _standing(report, version) is None]
    for version in missing:
        judged.leave_open(_why_open(report, version))
    if not missing:
        judged.fail(f"{' and '.join(version.label for version in asked)} refused")


def _standing(report: EndpointReport, version: Version) -> bool | None:
    """True: accepted. False: refused, with a control that held. None: not proved either way."""
    seen = report.versions.get(version)
    if seen is None or report.state in (State.UNREACHABLE, State.NOT_TLS):
        return None
    if seen.outcome is Outcome.ACCEPTED:
        return True
    return False if seen.outcome is Outcome.REFUSED and report.control.held is True else None


def _why_open(report: EndpointReport, version: Version) -> str:
    seen = report.versions.get(version)
    if report.state in (State.UNREACHABLE, State.NOT_TLS):
        return f"{report.state.value}: {report.note}" if report.note else report.state.value
    if seen is None or seen.outcome is Outcome.NOT_ASKED:
        return f"{version.label} was not asked for"
    if seen.outcome is Outcome.REFUSED:
        return f"{version.label}: the refusal is void, since no allowed version answered as a control"
    return f"{version.label} is not proved: {'; '.join(seen.evidence) or 'no clear answer'}"


def _accepted(
    report: EndpointReport, judged: Judgement, among: Sequence[Version] = tuple(Version)
) -> list[VersionReport]:
    """The accepted versions among those. What is not proved of the others is left open."""
    found = []
    for version in among:
        standing = _standing(report, version)
        if standing is True:
            found.append(report.versions[version])
        elif standing is None:
            judged.leave_open(_why_open(report, version))
    return found


# Suites


def suites_only(report: EndpointReport, judged: Judgement, *, suites: Sequence[str]) -> None:
    """No other suites are accepted, under any version."""
    others: dict[Version, list[str]] = {}
    for seen, suite, _ in _suites(report, judged):
        if suite.name not in suites:
            others.setdefault(seen.version, []).append(suite.name)
    for version, names in others.items():
        judged.fail(f"{version.label} accepts {', '.join(names)}")


def no_suites(
    report: EndpointReport,
    judged: Judgement,
    *,
    anonymous: bool = False,
    export: bool = False,
    short_blocks: bool = False,
    macs: Sequence[str] = (),
) -> None:
    """No suite of these kinds is accepted."""
    for seen, suite, made in _suites(report, judged):
        if (
            (anonymous and made.anonymous)
            or (export and made.export)
            or (short_blocks and 0 < made.block_bits <= _SHORT_BLOCK)
            or made.mac in macs
        ):
            judged.fail(f"{seen.version.label} accepts {suite.name}")


def cipher_bits(report: EndpointReport, judged: Judgement, *, least: int) -> None:
    """Every cipher is effectively that strong."""
    for seen, suite, made in _suites(report, judged):
        if made.bits is None:
            judged.leave_open(f"the strength of {suite.name} is not known")
        elif made.bits < least:
            judged.fail(f"{seen.version.label} accepts {suite.name} ({made.bits} bits)")


def exchange_bits(report: EndpointReport, judged: Judgement, *, rsa: int, dh: int, ec: int) -> None:
    """Every key exchange is that strong: key transport, primes, and all groups."""
    least = {"rsa": rsa, "dh": dh, "ec": ec}
    for seen, suite, made in _suites(report, judged):
        if suite.exchange is None:
            judged.leave_open(f"{seen.version.label}: the key exchange of {suite.name} was not seen")
        else:
            _weigh(judged, f"{seen.version.label}, {suite.name}", suite.exchange, least)
        if made.export:
            judged.fail(f"{seen.version.label} accepts {suite.name}, weakened for export")
    for seen in _accepted(report, judged):
        for group in seen.groups:
            _weigh(judged, seen.version.label, KeyExchange(group.name, group.bits), least)
        _whole_groups(seen, judged)


def _weigh(judged: Judgement, where: str, exchange: KeyExchange, least: Mapping[str, int]) -> None:
    group = exchange.group
    if group.startswith("MLKEM"):
        return  # the number in its name is no measure that the others share; the least of them is as strong as AES-128
    kind = group if group in least else "dh" if group.startswith("ffdhe") else "ec"
    if exchange.bits <= 0:
        judged.leave_open(f"{where}: the strength of {group} is not known")
    elif exchange.bits < least[kind]:
        judged.fail(f"{where}: {group} of {exchange.bits} bits")


def preference(report: EndpointReport, judged: Judgement, *, order: str) -> None:
    """Whose order of suites counts, wherever there is more than one."""
    for seen in _accepted(report, judged):
        if len(seen.suites) < 2 and seen.suites_complete:
            continue
        if seen.preference is Preference.INDETERMINATE:
            judged.leave_open(f"{seen.version.label}: whose order counts was not found out")
        elif seen.preference is not Preference(order):
            judged.fail(f"{seen.version.label}: the {seen.preference.value}'s order counts")


def no_compression(report: EndpointReport, judged: Judgement) -> None:
    """No version compresses."""
    for seen in _accepted(report, judged, _BEFORE_13):
        others = [name for name in seen.compressors if name != "NULL"]
        if others:
            judged.fail(f"{seen.version.label} compresses with {', '.join(others)}")
        elif not seen.compressors:
            judged.leave_open(f"{seen.version.label}: compression was not asked for")


def _suites(report: EndpointReport, judged: Judgement) -> Iterator[tuple[VersionReport, SuiteReport, SuiteParts]]:
    """Every accepted suite. Lists that are not whole are left open."""
    found = _accepted(report, judged)
    for seen in found:
        if not seen.suites_complete:
            judged.leave_open(f"{seen.version.label}: the list of its suites is not proved to be whole")
        for suite in seen.suites:
            yield seen, suite, parts(suite.code)
    if not found:
        judged.leave_open("no version is known to be accepted")


# Groups


def groups_only(report: EndpointReport, judged: Judgement, *, groups: Sequence[str]) -> None:
    """No other key-exchange groups are accepted, under any version."""
    for seen in _accepted(report, judged):
        if others := [group.name for group in seen.groups if group.name not in groups]:
            judged.fail(f"{seen.version.label} accepts {', '.join(others)}")
        _whole_groups(seen, judged)


def group_accepted(report: EndpointReport, judged: Judgement, *, groups: Sequence[str], where: str) -> None:
    """One of the groups is accepted: under the version `where`, or ("curves") under each that uses curves."""
    if where != "curves":
        version = Version(where)
        if _standing(report, version) is False:
            judged.fail(f"{version.label} is refused")
        found = _accepted(report, judged, (version,))
    else:
        found = [seen for seen in _accepted(report, judged) if _uses_curves(seen)]
    for seen in found:
        named = [group.name for group in seen.groups if group.name in groups]
        if named:
            judged.note(f"{seen.version.label} accepts {', '.join(named)}")
        elif seen.groups_complete:
            judged.fail(f"{seen.version.label} accepts none of {', '.join(groups)}")
        else:
            judged.leave_open(f"{seen.version.label}: the list of its groups is not proved to be whole")


def _uses_curves(seen: VersionReport) -> bool:
    """False only where the whole list of suites is known to have none."""
    if seen.version is Version.TLS1_3 or not seen.suites_complete:
        return True
    return any(parts(suite.code).kex in ("ECDHE", "ECDHE_PSK") for suite in seen.suites)


def _whole_groups(seen: VersionReport, judged: Judgement) -> None:
    if not seen.groups_complete and _uses_curves(seen):
        judged.leave_open(f"{seen.version.label}: the list of its groups is not proved to be whole")


# Features


def feature(report: EndpointReport, judged: Judgement, *, feature: str, first: str, last: str) -> None:
    """The endpoint has that feature, wherever one of the versions from first to last is accepted."""
    span = [version for version in Version if Version(first) <= version <= Version(last)]
    named = feature.replace("_", " ")
    value = getattr(report.features, feature)
    for seen in _accepted(report, judged, span):
        if value is None:
            judged.leave_open(f"{named} was not found out")
        elif not value:
            judged.fail(f"{seen.version.label} without {named}")


def ocsp_staple(report: EndpointReport, judged: Judgement) -> None:
    """An OCSP answer comes along, wherever a certificate says who would give one."""
    if not any(_OCSP in certificate.chain[0] for certificate in _certificates(report, judged) if certificate.chain):
        judged.note("no certificate names an OCSP responder")
    elif report.features.ocsp_staple is None:
        judged.leave_open("whether an OCSP answer is stapled was not found out")
    elif not report.features.ocsp_staple:
        judged.fail("no OCSP answer is stapled")


# Certificates


def certificate_key(
    report: EndpointReport,
    judged: Judgement,
    *,
    rsa: int | None = None,
    dsa: int | None = None,
    ec: int | None = None,
    curves: Sequence[str] = (),
) -> None:
    """Every certificate has a key of these kinds: at least so many bits, or one of the curves."""
    least = {"rsa": rsa, "dsa": dsa, "ec": ec, "ed25519": ec, "ed448": ec}
    for certificate in _certificates(report, judged):
        if not certificate.key:
            judged.leave_open(f"the key of {_named(certificate)} could not be read")
            continue
        needed = least.get(certificate.key)
        if certificate.curve in curves or (needed is not None and certificate.key_bits >= needed):
            continue
        size = certificate.curve or f"{certificate.key_bits} bits"
        judged.fail(f"{_named(certificate)} has a key of kind {certificate.key}, {size}")


def certificate_signature(
    report: EndpointReport, judged: Judgement, *, signatures: Sequence[str] = (), forbidden: Sequence[str] = ()
) -> None:
    """Every certificate is signed by one of `signatures` (any, where there are none) and with no `forbidden` hash."""
    allowed = {_plain(name) for name in signatures}
    for certificate in _certificates(report, judged):
        signature = _plain(certificate.signature)
        if not signature:
            judged.leave_open(f"the signature of {_named(certificate)} could not be read")
        elif (allowed and signature not in allowed) or any(name in signature for name in forbidden):
            judged.fail(f"{_named(certificate)} is signed with {certificate.signature}")


def certificate_lifespan(report: EndpointReport, judged: Judgement, *, days: int) -> None:
    """Every certificate lives that long at most."""
    for certificate in _certificates(report, judged):
        lives = (certificate.not_after - certificate.not_before) / _DAY
        if not certificate.not_after:
            judged.leave_open(f"the dates of {_named(certificate)} could not be read")
        elif lives > days + 1 / _DAY:  # the last second belongs to it
            judged.fail(f"{_named(certificate)} lives {lives:.0f} days")


def certificate_valid(report: EndpointReport, judged: Judgement) -> None:
    """Every certificate is trusted, within its time, and made for the name that was asked for."""
    for certificate in _certificates(report, judged):
        named = _named(certificate)
        if certificate.trust in ("expired", "not yet valid"):
            judged.fail(f"{named} is {certificate.trust}")
        elif certificate.trust != "trusted":
            # It may be an organisation's own, which the standard allows where it was verified: that is not seen here.
            judged.leave_open(f"{named}: {certificate.trust}; name the roots that are trusted with --ca")
        if certificate.name_matches is False:
            judged.fail(f"{named} is not for the name that was asked for")
        elif certificate.name_matches is None:
            judged.leave_open(f"{named}: no name was asked for that it could be compared with")


def _certificates(report: EndpointReport, judged: Judgement) -> tuple[CertificateReport, ...]:
    """Every certificate that was seen. Where one must have been served that was not seen, that is left open."""
    known = {certificate.fingerprint for certificate in report.certificates}
    found = _accepted(report, judged)
    for seen in found:
        if seen.version is Version.TLS1_3:
            whole = any(Version.TLS1_3 in certificate.seen_with for certificate in report.certificates)
        else:
            certified = [suite for suite in seen.suites if parts(suite.code).auth in _CERTIFIED]
            whole = seen.suites_complete and all(suite.certificate in known for suite in certified)
        if not whole:
            judged.leave_open(f"{seen.version.label}: its certificates were not all seen")
    if not found:
        judged.leave_open("no version is known to be accepted")
    return tuple(leaf for leaf in report.certificates if not leaf.only_without_name)


def _named(certificate: CertificateReport) -> str:
    return f"the certificate {certificate.subject or certificate.fingerprint[:16]}"


def _plain(signature: str) -> str:
    return signature.lower().replace("-", "")


#: By the name that rules use. What is not listed is refused when a profile is loaded.
CHECKS: Final[dict[str, Check]] = {
    "versions-refused": versions_refused,
    "version-accepted": version_accepted,
    "suites-only": suites_only,
    "no-suites": no_suites,
    "cipher-bits": cipher_bits,
    "exchange-bits": exchange_bits,
    "preference": preference,
    "no-compression": no_compression,
    "groups-only": groups_only,
    "group-accepted": group_accepted,
    "feature": feature,
    "ocsp-staple": ocsp_staple,
    "certificate-key": certificate_key,
    "certificate-signature": certificate_signature,
    "certificate-lifespan": certificate_lifespan,
    "certificate-valid": certificate_valid,
}


def run(check: str, report: EndpointReport, parameters: Mapping[str, Any]) -> Judgement:
    """One check's judgement."""
    judged = Judgement()
    CHECKS[check](report, judged, **parameters)
    return judged
