"""PostgreSQL (its documentation, "Message Flow: SSL Session Encryption"): SSLRequest, and one byte for an answer."""

from __future__ import annotations

import struct

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening
from plimsoll.tls.starttls.said import said

_SSL_REQUEST = 80877103
_LONGEST = 8192


class Postgres(PacketOpening):
    """A database client."""

    first = struct.pack(">II", 8, _SSL_REQUEST)

    def look(self) -> bytes:
        answer = self._buffer[:1]
        if answer == b"S":
            self.take(1)
            self.ready = True
        elif answer == b"N":
            raise OpeningError("the server answers N: it does not speak TLS")
        elif answer == b"E":
            self._error()
        elif answer:
            raise self.foreign("PostgreSQL")
        return b""

    def _error(self) -> None:
        """An ErrorResponse: its length, then fields of a letter and a text each, of which M is for people."""
        if len(self._buffer) < 5:
            return
        length = int.from_bytes(self._buffer[1:5], "big")
        if not 4 < length <= _LONGEST:
            raise self.foreign("PostgreSQL")
        if len(self._buffer) > length:
            fields = self._buffer[5 : 1 + length].split(b"\0")
            text = next((field[1:] for field in fields if field[:1] == b"M"), b"")
            raise OpeningError(f"the server refuses the connection: {said(text)}")
