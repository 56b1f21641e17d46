"""The demonstration tells the truth, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.manager import PLIMSOLL
from tests.support.process import Service, eventually, run

from plimsoll.cli._errors import Code

pytestmark = pytest.mark.xdist_group("demo")


def processes_in(folder: Path) -> dict[int, str]:
    """Processes whose command line names that folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in command:
                found[int(entry.name)] = command
    return found


@pytest.mark.rule("R12")
@pytest.mark.rule("R14")
@pytest.mark.rule("R19")
def test_every_claim_is_seen_in_a_handshake(tmp_path: Path) -> None:
    result = run([PLIMSOLL, "demo", "--json"], env={"TMPDIR": str(tmp_path)}, timeout=170)
    assert result.returncode == 0, result.stderr + result.stdout
    told = json.loads(result.stdout)
    assert told["proved"]
    assert all(claim["proved"] for claim in told["claims"])
    early, enforced, probed, back = told["tables"]
    assert {row["version"] for row in early["rows"] if "(agent 9.6)" in row["from"]} == {"TLSv1"}
    assert {row["version"] for row in early["rows"] if "(appliance 9.5)" in row["from"]} == {"TLSv1"}
    refused = [row["from"] for row in enforced["rows"] if row["version"] == "-"]
    assert refused == ["old-inventory (API client)"]
    assert not any("9." in row["from"] for row in enforced["rows"])
    assert len(probed["rows"]) == len(back["rows"]) == 2 + 2 + 8
    assert {row["tlsv1.0"] for row in probed["rows"]} == {"refused (70)"}
    assert {row["tlsv1.0"] for row in back["rows"]} == {"accepted"}
    assert processes_in(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_it_stops_everyone_when_it_is_interrupted(tmp_path: Path) -> None:
    """SIGTERM takes the way of Ctrl-C."""
    demo = Service([PLIMSOLL, "demo"], env={"TMPDIR": str(tmp_path)})
    eventually(lambda: any("[2/8]" in line for line in demo.lines), "the fleet joins")
    eventually(lambda: len(processes_in(tmp_path)) > 3, "some processes run")
    demo.process.send_signal(signal.SIGTERM)
    assert demo.wait_end() == 130
    assert processes_in(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_fails_is_shown_with_its_last_lines(tmp_path: Path) -> None:
    demo = Service([PLIMSOLL, "demo"], env={"TMPDIR": str(tmp_path)})
    eventually(lambda: any("[2/8]" in line for line in demo.lines), "the fleet joins")
    manager = next(pid for pid, command in processes_in(tmp_path).items() if "manager run" in command)
    os.kill(manager, signal.SIGKILL)
    assert demo.wait_end() == Code.FAILED
    assert "manager ended by itself with exit code -9" in demo.error_text
    assert "ready" in demo.error_text
    assert processes_in(tmp_path) == {}


def test_it_runs_where_nothing_of_the_environment_is_set(tmp_path: Path) -> None:
    """Only its usage: an unknown choice of ports ends before anything starts."""
    result = subprocess.run(
        [str(PLIMSOLL), "demo", "--ports", "some"], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert result.returncode == Code.USAGE
    assert list(tmp_path.iterdir()) == []
