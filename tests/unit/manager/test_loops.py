"""Calls from other threads into the loop's own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from plimsoll.manager.loops import LoopThread
from plimsoll.manager.ports import Unavailable


def test_work_runs_in_the_loops_thread_and_its_result_and_errors_come_back() -> None:
    async def run() -> None:
        thread = LoopThread(asyncio.get_running_loop())
        own = threading.get_ident()
        assert await asyncio.to_thread(thread.run, threading.get_ident) == own
        assert thread.run(threading.get_ident) == own

        def fail() -> None:
            raise RuntimeError("its own")

        with pytest.raises(RuntimeError, match="its own"):
            await asyncio.to_thread(thread.run, fail)

    asyncio.run(run())


def test_posts_come_in_order_and_before_a_later_result() -> None:
    async def run() -> list[int]:
        thread = LoopThread(asyncio.get_running_loop())
        seen: list[int] = []

        def work() -> None:
            for number in range(20):
                thread.post(lambda number=number: seen.append(number))  # type: ignore[misc]  # bound at once

        await asyncio.to_thread(work)
        return list(seen)

    assert asyncio.run(run()) == list(range(20))


def test_a_loop_that_ended_is_said_so() -> None:
    async def make() -> LoopThread:
        return LoopThread(asyncio.get_running_loop())

    thread = asyncio.run(make())
    failed: list[BaseException] = []

    def call() -> None:
        try:
            thread.run(lambda: None)
        except Unavailable as error:
            failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    caller.join()
    assert failed
    thread.post(lambda: None)
