"""Calls from other threads into the loop's own, where registry, board and gates live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import TypeVar

from plimsoll.manager.ports import Unavailable

T = TypeVar("T")

#: Longer than the loop is ever busy; a loop that does not answer by then is broken.
ANSWER_SECONDS = 10.0


class LoopThread:
    """Made in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ident = threading.get_ident()

    @property
    def here(self) -> bool:
        return threading.get_ident() == self._ident

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, run in the loop's thread. Raises Unavailable where the loop has ended."""
        if self.here:
            return work()
        done: Future[T] = Future()

        def call() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the call came from
                done.set_exception(error)

        try:
            self.loop.call_soon_threadsafe(call)
            return done.result(ANSWER_SECONDS)
        except (RuntimeError, TimeoutError, CancelledError) as error:
            if done.done() and done.exception() is error:
                raise
            raise Unavailable("the manager is stopping; ask again when it runs") from None

    def post(self, work: Callable[[], None]) -> None:
        """Runs `work` in the loop's thread, soon and in order. A loop that has ended needs no news."""
        try:
            self.loop.call_soon_threadsafe(work)
        except RuntimeError:
            return
