"""One package on its way to a relay: fetched once, however many ask for it, and sent to them as it comes.

The fetching runs in a thread. Whoever waits is given bytes as they arrive, all but the last one: that goes out only
when the digest was found right, so that nobody ever gets the whole of a wrong file from an honest relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from plimsoll.messages import TARGETS
from plimsoll.net.client import Link, LinkError

_log = logging.getLogger("plimsoll.relay")

#: How much is read back at once for one who waits, in bytes.
_PIECE = 256 * 1024
#: The waiters hear of new bytes this often at most: each hearing costs a turn of the loop.
_TELL = 256 * 1024


class FlightFailed(Exception):  # noqa: N818 - names a condition
    """The package did not come. `missing`: every source that answered says that there is none."""

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


class Flight:
    """`length` is known once `announced` is done; `landed` is done when the file is whole and checked."""

    def __init__(self, sha256: str, path: Path, room: Callable[[int], None]) -> None:
        loop = asyncio.get_running_loop()
        self.sha256 = sha256
        self.length = 0
        self.announced: asyncio.Future[None] = loop.create_future()
        self.landed: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._path = path
        self._room = room
        self._have = 0
        self._told = 0
        self._news = asyncio.Event()
        self._file = -1
        self._readers = 0

    # -- in the loop

    def open(self) -> int:
        """A descriptor of the file, to be closed by whoever asked: it may get its name, or lose it, meanwhile."""
        return os.dup(self._file)

    async def pieces(self, descriptor: int, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of that part as they come. Raises FlightFailed where they do not."""
        at = start
        while at < end:
            there = self.length if self._safe else min(self._have, self.length - 1)
            if at < there:
                piece = os.pread(descriptor, min(_PIECE, there - at, end - at), at)
                if not piece:
                    raise FlightFailed("the file was cut short on this relay")
                at += len(piece)
                yield piece
                continue
            if self.landed.done():
                self.landed.result()
                continue
            await self._news.wait()

    @property
    def _safe(self) -> bool:
        return self.landed.done() and not self.landed.cancelled() and self.landed.exception() is None

    def _progress(self, length: int, have: int) -> None:
        self.length, self._have = length, have
        if not self.announced.done():
            self._file = os.open(self._path, os.O_RDONLY)
            self.announced.set_result(None)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def end(self, error: Exception | None) -> None:
        """Everybody who waits hears it."""
        for future in (self.announced, self.landed):
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
                    future.exception()  # heard: nobody need be waiting
        self._wake()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # -- in its thread

    def fetch(self, links: Iterable[Link], slowest: float) -> None:
        """From one source after the other until it is whole. Raises FlightFailed, OSError, and what `room` raises."""
        answers: list[str] = []
        missing = 0
        for link in links:
            where = f"{link.host}:{link.port}"
            with link:
                try:
                    if self._from(link, slowest):
                        return
                    missing += 1
                    answers.append(f"{where} does not have it")
                except LinkError as error:
                    answers.append(str(error))
        raise FlightFailed("; ".join(answers) or "there is no source", missing=0 < missing == len(answers))

    def _from(self, link: Link, slowest: float) -> bool:
        """What is lacking from one source; False where it does not have the package. Raises LinkError, FlightFailed."""
        digest, have = self._begun()
        body = link.stream(f"{TARGETS}/{self.sha256}", {"range": f"bytes={have}-"} if have else {}, slowest=slowest)
        if body.status == 404:
            return False
        if body.status == 416:
            # More is here than the source has: one of the two is wrong, and it is not worth finding out which.
            self._path.unlink(missing_ok=True)
            raise FlightFailed(f"{link.host}:{link.port} has less of it than came from another source")
        if body.status not in (200, 206) or not body.sound or not body.total:
            raise LinkError(link.host, link.port, f"it answered with HTTP status {body.status}")
        if body.start == 0 and have:
            digest, have = hashlib.sha256(), 0
        elif body.start != have:
            raise LinkError(link.host, link.port, "it sent another part than was asked for")
        if self.length and body.total != self.length:
            raise LinkError(link.host, link.port, f"it has {body.total} bytes, others have {self.length}")
        self._room(body.total - have)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if have else 0)
        with os.fdopen(os.open(self._path, flags, 0o600), "wb") as file:
            if not have:
                file.truncate()
            self._tell(body.total, have, now=True)
            while data := body.read():
                file.write(data)
                digest.update(data)
                have += len(data)
                if have - self._told >= _TELL:
                    file.flush()
                    self._tell(body.total, have)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != self.sha256:
            self._path.unlink(missing_ok=True)
            raise FlightFailed(f"what {link.host}:{link.port} sent is not the package: its digest is another")
        return True

    def _begun(self) -> tuple[hashlib._Hash, int]:
        digest, have = hashlib.sha256(), 0
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                have += len(piece)
        return digest, have

    def _tell(self, length: int, have: int, now: bool = False) -> None:
        self._told = have
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(self._progress, length, have)
