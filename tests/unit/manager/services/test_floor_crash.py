from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.homes import FIXTURES


@pytest.mark.rule("G3")
def test_a_floor_change_that_is_killed_at_any_step_is_whole_or_not_at_all() -> None:
    command = [sys.executable, "-m", "tests.unit.manager.services.kill_floors"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=FIXTURES.parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15
