"""Processes that say ``ready``, and a manager in a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).resolve().parents[2]

#: The suite runs beside others on a small machine: this bounds a hang, it does not measure speed.
PATIENCE = 60.0

#: Linux's default; an administrator who lowered it only makes a collision likelier again.
_FIRST_OUTGOING = 32_000
_handed_out: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago on every address, all different, and never handed out twice by this process.

    They lie below the range from which the kernel takes ports for outgoing connections: the many clients of other
    tests would otherwise sit on one before its server starts.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(10_240, _FIRST_OUTGOING)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def eventually(check: Callable[[], Any], what: str, timeout: float = PATIENCE, every: float = 0.1) -> Any:
    """The first true value of `check`; fails with `what` if there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        if value := check():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come about in {timeout:.0f} s: {what}; last: {value!r}")
        time.sleep(every)


class Service:
    """A process that runs until it is told to stop, and says ``ready`` when it can be used."""

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self._threads = [
            threading.Thread(target=self._collect_output, daemon=True),
            threading.Thread(target=self._collect_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def error_text(self) -> str:
        return "\n".join(self.errors)

    def wait_ready(self, timeout: float = PATIENCE) -> str:
        """The line that begins with ``ready``. Fails with all output if the process ends before."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not ready in {timeout:.0f} s: {self._story()}") from None
            if line is None:
                raise AssertionError(f"ended before it was ready: {self._story()}")
            if line.startswith("ready"):
                return line

    def wait_end(self, timeout: float = PATIENCE) -> int:
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        return code

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM, then the exit code; killed where it does not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait_end()
                raise AssertionError(f"did not stop on SIGTERM: {self._story()}") from None
        return self.wait_end()

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        self.process.send_signal(signal.SIGKILL)
        self.wait_end()

    def _collect_output(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def _collect_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            self.errors.extend(line.rstrip("\n") for line in stream)

    def _story(self) -> str:
        tail = "\n".join([*self.lines[-20:], *self.errors[-30:]])
        return f"{' '.join(self.command)} (exit {self.process.poll()})\n{tail}"


def run(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; the caller judges the exit code."""
    return subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
    )


@contextlib.contextmanager
def service(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Iterator[Service]:
    """A service that is ready, and is stopped at the end."""
    started = Service(command, env)
    try:
        started.wait_ready()
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def parse_json(result: subprocess.CompletedProcess[str]) -> Any:
    """What a command printed with ``--json``; fails with both streams where it is none."""
    try:
        return json.loads(result.stdout)
    except ValueError:
        raise AssertionError(f"no JSON (exit {result.returncode}): {result.stdout}\n{result.stderr}") from None
