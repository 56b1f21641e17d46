"""A herd in one process or in several: each takes every so-manieth agent, tells once a second how far it is, and what
it counted at the end. `python -m plimsoll.testing.herd_run` is one of several; it reads its plan from standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable

import msgspec

from plimsoll.testing.herd import Herd, HerdPlan
from plimsoll.testing.tally import HerdReport, Tally, together

#: More processes than this no computer has cores for.
MOST_PROCESSES = 64


class HerdError(Exception):
    """A process of the simulation ended before its time."""


class Told(msgspec.Struct):
    """One line of a process: what it has counted; `last` where that was all."""

    tally: Tally
    last: bool = False


async def run_herd(
    plan: HerdPlan,
    processes: int = 1,
    tell: Callable[[Tally, float], None] = lambda tally, elapsed: None,
    stop: asyncio.Event | None = None,
) -> HerdReport:
    """Runs the plan. `tell` is given what was counted so far and the seconds since the start, about once a second.

    Raises ValueError where the plan or its fleet cannot be, HerdError where a process of it failed.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise ValueError(f"processes are from 1 to {MOST_PROCESSES}")
    stop = stop or asyncio.Event()
    started = time.monotonic()
    if processes == 1:
        more_files(plan.sockets)
        herd = Herd(plan)
        tally = await herd.run(lambda counted: tell(counted, time.monotonic() - started), stop)
    else:
        parts = [msgspec.structs.replace(plan, part=n, parts=processes) for n in range(processes)]
        tally = await _in_processes(parts, lambda counted: tell(counted, time.monotonic() - started), stop)
    # The time that was asked for, or that passed until it was stopped: a warm-up does not count.
    seconds = min(plan.seconds, time.monotonic() - started)
    return HerdReport(tally, seconds, processes, [dict(line) for line in plan.faults])


def more_files(sockets: int) -> None:
    """Raises the soft limit of open files as far as it is needed and may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * sockets + 256  # under way, kept and silent ones
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _in_processes(parts: list[HerdPlan], tell: Callable[[Tally], None], stop: asyncio.Event) -> Tally:
    running: list[Process] = []
    latest: dict[int, Told] = {}

    async def follow(number: int, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(parts[number]))
        process.stdin.close()
        async for line in process.stdout:
            latest[number] = msgspec.json.decode(line, type=Told)
            tell(together(told.tally for told in latest.values()))
        code = await process.wait()
        if number not in latest or not latest[number].last:
            raise HerdError(f"process {number + 1} of the simulation ended with {code}; its message stands above")

    async def stopping() -> None:
        await stop.wait()
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    stopper = asyncio.create_task(stopping(), name="stop")
    try:
        for _ in parts:
            command = (sys.executable, "-m", "plimsoll.testing.herd_run")
            # A line holds a count for each second.
            running.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=1 << 26))
        async with asyncio.TaskGroup() as group:
            for number, process in enumerate(running):
                group.create_task(follow(number, process), name=f"follow-{number}")
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        stopper.cancel()
        for process in running:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    return together(told.tally for told in latest.values())


async def _serve(plan: HerdPlan) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    more_files(plan.sockets // plan.parts)

    def tell(tally: Tally, last: bool = False) -> None:
        # Only the last line needs every second.
        shown = tally if last else msgspec.structs.replace(tally, seconds={})
        sys.stdout.buffer.write(msgspec.json.encode(Told(shown, last)) + b"\n")
        sys.stdout.buffer.flush()

    tell(await Herd(plan).run(tell, stop), last=True)


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.read(), type=HerdPlan)))
