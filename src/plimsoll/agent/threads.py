"""Blocking work beside the event loop, in a thread that lives as long as the work.

An agent does such work every few minutes, so a pool that keeps threads and their memory would be idle all day. The
threads are daemons: a manager that does not answer cannot hold up a stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """The result of ``work(*arguments)``, run in a thread of its own."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T admits it

    def run() -> None:
        result, error = None, None
        try:
            result = work(*arguments)
        except BaseException as caught:  # noqa: BLE001 -- handed over to the one who waits
            error = caught
        # The loop may be closed when a stop did not wait for this thread.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=f"agent-{getattr(work, '__name__', 'work')}", daemon=True).start()
    return await done
