"""LDAP (RFC 4511 §4.14): the StartTLS extended operation."""

from __future__ import annotations

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening

_OID = b"1.3.6.1.4.1.1466.20037"
_EXTENDED_RESPONSE = 0x78


class Ldap(PacketOpening):
    """A directory client."""

    first = bytes([0x30, len(_OID) + 7, 2, 1, 1, 0x77, len(_OID) + 2, 0x80, len(_OID)]) + _OID

    def look(self) -> bytes:
        head = _header(self._buffer, 0)
        if head is None:
            return b""
        tag, start, end = head
        if tag != 0x30 or end > 8192:
            raise OpeningError("the server's answer is not LDAP's")
        if len(self._buffer) < end:
            return b""
        message = self.take(end)
        number = _inner(message, start, 0x02)
        response = _inner(message, number[1], _EXTENDED_RESPONSE)
        result = _inner(message, response[0], 0x0A)
        code = int.from_bytes(message[result[0] : result[1]], "big")
        if code:
            raise OpeningError(f"the server refuses StartTLS with result code {code}")
        self.ready = True
        return b""


def _inner(data: bytes, position: int, tag: int) -> tuple[int, int]:
    head = _header(data, position)
    if head is None or head[0] != tag or head[2] > len(data):
        raise OpeningError("the server's answer is not LDAP's")
    return head[1], head[2]


def _header(data: bytes, position: int) -> tuple[int, int, int] | None:
    """Tag, and where the contents begin and end (BER, definite lengths); None while the header is not whole."""
    if len(data) < position + 2:
        return None
    tag, length = data[position], data[position + 1]
    start = position + 2
    if length & 0x80:
        width = length & 0x7F
        if not 1 <= width <= 4:
            raise OpeningError("the server's answer is not LDAP's")
        if len(data) < start + width:
            return None
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    return tag, start, start + length
