"""Profiles: every rule holds, fails and stays open where it should, and nothing open ever passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.scan.made import accepted, certificate, endpoint, refused, suite

from plimsoll.scan.judgement import Verdict
from plimsoll.scan.profiles import (
    NAMES,
    STANDARDS,
    ProfileError,
    ProfileVerdict,
    exit_code,
    judge,
    load,
    parse,
)
from plimsoll.scan.report import (
    Control,
    EndpointReport,
    Features,
    KeyExchange,
    Outcome,
    Preference,
    State,
    VersionReport,
)
from plimsoll.tls.suites import CIPHER_SUITES
from plimsoll.tls.versions import FLOORS, Version

HOLDS, FAILS, OPEN = Verdict.HOLDS, Verdict.FAILS, Verdict.NOT_PROVED
DOCS = Path(__file__).parents[3] / "docs" / "profiles.md"
MODERN = (0x1301, 0x1302, 0x1303)
CURVES = ("x25519", "secp256r1")


def fit(name: str) -> EndpointReport:
    """An endpoint where that profile holds."""
    if name in ("mozilla-modern", "floor:TLSv1.3"):
        return endpoint(refused(Version.TLS1_2), certificates=[certificate(seen_with=(Version.TLS1_3,))])
    if name == "nist-800-52r2":
        return endpoint(accepted(Version.TLS1_3, MODERN[:2], CURVES))
    return endpoint()


def verdict(report: EndpointReport, name: str, rule: str) -> Verdict:
    return next(finding.verdict for finding in judge(report, name).findings if finding.rule.id == rule)


def changed(report: EndpointReport, version: Version, **changes: Any) -> EndpointReport:
    return replace(report, versions={**report.versions, version: replace(report.versions[version], **changes)})


# What a profile is


@pytest.mark.parametrize("name", NAMES)
def test_each_profile_holds_somewhere(name: str) -> None:
    found = judge(fit(name), name)
    assert (found.verdict, [str(finding) for finding in (*found.failed, *found.open)]) == (HOLDS, [])
    assert exit_code([found]) == 0
    assert str(found) == f"{name} holds at target.test:443"


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_sentence_and_a_source_and_the_papers_have_both(name: str) -> None:
    papers = DOCS.read_text(encoding="utf-8")
    for rule in load(name).rules:
        assert rule.sentence and rule.source
        if name in STANDARDS or name == "floor:TLSv1.2":
            assert f"| `{rule.id}` | {rule.sentence} | {rule.source} |" in papers
    assert name in papers


@pytest.mark.parametrize("name", STANDARDS)
def test_the_suites_and_versions_that_rules_name_exist(name: str) -> None:
    for rule in load(name).rules:
        assert set(rule.parameters.get("suites", ())) <= set(CIPHER_SUITES.values())
        for version in rule.parameters.get("versions", ()):
            assert Version(version)


@pytest.mark.parametrize(
    ("name", "text"), [("sslv3-only", "unknown profile 'sslv3-only'; known are"), ("floor:SSLv3", "valid are TLSv1,")]
)
def test_unknown_profiles_are_named(name: str, text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        load(name)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("title = 1", "'source'|'rule'"),
        ("colour = 'red'", "unknown colour"),
        ("= 3", "TOMLDecodeError"),
        ("title='t'\ndate='d'\nsource='s'\n[[rule]]\nid='a'\nsource='s'\ncheck='preference'", "sentence is missing"),
        ("[[rule]]\nid='a'\nsentence='s'\nsource='s'\ncheck='luck'", "unknown check 'luck'"),
        ("[[rule]]\nid='a'\nsentence='s'\nsource='s'\ncheck='preference'", "order"),
        ("[[rule]]\nid='a'\nsentence='s'\nsource='s'\ncheck='no-compression'\nmore=1", "more"),
        ("[[rule]]\nid='a'\nsentence='s'\nsource='s'\ncheck='no-compression'\n" * 2, "two rules have one id"),
    ],
)
def test_a_slip_in_the_data_is_loud(text: str, wrong: str) -> None:
    with pytest.raises(ProfileError, match=wrong):
        parse("mine", text)


# Exit codes


def test_exit_codes() -> None:
    assert exit_code([]) == 4, "nothing was judged, so nothing is proved"
    assert exit_code([HOLDS, HOLDS]) == 0
    assert exit_code([HOLDS, OPEN]) == 4
    assert exit_code([HOLDS, OPEN, FAILS]) == 3


# The floor


@pytest.mark.rule("R18")
@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_refuses_all_below_it(floor: Version) -> None:
    report = fit("floor:TLSv1.3") if floor is Version.TLS1_3 else endpoint()
    assert judge(report, f"floor:{floor}").verdict is HOLDS
    for version in Version:
        if version < floor:
            found = judge(
                replace(report, versions={**report.versions, version: accepted(version, [0x2F])}), f"floor:{floor}"
            )
            assert found.verdict is FAILS
            assert f"{version.label} is accepted" in str(found)


@pytest.mark.parametrize("control", [Control(held=False), Control(held=None)])
def test_refusals_without_a_control_prove_nothing(control: Control) -> None:
    found = judge(endpoint(control=control), "floor:TLSv1.2")
    assert found.verdict is OPEN
    assert "void" in str(found)


def test_a_floor_that_refuses_everything_is_not_proved() -> None:
    report = endpoint(refused(Version.TLS1_2), refused(Version.TLS1_3), control=Control(None))
    assert judge(report, "floor:TLSv1.2").verdict is OPEN


def test_a_floor_that_nothing_reaches_fails() -> None:
    report = endpoint(accepted(Version.TLS1_2, [0x2F]), refused(Version.TLS1_3))
    assert verdict(report, "floor:TLSv1.3", "accepted") is FAILS


@pytest.mark.parametrize("state", [State.UNREACHABLE, State.NOT_TLS])
@pytest.mark.parametrize("name", NAMES)
def test_where_no_tls_is_spoken_nothing_is_proved(name: str, state: State) -> None:
    found = judge(endpoint(state=state, note="plain HTTP"), name)
    assert found.verdict is OPEN
    assert "plain HTTP" in str(found)


# Rule by rule

Change = Callable[[EndpointReport], EndpointReport]


def with12(*codes: Any, **changes: Any) -> Change:
    return lambda report: changed(
        replace(report, versions={**report.versions, Version.TLS1_2: accepted(Version.TLS1_2, codes, CURVES)}),
        Version.TLS1_2,
        **changes,
    )


def leaf(**changes: Any) -> Change:
    return lambda report: replace(report, certificates=(certificate(**changes),))


def features(**changes: Any) -> Change:
    return lambda report: replace(report, features=replace(report.features, **changes))


RESPONDER = {"chain": (bytes.fromhex("300a06082b06010505073001"),)}
TINY_DH = suite(0x9E, KeyExchange("dh", 1024))
WEAK_GROUPS = accepted(Version.TLS1_2, [0xC02B], ("sect163k1",)).groups


@pytest.mark.parametrize(
    ("name", "rule", "change", "expected"),
    [
        ("mozilla-intermediate", "suites", with12(0xC02B, 0xC023), FAILS),
        ("mozilla-intermediate", "suites", with12(0xC02B, suites_complete=False), OPEN),
        ("mozilla-intermediate", "order", with12(0xC02B, 0xC02C, preference=Preference.SERVER), FAILS),
        ("mozilla-intermediate", "order", with12(0xC02B, 0xC02C, preference=Preference.INDETERMINATE), OPEN),
        ("mozilla-intermediate", "order", with12(0xC02B), HOLDS),
        ("mozilla-intermediate", "groups", with12(0xC02B, groups=WEAK_GROUPS), FAILS),
        ("mozilla-intermediate", "groups", with12(0xC02B, groups_complete=False), OPEN),
        ("mozilla-intermediate", "groups", with12(0x9C, groups_complete=False), HOLDS),
        ("mozilla-intermediate", "certificate-key", leaf(key="rsa", curve="", key_bits=2048), HOLDS),
        ("mozilla-intermediate", "certificate-key", leaf(key="rsa", curve="", key_bits=1024), FAILS),
        ("mozilla-intermediate", "certificate-key", leaf(key="ed25519", curve="", key_bits=256), FAILS),
        ("mozilla-intermediate", "certificate-key", leaf(key=""), OPEN),
        ("mozilla-intermediate", "certificate-key", leaf(seen_with=(Version.TLS1_2,)), OPEN),
        ("mozilla-intermediate", "certificate-key", leaf(fingerprint="cd" * 32), OPEN),
        ("mozilla-intermediate", "certificate-signature", leaf(signature="sha384WithRSAEncryption"), FAILS),
        ("mozilla-intermediate", "certificate-signature", leaf(signature=""), OPEN),
        ("mozilla-intermediate", "certificate-lifespan", leaf(not_after=1.7e9 + 366 * 86400 - 1), HOLDS),
        ("mozilla-intermediate", "certificate-lifespan", leaf(not_after=1.7e9 + 400 * 86400), FAILS),
        ("mozilla-intermediate", "certificate-lifespan", leaf(not_after=0.0), OPEN),
        ("mozilla-intermediate", "ocsp-staple", leaf(), HOLDS),
        ("mozilla-intermediate", "ocsp-staple", leaf(**RESPONDER), FAILS),
        ("mozilla-modern", "certificate-key", leaf(key="rsa", curve="", key_bits=4096), FAILS),
        ("pci-dss-4.0.1", "cipher-strength", with12(0x05), FAILS),
        ("pci-dss-4.0.1", "cipher-strength", with12(0x3B), FAILS),
        ("pci-dss-4.0.1", "cipher-strength", with12(0xC100), OPEN),
        ("pci-dss-4.0.1", "cipher-strength", with12(0x0A), HOLDS),
        ("pci-dss-4.0.1", "cipher-block", with12(0x0A), FAILS),
        ("pci-dss-4.0.1", "no-md5", with12(0x04), FAILS),
        ("pci-dss-4.0.1", "authenticated", with12(0x34), FAILS),
        ("pci-dss-4.0.1", "authenticated", with12(0x03), FAILS),
        ("pci-dss-4.0.1", "exchange-strength", with12(0x9E), HOLDS),
        ("pci-dss-4.0.1", "exchange-strength", with12(TINY_DH), FAILS),
        ("pci-dss-4.0.1", "exchange-strength", with12(suite(0xC02B, KeyExchange("0x1234", 0))), OPEN),
        ("pci-dss-4.0.1", "exchange-strength", with12(0xA8), OPEN),
        ("pci-dss-4.0.1", "exchange-strength", with12(0xC02B, groups=WEAK_GROUPS), FAILS),
        ("pci-dss-4.0.1", "no-compression", with12(0xC02B, compressors=("DEFLATE", "NULL")), FAILS),
        ("pci-dss-4.0.1", "no-compression", with12(0xC02B, compressors=()), OPEN),
        ("pci-dss-4.0.1", "secure-renegotiation", features(secure_renegotiation=False), FAILS),
        ("pci-dss-4.0.1", "secure-renegotiation", features(secure_renegotiation=None), OPEN),
        ("pci-dss-4.0.1", "certificate-signature", leaf(signature="sha1WithRSAEncryption"), FAILS),
        ("pci-dss-4.0.1", "certificate-signature", leaf(signature="ecdsa-with-SHA1"), FAILS),
        ("pci-dss-4.0.1", "certificate-valid", leaf(trust="expired"), FAILS),
        ("pci-dss-4.0.1", "certificate-valid", leaf(trust="self-signed"), OPEN),
        ("pci-dss-4.0.1", "certificate-valid", leaf(trust="not checked"), OPEN),
        ("pci-dss-4.0.1", "certificate-valid", leaf(name_matches=False), FAILS),
        ("pci-dss-4.0.1", "certificate-valid", leaf(name_matches=None), OPEN),
        ("nist-800-52r2", "suites", with12(0x9C), FAILS),
        ("nist-800-52r2", "suites", with12(0xCCA9), FAILS),
        ("nist-800-52r2", "approved-curve", with12(0xC02B, groups=()), FAILS),
        ("nist-800-52r2", "approved-curve", with12(0xC02B, groups=(), groups_complete=False), OPEN),
        ("nist-800-52r2", "approved-curve", with12(0x9E, groups=()), HOLDS),
        ("nist-800-52r2", "extended-master-secret", features(extended_master_secret=False), FAILS),
        ("nist-800-52r2", "ocsp-staple", features(ocsp_staple=None), HOLDS),
    ],
)  # fmt: skip
def test_rules(name: str, rule: str, change: Change, expected: Verdict) -> None:
    assert verdict(change(fit(name)), name, rule) is expected


def test_a_feature_of_old_versions_does_not_matter_without_them() -> None:
    report = features(secure_renegotiation=None)(fit("floor:TLSv1.3"))
    assert verdict(report, "pci-dss-4.0.1", "secure-renegotiation") is HOLDS


def test_a_staple_where_there_is_a_responder() -> None:
    report = features(ocsp_staple=True)(leaf(**RESPONDER)(endpoint()))
    assert verdict(report, "mozilla-intermediate", "ocsp-staple") is HOLDS
    assert verdict(features(ocsp_staple=None)(report), "mozilla-intermediate", "ocsp-staple") is OPEN


def test_post_quantum() -> None:
    assert judge(endpoint(accepted(Version.TLS1_3, MODERN, CURVES)), "pq-ready").verdict is FAILS
    assert judge(endpoint(refused(Version.TLS1_3)), "pq-ready").verdict is FAILS
    partly = changed(endpoint(accepted(Version.TLS1_3, MODERN, CURVES)), Version.TLS1_3, groups_complete=False)
    assert judge(partly, "pq-ready").verdict is OPEN


# Whatever was seen

UNPROVED = st.sampled_from([Outcome.INCONCLUSIVE, Outcome.NOT_ASKED])
SUITES = st.lists(st.sampled_from(sorted(CIPHER_SUITES)), max_size=4, unique=True)
TRUTHS = st.sampled_from([None, True, False])


@st.composite
def version_reports(draw: st.DrawFn, version: Version) -> VersionReport:
    outcome = draw(st.sampled_from(list(Outcome)))
    if outcome is not Outcome.ACCEPTED:
        return VersionReport(version, outcome)
    groups = draw(st.lists(st.sampled_from(["X25519MLKEM768", "x25519", "secp384r1", "sect163k1"]), unique=True))
    return replace(
        accepted(version, draw(SUITES), groups),
        suites_complete=draw(st.booleans()),
        groups_complete=draw(st.booleans()),
        preference=draw(st.sampled_from(list(Preference))),
        compressors=draw(st.sampled_from([(), ("NULL",), ("DEFLATE", "NULL")])),
    )


@st.composite
def reports(draw: st.DrawFn) -> EndpointReport:
    """An endpoint as no server would be: any mixture of answers."""
    asked = draw(st.sets(st.sampled_from(list(Version))))
    leaves = draw(st.lists(st.sampled_from(["ec", "rsa", "dsa", ""]), max_size=2))
    seen_with = tuple(draw(st.sets(st.sampled_from(list(Version)))))
    return replace(
        endpoint(),
        state=draw(st.sampled_from(list(State))),
        versions={version: draw(version_reports(version)) for version in asked},
        certificates=tuple(
            certificate(
                key=key, trust=draw(st.sampled_from(["trusted", "expired", "not checked"])), seen_with=seen_with
            )
            for key in leaves
        ),
        features=Features(draw(TRUTHS), draw(TRUTHS), ocsp_staple=draw(TRUTHS)),
        control=Control(draw(TRUTHS)),
    )


def needed(found: ProfileVerdict) -> set[Version]:
    """The versions whose refusal or acceptance the profile rests on by name."""
    rules = [rule for rule in found.profile.rules if rule.check == "versions-refused"]
    return {Version(name) for rule in rules for name in rule.parameters["versions"]}


@given(reports(), st.sampled_from(NAMES))
def test_any_report_gets_a_verdict_with_reasons(report: EndpointReport, name: str) -> None:
    found = judge(report, name)
    assert exit_code([found]) == {HOLDS: 0, FAILS: 3, OPEN: 4}[found.verdict]
    for finding in (*found.failed, *found.open):
        assert finding.reasons
    if found.verdict is HOLDS:
        assert report.control.held is True or not needed(found)
        assert report.state not in (State.UNREACHABLE, State.NOT_TLS)


@given(st.sampled_from(NAMES), st.data())
def test_nothing_open_ever_passes(name: str, data: st.DataObject) -> None:
    """From an endpoint where the profile holds: an outcome it needs becomes open, and it is proved no more."""
    report = fit(name)
    versions = sorted(needed(judge(report, name)))
    if name == "pq-ready":
        versions = [Version.TLS1_3]
    version = data.draw(st.sampled_from(versions))
    missing = data.draw(st.booleans())
    left = {v: seen for v, seen in report.versions.items() if v is not version}
    if not missing:
        left[version] = VersionReport(version, data.draw(UNPROVED))
    assert judge(replace(report, versions=left), name).verdict is OPEN


@given(reports(), st.sampled_from(NAMES), st.data())
def test_an_open_outcome_never_turns_into_a_pass(report: EndpointReport, name: str, data: st.DataObject) -> None:
    found = judge(report, name)
    version = data.draw(st.sampled_from(sorted(needed(found)) or [Version.TLS1_3]))
    opened = VersionReport(version, data.draw(UNPROVED))
    after = judge(replace(report, versions={**report.versions, version: opened}), name)
    assert after.verdict is not HOLDS


@given(reports(), st.sampled_from(NAMES), st.sampled_from([Version.TLS1_0, Version.TLS1_1]), SUITES)
def test_one_more_early_version_never_turns_a_failure_into_a_pass(
    report: EndpointReport, name: str, version: Version, codes: list[int]
) -> None:
    before = judge(report, name)
    after = judge(replace(report, versions={**report.versions, version: accepted(version, codes)}), name)
    if before.verdict is FAILS:
        assert after.verdict is not HOLDS
        if report.state not in (State.UNREACHABLE, State.NOT_TLS) and version in needed(before):
            assert after.verdict is FAILS
