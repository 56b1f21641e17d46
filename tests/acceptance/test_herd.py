"""A herd: hundreds of agents that all wait for their only manager, which comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import eventually, run
from tests.support.store import store_of


def seeded(folder: Path, agents: int, interval: int) -> tuple[Manager, Path]:
    """A stopped manager that knows so many agents, which are to come every `interval` seconds; and their identities."""
    made = Manager(folder / "home", "--listen", "127.0.0.1")
    made.start()
    made.quick_policy(interval)
    assert made.stop() == 0
    fleet = folder / "fleet"
    done = run(
        [PLIMSOLL, "simulate", "--seed-home", made.home, "--fleet", fleet, "--agents", str(agents)], timeout=1200
    )
    assert done.returncode == 0, done.stderr
    return made, fleet


def heard_since(manager: Manager, moment: float) -> int:
    with store_of(manager.home) as store:
        return int(store.execute("select count(*) from computers where last_seen > ?", (moment,)).fetchone()[0])


def start(manager: Manager, fleet: Path, *more: str) -> subprocess.Popen[str]:
    command = [str(PLIMSOLL), "simulate", "--manager", manager.url, "--fleet", str(fleet), "--json", *more]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def restart_with_all_waiting(manager: Manager, fleet: Path, agents: int, down: float, *more: str) -> dict[str, Any]:
    """The report of a fleet whose manager was away until all of them had missed it."""
    patience = 60.0 + agents / 50
    manager.start()
    process = start(manager, fleet, "--seconds", "86400", *more)
    try:
        eventually(lambda: heard_since(manager, 0.0) == agents, "all were there once", patience, 0.5)
        assert manager.stop() == 0
        time.sleep(down)  # what is tried is how long the manager is away
        manager.start()
        back = time.time()
        eventually(lambda: heard_since(manager, back) == agents, "all are back", patience, 0.5)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
        manager.close()
    report: dict[str, Any] = json.loads(output)
    return report


def test_all_come_back_to_their_only_manager_after_its_restart(tmp_path: Path) -> None:
    manager, fleet = seeded(tmp_path, 250, 5)
    report = restart_with_all_waiting(manager, fleet, 250, 6.0, "--processes", "2")
    assert (report["agents"], report["heard"], report["lost"]) == (250, 250, 0)
    # Everybody found the port closed, and nobody was refused by the one that is back.
    assert report["failures"]["connect: unreachable"] >= 250
    assert not [cause for cause in report["failures"] if cause.startswith("http 4")]


@pytest.mark.deep
def test_twenty_thousand_agents_are_back_within_two_intervals(tmp_path: Path) -> None:
    agents, interval = 20_000, 120
    manager, fleet = seeded(tmp_path, agents, interval)
    report = restart_with_all_waiting(manager, fleet, agents, 1.2 * interval, "--sockets", "4000")
    assert (report["heard"], report["lost"]) == (agents, 0)
    # An interval and the time that the manager was away, and then two intervals at most.
    assert report["longest_gap"] < (1.0 + 1.2 + 2.0) * 1.1 * interval


def test_a_fleet_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    none = run([PLIMSOLL, "simulate", "--manager", "dsm://127.0.0.1:1", "--fleet", tmp_path])
    assert (none.returncode, "make one with --seed-home" in none.stderr) == (2, True)
    apart = run([PLIMSOLL, "simulate", "--manager", "dsm://127.0.0.1:1", "--processes", "2"])
    assert (apart.returncode, "--processes is for a large fleet" in apart.stderr) == (2, True)
    nowhere = run([PLIMSOLL, "simulate", "--seed-home", tmp_path / "none", "--fleet", tmp_path / "f", "--agents", "1"])
    assert (nowhere.returncode, "is not a manager's home" in nowhere.stderr) == (1, True)
    script = tmp_path / "faults.toml"
    script.write_text("[[fault]]\nkind = 'explode'\n")
    wrong = run(
        [PLIMSOLL, "simulate", "--manager", "dsm://127.0.0.1:1", "--fleet", tmp_path, "--faults", script, "--json"]
    )
    assert (wrong.returncode, "fault 1: kind is 'explode'" in wrong.stderr) == (2, True)
