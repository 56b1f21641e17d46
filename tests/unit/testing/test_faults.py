"""Fault scripts: what is read, what is refused, and whom a fault hits."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from plimsoll.testing.faults import Fault, FaultKind, FaultScript, parse_script, read_script

SCRIPT = """
[[fault]]
at = 30
for = 10
kind = "delay"
share = 0.2
seconds = 1.5

[[fault]]
at = 0
for = 5.5
kind = "half-open"
"""


def test_a_script_is_read_and_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(SCRIPT)
    script = read_script(path)
    assert script.faults == (
        Fault(30.0, 10.0, FaultKind.DELAY, 0.2, 1.5),
        Fault(0.0, 5.5, FaultKind.HALF_OPEN, 1.0, 0.0),
    )
    assert parse_script([fault.as_data() for fault in script.faults]).faults == script.faults


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault]", "is no TOML"),
        ("faults = 1", "'faults' is not known here"),
        ("fault = 1", "a list of at most"),
        ('[[fault]]\nat = 1\nfor = 1\nkind = "explode"', "fault 1: kind is 'explode'; valid are drop, delay"),
        (
            '[[fault]]\nat = 1\nfor = 1\nkind = "drop"\nshare = 2',
            "fault 1: share is 2; it must be a number from 0 to 1",
        ),
        ('[[fault]]\nat = 1\nfor = 1\nkind = "delay"', "fault 1: seconds is None"),
        ('[[fault]]\nat = 1\nfor = 1\nkind = "drop"\nseconds = 2', "fault 1: drop has no seconds"),
        ('[[fault]]\nat = true\nfor = 1\nkind = "drop"', "fault 1: at is True"),
        ('[[fault]]\nat = -1\nfor = 1\nkind = "drop"', "fault 1: at is -1"),
        ('[[fault]]\nat = 1\nkind = "drop"', "fault 1: for is None"),
        ('[[fault]]\nat = 1\nfor = 1\nkind = "drop"\nhow = 1', "fault 1: 'how' is not known here"),
    ],
)
def test_a_script_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"faults\.toml") as caught:
        read_script(path)
    assert said in str(caught.value)


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_script(tmp_path / "none.toml")


def test_a_fault_hits_its_share_in_its_time() -> None:
    script = FaultScript([Fault(10, 5, FaultKind.DROP, 0.25)])
    rng = random.Random(1)
    assert script.drawn(9.99, rng) is None
    assert script.drawn(15.0, rng) is None
    hits = sum(script.drawn(12.0, rng) is not None for _ in range(4000))
    assert 850 < hits < 1150


def test_a_skew_is_the_same_agents_as_long_as_it_lasts() -> None:
    script = FaultScript([Fault(0, 10, FaultKind.SKEW, 0.5, -300.0)])
    off = {agent for agent in range(2000) if script.skew(1.0, agent)}
    assert 900 < len(off) < 1100
    assert off == {agent for agent in range(2000) if script.skew(9.0, agent)}
    assert {script.skew(1.0, agent) for agent in off} == {-300.0}
    assert script.skew(10.0, min(off)) == 0.0
    assert script.drawn(1.0, random.Random(1)) is None
