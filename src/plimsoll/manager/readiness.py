"""Whether this manager can do its work: for a balancer, which asks often and has no key.

Rules of this file: an answer is from memory, so that nobody loads the store by asking; what it says is about this
process, never about the fleet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from plimsoll.manager.ports import ServiceError

#: Seconds between two looks at the store.
LOOK_SECONDS = 2.0
#: A store that was not reached for so many seconds counts as away, whatever is known of it: a slow answer now and then
#: does not.
AWAY_SECONDS = 15.0

STORE, PORTS, FLOORS = "store", "ports", "floors"


class Readiness:
    """`reach` asks the store something small, and raises ServiceError where it is away; it is called in a thread.
    `away` says whether it is known to be away, and `unsure` whether it is not known that the floors in force are the
    current ones; both from memory.
    """

    def __init__(
        self,
        reach: Callable[[], object],
        away: Callable[[], bool],
        unsure: Callable[[], bool],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reach = reach
        self._away = away
        self._unsure = unsure
        self._steady = steady
        self._reached: float | None = None
        #: Whether every port listens, and none is being closed.
        self.listening = False

    async def look_forever(self) -> None:
        """For the supervisor."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        try:
            await asyncio.to_thread(self._reach)
        except ServiceError:
            return  # what is away is told by who needs it
        self._reached = self._steady()

    def missing(self) -> tuple[str, ...]:
        """What is not as it must be, of `STORE`, `PORTS` and `FLOORS`; nothing where it is ready. From any thread."""
        reached = self._reached
        found = []
        if reached is None or self._away() or self._steady() - reached > AWAY_SECONDS:
            found.append(STORE)
        if not self.listening:
            found.append(PORTS)
        if self._unsure():
            found.append(FLOORS)
        return tuple(found)
