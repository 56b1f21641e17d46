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
#: Seconds between two looks into the watched folder; a file that is the same in two of them has stopped growing.
FOLDER_SECONDS = 3.0


async def run_forever(services: Services, told: Callable[[], None]) -> None:
    """For the supervisor. `told` hands out what counts now, in a thread: another manager may have changed it."""

    def look() -> None:
        services.software_metadata.tend()
        told()

    loop = asyncio.get_running_loop()
    next_tending = loop.time() + TEND_SECONDS
    failing = ""
    while True:
        await asyncio.sleep(FOLDER_SECONDS)
        try:
            if await asyncio.to_thread(services.nodes.holds, "software"):
                await asyncio.to_thread(services.software_folder.look)
            if loop.time() >= next_tending:
                next_tending = loop.time() + TEND_SECONDS
                await asyncio.to_thread(look)
        except ServiceError as error:
            if error.message != failing:
                failing = error.message
                log.error("the software repository was not looked at, and is soon: %s", error.message)
        else:
            failing = ""
