"""The loop of the software repository: metadata is signed anew before it expires, and packages are looked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from plimsoll.manager.ports import ServiceError

if TYPE_CHECKING:
    from plimsoll.manager.services import Services

log = logging.getLogger(__name__)

#: Seconds between two looks at what expires: lives are days.
TEND_SECONDS = 600.0


async def run_forever(services: Services, told: Callable[[], None]) -> None:
    """For the supervisor. `told` hands out what counts now, in a thread: another manager may have changed it."""

    def look() -> None:
        services.software_metadata.tend()
        told()

    while True:
        await asyncio.sleep(TEND_SECONDS)
        try:
            await asyncio.to_thread(look)
        except ServiceError as error:
            log.error("the software repository was not looked at, and is soon: %s", error.message)
