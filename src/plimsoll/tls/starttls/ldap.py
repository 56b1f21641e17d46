"""LDAP (RFC 4511 §4.14): the StartTLS extended operation."""

from __future__ import annotations

from typing import Final

from plimsoll.tls.starttls import OpeningError
from plimsoll.tls.starttls.packets import PacketOpening
from plimsoll.tls.starttls.said import said

_OID: Final = b"1.3.6.1.4.1.1466.20037"
_SEQUENCE, _INTEGER, _OCTETS, _ENUMERATED, _EXTENDED_RESPONSE = 0x30, 0x02, 0x04, 0x0A, 0x78
_LONGEST: Final = 8192
#: RFC 4511 §4.1.9, as far as servers answer StartTLS with it.
_RESULTS: Final = {
    1: "operationsError",
    2: "protocolError",
    8: "strongerAuthRequired",
    10: "referral",
    13: "confidentialityRequired",
    50: "insufficientAccessRights",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
    80: "other",
}


class Ldap(PacketOpening):
    """A directory client."""

    first = bytes([0x30, len(_OID) + 7, 2, 1, 1, 0x77, len(_OID) + 2, 0x80, len(_OID)]) + _OID

    def look(self) -> bytes:
        if self._buffer and self._buffer[0] != _SEQUENCE:
            raise self.foreign("LDAP")
        head = _header(self._buffer, 0)
        if head is None:
            return b""
        start, end = head
        if end > _LONGEST:
            raise self.foreign("LDAP")
        if len(self._buffer) >= end:
            message = self.take(end)
            number = _inner(message, start, _INTEGER)
            _judge(message, _inner(message, number[1], _EXTENDED_RESPONSE)[0], message[number[0] : number[1]])
            self.ready = True
        return b""


def _judge(message: bytes, position: int, number: bytes) -> None:
    """Raises OpeningError unless the result is success, and the answer to our request."""
    result = _inner(message, position, _ENUMERATED)
    code = int.from_bytes(message[result[0] : result[1]], "big")
    named = f"result {code} ({_RESULTS.get(code, 'unnamed')})"
    matched = _inner(message, result[1], _OCTETS)
    text = _inner(message, matched[1], _OCTETS)
    why = message[text[0] : text[1]]
    told = f"{named}: {said(why)}" if why else named
    if not any(number):  # §4.4.1: a notice of disconnection has the number 0
        raise OpeningError(f"the server ends the connection with {told}")
    if code:
        raise OpeningError(f"the server refuses StartTLS with {told}")
    if number != b"\1":
        raise OpeningError("the server answers what was not asked")


def _inner(data: bytes, position: int, tag: int) -> tuple[int, int]:
    """Where the contents of that element begin and end. Raises OpeningError where another one stands there."""
    head = _header(data, position)
    if head is None or data[position] != tag or head[1] > len(data) or (tag != _OCTETS and head[0] == head[1]):
        raise OpeningError(f"the server's answer is not LDAP's: {said(data[:200])}")
    return head


def _header(data: bytes, position: int) -> tuple[int, int] | None:
    """Where the contents of the element begin and end (BER, definite lengths); None while its header is not whole."""
    if len(data) < position + 2:
        return None
    length = data[position + 1]
    start = position + 2
    if length & 0x80:
        width = length & 0x7F
        if not 1 <= width <= 4:
            raise OpeningError(f"the server's answer is not LDAP's: {said(data[:200])}")
        if len(data) < start + width:
            return None
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    return start, start + length
