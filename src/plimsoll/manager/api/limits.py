"""How many requests a user or a key may make in a minute, and all of them together on this manager.

Of several managers each counts what the others let through as its own, a second or two later: what a user or key may
do is so much at all of them together. What all together may do guards one manager, and is counted by it alone.

A minute begins with the first request after the former one ended. Pure but for a lock: the time is an argument.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from plimsoll.manager.services.api_usage import Usage

WINDOW = 60.0
#: Whoever is refused again within that time is no news, in seconds.
QUIET = 600.0


@dataclass(slots=True)
class _Minute:
    began: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Seconds until the minute is over. `news` where nobody was told of it yet; `node` where everyone together made
    too many.
    """

    retry_after: int
    news: bool
    node: bool


class Limits:
    """Counts by name: users and keys that the manager knows, so there are few. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: dict[str, _Minute] = {}
        self._all = _Minute(-math.inf)
        self._usage: dict[str, Usage] = {}
        self._told: dict[str, float] = {}

    def take(self, who: str, each: int, all_together: int, now: float) -> Refusal | None:
        """Counts one request; a limit of 0 is none. What is refused counts neither for the one nor for all."""
        with self._lock:
            usage = self._usage.setdefault(who, Usage(who, now, now))
            usage.requests += 1
            usage.last = now
            mine = self._minute(who, now)
            _follow(self._all, now)
            own = bool(each) and mine.count >= each
            if own or (all_together and self._all.count >= all_together):
                usage.limited += 1
                return self._refused(who, mine if own else self._all, now, node=not own)
            mine.count += 1
            self._all.count += 1
            return None

    def elsewhere(self, passed: Mapping[str, int], now: float) -> None:
        """Other managers let so many requests through, by name, since this was last called."""
        with self._lock:
            for who, count in passed.items():
                self._minute(who, now).count += count

    def _minute(self, who: str, now: float) -> _Minute:
        minute = self._minutes.setdefault(who, _Minute(now))
        _follow(minute, now)
        return minute

    def _refused(self, who: str, minute: _Minute, now: float, *, node: bool) -> Refusal:
        news = now - self._told.get(who, -QUIET) >= QUIET or now < self._told.get(who, now)
        if news:
            self._told[who] = now
        return Refusal(max(1, math.ceil(minute.began + WINDOW - now)), news, node)

    def usage(self) -> list[Usage]:
        """In the order of names."""
        with self._lock:
            found = [Usage(one.who, one.first, one.last, one.requests, one.limited) for one in self._usage.values()]
        return sorted(found, key=lambda one: one.who)


def _follow(minute: _Minute, now: float) -> None:
    # A clock that was put back begins a new minute too.
    if not 0 <= now - minute.began < WINDOW:
        minute.began, minute.count = now, 0
