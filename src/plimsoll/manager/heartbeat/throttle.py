"""A token bucket against herds: after an outage everybody comes at once."""

from __future__ import annotations

import random


class TokenBucket:
    """Pure: the time is an argument. `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at: float | None = None
        self._turned_away = 0.0

    def take(self, now: float) -> bool:
        """Whether this one may pass."""
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now if self._at is None else max(self._at, now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        self._turned_away = max(0.0, self._turned_away - 1.0)
        return True

    def delay(self, rng: random.Random) -> float:
        """When one that was turned away should come back: spread over the time that the queue before it needs."""
        self._turned_away += 1.0
        queue = max(1.0, self._turned_away / self.rate)
        return 1.0 + rng.uniform(0.0, min(queue * 2, 300.0))
