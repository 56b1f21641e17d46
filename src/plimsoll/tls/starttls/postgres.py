"""PostgreSQL (documentation, "Message Formats"): SSLRequest, and one byte for an answer."""

from __future__ import annotations

import struct

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening

_SSL_REQUEST = 80877103


class Postgres(PacketOpening):
    """A database client."""

    first = struct.pack(">II", 8, _SSL_REQUEST)

    def look(self) -> bytes:
        if self._buffer:
            answer = self.take(1)
            if answer == b"N":
                raise OpeningError("the server answers that it does not speak TLS")
            if answer != b"S":
                raise OpeningError("the server's answer to the request for TLS is not PostgreSQL's")
            self.ready = True
        return b""
