"""What the protocols of binary packets share: bytes are gathered, bounded, and looked at when more have come."""

from __future__ import annotations

from typing import Final

from plimsoll.tls.starttls import OpeningError

MOST: Final = 65_536


class PacketOpening:
    """A client that sends `first`, and whose `look` takes whole packets out of the buffer."""

    first = b""

    def __init__(self) -> None:
        self.ready = False
        self._buffer = b""

    def start(self) -> bytes:
        return self.first

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        if len(self._buffer) > MOST:
            raise OpeningError(f"more than {MOST} bytes came before TLS")
        out = self.look()
        if self.ready and self._buffer:
            raise OpeningError("the server went on in clear text after it had agreed to begin TLS")
        return out

    def look(self) -> bytes:
        """Take what is whole; give what to send; set `ready`."""
        return b""

    def take(self, length: int) -> bytes:
        """The first bytes of the buffer, which has them."""
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def wrap(self, data: bytes) -> bytes:
        return data

    def unwrap(self, data: bytes) -> bytes:
        return data
