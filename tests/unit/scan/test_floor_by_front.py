"""`floor:TLSv1.2` behind a hostile front: what accepts TLS 1.0 never passes, what does not never fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.front import Front, Limits, context_for

from plimsoll.scan.engine import scan_endpoint
from plimsoll.scan.options import Options
from plimsoll.scan.profiles import exit_code, judge
from plimsoll.scan.report import Target
from plimsoll.tls.versions import Version

CIPHERS = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA"
#: Limits that a scan gets around, and one behind which old versions are met with silence.
PASSABLE = {
    "none": Limits(),
    "size-255": Limits(size=255),
    "suites-64": Limits(suites=64),
    "concurrency-1": Limits(concurrency=1),
    "strict-name": Limits(strict_name=True),
    "all-at-once": Limits(size=255, suites=64, concurrency=1, strict_name=True),
}


def code(certificates: Path, limits: Limits, early: bool, versions: tuple[Version, ...] = tuple(Version)) -> int:
    context = context_for(certificates, Version.TLS1_0 if early else Version.TLS1_2, ciphers=CIPHERS)
    with Front(context, limits).running() as front:
        report = scan_endpoint(Target("127.0.0.1", front.port), Options(timeout=0.4, versions=versions, features=False))
    found = judge(report, "floor:TLSv1.2")
    assert found.verdict.value in ("holds", "does not hold", "not proved")
    return exit_code([found])


@pytest.mark.rule("R18")
@pytest.mark.parametrize("kind", PASSABLE)
def test_limits_change_nothing_in_the_verdict(certificates: Path, kind: str) -> None:
    assert code(certificates, PASSABLE[kind], early=True) == 3
    assert code(certificates, PASSABLE[kind], early=False) == 0


@pytest.mark.rule("R18")
def test_silence_to_an_old_version_is_no_proof(certificates: Path) -> None:
    spoken = (Version.SSL3, Version.TLS1_0, Version.TLS1_1, Version.TLS1_2)
    assert code(certificates, Limits(familiar=True), early=False, versions=spoken) == 4


def test_a_version_that_was_not_asked_for_is_not_refused(certificates: Path) -> None:
    asked = tuple(version for version in Version if version is not Version.TLS1_1)
    assert code(certificates, Limits(), early=False, versions=asked) == 4
    assert code(certificates, Limits(), early=True, versions=asked) == 3
