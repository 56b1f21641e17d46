"""A set of whole numbers in few words: spans that neither overlap nor touch, in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Spans:
    """Numbers, added by the span. Its size is that of its spans, not of its numbers."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number < self._ends[place]

    def count(self) -> int:
        """How many numbers there are."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> list[tuple[int, int]]:
        """Add the numbers from `start` up to, not including, `end`; returns the spans of those that are new."""
        starts, ends = self._starts, self._ends
        low, high = bisect_left(ends, start), bisect_right(starts, end)
        new = []
        at = start
        for place in range(low, high):
            if at < starts[place]:
                new.append((at, starts[place]))
            at = max(at, ends[place])
        if at < end:
            new.append((at, end))
        if low < high:
            start, end = min(start, starts[low]), max(end, ends[high - 1])
        starts[low:high], ends[low:high] = [start], [end]
        return new
