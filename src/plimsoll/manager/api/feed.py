"""Wakes the event streams when something was recorded.

A wake-up carries nothing: a stream reads the store from where it stands, so that a slow one misses no event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from plimsoll.manager.services.hub import Change, Elsewhere, EventRecorded, Hub


class Feed:
    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self.stopping = False

    def follow(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        """Listens to the hub, whose callbacks come from other threads."""
        self._loop = loop
        hub.subscribe(self._heard)

    def stop(self) -> None:
        """Ends all streams."""
        self.stopping = True
        self._wake()

    async def wait(self, seconds: float, waker: asyncio.Event) -> bool:
        """Until something is recorded, True, or that time went by, False. The waker keeps what came in between."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await waker.wait()
            waker.clear()
            return True
        return False

    @contextlib.contextmanager
    def waker(self) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)

    def _heard(self, change: Change) -> None:
        if isinstance(change, EventRecorded | Elsewhere) and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody streams any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()
