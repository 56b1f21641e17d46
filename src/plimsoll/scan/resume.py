"""Which endpoints a scan has done, so that an interrupted one goes on: a text file that only grows.

After a first line that names the file, one line an endpoint: sixteen hexadecimal digits, then the endpoint for people.
A torn last line, as a power cut leaves it, counts as not done. In memory an endpoint costs eight bytes.
"""

from __future__ import annotations

import bisect
import fcntl
import os
import re
from array import array
from pathlib import Path
from typing import BinaryIO, Final

from plimsoll.scan.report import Target
from plimsoll.scan.targets import endpoint_key

_FIRST: Final = b"plimsoll scan journal 1\n"
_LINE: Final = re.compile(rb"([0-9a-f]{16}) [^\0]*\n")
_TORN: Final = re.compile(rb"[0-9a-f]{0,16}|[0-9a-f]{16} [^\0]*|(?s:.*\0)")
#: A name has at most 253 octets.
_LONGEST: Final = 512
#: What is not on the disk yet after a crash is asked again: nothing is lost but a little time.
_SYNC_EVERY: Final = 256


class JournalError(Exception):
    """The journal cannot be read or written. The text says why."""


class Journal:
    """Use with ``with``. `done` is asked before, `add` is told after each endpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unsynced = 0
        try:
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b")
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}; nothing was scanned") from error
        try:
            self._claim()
            self._done = array("Q", sorted(self._read(self._file)))
        except OSError as error:
            self._file.close()
            raise JournalError(f"{path}: {error.strerror}; nothing was scanned") from error
        except JournalError:
            self._file.close()
            raise

    def _claim(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(f"{self._path}: another scan is writing it; nothing was scanned") from None

    def _read(self, file: BinaryIO) -> array[int]:
        """The keys of all whole lines. What is torn at the end is cut off, once it is sure that the file is ours."""
        first = file.readline(_LONGEST)
        if not _FIRST.startswith(first):
            raise self._foreign(1, first)
        done = array("Q")
        whole = len(first)
        number = 1
        while line := file.readline(_LONGEST):
            number += 1
            found = _LINE.fullmatch(line)
            if found is None:
                if (file.read(1) and b"\0" not in line) or _TORN.fullmatch(line) is None:
                    raise self._foreign(number, line)
                break
            done.append(int(found[1], 16))
            whole += len(line)
        file.truncate(whole)
        file.seek(0, os.SEEK_END)
        if first != _FIRST:
            file.truncate(0)
            file.seek(0)
            file.write(_FIRST)
            file.flush()
        return done

    def _foreign(self, number: int, line: bytes) -> JournalError:
        shown = line[:60].decode("utf-8", "replace")
        return JournalError(f"{self._path} is no journal of a scan: line {number} is {shown!r}; nothing was scanned")

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
