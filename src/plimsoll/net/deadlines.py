"""Many time limits of the same length for the price of one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)

#: Waking up less often than this lets thousands of limits that end together cost one wake-up.
_GRAIN = 0.02


class Deadlines(Generic[Item]):
    """Calls `expire(item)` for each item that was not discarded within `seconds`.

    All limits have the same length, so insertion order is the order of ending, and a dictionary that keeps it needs
    no heap: adding and discarding cost a dictionary operation each.
    """

    __slots__ = ("_ends", "_expire", "_loop", "_timer", "seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expire: Callable[[Item], None]) -> None:
        self.seconds = seconds
        self._loop = loop
        self._expire = expire
        self._ends: dict[Item, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._ends)

    def __contains__(self, item: Item) -> bool:
        return item in self._ends

    def add(self, item: Item) -> None:
        """Start the limit of `item`, which has none yet."""
        self._ends[item] = end = self._loop.time() + self.seconds
        if self._timer is None:
            self._timer = self._loop.call_at(end, self._wake)

    def discard(self, item: Item) -> None:
        """End the limit of `item`, if it has one."""
        self._ends.pop(item, None)

    def items(self) -> list[Item]:
        """All items, oldest first."""
        return list(self._ends)

    def pop_oldest(self) -> Item | None:
        """Take out the item whose limit would end first."""
        for item in self._ends:
            del self._ends[item]
            return item
        return None

    def clear(self) -> list[Item]:
        """Take out all items; nothing expires any more."""
        items = list(self._ends)
        self._ends.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return items

    def _wake(self) -> None:
        self._timer = None
        now = self._loop.time()
        ended = []
        for item, end in self._ends.items():
            if end > now:
                break
            ended.append(item)
        for item in ended:
            if self._ends.pop(item, None) is not None:
                self._expire(item)
        if self._ends and self._timer is None:
            first = next(iter(self._ends.values()))
            self._timer = self._loop.call_at(max(first, now + _GRAIN), self._wake)
