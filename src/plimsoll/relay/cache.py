"""A relay's disk: packages by their digest, bounded, the ones that nobody asked for longest go first.

    packages/<SHA-256>   whole and checked
    incoming/<SHA-256>   what is still coming; a later attempt goes on with it
    metadata/<name>      what the source signed, as it came

Rules of this file: a package has its name only once its digest was found right; what is evicted while somebody is sent
it is sent to its end, since it is open there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

#: How much a relay keeps unless told otherwise, and what it leaves free on its disk, in bytes.
LIMIT = 20 << 30
RESERVE = 512 << 20
#: The use of a file is noted on the disk this often at most, in seconds, so that a restart remembers the order.
NOTE_USE = 60.0
#: What is left of broken-off downloads is forgotten after this time, in seconds.
FORGET_INCOMING = 86400.0
#: Metadata that nobody asked for in this time, in seconds, is forgotten.
FORGET_METADATA = 30 * 86400.0


class NoRoom(Exception):  # noqa: N818 - names a condition
    """A file does not fit, whatever is evicted. The message says why."""


class Cache:
    """The folder, and what is in it. Safe to use from several threads."""

    def __init__(
        self, folder: Path, limit: int = LIMIT, reserve: int = RESERVE, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._packages = folder / "packages"
        self._incoming = folder / "incoming"
        self._metadata = folder / "metadata"
        self._limit = limit
        self._reserve = reserve
        self._clock = clock
        #: Size and last use of each package, and what those that are coming will take.
        self._held: dict[str, tuple[int, float]] = {}
        self._coming: dict[str, int] = {}
        self._lock = threading.Lock()
        for place in (folder, self._packages, self._incoming, self._metadata):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._look()

    @property
    def used(self) -> int:
        """Bytes of whole packages."""
        return sum(size for size, _ in self._held.values())

    def package(self, sha256: str) -> Path | None:
        """The package, which counts as used now; None where it is not here whole."""
        with self._lock:
            held = self._held.get(sha256)
            if held is None:
                return None
            path = self._packages / sha256
            now = self._clock()
            try:
                noted = path.stat().st_mtime
                if not 0.0 <= now - noted <= NOTE_USE:
                    os.utime(path, (now, now))
            except OSError:
                del self._held[sha256]  # somebody removed it by hand
                return None
            self._held[sha256] = (held[0], now)
            return path

    def incoming(self, sha256: str) -> Path:
        return self._incoming / sha256

    def metadata(self, name: str) -> Path:
        return self._metadata / name

    def room(self, sha256: str, length: int) -> None:
        """Evicts until so many bytes more of that package fit, and holds the place until `keep` or `release`.

        Raises NoRoom, with nothing evicted, where they cannot.
        """
        with self._lock:
            self._coming.pop(sha256, None)
            coming, used = sum(self._coming.values()), self.used
            if coming + length > self._limit:
                raise NoRoom(f"a package of {length} bytes does not fit into the {self._limit} that this relay keeps")
            free = shutil.disk_usage(self._folder).free
            lacking = max(used + coming + length - self._limit, coming + length + self._reserve - free)
            if lacking > used:
                raise NoRoom(f"{self._folder} has {free >> 20} MiB free, and {self._reserve >> 20} must stay free")
            for oldest, (size, _) in sorted(self._held.items(), key=lambda item: item[1][1]):
                if lacking <= 0:
                    break
                self._evict(oldest)
                lacking -= size
            self._coming[sha256] = length

    def release(self, sha256: str) -> None:
        """The package does not come any more, or is here."""
        with self._lock:
            self._coming.pop(sha256, None)

    def keep(self, sha256: str) -> Path:
        """Gives a checked file its name. Raises OSError."""
        path = self._packages / sha256
        self.incoming(sha256).replace(path)
        descriptor = os.open(self._packages, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with self._lock:
            self._coming.pop(sha256, None)
            self._held[sha256] = (path.stat().st_size, self._clock())
        return path

    def _evict(self, sha256: str) -> None:
        self._held.pop(sha256, None)
        (self._packages / sha256).unlink(missing_ok=True)

    def _look(self) -> None:
        """At start: what is here, in the order of its last use, and what is too old to go on with."""
        now = self._clock()
        for path in self._packages.iterdir():
            with contextlib.suppress(OSError):
                found = path.stat()
                self._held[path.name] = (found.st_size, found.st_mtime)
        for place, longest in ((self._incoming, FORGET_INCOMING), (self._metadata, FORGET_METADATA)):
            for path in place.iterdir():
                with contextlib.suppress(OSError):
                    if now - path.stat().st_mtime > longest:
                        path.unlink()
