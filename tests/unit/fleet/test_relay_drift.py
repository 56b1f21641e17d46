"""Three statements about a relay's floor, and when two of them contradict (R14, R17, G6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plimsoll.fleet.relay_drift import Drift, RelayFacts, drift_of
from plimsoll.tls.versions import Version

T = 1_800_000_000.0
AGREED = RelayFacts(
    held=Version.TLS1_2,
    origin="policy",
    sent=Version.TLS1_2,
    sent_at=T,
    acknowledged=True,
    acked_at=T + 30,
    observed=Version.TLS1_2,
    observed_at=T + 60,
)


def drift(**values: object) -> Drift | None:
    return drift_of(replace(AGREED, **values), T + 120)  # type: ignore[arg-type]


@pytest.mark.rule("R17")
@pytest.mark.rule("G6")
def test_agreement_is_none_and_a_handshake_that_shows_another_floor_is_drift() -> None:
    assert drift() is None
    for shown in (Version.TLS1_0, Version.TLS1_3):
        found = drift(observed=shown)
        assert found is not None
        assert found.kind == "observed"
        for fact in ("TLSv1.2 was sent", "acknowledged on 2027-01-15 at 08:00:30", f"showed {shown}", "at 08:01:00"):
            assert fact in found.text


def test_a_handshake_of_before_the_acknowledgement_and_none_at_all_say_nothing() -> None:
    assert drift(observed=Version.TLS1_0, observed_at=T + 31) is None
    assert drift(observed=None, observed_at=None) is None


@pytest.mark.rule("R14")
def test_what_is_not_acknowledged_is_drift_once_two_heartbeats_are_over() -> None:
    silent = replace(AGREED, acknowledged=False, acked_at=None, observed=Version.TLS1_0)
    assert drift_of(silent, T + 2.2 * 600 + 10) is None
    found = drift_of(silent, T + 2.2 * 600 + 11)
    assert found is not None
    assert found.kind == "unacknowledged"
    assert "not acknowledged after 22 min" in found.text
    assert "showed TLSv1 " in found.text
    late = drift_of(replace(silent, observed=None, heartbeat_seconds=10), T + 3 * 3600)
    assert late is not None
    assert "after 3 h; no handshake showed its floor" in late.text


@pytest.mark.rule("R17")
def test_a_relay_that_was_never_sent_a_floor_is_held_to_its_default() -> None:
    never = RelayFacts(held=Version.TLS1_2, origin="version default", observed=Version.TLS1_0, observed_at=T)
    found = drift_of(never, T)
    assert found is not None
    assert "TLSv1.2 (version default)" in found.text
    assert drift_of(replace(never, observed=Version.TLS1_2), T) is None
