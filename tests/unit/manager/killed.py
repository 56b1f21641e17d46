"""Runs a piece of work again and again, each time in a child that is killed with SIGKILL one step later.

A step is a call or a return of a function that is watched. The production code knows nothing of it: the child counts
with a trace function.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

#: Functions by module whose calls and returns are the steps; an empty set means all of the module's.
Watched = Mapping[str, frozenset[str]]


def count_steps(watched: Watched, kill_at: int | None, work: Callable[[], object]) -> int:
    """Runs the work in this process; kills it at that step. Returns how many steps there are."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        names = watched.get(frame.f_globals.get("__name__", ""))
        name = frame.f_code.co_name
        if names is None or name.startswith("<") or (names and name not in names):
            return None
        if event in ("call", "return"):
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        frame.f_trace_lines = False
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return steps


def in_child(work: Callable[[], object]) -> int:
    """The wait status of a child that does the work."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def at_every_step(
    watched: Watched,
    fresh: Callable[[int], Path],
    work: Callable[[Path], object],
    check: Callable[[Path, bool], None],
    stride: int = 1,
) -> int:
    """For every `stride`-th step: a fresh home, the work killed there, then `check(home, finished)`.

    Returns how often it killed.
    """
    step, killed = 1, 0
    while True:
        home = fresh(step)
        status = in_child(partial(count_steps, watched, step, partial(work, home)))
        assert status in (0, -signal.SIGKILL), f"step {step}: the child failed by itself ({status})"
        check(home, status == 0)
        shutil.rmtree(home.parent)
        if status == 0:
            return killed
        killed += 1
        step += stride
