"""Which endpoints a scan has done, so that an interrupted one goes on: a text file that only grows.

One line an endpoint: sixteen hexadecimal digits, then the endpoint for people. A torn last line, as a power cut leaves
it, counts as not done.
"""

from __future__ import annotations

import bisect
import os
import re
from array import array
from pathlib import Path
from typing import Final

from plimsoll.scan.report import Target
from plimsoll.scan.targets import endpoint_key

_LINE: Final = re.compile(rb"([0-9a-f]{16}) .*\n")
#: What is not on the disk yet after a crash is asked again: nothing is lost but a little time.
_SYNC_EVERY: Final = 256


class JournalError(Exception):
    """The journal cannot be read or written. The text says why."""


class Journal:
    """Use with ``with``. `done` is asked before, `add` is told after each endpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = array("Q")
        self._unsynced = 0
        try:
            old = path.read_bytes() if path.exists() else b""
            whole = old[: old.rfind(b"\n") + 1]
            for line in whole.splitlines(keepends=True):
                found = _LINE.fullmatch(line)
                if found is None:
                    raise JournalError(f"{path} is no journal of a scan: {line[:60]!r}; nothing was scanned")
                self._done.append(int(found[1], 16))
            self._done = array("Q", sorted(self._done))
            self._file = path.open("r+b" if path.exists() else "xb")
            self._file.truncate(len(whole))
            self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}; nothing was scanned") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """How many endpoints were done when it was opened."""
        return len(self._done)

    def done(self, target: Target) -> bool:
        """Whether an earlier run has done it."""
        key = endpoint_key(target)
        place = bisect.bisect_left(self._done, key)
        return place < len(self._done) and self._done[place] == key

    def add(self, target: Target) -> None:
        """It is done, and its report is written."""
        self._file.write(f"{endpoint_key(target):016x} {target}\n".encode())
        self._unsynced += 1
        self._file.flush()
        if self._unsynced >= _SYNC_EVERY:
            os.fsync(self._file.fileno())
            self._unsynced = 0
