"""A real relay that does not hold what it was told: seen by handshake, and told when it begins and ends (G6, R17)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import Manager
from tests.support.process import eventually, free_ports
from tests.support.tools import s_client_early


@pytest.mark.rule("G6")
@pytest.mark.rule("R14")
@pytest.mark.rule("R17")
def test_drift_between_sent_acknowledged_and_shown_is_an_event_and_a_line(running: Manager, tmp_path: Path) -> None:
    running.quick_policy()
    running.set_minimum("TLSv1.2")
    home = tmp_path / "relay"
    (port,) = free_ports(1)
    activate(running, home, "--relay", "--relay-port", str(port), "--name", "drifter", token=running.new_token())

    def relay() -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in running.get("/api/tls/relays")["relays"] if one["port"] == port)
        return found

    def told() -> list[int]:
        events = running.get("/api/events", limit=1000)["events"]
        return [one["number"] for one in events if one["number"] in (1951, 1959) and one["target"] == relay()["name"]]

    with agent(home):
        running.send_policy()
        eventually(
            lambda: (row := relay())["ackedAt"] and row["observedAt"] and row["observedAt"] > row["ackedAt"], "it"
        )
        row = relay()
        assert (row["sent"], row["observed"], row["drift"]) == ("TLSv1.2", "TLSv1.2", None)
        assert row["sentAt"] <= row["ackedAt"] <= row["observedAt"] <= row["lookedAt"]
        assert running.cli("relays").returncode == 0
        assert told() == []

    # Somebody changes the file on the relay: it serves early TLS, whatever it once acknowledged.
    state = json.loads((home / "relay.json").read_text())
    (home / "relay.json").write_text(json.dumps(state | {"sent": "TLSv1", "floor": "TLSv1"}))
    with agent(home):
        eventually(lambda: relay()["observed"] == "TLSv1", "a handshake shows what it really holds")
        assert s_client_early(port).connected
        row = relay()
        assert (row["driftKind"], row["sent"], row["reported"]) == ("observed", "TLSv1.2", "TLSv1")
        shown = running.cli("relays")
        assert shown.returncode == 3
        (line,) = [one for one in shown.stdout.splitlines() if one.startswith("drift: ")]
        for fact in (row["name"], "TLSv1.2 was sent", "acknowledged", "a handshake with 4122 showed TLSv1 "):
            assert fact in line
        assert told() == [1951]
        running.send_policy()
        eventually(lambda: told() == [1951, 1959], "its end is told")
        assert relay()["drift"] is None
        assert s_client_early(port).refused_by_version

    # It is off, and a policy is sent: not acknowledged is drift once it had time for it.
    running.set_minimum("TLSv1")
    running.send_policy()
    assert relay()["drift"] is None
    assert relay()["ackedAt"] is None
    sent = time.monotonic()
    eventually(lambda: relay()["driftKind"] == "unacknowledged", "it had two heartbeats' time")
    assert time.monotonic() - sent > 8
    assert "not acknowledged" in running.cli("relays").stdout
    assert "now unknown" in running.cli("relays").stdout or relay()["lookedAt"] == relay()["observedAt"]
    running.set_minimum("TLSv1.2")
