"""MySQL and MariaDB (documentation of the client/server protocol): greeting, SSLRequest."""

from __future__ import annotations

import struct

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening
from plimsoll.tls.starttls.said import said

_SSL = 0x0800
#: CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION.
_WANTED = 0x0001 | 0x0200 | _SSL | 0x8000
_UTF8 = 33


class MySql(PacketOpening):
    """A database client."""

    def look(self) -> bytes:
        if len(self._buffer) < 4:
            return b""
        length = int.from_bytes(self._buffer[:3], "little")
        if not 0 < length < 4096:
            raise self.foreign("MySQL")
        if len(self._buffer) < 4 + length:
            return b""
        payload = self._buffer[4 : 4 + length]
        if payload[0] == 0xFF:
            code = int.from_bytes(payload[1:3], "little")
            raise OpeningError(f"the server refuses the connection: {said(b'%d ' % code + payload[3:])}")
        version, ended, rest = payload[1:].partition(b"\0")
        # Thread id (4), challenge (8), a filler (1), then the lower half of the capabilities.
        if payload[0] != 10 or not ended or len(rest) < 15 or not version:
            raise self.foreign("MySQL")
        if not int.from_bytes(rest[13:15], "little") & _SSL:
            raise OpeningError(f"the server does not offer TLS: it is {said(version)} without CLIENT_SSL")
        self.take(4 + length)
        self.ready = True
        return struct.pack("<IIIB23x", 32 | 1 << 24, _WANTED, 1 << 24, _UTF8)
