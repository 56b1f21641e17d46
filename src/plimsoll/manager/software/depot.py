"""Software packages on the manager's disk: HOME/software/files, each under the name of its SHA-256.

Rules of this file: a file has its name only when it is whole, checked and on the disk; what is still coming lies in
HOME/software/incoming and is forgotten at the next start; nothing is ever whole in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from plimsoll.manager.config import sync_directory
from plimsoll.manager.ports import BadInput, ServiceError

#: What an import must leave free, in bytes: the store and the logs live on the same disk.
RESERVE = 256 << 20


class DiskFull(ServiceError):  # noqa: N818 - names a condition
    """The file was not kept."""

    status = 507


class Depot:
    """One folder of packages. Files are told apart by their digest alone, so the same one is kept once."""

    def __init__(self, folder: Path, reserve: int = RESERVE) -> None:
        self.folder = folder
        self.files = folder / "files"
        self._incoming = folder / "incoming"
        self._reserve = reserve

    def path(self, sha256: str) -> Path:
        """Where the file of that digest lies, if it is here."""
        return self.files / sha256

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def receive(self, sha256: str, length: int) -> Incoming:
        """Room for a file that is about to come. Raises DiskFull where it would not fit."""
        try:
            for folder in (self.folder, self.files, self._incoming):
                folder.mkdir(mode=0o700, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise _full(self.folder, error) from None
        if free < length + self._reserve:
            raise DiskFull(
                f"{self.folder} has {_mib(free)} free, and a file of {_mib(length)} must leave {_mib(self._reserve)} of"
                " it; nothing was kept. Delete software that no computer needs any more, or make room on that disk"
            )
        return Incoming(self, self._incoming / f"{sha256[:16]}-{secrets.token_hex(4)}", sha256, length)

    def tidy(self, wanted: Collection[str]) -> int:
        """Removes what a crash or a deletion left: unfinished files, and files of no wanted digest. How many."""
        removed = 0
        for folder, keep in ((self._incoming, frozenset[str]()), (self.files, frozenset(wanted))):
            for path in folder.iterdir() if folder.is_dir() else ():
                if path.name not in keep and path.is_file():
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def remove(self, sha256: str) -> None:
        """Whoever is sent the file just now gets the rest of it: it is open there."""
        self.path(sha256).unlink(missing_ok=True)


class Incoming:
    """A file while it comes. `finish` gives it its name, `abandon` forgets it; both may be called twice."""

    def __init__(self, depot: Depot, path: Path, sha256: str, length: int) -> None:
        self.sha256 = sha256
        self.length = length
        self.received = 0
        self._depot = depot
        self._path = path
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """The next bytes. Raises BadInput where there are more than were signed for, DiskFull."""
        if self.received + len(data) > self.length:
            self.abandon()
            raise BadInput(
                f"the file is longer than the {self.length} bytes that its release signature names; nothing was kept"
            )
        try:
            if self._file is None:
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._file.write(data)
        except OSError as error:
            self.abandon()
            raise _full(self._path.parent, error) from None
        self._digest.update(data)
        self.received += len(data)

    def finish(self) -> None:
        """Makes it durable under its name. Raises BadInput where it is not the file that was signed, DiskFull."""
        if self.received != self.length:
            self.abandon()
            raise BadInput(
                f"the file has {self.received} bytes, and its release signature names {self.length}: it was cut off,"
                " or it is another file; nothing was kept"
            )
        if self._digest.hexdigest() != self.sha256:
            self.abandon()
            raise BadInput(
                "the file is not the one that was signed: its SHA-256 is"
                f" {self._digest.hexdigest()}, the release signature names {self.sha256}; nothing was kept"
            )
        file, self._file = self._file, None
        assert file is not None
        try:
            with file:
                file.flush()
                os.fsync(file.fileno())
            self._path.replace(self._depot.path(self.sha256))
            sync_directory(self._depot.files)
        except OSError as error:
            self.abandon()
            raise _full(self._path.parent, error) from None

    def abandon(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            # A full disk refuses what was still in the buffer, which is not wanted either.
            with contextlib.suppress(OSError):
                file.close()
        self._path.unlink(missing_ok=True)


def _full(folder: Path, error: OSError) -> DiskFull:
    return DiskFull(f"{folder} cannot be written to: {error.strerror or error}; nothing was kept")


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
