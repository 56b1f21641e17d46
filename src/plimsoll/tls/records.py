"""From raw bytes to one handshake message: records, fragments, and the limits on both.

Everything here looks without consuming, so that it can be asked again with more bytes (a socket is peeked).
"""

from __future__ import annotations

import enum
from typing import Final

from plimsoll.tls.alerts import Alert

DEFAULT_LIMIT: Final = 64 * 1024
#: Clients that cut their hello to pass a filter use a few dozen records. Every look starts anew, so that the cost grows
#: with the square of their number: 128 cost about as much as a handshake.
MAX_RECORDS: Final = 128
MAX_PLAINTEXT: Final = 1 << 14
RECORD_HANDSHAKE: Final = 22
RECORD_HEADER: Final = 5
MESSAGE_HEADER: Final = 4


class Reason(enum.StrEnum):
    """Why bytes are not a hello that can be answered."""

    NOT_TLS = "not-tls"
    PLAIN_HTTP = "plain-http"
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    UNEXPECTED = "unexpected-message"
    SSL2_ONLY = "ssl2-only"
    ALERT = "alert"


_ALERTS: Final = {
    Reason.TOO_LARGE: Alert.ILLEGAL_PARAMETER,
    Reason.MALFORMED: Alert.DECODE_ERROR,
    Reason.UNEXPECTED: Alert.UNEXPECTED_MESSAGE,
    Reason.SSL2_ONLY: Alert.PROTOCOL_VERSION,
}


class HelloError(ValueError):
    """The only error of the codec. `alert` is what to answer, or None where the peer does not speak TLS."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        self.alert: Alert | None = _ALERTS.get(reason)
        super().__init__(message)


def gather_message(data: bytes, expected: int, limit: int, *, alone: bool) -> tuple[bytes, int] | int:
    """The first handshake message of the data (without its header) and the bytes that it takes on the wire.

    While it is incomplete: a lower bound for the bytes that it takes in all, always more than there are. `alone`
    says that the message must end where its record ends, as a ClientHello does.
    """
    if len(data) >= RECORD_HEADER:
        # Nearly every hello lies whole in one record: then one slice is all that is needed.
        end = RECORD_HEADER + (data[3] << 8 | data[4])
        length = end - RECORD_HEADER - MESSAGE_HEADER
        if (
            data[0] == RECORD_HANDSHAKE
            and data[1] == 3
            and 0 <= length <= MAX_PLAINTEXT - MESSAGE_HEADER
            and end <= limit
            and len(data) >= end
            and data[5] == expected
            and int.from_bytes(data[6:9], "big") == length
        ):
            return data[9:end], end
    return _gather_fragments(data, expected, limit, alone)


def _gather_fragments(data: bytes, expected: int, limit: int, alone: bool) -> tuple[bytes, int] | int:
    payload = bytearray()
    wanted = MESSAGE_HEADER  # all that is known to be needed, until the message's own header is here
    end = 0
    for _ in range(MAX_RECORDS):
        if len(data) - end < RECORD_HEADER:
            return end + RECORD_HEADER + wanted - len(payload)
        start, end = end + RECORD_HEADER, end + RECORD_HEADER + _record_length(data, end)
        payload += data[start:end]
        pending = max(0, end - len(data))
        if len(payload) >= MESSAGE_HEADER:
            wanted = _message_length(payload, expected)
        missing = wanted - len(payload) - pending
        if alone and missing < 0 and len(payload) >= MESSAGE_HEADER:
            raise HelloError(Reason.UNEXPECTED, "bytes follow the hello within its record")
        least = end + RECORD_HEADER + missing if missing > 0 else end
        if least > limit:
            raise HelloError(Reason.TOO_LARGE, f"a hello of at least {least} bytes; the limit is {limit}")
        if pending:
            return least if len(payload) >= MESSAGE_HEADER else min(least, len(data) + MESSAGE_HEADER - len(payload))
        if missing <= 0:
            return bytes(payload[MESSAGE_HEADER:wanted]), end
    raise HelloError(Reason.TOO_LARGE, f"a hello in more than {MAX_RECORDS} records")


def _record_length(data: bytes, position: int) -> int:
    """The payload length of the handshake record at that place."""
    if data[position] != RECORD_HANDSHAKE:
        raise HelloError(Reason.UNEXPECTED, f"a record of type {data[position]} where a handshake record belongs")
    if data[position + 1] != 3:
        raise HelloError(Reason.MALFORMED, f"record version {data[position + 1]}.{data[position + 2]}")
    length = data[position + 3] << 8 | data[position + 4]
    if not 0 < length <= MAX_PLAINTEXT:
        raise HelloError(Reason.MALFORMED, f"a handshake record of {length} bytes")
    return length


def _message_length(payload: bytearray, expected: int) -> int:
    """The whole length of the handshake message, header included."""
    if payload[0] != expected:
        raise HelloError(Reason.UNEXPECTED, f"handshake message {payload[0]} where {expected} belongs")
    return MESSAGE_HEADER + int.from_bytes(payload[1:4], "big")


def to_records(message: bytes, record_version: int, size: int = MAX_PLAINTEXT) -> bytes:
    """A handshake message cut into records of at most that many payload bytes."""
    if not 0 < size <= MAX_PLAINTEXT:
        raise ValueError(f"a record holds 1 to {MAX_PLAINTEXT} bytes, not {size}")
    head = bytes((RECORD_HANDSHAKE, record_version >> 8 & 0xFF, record_version & 0xFF))
    pieces = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(head + len(piece).to_bytes(2, "big") + piece for piece in pieces)
