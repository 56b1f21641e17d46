"""The server's first flight, SSL 3 to TLS 1.2: from ServerHello to ServerHelloDone; of TLS 1.3 the ServerHello only.

Fed as bytes come, bounded in every direction, and no more is read than was asked for. Only HelloError leaves it. What
was understood before an error stays readable: a ServerHello is proof even where the certificate after it is garbage.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plimsoll.tls.alerts import RECORD_ALERT, Alert
from plimsoll.tls.buffer import BoundsError, Reader
from plimsoll.tls.records import MAX_PLAINTEXT, RECORD_HANDSHAKE, RECORD_HEADER, HelloError, Reason
from plimsoll.tls.server_hello import ServerHello
from plimsoll.tls.suites import CIPHER_SUITES
from plimsoll.tls.versions import Version

#: A chain of ten RSA-16384 certificates is some 60 KB; a flight beyond this is an attack or a mistake.
MAX_FLIGHT: Final = 256 * 1024
#: Servers cut flights into records of a few hundred bytes at the least; empty and tiny ones would never end.
MAX_RECORDS: Final = 1024
MAX_WARNINGS: Final = 8

_HELLO_REQUEST: Final = 0
_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_SERVER_KEY_EXCHANGE: Final = 12
_CERTIFICATE_REQUEST: Final = 13
_SERVER_HELLO_DONE: Final = 14
_CERTIFICATE_STATUS: Final = 22


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a ServerKeyExchange says. `kind` is "ecdh", "dh" or "rsa" (the temporary key of export suites).

    `group` is the code point of a named curve, or 0; `bits` the size of the prime or modulus (0 for a named curve);
    `prime` and `generator` as on the wire; `scheme` the signature scheme, or None before TLS 1.2 and where unsigned.
    """

    kind: str
    group: int = 0
    bits: int = 0
    prime: bytes = b""
    generator: bytes = b""
    scheme: int | None = None


@dataclass(slots=True)
class Flight:
    """What came after the ServerHello. `complete` is False where the flight broke off; `alert` is a fatal one in it."""

    certificates: tuple[bytes, ...] = ()
    status: bytes | None = None
    exchange: Exchange | None = None
    request: bytes | None = None
    alert: Alert | int | None = None
    complete: bool = False


