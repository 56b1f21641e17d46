"""Background tasks that have names, are held, and are watched.

Rule of this file: no side task dies in silence. Its end stops the service, which then leaves with an error, rather
than limping on without its sweeper or its flusher.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class TaskDiedError(RuntimeError):
    """A background task ended although nobody stopped it. `__cause__` is what it raised, if anything."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the background task {name!r} ended; the service stops rather than go on without it")


class Supervisor:
    """Holds named tasks. `wait` returns when `stop` was called and raises TaskDiedError when one ended by itself."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._stopping = asyncio.Event()
        self._died: TaskDiedError | None = None

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` for as long as the service runs."""
        if name in self._tasks:
            work.close()
            raise ValueError(f"a task named {name!r} runs already")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._ended)
        return task

    def request_stop(self) -> None:
        """Let `wait` return; for signal handlers."""
        self._stopping.set()

    async def wait(self) -> None:
        """Until a stop is requested. Raises TaskDiedError where a task ended instead."""
        await self._stopping.wait()
        if self._died is not None:
            raise self._died

    async def stop(self, seconds: float = 5.0) -> None:
        """Cancel all tasks, newest first, and wait for their end for at most that time in all."""
        self._stopping.set()
        tasks = [task for task in reversed(self._tasks.values()) if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                _log.error("the task %r did not end within %s s", task.get_name(), seconds)
        self._tasks.clear()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(task.get_name()) is task:
            del self._tasks[task.get_name()]
        error = None if task.cancelled() else task.exception()
        if self._stopping.is_set():
            if error is not None:
                _log.error("the task %r failed while stopping", task.get_name(), exc_info=error)
            return
        if self._died is None:
            self._died = TaskDiedError(task.get_name())
            self._died.__cause__ = error
        _log.error("the background task %r ended", task.get_name(), exc_info=error)
        self._stopping.set()
