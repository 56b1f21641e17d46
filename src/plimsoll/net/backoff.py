"""How long to wait before the next attempt, so that a fleet does not return as one herd."""

from __future__ import annotations

import random


class Backoff:
    """Doubling delays from `base` up to `cap` seconds, each spread by `jitter` (0.2: ±20 %).

    Pure: the same seed gives the same delays.
    """

    __slots__ = ("_attempt", "_random", "base", "cap", "jitter")

    def __init__(self, base: float, cap: float, jitter: float = 0.2, *, seed: int | str | None = None) -> None:
        if base <= 0 or cap < base or not 0 <= jitter < 1:
            raise ValueError("a back-off needs 0 < base <= cap and 0 <= jitter < 1")
        self.base = base
        self.cap = cap
        self.jitter = jitter
        self._attempt = 0
        self._random = random.Random(seed)

    def next(self) -> float:
        """The delay before the next attempt, in seconds; never more than the cap."""
        # 2**60 seconds is beyond any cap; the bound keeps the power a small number.
        delay = min(self.cap, self.base * 2 ** min(self._attempt, 60))
        self._attempt += 1
        return min(self.cap, self.spread(delay))

    def spread(self, seconds: float) -> float:
        """That time with this back-off's jitter, for regular intervals too."""
        return seconds * (1 + self.jitter * (2 * self._random.random() - 1))

    def reset(self) -> None:
        """An attempt succeeded: begin again at the base."""
        self._attempt = 0