class FlightReader:
    """Reads one answer. `feed` says True once there is all that was asked for: `whole` the flight, else its hello."""

    __slots__ = (
        "_begun",
        "_buffer",
        "_messages",
        "_records",
        "_size",
        "_warnings",
        "alert",
        "flight",
        "hello",
        "whole",
    )

    def __init__(self, whole: bool = False) -> None:
        self.whole = whole
        self.hello: ServerHello | None = None
        self.flight: Flight | None = None
        #: The alert that came in place of a hello; a warning is kept until something better comes.
        self.alert: Alert | int | None = None
        self._buffer = b""
        self._messages = b""
        self._records = self._warnings = self._size = 0
        self._begun = False

    def feed(self, data: bytes) -> bool:
        """Take what arrived. Raises HelloError; `hello`, `flight` and `alert` hold what was understood before."""
        data = self._buffer + data if self._buffer else data
        at, end = 0, len(data)
        while end - at >= RECORD_HEADER:
            kind, major, length = data[at], data[at + 1], data[at + 3] << 8 | data[at + 4]
            if major != 3 or not 20 <= kind <= 23:
                raise self._foreign(data[at:])
            if length > MAX_PLAINTEXT:
                raise HelloError(Reason.MALFORMED, f"a record of {length} bytes")
            after = at + RECORD_HEADER + length
            if after > end:
                break
            self._count(length)
            if self._record(kind, data[at + RECORD_HEADER : after]):
                return True
            at = after
        self._buffer = data[at:] if at else data
        if 0 < len(self._buffer) < RECORD_HEADER:
            self._check_start()
        return False

    def _check_start(self) -> None:
        head = self._buffer
        if not 20 <= head[0] <= 23 or (len(head) > 1 and head[1] != 3):
            raise self._foreign(head)

    def _foreign(self, data: bytes) -> HelloError:
        if self._begun:
            return HelloError(Reason.MALFORMED, f"bytes that are no record ({data[:5].hex()})")
        return HelloError(Reason.NOT_TLS, "no TLS record")

    def _count(self, length: int) -> None:
        self._begun = True
        self._records += 1
        self._size += length
        if self._records > MAX_RECORDS:
            raise HelloError(Reason.TOO_LARGE, f"more than {MAX_RECORDS} records without an end")
        if self._size > MAX_FLIGHT:
            raise HelloError(Reason.TOO_LARGE, f"a flight of more than {MAX_FLIGHT} bytes")

    def _record(self, kind: int, payload: bytes) -> bool:
        if kind == RECORD_HANDSHAKE:
            return self._handshake(self._messages + payload if self._messages else payload)
        if kind == RECORD_ALERT:
            return self._alert(payload)
        raise HelloError(Reason.UNEXPECTED, f"a record of type {kind} in the server's first flight")

    def _alert(self, payload: bytes) -> bool:
        if len(payload) != 2 or payload[0] not in (1, 2):
            raise HelloError(Reason.MALFORMED, f"an alert record that holds {payload[:8].hex() or 'nothing'}")
        number = payload[1]
        alert = _ALERTS.get(number, number)
        if self.flight is not None:
            self.flight.alert = alert
        elif self.hello is None:
            self.alert = alert
        if payload[0] == 2 or alert is Alert.CLOSE_NOTIFY:
            return True
        self._warnings += 1
        if self._warnings > MAX_WARNINGS:
            raise HelloError(Reason.TOO_LARGE, f"more than {MAX_WARNINGS} warnings without a hello")
        return False

    def _handshake(self, data: bytes) -> bool:
        at, end = 0, len(data)
        while end - at >= 4:
            kind = data[at]
            length = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            if self.hello is None and kind not in (_SERVER_HELLO, _HELLO_REQUEST):
                raise HelloError(Reason.UNEXPECTED, f"handshake message {kind} where a ServerHello belongs")
            if length > MAX_FLIGHT:
                raise HelloError(Reason.TOO_LARGE, f"a handshake message ({kind}) of {length} bytes")
            after = at + 4 + length
            if after > end:
                break
            if self._message(kind, data[at + 4 : after]):
                return True
            at = after
        self._messages = data[at:] if at else data
        return False

    def _message(self, kind: int, body: bytes) -> bool:
        if self.hello is None:
            if kind == _HELLO_REQUEST:
                return False
            self.hello = parse_server_hello(body)
            self.alert = None
            if not self.whole or self.hello.version_number >= Version.TLS1_3.wire:
                return True
            self.flight = Flight()
            return False
        assert self.flight is not None  # a hello without it ended the reading above
        flight = self.flight
        if kind == _CERTIFICATE:
            flight.certificates = read_certificates(body)
        elif kind == _SERVER_KEY_EXCHANGE:
            flight.exchange = read_exchange(body, self.hello.cipher_suite, self.hello.version_number)
        elif kind == _CERTIFICATE_STATUS:
            flight.status = body
        elif kind == _CERTIFICATE_REQUEST:
            flight.request = body
        elif kind == _SERVER_HELLO_DONE:
            flight.complete = True
            return True
        elif kind not in (_HELLO_REQUEST, 4):  # a NewSessionTicket has no place here, and harms nobody
            raise HelloError(Reason.UNEXPECTED, f"handshake message {kind} in the server's first flight")
        return False


_ALERTS: Final[dict[int, Alert]] = {int(alert): alert for alert in Alert}
_U16: Final = struct.Struct(">H")
_EXTENSION: Final = struct.Struct(">HH")


