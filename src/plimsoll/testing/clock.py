"""A clock that moves only when it is told to."""

from __future__ import annotations


class FakeClock:
    """Stands in for ``time.time``: call it for the present time, `advance` it to let time pass."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Moves on (or, with a negative number, back, as a corrected system clock does) and returns the new time."""
        self.now += seconds
        return self.now
