"""The loop that carries a staged change on: a look every quarter of a second while one is under way."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from plimsoll.manager.ports import ServiceError

if TYPE_CHECKING:
    from plimsoll.manager.services import Services

log = logging.getLogger(__name__)

#: Seconds between two looks: a breach is to be taken back within two seconds of the first refusal.
TICK = 0.25
IDLE = 1.0


async def run_forever(services: Services) -> None:
    """For the supervisor. A store that is down is said once and tried again: nothing moves meanwhile."""
    failing = False
    while True:
        busy = True
        try:
            busy = await asyncio.to_thread(services.changes.tick)
        except ServiceError as error:
            if not failing:
                log.error("the change under way could not be looked at: %s", error.message)
            failing = True
        else:
            failing = False
        await asyncio.sleep(TICK if busy else IDLE)