def parse_server_hello(body: bytes) -> ServerHello:
    """The hello in a handshake message's body. By hand, since every question of a scan pays for it."""
    try:
        position = 35 + body[34]
        session_id = body[35:position]
        suite = body[position] << 8 | body[position + 1]
        compression = body[position + 2]
        position += 3
        extensions = _extensions(body, position) if position < len(body) else None
        if len(session_id) > 32:
            raise BoundsError("a session id of more than 32 bytes")
    except (IndexError, struct.error, BoundsError):
        raise HelloError(Reason.MALFORMED, "the ServerHello breaks its own lengths") from None
    return ServerHello(body[0] << 8 | body[1], body[2:34], session_id, suite, compression, extensions)


def _extensions(body: bytes, position: int) -> tuple[tuple[int, bytes], ...]:
    end = len(body)
    if _U16.unpack_from(body, position)[0] != end - position - 2:
        raise BoundsError("the length of the extensions is wrong")
    position += 2
    found = []
    while position < end:
        code, length = _EXTENSION.unpack_from(body, position)
        position += 4 + length
        found.append((code, body[position - length : position]))
    if position != end:
        raise BoundsError("an extension past the end")
    return tuple(found)


def read_certificates(body: bytes) -> tuple[bytes, ...]:
    """The DER of every certificate in a Certificate message before TLS 1.3. Raises HelloError."""
    try:
        reader = Reader(body)
        entries = reader.window(3)
        reader.finish()
        found = []
        while entries.remaining:
            found.append(entries.vector(3))
    except BoundsError as error:
        raise HelloError(Reason.MALFORMED, f"the Certificate message breaks its own lengths: {error}") from None
    return tuple(found)


@lru_cache(maxsize=512)
def exchange_kind(suite: int) -> str:
    """What a suite's ServerKeyExchange holds, by its name: "ecdh", "dh", "rsa" (export), or "" for another or none."""
    name = CIPHER_SUITES.get(suite, "")
    kex = name.removeprefix("TLS_").partition("_WITH_")[0]
    if kex.startswith("ECDHE") or kex == "ECDH_anon":
        return "ecdh"
    if kex.startswith(("DHE_", "DH_anon")) or kex == "PSK_DHE":
        return "dh"
    return "rsa" if kex.startswith("RSA_EXPORT") else ""


def read_exchange(body: bytes, suite: int, version: int) -> Exchange | None:
    """The parameters of a ServerKeyExchange, or None where they are of no known form."""
    kind = exchange_kind(suite)
    reader = Reader(body)
    try:
        if "PSK" in CIPHER_SUITES.get(suite, ""):
            reader.vector(2)  # the hint
        if kind == "ecdh":
            found = _read_ecdh(reader)
        elif kind in ("dh", "rsa"):
            found = _read_primes(reader, kind)
        else:
            return None
        scheme = reader.number(2) if version >= Version.TLS1_2.wire and reader.remaining >= 4 else None
    except BoundsError:
        return None
    group, bits, prime, generator = found
    return Exchange(kind, group, bits, prime, generator, scheme)


def _read_ecdh(reader: Reader) -> tuple[int, int, bytes, bytes]:
    kind = reader.number(1)
    if kind != 3:
        # An explicit curve (RFC 4492 §5.4): what it is cannot be told without mathematics, so it has no number.
        reader.rest()
        return 0xFF01 if kind == 1 else 0xFF02, 0, b"", b""
    group = reader.number(2)
    reader.vector(1)
    return group, 0, b"", b""


def _read_primes(reader: Reader, kind: str) -> tuple[int, int, bytes, bytes]:
    prime = reader.vector(2).lstrip(b"\0")
    generator = reader.vector(2)
    if kind == "dh":
        reader.vector(2)
    bits = len(prime) * 8 - (8 - prime[0].bit_length()) if prime else 0
    return 0, bits, prime, generator
