"""SQL Server (MS-TDS 2.2.6.5): PRELOGIN, and TLS inside its packets."""

from __future__ import annotations

import struct

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening

_PRELOGIN, _RESPONSE = 0x12, 0x04
_HEADER = 8
#: The packet size before a login negotiates another one.
_PACKET = 4096
_VERSION, _ENCRYPTION, _END = 0x00, 0x01, 0xFF
_ON, _NOT_SUPPORTED = 0x01, 0x02


def _packet(payload: bytes, number: int = 1) -> bytes:
    """One packet that is the last of its message."""
    return struct.pack(">BBHHBB", _PRELOGIN, 1, len(payload) + _HEADER, 0, number, 0) + payload


def _prelogin() -> bytes:
    """Our version (any), and the wish to encrypt all."""
    options = struct.pack(">BHHBHHB", _VERSION, 11, 6, _ENCRYPTION, 17, 1, _END)
    return _packet(options + struct.pack(">BBHHB", 12, 0, 0, 0, _ON))


class MsSql(PacketOpening):
    """A database client."""

    first = _prelogin()

    def __init__(self) -> None:
        super().__init__()
        self._wire = b""

    def look(self) -> bytes:
        payload = self._message()
        if payload is None:
            return b""
        answer = _option(payload, _ENCRYPTION)
        if not answer:
            raise OpeningError("the server's answer to PRELOGIN does not speak of encryption")
        if answer[0] == _NOT_SUPPORTED:
            raise OpeningError("the server answers that it does not encrypt")
        self.ready = True
        return b""

    def _message(self) -> bytes | None:
        """The payload of all packets up to the last one of the message, or None while it is not whole."""
        payload, position = b"", 0
        while len(self._buffer) >= position + _HEADER:
            kind, status, length = struct.unpack_from(">BBH", self._buffer, position)
            if kind != _RESPONSE or length < _HEADER:
                raise OpeningError("the server's answer is not TDS's")
            if len(self._buffer) < position + length:
                return None
            payload += self._buffer[position + _HEADER : position + length]
            position += length
            if status & 1:
                self.take(position)
                return payload
        if self._buffer and self._buffer[0] != _RESPONSE:
            raise OpeningError("the server's answer is not TDS's")
        return None

    def wrap(self, data: bytes) -> bytes:
        size = _PACKET - _HEADER
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        out = b"".join(_packet(piece) for piece in pieces[:-1])
        # All but the last packet of a message are marked as going on.
        marked = bytearray(out)
        position = 0
        while position < len(marked):
            marked[position + 1] = 0
            position += struct.unpack_from(">H", marked, position + 2)[0]
        return bytes(marked) + (_packet(pieces[-1]) if pieces else b"")

    def unwrap(self, data: bytes) -> bytes:
        self._wire += data
        out = b""
        while len(self._wire) >= _HEADER:
            kind, _, length = struct.unpack_from(">BBH", self._wire)
            if kind not in (_PRELOGIN, _RESPONSE) or length < _HEADER:
                raise OpeningError("the server does not pack its TLS as TDS asks")
            if len(self._wire) < length:
                break
            out += self._wire[_HEADER:length]
            self._wire = self._wire[length:]
        return out


def _option(payload: bytes, wanted: int) -> bytes:
    """The value of that option of a PRELOGIN message, b"" where it has none."""
    for position in range(0, len(payload) - 4, 5):
        token, start, length = struct.unpack_from(">BHH", payload, position)
        if token == _END:
            break
        if token == wanted:
            return payload[start : start + length]
    return b""
