"""A hostile front before a server that accepts TLS 1.0, and before one that does not: no answer may be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.front import Front, Limits, context_for

from plimsoll.scan.engine import scan_endpoint
from plimsoll.scan.options import Options
from plimsoll.scan.report import EndpointReport, Outcome, Preference, Target
from plimsoll.tls.versions import Version

CIPHERS = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA:AES128-SHA:AES256-SHA"
EARLY = [0xC013, 0x002F, 0x0035]
LATE = [0xC02F, 0xC030, *EARLY]
FRONTS = {
    "none": Limits(),
    "size-511": Limits(size=511),
    "size-255": Limits(size=255),
    "suites-128": Limits(suites=128),
    "suites-64": Limits(suites=64),
    "concurrency-2": Limits(concurrency=2),
    "concurrency-1": Limits(concurrency=1),
    "strict-name": Limits(strict_name=True),
    "all-at-once": Limits(size=255, suites=64, concurrency=1, strict_name=True),
}
QUICK = Options(timeout=1.0, features=False)


def scan(front: Front, options: Options = QUICK, name: str = "") -> EndpointReport:
    return scan_endpoint(Target("127.0.0.1", front.port, server_name=name), options)


def never_wrong(report: EndpointReport, early: bool) -> None:
    """What holds however little was learnt."""
    seen = report.versions[Version.TLS1_0].outcome
    assert seen is not (Outcome.REFUSED if early else Outcome.ACCEPTED)


def whole_truth(report: EndpointReport, early: bool) -> None:
    for version in (Version.TLS1_0, Version.TLS1_1):
        seen = report.versions[version]
        assert seen.outcome is (Outcome.ACCEPTED if early else Outcome.REFUSED), seen.evidence
        assert [suite.code for suite in seen.suites] == (EARLY if early else [])
    seen = report.versions[Version.TLS1_2]
    assert seen.outcome is Outcome.ACCEPTED
    assert [suite.code for suite in seen.suites] == LATE
    assert seen.suites_complete
    assert seen.preference is Preference.SERVER
    assert report.versions[Version.SSL3].outcome is Outcome.REFUSED, report.versions[Version.SSL3].evidence
    assert report.versions[Version.TLS1_3].outcome is Outcome.REFUSED, report.versions[Version.TLS1_3].evidence
    assert report.control.held


@pytest.mark.rule("R18")
@pytest.mark.parametrize("early", [True, False], ids=["accepts-1.0", "floor-1.2"])
@pytest.mark.parametrize("kind", FRONTS)
def test_limits_do_not_keep_it_from_the_truth(certificates: Path, kind: str, early: bool) -> None:
    context = context_for(certificates, Version.TLS1_0 if early else Version.TLS1_2, ciphers=CIPHERS)
    with Front(context, FRONTS[kind]).running() as front:
        report = scan(front)
    whole_truth(report, early)


@pytest.mark.parametrize("early", [True, False], ids=["accepts-1.0", "floor-1.2"])
@pytest.mark.parametrize("silent", [False, True], ids=["reset", "silent"])
def test_twenty_connections_a_second(certificates: Path, silent: bool, early: bool) -> None:
    context = context_for(certificates, Version.TLS1_0 if early else Version.TLS1_2, ciphers=CIPHERS)
    with Front(context, Limits(rate=20, silent=silent), seed=int(early)).running() as front:
        report = scan(front, Options(features=False))
    never_wrong(report, early)
    whole_truth(report, early)
    assert front.turned_away


@pytest.mark.parametrize("early", [True, False], ids=["accepts-1.0", "floor-1.2"])
def test_a_middlebox_that_drops_unknown_versions(certificates: Path, early: bool) -> None:
    context = context_for(certificates, Version.TLS1_0 if early else Version.TLS1_2, ciphers=CIPHERS)
    with Front(context, Limits(familiar=True)).running() as front:
        report = scan(front, Options(timeout=0.4, features=False))
    never_wrong(report, early)
    for version in (Version.SSL2, Version.SSL3, Version.TLS1_3):
        assert report.versions[version].outcome is Outcome.INCONCLUSIVE
    assert [suite.code for suite in report.versions[Version.TLS1_2].suites] == LATE
    assert (report.versions[Version.TLS1_0].outcome is Outcome.ACCEPTED) is early


def test_a_server_that_needs_a_name(certificates: Path) -> None:
    context = context_for(certificates, Version.TLS1_2, ciphers=CIPHERS)
    with Front(context, Limits(needs_name=True)).running() as front:
        report = scan(front, name="target.test")
        nameless = scan(front)
    assert report.versions[Version.TLS1_2].only_with_name
    assert report.versions[Version.TLS1_0].outcome is Outcome.REFUSED
    assert nameless.versions[Version.TLS1_2].outcome is Outcome.INCONCLUSIVE
    assert nameless.versions[Version.TLS1_0].outcome is Outcome.INCONCLUSIVE


def test_a_server_that_loses_connections_now_and_then(certificates: Path) -> None:
    context = context_for(certificates, Version.TLS1_0, ciphers=CIPHERS)
    with Front(context, Limits(flaky=0.1), seed=7).running() as front:
        report = scan(front)
    whole_truth(report, early=True)


@pytest.mark.deep
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("early", [True, False], ids=["accepts-1.0", "floor-1.2"])
@pytest.mark.parametrize("silent", [False, True], ids=["reset", "silent"])
def test_twenty_runs_behind_twenty_connections_a_second(certificates: Path, silent: bool, early: bool) -> None:
    context = context_for(certificates, Version.TLS1_0 if early else Version.TLS1_2, ciphers=CIPHERS)
    whole = 0
    for seed in range(20):
        limits = Limits(rate=20, silent=silent, burst=(20, 10, 5, 1)[seed % 4], penalty=(0, 0.2)[seed // 4 % 2])
        with Front(context, limits, seed=seed).running() as front:
            report = scan(front, Options())
        assert report.ended - report.started < 120
        never_wrong(report, early)
        try:
            whole_truth(report, early)
        except AssertionError:
            continue
        whole += 1
    assert whole >= 18
