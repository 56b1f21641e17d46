"""The loop that carries durable work on, a change or an upgrade: look after look while one is under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plimsoll.manager.ports import ServiceError

log = logging.getLogger(__name__)

#: Seconds between two looks at a change: a breach is to be taken back within two seconds of the first refusal.
TICK = 0.25
#: Between two looks where nothing is under way.
IDLE = 1.0


async def run_forever(tick: Callable[[], bool], what: str, every: float = TICK) -> None:
    """For the supervisor. `tick` says whether there is something; it runs in a thread.

    A store that is down is said once and tried again: nothing moves meanwhile.
    """
    failing = False
    while True:
        busy = True
        try:
            busy = await asyncio.to_thread(tick)
        except ServiceError as error:
            if not failing:
                log.error("the %s under way could not be looked at: %s", what, error.message)
            failing = True
        else:
            failing = False
        await asyncio.sleep(every if busy else IDLE)
