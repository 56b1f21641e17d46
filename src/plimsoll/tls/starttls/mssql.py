"""SQL Server (MS-TDS 2.2.6.5): PRELOGIN, and TLS inside its packets.

TDS 8.0, where TLS comes first and TDS is inside, needs no opening: there the port speaks TLS at once.
"""

from __future__ import annotations

import struct
from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening
from plimsoll.tls.starttls.said import said

_PRELOGIN, _RESPONSE = 0x12, 0x04
_HEADER: Final = 8
#: The packet size before a login negotiates another one.
_PACKET: Final = 4096
_MOST_PACKETS: Final = 16
_VERSION, _ENCRYPTION, _END = 0x00, 0x01, 0xFF
_OFF, _ON, _NOT_SUPPORTED, _REQUIRED = range(4)
#: With the option for client certificates.
_CLIENT_CERTIFICATE: Final = 0x80
_TLS_RECORDS: Final = range(0x14, 0x18)


def _packet(payload: bytes, status: int) -> bytes:
    """One packet; status 1 marks the last one of a message."""
    return struct.pack(">BBHHBB", _PRELOGIN, status, len(payload) + _HEADER, 0, 1, 0) + payload


def _prelogin() -> bytes:
    """Our version (any), and the wish to encrypt all."""
    options = struct.pack(">BHHBHHB", _VERSION, 11, 6, _ENCRYPTION, 17, 1, _END)
    return _packet(options + struct.pack(">BBHHB", 12, 0, 0, 0, _ON), 1)


class MsSql(PacketOpening):
    """A database client."""

    first = _prelogin()

    def __init__(self) -> None:
        super().__init__()
        self._wire = b""
        self._plain = False

    def look(self) -> bytes:
        payload = self._message()
        if payload is None:
            return b""
        answer = _option(payload, _ENCRYPTION)
        if len(answer) != 1:
            raise OpeningError("the server's answer to PRELOGIN does not speak of encryption")
        wish = answer[0] & ~_CLIENT_CERTIFICATE
        if wish == _NOT_SUPPORTED:
            raise OpeningError("the server answers ENCRYPT_NOT_SUP: it does not speak TLS")
        # ENCRYPT_OFF encrypts the login only, which begins with the same handshake.
        if wish not in (_OFF, _ON, _REQUIRED):
            raise OpeningError(f"the server answers PRELOGIN with the encryption {answer[0]:#04x}, which is unknown")
        self.ready = True
        return b""

    def _message(self) -> bytes | None:
        """The payload of all packets up to the last one of the message, or None while it is not whole."""
        if self._buffer and self._buffer[0] != _RESPONSE:
            raise self.foreign("TDS")
        payload, position = b"", 0
        for _ in range(_MOST_PACKETS):
            if len(self._buffer) < position + _HEADER:
                return None
            kind, status, length = struct.unpack_from(">BBH", self._buffer, position)
            if kind != _RESPONSE or length < _HEADER:
                raise self.foreign("TDS")
            if len(self._buffer) < position + length:
                return None
            payload += self._buffer[position + _HEADER : position + length]
            position += length
            if status & 1:
                self.take(position)
                return payload
        raise OpeningError("the server's answer to PRELOGIN has no end")

    def wrap(self, data: bytes) -> bytes:
        size = _PACKET - _HEADER
        starts = range(0, len(data), size)
        return b"".join(_packet(data[start : start + size], start + size >= len(data)) for start in starts)

    def unwrap(self, data: bytes) -> bytes:
        if self._plain:
            return data
        self._wire += data
        out = []
        position = 0
        while len(self._wire) - position >= _HEADER:
            kind, _, length = struct.unpack_from(">BBH", self._wire, position)
            if kind in _TLS_RECORDS:
                # After the handshake it is the other way round: TDS is inside TLS.
                self._plain = True
                out.append(self._wire[position:])
                position = len(self._wire)
                break
            if kind not in (_PRELOGIN, _RESPONSE) or length < _HEADER:
                told = said(self._wire[position : position + 80])
                raise OpeningError(f"the server does not pack its TLS as TDS asks: {told}")
            if len(self._wire) - position < length:
                break
            out.append(self._wire[position + _HEADER : position + length])
            position += length
        self._wire = self._wire[position:]
        return b"".join(out)


def _option(payload: bytes, wanted: int) -> bytes:
    """The value of that option of a PRELOGIN message, b"" where it has none."""
    for position in range(0, len(payload) - 4, 5):
        token, start, length = struct.unpack_from(">BHH", payload, position)
        if token == _END:
            break
        if token == wanted:
            return payload[start : start + length]
    return b""
