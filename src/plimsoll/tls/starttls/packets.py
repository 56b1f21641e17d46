"""What the protocols of binary packets share: bytes are gathered, bounded, and looked at when more have come."""

from __future__ import annotations

from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.said import said

#: More than any of these protocols says before TLS.
MOST: Final = 16_384


class PacketOpening:
    """A client that sends `first`, and whose `look` takes whole packets out of the buffer."""

    first = b""

    def __init__(self) -> None:
        self.ready = False
        self._buffer = b""
        self._failed: OpeningError | None = None

    def start(self) -> bytes:
        return self.first

    def feed(self, data: bytes) -> bytes:
        try:
            return self._feed(data)
        except OpeningError as error:
            self.ready, self._failed = False, error
            raise

    def _feed(self, data: bytes) -> bytes:
        if self._failed is not None:
            raise OpeningError(str(self._failed))
        self._buffer += data
        if len(self._buffer) > MOST:
            raise OpeningError(f"more than {MOST} bytes came before TLS")
        out = b"" if self.ready else self.look()
        if self.ready and self._buffer:
            # As with lines: what comes before the handshake must not count as inside it (CVE-2021-23222).
            raise OpeningError(f"the server went on in clear text after it agreed to begin TLS: {said(self._buffer)}")
        return out

    def look(self) -> bytes:
        """Take what is whole; give what to send; set `ready`."""
        return b""

    def take(self, length: int) -> bytes:
        """The first bytes of the buffer, which has them."""
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def foreign(self, protocol: str) -> OpeningError:
        """To raise where the peer speaks another protocol."""
        return OpeningError(f"the server's answer is not {protocol}'s: {said(self._buffer[:200])}")

    def wrap(self, data: bytes) -> bytes:
        return data

    def unwrap(self, data: bytes) -> bytes:
        return data
