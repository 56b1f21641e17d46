"""A power cut at a step of an upgrade: the agent's process and its launcher die by SIGKILL, once.

Loaded by a tree's ``sitecustomize``; production code knows nothing of it. A step is a call or a return of a function
that writes or decides, counted from the first order on, across the processes of both releases.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

WATCHED = {
    "plimsoll.agent.upgrade": frozenset(
        {"look", "ordered", "_run", "_upgrade", "_unpack", "_probe", "_save", "_finish_good", "_finish_bad", "_end"}
    ),
    "plimsoll.agent.launched": frozenset({"install", "begin_trial", "switch", "prove", "prune", "forget_fallback"}),
}


def arm(text: str) -> None:
    """``STEP:FILE``: dies at that step. The file counts, and says in the end where it was; then nothing happens."""
    at, _, name = text.partition(":")
    file, deadly = Path(name), int(at)
    if "plimsoll.agent" not in sys.orig_argv or (file.exists() and not file.read_text().isdigit()):
        return
    # The loop's thread and a worker's take steps at the same time: a count that is read half written is an error in
    # the very function that is traced.
    one_at_a_time = threading.Lock()

    def count(event: str, function: str) -> None:
        step = 1 + (int(file.read_text()) if file.exists() else 0)
        written = file.with_name(file.name + ".new")
        written.write_text(str(step) if step < deadly else f"{event} of {function}")
        written.replace(file)
        if step == deadly:
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        function = frame.f_code.co_name
        if function not in WATCHED.get(frame.f_globals.get("__name__", ""), frozenset()):
            return None
        frame.f_trace_lines = False
        if event in ("call", "return") and (function == "ordered" or file.exists()):
            with one_at_a_time:
                count(event, function)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
