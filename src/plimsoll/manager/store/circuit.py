"""Whether a database on a server is known to be away: then nobody waits for it but one who looks whether it is back.

Rules of this file: it is away after an operation that found nobody, or after one that hangs while a new connection is
not answered either. That an operation takes long says nothing by itself: a database whose disk is slow answers a new
connection, and is left alone. What hangs at a database that is away is ended, so that who asked is told.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

#: Seconds for which an operation may be under way before it is looked whether the database still answers.
HANG_SECONDS = 2.0
#: Seconds between two looks whether something hangs, and between two at a database that is away and nobody asks for.
LOOK_SECONDS = 0.5
#: Whoever comes while it is away waits so many seconds for a look that has just begun: a server that was only started
#: again, or refuses at once, is known by then.
MOMENT_SECONDS = 0.25


class Away(Exception):  # noqa: N818 - names a condition, and reads as one at the call
    """`cause` is in the driver's words, for the log. `silent` where there was no answer at all, not even a refusal."""

    def __init__(self, cause: str, *, silent: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.silent = silent


class Circuit:
    """`reach` looks whether the database answers, within a few seconds, and raises Away where it does not; `end` breaks
    every connection. Both are called in a thread of this object, that begins with the first operation.
    """

    def __init__(
        self,
        reach: Callable[[], None],
        end: Callable[[], None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reach = reach
        self._end = end
        self._steady = steady
        self._change = threading.Condition()
        self._numbers = itertools.count()
        self._under_way: dict[int, float] = {}
        self._cause: str | None = None
        self._asked = False
        self._looking: float | None = None
        self._looks = 0
        self._checked = -math.inf
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def cause(self) -> str | None:
        """Why the database is away; None where it is not known to be."""
        return self._cause

    @property
    def looking(self) -> bool:
        """Whether this is the thread that looks: it alone may try a new connection while the database is away."""
        return threading.current_thread() is self._thread

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        """Around whatever asks the database. Raises Away, in a moment, where it is known to be away."""
        self.enter()
        number = next(self._numbers)
        self._under_way[number] = self._steady()
        try:
            yield
        finally:
            del self._under_way[number]
        if self._cause is not None:
            # It was under way before, and is as good as a look.
            self._answered()

    def enter(self) -> None:
        """Raises Away where the database is known to be away."""
        if self._thread is None:
            self._begin()
        if self._cause is None:
            return
        with self._change:
            if self._looking is None or self._steady() - self._looking < MOMENT_SECONDS:
                if self._looking is None:
                    self._asked = True
                    self._change.notify_all()
                looks = self._looks
                self._change.wait_for(lambda: self._looks > looks or self._cause is None, MOMENT_SECONDS)
            if self._cause is not None:
                raise Away(self._cause)

    def lost(self, cause: str) -> None:
        """An operation found nobody there."""
        with self._change:
            if self._cause is None and not self._closed:
                self._cause = cause
                self._asked = True
                self._change.notify_all()

    def close(self) -> None:
        """The thread ends, at the latest with the look under way; nobody waits for it."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _begin(self) -> None:
        with self._change:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="store-circuit", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._wait_for_a_reason():
            try:
                self._reach()
            except Away as error:
                self._failed(error)
            except Exception as error:
                log.exception("whether the database answers could not be looked at")
                self._failed(Away(str(error)))
            else:
                self._answered(look=True)

    def _wait_for_a_reason(self) -> bool:
        """Until somebody asks, it is time to look again, or something hangs. False at the end."""
        with self._change:
            while not self._closed:
                self._change.wait_for(lambda: self._asked or self._closed, LOOK_SECONDS)
                if self._asked or self._cause is not None or self._hangs():
                    self._asked = False
                    self._looking = self._steady()
                    return not self._closed
            return False

    def _hangs(self) -> bool:
        now = self._steady()
        if now - self._checked < HANG_SECONDS:
            return False
        # A copy in one step: operations begin and end without the lock.
        return any(now - since > HANG_SECONDS for since in tuple(self._under_way.values()))

    def _failed(self, error: Away) -> None:
        with self._change:
            if self._cause is None and error.silent and self._hangs():
                self._cause = error.cause
            away = self._cause is not None
            self._looked()
        if away and error.silent:
            self._end()

    def _answered(self, *, look: bool = False) -> None:
        with self._change:
            self._cause = None
            if look:
                self._looked()
            self._change.notify_all()

    def _looked(self) -> None:
        self._looks += 1
        self._looking = None
        self._checked = self._steady()
        self._change.notify_all()
