"""What a herd counts: percentiles from buckets, and sums of several processes."""

from __future__ import annotations

import random

import msgspec
import pytest

from plimsoll.testing.tally import HerdReport, Histogram, Second, Tally, together


def test_percentiles_are_right_to_two_per_cent() -> None:
    rng = random.Random(3)
    values = sorted(rng.expovariate(20) for _ in range(20_000))
    found = Histogram()
    for value in values:
        found.add(value)
    for share in (0.5, 0.95, 0.99):
        exact = values[int(share * len(values)) - 1]
        assert found.at(share) == pytest.approx(exact, rel=0.021)
    assert found.milliseconds()["max"] == round(1000 * values[-1], 2)
    assert found.at(1.0) == pytest.approx(values[-1], rel=0.021)


def test_nothing_measured_has_no_percentiles() -> None:
    assert Histogram().milliseconds() == {}
    assert Histogram().at(0.99) == 0.0


def test_extremes_have_a_bucket() -> None:
    found = Histogram()
    for value in (0.0, 1e-9, 1e9):
        found.add(value)
    assert len(found.counts) == 2
    assert found.at(0.1) <= 1e-4


def test_processes_are_summed() -> None:
    one, two = Tally(agents=3, sent=5, answered=4, lost=1), Tally(agents=2, sent=2, answered=2, longest_gap=7.0)
    one.failed("connect: timeout", 0)
    two.failed("connect: timeout", 0)
    two.hit("drop")
    one.latency.add(0.1)
    two.latency.add(0.2)
    two.at(1).answered = 2
    total = together([one, two])
    assert (total.agents, total.sent, total.answered, total.lost, total.longest_gap) == (5, 7, 6, 1, 7.0)
    assert (total.failures, total.injected) == ({"connect: timeout": 2}, {"drop": 1})
    assert total.seconds == {0: Second(0, 0, 2), 1: Second(0, 2, 0)}
    assert total.latency.most == 0.2
    assert sum(total.latency.counts.values()) == 2
    assert msgspec.json.decode(msgspec.json.encode(total), type=Tally) == total


def test_a_report_is_plain_data() -> None:
    tally = Tally(agents=1, sent=2, answered=2)
    tally.at(3).answered = 2
    data = HerdReport(tally, 4.0).as_json()
    assert data["rate"] == 0.5
    assert data["per_second"] == [[3, 0, 2, 0]]
    assert msgspec.json.decode(msgspec.json.encode(data)) == data
