"""``plimsoll simulate`` against a real manager: the fleet it plays is the fleet that the manager sees."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import free_ports, parse_json, run
from tests.support.store import store_of


def simulate(manager: Manager, *more: str, agents: int, old: int, seconds: float) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        PLIMSOLL,
        "simulate",
        "--manager",
        manager.url,
        "--token",
        manager.new_token(agents + 10),
        "--json",
    ]
    command += ["--agents", str(agents), "--old", str(old), "--seconds", str(seconds), *more]
    return run(command, timeout=seconds + 120)


@pytest.mark.rule("R2")
@pytest.mark.rule("R3")
def test_a_mixed_fleet_settles_on_the_newest_common_versions(running: Manager) -> None:
    running.set_minimum("TLSv1")
    (port,) = free_ports(1)
    relays = ["--relays", "2", "--relay-version", "11.0", "--relay-port", str(port)]
    result = simulate(running, *relays, "--interval", "1", "--network", "40", agents=40, old=15, seconds=8)
    assert result.returncode == 0, result.stderr
    report = parse_json(result)
    assert (report["peers"], report["activated"], report["refused"]) == (42, 42, {})
    assert report["failures"] == {}
    assert report["relay_floors"] == {"sim-relay00000": "TLSv1", "sim-relay00001": "TLSv1"}
    assert report["negotiated"]["TLSv1"] == 15
    assert sum(report["negotiated"].values()) == 42
    assert report["heartbeats"] > 100
    assert report["latency"]["p95"] > 0

    seen = running.computers()
    assert {name: computer["tls"]["negotiated"] for name, computer in seen.items() if "old" in name} == {
        f"sim-old{number:05d}": "TLSv1" for number in range(15)
    }
    assert len({computer["lastIPUsed"] for computer in seen.values()}) == 42
    assert {computer["kind"] for computer in seen.values()} == {"agent", "relay"}


@pytest.mark.rule("G4")
def test_who_is_refused_is_named_on_both_sides(running: Manager) -> None:
    """Old agents that were known here before the raise are named by the manager, with TLS as the reason."""
    running.set_minimum("TLSv1")
    process = subprocess.Popen(
        [
            *[str(PLIMSOLL), "simulate", "--manager", running.url, "--token", running.new_token(20), "--json"],
            *["--agents", "12", "--old", "4", "--seconds", "12", "--interval", "1", "--start-over", "1"],
            *["--prefix", "cut", "--network", "41"],
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for number in range(4):
            running.computer(f"cut-old{number:05d}")
        running.set_minimum("TLSv1.2", force=True, reason="to see who is refused")
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    report: dict[str, Any] = json.loads(output)
    assert set(report["refused"]) == {f"cut-old{number:05d}" for number in range(4)}, errors
    assert "activated" in errors
    events = [event for event in running.get("/api/events", limit=1000)["events"] if event["number"] == 770]
    for name in report["refused"]:
        assert any(name in event["description"] and "TLS" in event["description"] for event in events), name


@pytest.mark.deep
def test_thousands_of_agents(running: Manager) -> None:
    running.set_minimum("TLSv1")
    result = simulate(
        running, "--interval", "30", "--prefix", "many", "--network", "60", agents=3000, old=600, seconds=120
    )
    assert result.returncode == 0, result.stderr
    report = parse_json(result)
    assert report["activated"] == 3000
    assert report["negotiated"]["TLSv1"] == 600
    assert report["refused"] == {}
    with store_of(running.home) as store:
        assert store.execute("select count(*) from computers where hostname like 'many-%'").fetchone() == (3000,)
