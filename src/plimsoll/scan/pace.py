"""How fast one endpoint is asked: at its limit or below, slower when it stops answering, and for how long to wait."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Pauses after a control that failed, one after another: half a minute in all.
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: Never slower than this between two connections.
_SLOWEST: Final = 2.0
_WINDOW: Final = 1.0


class Pace:
    """The rate and the time-outs of one endpoint. Times are the caller's clock."""

    __slots__ = ("_answered", "_sent", "_slowest", "gap", "not_before", "timeout", "width")

    def __init__(self, width: int, rate: float, timeout: float) -> None:
        self.width = width
        self.gap = 1.0 / rate if rate else 0.0
        self.timeout = timeout
        self.not_before = 0.0
        self._slowest = -1.0
        self._answered: deque[float] = deque(maxlen=128)
        self._sent = 0.0

    def sent(self, now: float) -> None:
        """A connection was started."""
        if self.gap:
            self.not_before = max(self.not_before, now + self.gap)

    def answered(self, now: float, elapsed: float) -> None:
        """A connection was answered, after that time."""
        self._answered.append(now)
        if elapsed > self._slowest:
            self._slowest = elapsed

    def pause(self, now: float, seconds: float) -> None:
        """Nothing goes out for so long."""
        self.not_before = max(self.not_before, now + seconds)

    def slow_down(self, since: float) -> None:
        """Half the rate that held until then, one connection at a time."""
        self.width = 1
        rate = sum(1 for moment in self._answered if since - _WINDOW < moment <= since) / _WINDOW
        gap = 2.0 / rate if rate else 2.0 * self.gap
        self.gap = min(_SLOWEST, max(gap, 1.5 * self.gap, 0.01))

    @property
    def first_byte(self) -> float:
        """How long to wait for an answer: many times what the slowest took. Silence is asked again more patiently."""
        if self._slowest < 0:
            return self.timeout
        return min(self.timeout, max(1.0, 10 * self._slowest))

    @property
    def patient(self) -> float:
        """How long to wait when a silent question is asked again."""
        if self._slowest < 0:
            return self.timeout
        return min(self.timeout, max(2.5, 25 * self._slowest))
