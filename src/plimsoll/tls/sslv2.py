"""SSL 2: the CLIENT-HELLO that asks for nothing newer, and the SERVER-HELLO that admits to it (Hickman, 1995).

OpenSSL has not spoken it for years, so whether a server still does can only be asked with one's own bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plimsoll.tls.alerts import Alert
from plimsoll.tls.buffer import BoundsError, Reader, Writer
from plimsoll.tls.flight import FlightReader
from plimsoll.tls.records import HelloError, Reason
from plimsoll.tls.suites import SSL2_KINDS
from plimsoll.tls.versions import Version

_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 4
_ERROR: Final = 0
#: A SERVER-HELLO holds one certificate; SSL 2 records end at 32767 bytes anyway.
_LEAST: Final = 13

_ERRORS: Final = {1: "no cipher", 2: "no certificate", 4: "bad certificate", 6: "unsupported certificate type"}
#: The text of an Ssl2Error where the server wants none of the kinds that were offered.
NO_CIPHER: Final = "SSL 2 error: no cipher"


@dataclass(frozen=True, slots=True)
class Ssl2ServerHello:
    """What an SSL 2 server says of itself: its certificate and the kinds of cipher that both sides know."""

    kinds: tuple[int, ...]
    certificate: bytes = b""
    connection_id: bytes = b""


class Ssl2Error(HelloError):
    """The server answered in SSL 2, with an ERROR message: it speaks SSL 2, but chose nothing."""


def encode_ssl2_hello(kinds: Iterable[int] = tuple(SSL2_KINDS), challenge: bytes = bytes(range(16))) -> bytes:
    """A CLIENT-HELLO whose version is SSL 2."""
    specs = bytes(Writer().numbers(kinds, 3))
    body = Writer().number(_CLIENT_HELLO, 1).number(Version.SSL2.wire, 2)
    body.numbers((len(specs), 0, len(challenge)), 2).raw(specs).raw(challenge)
    return bytes(Writer().number(0x8000 | len(body), 2).raw(bytes(body)))


def peek_ssl2_hello(data: bytes) -> Ssl2ServerHello | int:
    """The SERVER-HELLO at the start of the data, or how many bytes there must be before looking again.

    Raises HelloError for what is none, Ssl2Error for an SSL 2 ERROR message.
    """
    if len(data) < 3:
        return 3
    head = 2 if data[0] & 0x80 else 3
    length = ((data[0] & 0x7F) << 8 | data[1]) if head == 2 else ((data[0] & 0x3F) << 8 | data[1])
    if len(data) <= head:
        return head + 1
    if data[head] == _ERROR and length == 3:
        if len(data) < head + 3:
            return head + 3
        number = data[head + 1] << 8 | data[head + 2]
        raise Ssl2Error(Reason.SSL2_ONLY, f"SSL 2 error: {_ERRORS.get(number, number)}")
    if data[head] != _SERVER_HELLO or length < _LEAST - 2:
        raise HelloError(Reason.NOT_TLS, "the answer is no SSL 2 SERVER-HELLO")
    if len(data) < head + length:
        return head + length
    return _parse(data[head : head + length])


def _parse(body: bytes) -> Ssl2ServerHello:
    try:
        reader = Reader(body)
        reader.take(3)  # the message's type, whether the session is known, the certificate's type
        if reader.number(2) != Version.SSL2.wire:
            raise HelloError(Reason.MALFORMED, "an SSL 2 SERVER-HELLO of another version")
        sizes = [reader.number(2) for _ in range(3)]
        certificate, specs, connection_id = (reader.take(size) for size in sizes)
        kinds = Reader(specs).numbers(3)
    except BoundsError as error:
        raise HelloError(Reason.MALFORMED, f"the SSL 2 SERVER-HELLO breaks its own lengths: {error}") from None
    return Ssl2ServerHello(kinds, certificate, connection_id)


class Ssl2Reader:
    """Reads the answer to an SSL 2 hello: a SERVER-HELLO, or what a TLS server says to such a hello."""

    __slots__ = ("_data", "_tls", "alert", "hello")

    def __init__(self) -> None:
        self.hello: Ssl2ServerHello | None = None
        self.alert: Alert | int | None = None
        self._data = b""
        self._tls: FlightReader | None = None

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True once the answer is whole. Raises HelloError."""
        if self._tls is None:
            self._data += data
            if len(self._data) < 3:
                return False
            if self._data[0] not in range(20, 24) or self._data[1] != 3:
                found = peek_ssl2_hello(self._data)
                if isinstance(found, int):
                    return False
                self.hello = found
                return True
            self._tls, data = FlightReader(), self._data
        done = self._tls.feed(data)
        self.alert = self._tls.alert
        if self._tls.hello is not None:
            raise HelloError(Reason.UNEXPECTED, "a ServerHello of TLS as the answer to an SSL 2 hello")
        return done
