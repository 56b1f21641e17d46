"""A body that is read as it comes: bounded in bytes by what it announces, in time by the slowest pace that we take."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping

#: How much is asked of OpenSSL at once, in bytes; one record has 16 KiB.
PIECE = 64 * 1024
#: Who sends less than this on average, in bytes a second, after `GRACE` seconds, wants to hold us and not to serve us.
SLOWEST = 512.0
GRACE = 30.0

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class Download:
    """One answer whose body has not been read yet. Only LinkError escapes `read`.

    `length` is how many bytes are to come, `start` where in the file they begin, `total` how long the file is.
    """

    def __init__(
        self,
        sock: ssl.SSLSocket,
        status: int,
        headers: Mapping[str, str],
        length: int,
        rest: bytes,
        timeout: float,
        ended: Callable[[bytes], None],
        failed: Callable[[Exception], Exception],
        slowest: float,
    ) -> None:
        self.status = status
        self.headers = headers
        self.length = length
        span = _RANGE.fullmatch(headers.get("content-range", "")) if status == 206 else None
        self.start = int(span[1]) if span else 0
        self.total = int(span[3]) if span else length
        #: A range that does not fit its own body is no answer to anything.
        self.sound = status != 206 or (span is not None and int(span[2]) - int(span[1]) + 1 == length)
        self._left = length
        self._sock = sock
        self._rest = rest
        self._timeout = timeout
        self._ended = ended
        self._failed = failed
        self._slowest = slowest
        self._began = time.monotonic()
        self._had = 0
        if not self._left:
            self._ended(rest)

    def read(self) -> bytes:
        """The next bytes, as many as there are; none at the end. Raises LinkError."""
        if not self._left:
            return b""
        if self._rest:
            data, self._rest = self._rest[: self._left], self._rest[self._left :]
        else:
            data = self._receive()
        self._left -= len(data)
        self._had += len(data)
        if not self._left:
            self._ended(self._rest)
        return data

    def read_all(self, most: int) -> bytes:
        """The whole body. Raises LinkError, ValueError where it announces more than `most` bytes."""
        if self.length > most:
            raise ValueError(f"{self.length} bytes, where at most {most} are taken")
        pieces = []
        while data := self.read():
            pieces.append(data)
        return b"".join(pieces)

    def _receive(self) -> bytes:
        spent = time.monotonic() - self._began
        allowed = GRACE + self._had / self._slowest - spent if self._slowest else self._timeout
        try:
            if allowed <= 0:
                raise TimeoutError("too slow")
            self._sock.settimeout(min(self._timeout, allowed))
            data = self._sock.recv(min(PIECE, self._left))
            if not data:
                raise ConnectionError("the end came before the whole body")
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        return data
