"""`plimsoll doctor` beside a real manager and a real agent's home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.agents import activate, agent
from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import parse_json, run


def verdicts(done: Any) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in parse_json(done)["findings"]:
        found.setdefault(one["check"], set()).add(one["verdict"])
    return found


def problems(done: Any) -> list[str]:
    return [one["check"] for one in parse_json(done)["findings"] if one["verdict"] == "problem"]


def test_a_wrong_address_is_told_from_a_closed_port(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    activate(running, home, "--name", "host")
    look: list[str | Path] = [PLIMSOLL, "doctor", "--agent-home", home, "--json"]
    kept = json.loads((home / "agent.json").read_bytes())
    for address, check, words in (
        (f"dsm://127.0.0.1:{running.gui_port}", "ports", "no port for heartbeats"),
        ("dsm://nosuch.invalid:4120", "name", "does not resolve"),
    ):
        (home / "agent.json").write_text(json.dumps(kept | {"managers": [address]}))
        done = run(look)
        assert problems(done) == [check, "agent"], done.stdout
        assert words in done.stdout


def test_what_is_wrong_is_found_from_both_ends(running: Manager, tmp_path: Path) -> None:
    activate(running, tmp_path / "agent", "--name", "host")
    look: list[str | Path] = [PLIMSOLL, "doctor", "--agent-home", tmp_path / "agent"]
    with agent(tmp_path / "agent"):
        well = run([*look, "--json"])
        assert well.returncode == 0, well.stdout
        assert set().union(*verdicts(well).values()) == {"good"}
    assert problems(run([*look, "--json"])) == ["agent"], "it does not run, and nothing else is wrong"
    (tmp_path / "agent" / "key.pem").chmod(0o644)
    assert "chmod 600" in run(look).stdout
    (tmp_path / "agent" / "key.pem").chmod(0o600)
    (running.home / "ca" / "ca.key").chmod(0o644)
    there = running.cli("doctor", "--json")
    assert there.returncode == 1
    found = verdicts(there)
    assert found["modes"] == {"problem"}
    assert found["ports"] == found["disk"] == found["floor"] == {"good"}
    (running.home / "ca" / "ca.key").chmod(0o600)
    assert running.cli("doctor").returncode == 0
    running.stop()
    assert "the manager is stopped" in running.cli("doctor").stdout
    silent = run([*look, "--json"])
    assert silent.returncode == 1
    assert problems(silent) == ["ports", "agent"], "one cause is one finding"
