"""A package while it comes: gone on with where it was broken off, never longer than was signed, checked at its end."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from plimsoll.agent.files import sync_folder
from plimsoll.agent.software.fetching import DISK_FULL, PACKAGE_INVALID, SoftwareError
from plimsoll.messages import TARGETS
from plimsoll.net.client import Link, LinkError

#: What a download must leave free, in bytes: the host has other work to do.
RESERVE = 64 << 20
_PIECE = 1 << 20


class PackageRefused(Exception):  # noqa: N818 - names a condition
    """What this source gave is not the package. `spoilt` says that what was there before it may be to blame."""

    def __init__(self, text: str, spoilt: bool = False) -> None:
        super().__init__(text)
        self.spoilt = spoilt


class SourceBusy(Exception):  # noqa: N818 - names a condition
    """The source sends to as many as it can. `after` is when to come back, in seconds."""

    def __init__(self, text: str, after: float) -> None:
        super().__init__(text)
        self.after = after


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, within bounds: what a source says must not lose us."""
    text = headers.get("retry-after", "")
    return min(max(float(text), 1.0), 300.0) if text.isascii() and text.isdigit() else 10.0


class Incoming:
    """The file of one digest in ``incoming/``. What a source gave too little of, the next one goes on with."""

    def __init__(self, folder: Path, sha256: str, length: int) -> None:
        self.path = folder / sha256
        self.sha256 = sha256
        self.length = length

    def fetch(self, link: Link, minimum: float, told: Callable[[int], None]) -> None:
        """Gets what is missing from one source.

        Raises PackageRefused, SourceBusy, and SoftwareError where our disk is full.
        """
        try:
            self._fetch(link, minimum, told)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise _disk(self.path, error) from None

    def put(self, path: Path) -> None:
        """Gives the checked file its name. Raises SoftwareError where our disk is full."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.replace(path)
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
        except OSError as error:
            raise _disk(path, error) from None

    def _fetch(self, link: Link, minimum: float, told: Callable[[int], None]) -> None:
        digest, have = self._begun()
        free = shutil.disk_usage(self.path.parent).free
        if free < self.length - have + RESERVE:
            raise SoftwareError(
                DISK_FULL,
                f"{self.path.parent} has {free >> 20} MiB free, and a package of {self.length >> 20} MiB must leave"
                f" {RESERVE >> 20} of it; nothing was installed. Make room on this host",
            )
        began = have
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as file:
            if have < self.length:
                have = self._receive(link, minimum, told, file, digest, have)
            file.flush()
            os.fsync(file.fileno())
        if have < self.length:
            raise PackageRefused(f"it ended after {have} of {self.length} bytes")
        if digest.hexdigest() != self.sha256:
            self.path.unlink(missing_ok=True)
            raise PackageRefused(f"its SHA-256 is {digest.hexdigest()}, and {self.sha256} was signed", spoilt=began > 0)

    def _receive(
        self, link: Link, minimum: float, told: Callable[[int], None], file: BinaryIO, digest: hashlib._Hash, have: int
    ) -> int:
        """Appends what comes; how much there is then."""
        headers = {"range": f"bytes={have}-"} if have else {}
        try:
            body = link.stream(f"{TARGETS}/{self.sha256}", headers, slowest=minimum)
        except LinkError as error:
            raise PackageRefused(str(error)) from None
        if body.status == 503:
            raise SourceBusy(f"{link.host}:{link.port} is busy", retry_after(body.headers))
        if body.status == 404:
            raise PackageRefused("it does not have the package")
        if body.status not in (200, 206) or not body.sound:
            raise PackageRefused(f"it answered with HTTP status {body.status}")
        if body.total != self.length:
            raise PackageRefused(f"it has {body.total} bytes for the package, and {self.length} were signed")
        if body.start != have:
            raise PackageRefused(f"it began at byte {body.start}, and was asked for byte {have}", spoilt=True)
        try:
            while data := body.read():
                file.write(data)
                digest.update(data)
                have += len(data)
                told(have)
        except LinkError as error:
            raise PackageRefused(f"{error}; {have} of {self.length} bytes are here") from None
        return have

    def _begun(self) -> tuple[hashlib._Hash, int]:
        """The digest of what is here already."""
        digest = hashlib.sha256()
        have = 0
        if self.path.exists():
            if self.path.stat().st_size > self.length:
                self.path.unlink()
                return digest, 0
            with self.path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    have += len(piece)
        return digest, have


def _disk(path: Path, error: OSError) -> SoftwareError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    why = "its disk is full" if full else error.strerror or str(error)
    number = DISK_FULL if full else PACKAGE_INVALID
    return SoftwareError(number, f"{path} cannot be written: {why}; nothing was installed. Make room on this host")
