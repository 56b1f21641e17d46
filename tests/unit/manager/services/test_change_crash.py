"""SIGKILL at the step boundaries of a change: afterwards it goes on or has taken itself back, never half of either."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.homes import DATABASES, FIXTURES


def walk(what: str, stride: int, kind: str = "sqlite") -> int:
    command = [sys.executable, "-m", "tests.unit.manager.services.kill_changes", what, str(stride), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


@pytest.mark.rule("R7")
@pytest.mark.rule("G2")
@pytest.mark.parametrize("what", ["up", "breach"])
def test_a_change_that_is_killed_goes_on_or_is_taken_back(what: str) -> None:
    assert walk(what, 11) >= 10


@pytest.mark.rule("G2")
@pytest.mark.parametrize("what", ["up", "breach"])
def test_so_it_does_on_postgresql(what: str) -> None:
    assert walk(what, 71, "postgresql") >= 2


@pytest.mark.deep
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("kind", DATABASES)
@pytest.mark.parametrize("what", ["up", "breach"])
def test_a_change_that_is_killed_at_every_step(what: str, kind: str) -> None:
    assert walk(what, 1, kind) >= 100
