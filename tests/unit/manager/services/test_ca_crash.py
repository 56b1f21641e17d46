"""SIGKILL at the step boundaries of a CA's rotation: the next start goes on, and no half of a switch is left."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.homes import FIXTURES


def walk(what: str, stride: int) -> int:
    command = [sys.executable, "-m", "tests.unit.manager.services.kill_ca", what, str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


@pytest.mark.parametrize("what", ["on", "back"])
def test_a_rotation_that_is_killed_goes_on(what: str) -> None:
    assert walk(what, 47) >= 1


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", ["on", "back"])
def test_a_rotation_that_is_killed_at_every_step(what: str) -> None:
    assert walk(what, 1) >= 50
