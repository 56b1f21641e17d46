"""Which floor a relay is configured to hold."""

from __future__ import annotations

import pytest

from plimsoll.fleet.component import ComponentVersion
from plimsoll.fleet.relay_floor import relay_floor, version_default
from plimsoll.tls.versions import Version

OPEN, HELD, NEWER = Version.TLS1_0, Version.TLS1_2, Version.TLS1_3


@pytest.mark.rule("R17")
@pytest.mark.rule("R6")
@pytest.mark.parametrize(
    ("version", "default"),
    [("9.6", OPEN), ("10.0 Update 8", OPEN), ("11.0", OPEN), ("11.1", HELD), ("11.1.0-77", HELD), ("12.0.0", HELD)],
)
def test_without_a_policy_a_new_relay_holds_the_default_of_its_version(version: str, default: Version) -> None:
    assert version_default(version) is default
    assert version_default(ComponentVersion.parse(version)) is default
    assert relay_floor(version) == (default, "version default")


@pytest.mark.rule("R17")
@pytest.mark.parametrize("version", [None, "", "unreadable"])
def test_a_relay_of_unknown_version_counts_as_open(version: str | None) -> None:
    assert relay_floor(version).floor is OPEN


@pytest.mark.rule("R14")
@pytest.mark.rule("R17")
@pytest.mark.parametrize("version", ["10.0 Update 8", "12.0"])
@pytest.mark.parametrize("sent", [OPEN, HELD, NEWER])
@pytest.mark.parametrize("kept", [None, OPEN, NEWER])
def test_the_policy_last_sent_decides(version: str, sent: Version, kept: Version | None) -> None:
    assert relay_floor(version, sent, kept) == (sent, "policy")


@pytest.mark.rule("R7")
def test_an_upgraded_relay_keeps_the_floor_that_it_held() -> None:
    before = relay_floor("10.0 Update 8")
    after = relay_floor("12.0", kept=before.floor)
    assert before.floor is OPEN
    assert after == (OPEN, "kept through an upgrade")
    assert relay_floor("12.0", kept=HELD) == (HELD, "kept through an upgrade")
