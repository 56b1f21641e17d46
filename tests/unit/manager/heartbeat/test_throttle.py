"""The bucket against herds."""

from __future__ import annotations

import random

from plimsoll.manager.heartbeat.throttle import TokenBucket


def test_a_burst_passes_then_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(0.2) for _ in range(3)] == [True, True, False]
    assert bucket.take(1000.0)


def test_a_clock_that_goes_back_gives_nothing_for_it() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(100.5)


def test_the_more_are_turned_away_the_wider_they_are_spread() -> None:
    bucket, rng = TokenBucket(rate=10, burst=0), random.Random(1)
    first = bucket.delay(rng)
    later = [bucket.delay(rng) for _ in range(2000)]
    assert 1.0 <= first <= 3.0
    assert max(later[-200:]) > 60
    assert max(later) <= 301
