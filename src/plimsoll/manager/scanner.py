"""A scan as a child process: what it costs in time of the processor is not the heartbeat loop's."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator

from plimsoll.scan.child import Question, question_line

#: Lines that wait for us; beyond that the child waits.
_WAITING = 100


class ScanProcess:
    """Begins with its making. Raises OSError where no process can be made."""

    def __init__(self, question: Question) -> None:
        # -P: a module that lies in the current folder must not be imported in our place. A session of its own: a key
        # that stops the manager in a terminal is the manager's to obey.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "plimsoll.scan.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._killed = threading.Event()
        threading.Thread(target=self._read, args=(question_line(question),), name="scan-lines", daemon=True).start()

    def lines(self, silence: float) -> Iterator[bytes]:
        """Each endpoint's line; an empty one after so many seconds without any."""
        while True:
            try:
                line = self._lines.get(timeout=silence)
            except queue.Empty:
                yield b""
                continue
            if line is None:
                return
            yield line

    def end(self) -> int:
        """Its exit code, once `lines` has ended or after `kill`."""
        try:
            code = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        # Not before it is over: the end of its input ends it.
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        return code

    def kill(self) -> None:
        """From any thread: `lines` ends soon."""
        self._killed.set()
        self._process.kill()

    def _read(self, question: bytes) -> None:
        """Writes here too: a long question must not wait for somebody who waits for lines."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(question)
            self._process.stdin.flush()
            for line in self._process.stdout:
                if not self._put(line):
                    break
        self._put(None)

    def _put(self, line: bytes | None) -> bool:
        while True:
            try:
                self._lines.put(line, timeout=1.0)
            except queue.Full:
                if self._killed.is_set():
                    return False
            else:
                return True
