"""What the manager notices by itself: who fell silent, and what has to go to the store in batches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from plimsoll.manager.ports import ServiceError
from plimsoll.manager.registry import Known, Registry
from plimsoll.manager.services.events import NewEvent

if TYPE_CHECKING:
    from plimsoll.manager.services import Services
    from plimsoll.net.sightings import SightingLog

log = logging.getLogger(__name__)

OFFLINE = 730
CLOCK_CHANGE = 734
#: What the wall clock may differ from the steady one between two looks, in seconds, before it counts as a step.
JUMP_SECONDS = 5.0
#: Seconds between two batches; what a crash loses of presence and sightings is at most this old.
FLUSH_SECONDS = 1.0
#: Seconds between two looks at exceptions that end; the gates end them by themselves.
EXCEPTION_SECONDS = 2.0
#: After so many of them it is also looked whether the gates have what is stored.
REFRESH_LOOKS = 5
#: After so many of them, and soon after a start, what no report reaches any more is deleted.
FORGET_LOOKS = 1800
#: Seconds between two looks for computers that fell silent.
SILENCE_SECONDS = 2.0
#: Seconds between two looks whether a new day asks for tidying, and how long after the start the first one waits.
TIDY_SECONDS = 1800.0
TIDY_AFTER = 60.0


class Monitor:
    """Three loops for the supervisor. `started` is when the ports opened: silence before that is ours."""

    def __init__(
        self,
        services: Services,
        registry: Registry,
        sightings: SightingLog,
        clock: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._registry = registry
        self._sightings = sightings
        self._clock = clock
        self._steady = steady
        self._failing = False
        self._last = clock(), steady()
        self.started = clock()

    async def flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Presence and sightings to the store. A store that is down is said once and tried again."""
        if not self._registry.dirty and not len(self._sightings):
            return
        try:
            await asyncio.to_thread(self._services.sightings.absorb)
        except ServiceError as error:
            if not self._failing:
                log.error("presence and sightings were not stored: %s", error.message)
            self._failing = True
            return
        if self._failing:
            log.info("presence and sightings are stored again")
        self._failing = False

    async def exceptions_forever(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(EXCEPTION_SECONDS)
            looks += 1
            try:
                if await asyncio.to_thread(self._services.nodes.holds, "exceptions"):
                    await asyncio.to_thread(self._services.exceptions.look)
                if looks % REFRESH_LOOKS == 0:
                    await asyncio.to_thread(self._services.exceptions.refresh)
                if looks % FORGET_LOOKS == 1:
                    await asyncio.to_thread(self._services.shadow.forget)
            except ServiceError as error:
                log.error("exceptions were not looked at, and are soon: %s", error.message)

    async def tidy_forever(self) -> None:
        # Not at once: a manager that has just started has all its agents to greet.
        await asyncio.sleep(TIDY_AFTER)
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_SECONDS)

    async def tidy(self) -> None:
        """Old sightings are rolled up or forgotten; a store that is down is asked again later."""
        if not await asyncio.to_thread(self._services.nodes.holds, "tidying"):
            return
        try:
            done = await asyncio.to_thread(self._services.sightings.tidy)
        except ServiceError as error:
            log.warning("old sightings were not tidied, and are later: %s", error.message)
            return
        if done.hours or done.forgotten:
            log.info("sightings: %d hours became days, %d kinds are forgotten", done.hours, done.forgotten)

    async def watch_forever(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_SECONDS)
            await self.look_for_silence()

    async def look_for_silence(self) -> None:
        """Computers that missed more heartbeats than their policy allows go offline, with an event each."""
        if not await self._follow_clock():
            return
        now = self._clock()
        silent = self._registry.silent(now, self.started)
        if not silent:
            return
        if self._services.nodes.shared:
            silent = await self._silent_everywhere(silent)
            if not silent:
                return
        for known in silent:
            known.online, known.away = False, True
        try:
            await asyncio.to_thread(self._services.computers.set_online, [known.id for known in silent], False)
        except ServiceError as error:
            log.error("who went offline was not stored, and is looked at again: %s", error.message)
            for known in silent:
                known.online, known.away = True, False
            return
        self._services.events.record_later([_offline(known, now) for known in silent])

    async def _silent_everywhere(self, silent: list[Known]) -> list[Known]:
        """Those whom no other manager on the database has seen either. One of the managers tells it."""
        try:
            if not await asyncio.to_thread(self._services.nodes.holds, "silence"):
                return []
            heard = await asyncio.to_thread(self._services.computers.last_heard, [known.id for known in silent])
        except ServiceError as error:
            log.error("who fell silent was not looked at, and is soon: %s", error.message)
            return []
        left: list[Known] = []
        for known in silent:
            online, last_seen = heard.get(known.id, (False, 0.0))
            if last_seen > (known.last_seen or 0.0):
                known.last_seen = last_seen
            elif not online:
                known.online, known.away = False, True  # another manager has told it
            else:
                left.append(known)
        return left

    async def _follow_clock(self) -> bool:
        """A step of the wall clock makes nobody silent, and nobody present: what was seen keeps its age.

        False where that could not be stored: until then nobody knows how old anything is.
        """
        (wall, steady), now = self._last, (self._clock(), self._steady())
        moved = (now[0] - wall) - (now[1] - steady)
        if abs(moved) <= JUMP_SECONDS:
            self._last = now
            return True
        # In the new time. Heartbeats that came since the step are stamped with it already.
        since = wall + moved
        try:
            await asyncio.to_thread(self._services.computers.clock_moved, moved, since)
        except ServiceError as error:
            log.error("the clock moved by %+.0f s, which was not stored and is looked at again: %s", moved, error)
            return False
        self._last = now
        self.started += moved
        self._registry.clock_moved(moved, since, self._clock())
        log.warning("the clock moved by %+.0f s", moved)
        text = (
            f"The manager's clock moved by {moved:+.0f} s. What was seen of computers keeps its age; a soak under way"
            " begins anew; exceptions, schedules and certificates go by the new time."
        )
        event = NewEvent(CLOCK_CHANGE, "warning", text, time=now[0], extra={"seconds": round(moved, 1)})
        self._services.events.record_later([event])
        return True


def _offline(known: Known, now: float) -> NewEvent:
    text = f"{known.entry.display} is offline: it missed more than {known.entry.policy.missed_heartbeats} heartbeats."
    if known.problem:
        text += f" The reason is {known.problem}."
    return NewEvent(
        OFFLINE,
        "warning",
        text,
        computer=known.id,
        target=known.entry.display,
        time=now,
        extra={"reason": "tls"} if known.problem else {},
    )
