"""The demonstration's processes: started, waited for until they say ``ready``, and all stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

#: How long one thing may take on a slow machine; nothing waits so long where all goes well.
PATIENCE = 60.0
_LOG_LINES = 12


class DemoError(Exception):
    """The demonstration cannot go on. The message says what happened; `log` are the last lines of who failed."""

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)


class Process:
    """One process with its log file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        with log.open("ab") as stream:
            # A session of its own: Ctrl-C reaches the demonstration only, which then stops all in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> int | None:
        return self._process.poll()

    def said_ready(self) -> bool:
        with self.log.open("rb") as stream:
            return any(line.startswith(b"ready") for line in stream)

    def tail(self) -> list[str]:
        """The last lines it wrote."""
        return self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]

    def terminate(self) -> None:
        self.stopping = True
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> int:
        """Waits for its end; kills it where it does not end in time."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Crew:
    """All processes of a run. Leaving it stops and waits for every one, whatever happened."""

    def __init__(self, logs: Path, env: Mapping[str, str]) -> None:
        self._logs = logs
        self._env = env
        self._processes: list[Process] = []

    @property
    def processes(self) -> tuple[Process, ...]:
        return tuple(self._processes)

    def start(self, name: str, command: Sequence[str]) -> Process:
        process = Process(name, command, self._logs / f"{name}-{len(self._processes)}.log", self._env)
        self._processes.append(process)
        return process

    def run(self, name: str, command: Sequence[str], expect: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                env={**os.environ, **self._env},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"{name} did not end within {PATIENCE:.0f} s") from None
        if done.returncode not in expect:
            self.check()
            raise DemoError(f"{name} ended with exit code {done.returncode}", done.stderr.splitlines()[-_LOG_LINES:])
        return done

    def culprit(self) -> DemoError | None:
        """The first process that ended though nobody stopped it, with its last lines."""
        for process in self._processes:
            code = process.ended
            if code is not None and not process.stopping:
                return DemoError(f"{process.name} ended by itself with exit code {code}", process.tail())
        return None

    def check(self) -> None:
        """Raises DemoError where a process ended that nobody stopped."""
        culprit = self.culprit()
        if culprit is not None:
            raise culprit

    def until(self, what: str, look: Callable[[], T | None], who: Sequence[Process] = ()) -> T:
        """The first true value of `look`; DemoError where there is none in time or a process fails meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = look()
            if value:
                return value
            self.check()
            if time.monotonic() > deadline:
                log = [text for process in who for text in process.tail()]
                raise DemoError(f"did not come about within {PATIENCE:.0f} s: {what}", log)
            time.sleep(0.1)

    def ready(self, *processes: Process) -> None:
        """Waits until each said ``ready``."""
        for process in processes:
            self.until(f"{process.name} is ready", process.said_ready, (process,))

    def stop(self, *processes: Process) -> None:
        """Stops these together, and waits for each."""
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(15.0)

    def close(self) -> None:
        """Stops all, the manager last: a second Ctrl-C does not leave anyone behind."""
        with contextlib.suppress(KeyboardInterrupt):
            self.stop(*self._processes[1:])
        with contextlib.suppress(KeyboardInterrupt):
            self.stop(*self._processes[:1])
        for process in self._processes:
            if process.ended is None:
                process.wait(0.0)


def program(name: str) -> list[str]:
    """`plimsoll` or `dsm_c` as it is installed beside this Python, else by module."""
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [str(script)]
    module = {"plimsoll": "plimsoll.cli.main", "dsm_c": "plimsoll.cli.dsm_c"}[name]
    return [sys.executable, "-m", module]
