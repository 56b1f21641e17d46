"""Names to addresses, without holding up the loop: a few threads that may hang, each answer within its time or not.

An IP literal needs none of this, and a scan of literals starts no thread.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: (family, socket address): all that a connection needs.
Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]
Resolved = Callable[[list[Address], str], None]

THREADS: Final = 8
#: Seconds for a name.
TIMEOUT: float = 10.0


def literal(host: str, port: int) -> Address | None:
    """The address of an IP literal, or None for a name."""
    if ":" in host:
        if "%" in host:
            return _scoped(host, port)
        try:
            socket.inet_pton(socket.AF_INET6, host)
        except OSError:
            return None
        return socket.AF_INET6, (host, port, 0, 0)
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return None
    return socket.AF_INET, (host, port)


def _scoped(host: str, port: int) -> Address | None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    return (found[0][0], found[0][4]) if found else None  # type: ignore[return-value]  # an AF_INET6 address


def look_up(host: str, port: int) -> tuple[list[Address], str]:
    """All addresses of a name in the system's order, or none and the reason."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return [], f"the name {host} does not resolve ({reason})"
    addresses: list[Address] = []
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6) and (family, address) not in addresses:
            addresses.append((family, address))  # type: ignore[arg-type]  # typeshed allows AF_* that are not asked
    return addresses, "" if addresses else f"the name {host} has no address"


@dataclass(slots=True, eq=False, repr=False)
class _Question:
    host: str
    port: int
    deadline: float
    deliver: Resolved | None


class Resolver:
    """Looks names up in threads; `collect` hands the answers out in the loop's own thread.

    `wake` is called from a thread when an answer waits, and never once `close` has returned: what it writes to may be
    another's by then. An answer that is late counts as none: threads that hang in the system's resolver are left
    behind (they are daemons), and no more than `THREADS` of them ever start.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timeout = TIMEOUT
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[_Question, list[Address], str]] = queue.SimpleQueue()
        self._open: list[_Question] = []
        self._threads = 0
        self._waking = threading.Lock()
        self._closed = False

    def ask(self, host: str, port: int, deliver: Resolved) -> None:
        """Look a name up; `deliver` gets the addresses, or none and the reason, from a later `collect`."""
        question = _Question(host, port, time.monotonic() + self._timeout, deliver)
        self._open.append(question)
        if self._threads < min(THREADS, len(self._open)):
            self._threads += 1
            threading.Thread(target=self._work, name="plimsoll-resolve", daemon=True).start()
        self._questions.put(question)

    def collect(self, now: float) -> None:
        """Hand out what has come, and give up what is late."""
        while True:
            try:
                question, addresses, reason = self._answers.get_nowait()
            except queue.Empty:
                break
            self._answer(question, addresses, reason)
        for question in [question for question in self._open if question.deadline <= now]:
            self._answer(question, [], f"the name {question.host} did not resolve within {self._timeout:g} s")

    @property
    def pending(self) -> int:
        """Names that are being looked up."""
        return len(self._open)

    def close(self) -> None:
        """Let the threads end; answers still to come are dropped."""
        with self._waking:
            self._closed = True
        self._open.clear()
        for _ in range(self._threads):
            self._questions.put(None)

    def _answer(self, question: _Question, addresses: list[Address], reason: str) -> None:
        deliver, question.deliver = question.deliver, None
        if deliver is not None and question in self._open:
            self._open.remove(question)
            deliver(addresses, reason)

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            if question.deliver is None:
                continue
            addresses, reason = look_up(question.host, question.port)
            self._answers.put((question, addresses, reason))
            with self._waking:
                if not self._closed:
                    self._wake()
