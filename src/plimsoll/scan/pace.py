"""How fast one endpoint is asked: at its limit or below, slower when it stops answering, and for how long to wait."""

from __future__ import annotations

from collections import deque
from typing import Final

#: Pauses after a control that failed, one after another: half a minute in all.
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: Never slower than this between two connections.
_SLOWEST: Final = 2.0
_WINDOW: Final = 1.0
#: Answers without trouble before the rate grows again: until a steady rate has failed, and from then on.
_RECOVERY: Final = (3, 6)
#: An endpoint whose quickest answer took so long is far away: waiting costs more there than a question in vain.
FAR: Final = 0.02
#: The longest gap after the first trouble: what held before may have been too little to measure.
_FIRST: Final = 0.4


class Pace:
    """The rate and the time-outs of one endpoint. Times are the caller's clock."""

    __slots__ = (
        "_answered",
        "_clean",
        "_fastest",
        "_quickest",
        "_slowest",
        "_steady",
        "gap",
        "not_before",
        "timeout",
        "width",
    )

    def __init__(self, width: int, rate: float, timeout: float) -> None:
        self.width = width
        self.gap = 1.0 / rate if rate else 0.0
        self.timeout = timeout
        self.not_before = 0.0
        self._slowest = -1.0
        self._quickest = FAR
        self._answered: deque[float] = deque(maxlen=128)
        self._fastest = self.gap or 0.002
        self._clean = 0
        self._steady = False

    def sent(self, now: float) -> None:
        """A connection was started."""
        if self.gap:
            self.not_before = max(self.not_before, now + self.gap)

    def answered(self, now: float, elapsed: float) -> None:
        """A connection was answered, after that time."""
        self._answered.append(now)
        if self.width == 1 and self.gap:
            self._recover()
        if elapsed > self._slowest:
            self._slowest = elapsed
        if elapsed < self._quickest:
            self._quickest = elapsed

    def pause(self, now: float, seconds: float) -> None:
        """Nothing goes out for so long."""
        self.not_before = max(self.not_before, now + seconds)

    def slow_down(self, since: float, *, lost: bool = False) -> None:
        """One connection at a time, at half the rate that held until then; `lost` says that one question only was lost.

        What failed at a steady rate is not tried again: recovery ends below it.
        """
        self.width = 1
        rate = sum(1 for moment in self._answered if since - _WINDOW < moment <= since) / _WINDOW
        if self.gap and rate and not lost:
            self._fastest = max(self._fastest, 1.25 * self.gap)
            self._steady = True
        measured = min(_FIRST, (1.0 if lost else 2.0) / rate) if rate else _FIRST
        self.gap = min(_SLOWEST, max(measured, (1.2 if lost else 1.5) * self.gap))
        self._clean = 0

    def _recover(self) -> None:
        """A little faster after some answers without trouble."""
        self._clean += 1
        if self._clean >= _RECOVERY[self._steady] and self.gap > self._fastest:
            self._clean = 0
            self.gap = max(self._fastest, self.gap * (0.8 if self._steady else 0.5))

    @property
    def far(self) -> bool:
        """True where every answer was long on its way, so that the time goes into waiting."""
        return self._slowest >= FAR and self._quickest >= FAR

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
