"""Downloads as the rest of the agent asks for them: a question to a short child process, and its answer.

`fetch` blocks; use it in a thread. The child verifies with The Update Framework and cryptography, which would cost the
resident agent some 20 MiB for good.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

# Numbers of events, as in the reference.
SIGNATURE_INVALID, PACKAGE_INVALID, SIGNATURE_MISSING, MISMATCH = 5300, 5301, 5302, 5303
#: The reference's number of a full disk; and no event at all: another download is under way.
DISK_FULL, BUSY = 724, 0

#: How often the child says how far it is, in seconds at least.
PROGRESS_SECONDS = 1.0

Progress = Callable[[int, int], None]


class Refusal(msgspec.Struct, kw_only=True, frozen=True):
    """What one source gave and why it was refused. `number` is the event's, `source` the address."""

    number: int
    source: str
    text: str


class Fetched(msgspec.Struct, kw_only=True, frozen=True):
    """A package that was verified. `path` lies in the agent's home; `refusals` are of sources before the good one."""

    path: str
    target: str
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    key: str
    source: str
    refusals: list[Refusal] = []


class Wish(msgspec.Struct, kw_only=True, frozen=True):
    """What is wanted: the target of that name. `length`, `sha256` and `version` are what the asker expects, if it does.

    `minimum` is the pace in bytes a second below which a source is given up, `timeout` its silence in seconds, and
    `patience` how long to come back for where every source is busy.
    """

    target: str
    version: str = ""
    length: int = 0
    sha256: str = ""
    minimum: float = 512.0
    timeout: float = 30.0
    patience: float = 900.0


class SoftwareError(Exception):
    """Nothing was installed. `number` is the event that says why; `refusals` has one for each source that was tried."""

    def __init__(self, number: int, text: str, refusals: Sequence[Refusal] = ()) -> None:
        super().__init__(text)
        self.number = number
        self.refusals = tuple(refusals)


class _Failure(msgspec.Struct, kw_only=True):
    number: int
    text: str
    refusals: list[Refusal] = []


class Answer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the child's."""

    had: int = 0
    of: int = 0
    fetched: Fetched | None = None
    failure: _Failure | None = None
    statement: int = 0


class Question(msgspec.Struct, kw_only=True):
    """What the child is asked: to fetch, or to follow statements of release keys."""

    home: str
    wish: Wish | None = None
    follow: list[str] = []


def fetch(home: Path, wish: Wish, progress: Progress | None = None, *, child: Sequence[str] = ()) -> Fetched:
    """The package, verified, from the first source that gives it whole. Raises SoftwareError; nothing is kept then
    but what a later attempt can go on with.

    `progress` is told how many bytes there are, and of how many. `child` is another command to run, for tests.
    """
    answer = _ask(Question(home=str(home), wish=wish), progress, child)
    if answer.fetched is None:
        raise SoftwareError(SIGNATURE_MISSING, "the download helper gave no answer")
    return answer.fetched


def follow(home: Path, statements: Sequence[str]) -> int:
    """Takes over statements of release keys that follow the one that counts here; the number that counts now.

    Raises SoftwareError where one is not signed by a key of the one before it; those before it were taken.
    """
    return _ask(Question(home=str(home), follow=list(statements)), None, ()).statement


def _ask(question: Question, progress: Progress | None, child: Sequence[str]) -> Answer:
    command = list(child) or [sys.executable, "-P", "-m", "plimsoll.agent.software.child"]
    try:
        running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise SoftwareError(SIGNATURE_MISSING, f"the download helper did not start ({error})") from None
    with running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                # It stays open for as long as we want the answer: the child ends with it.
                running.stdin.write(msgspec.json.encode(question) + b"\n")
                running.stdin.flush()
            for line in running.stdout:
                answer = msgspec.json.decode(line, type=Answer)
                if answer.failure is not None:
                    raise SoftwareError(answer.failure.number, answer.failure.text, answer.failure.refusals)
                if answer.fetched is not None or answer.statement:
                    return answer
                if progress is not None:
                    progress(answer.had, answer.of)
            said = running.stderr.read().decode(errors="replace").strip().splitlines()
        except msgspec.MsgspecError as error:
            said = [f"its answer cannot be read: {error}"]
        finally:
            if running.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running.pid, signal.SIGTERM)
    raise SoftwareError(SIGNATURE_MISSING, f"the download helper failed: {said[-1] if said else 'it said nothing'}")
