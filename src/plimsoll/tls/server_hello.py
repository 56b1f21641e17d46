"""The ServerHello: what a server chose, HelloRetryRequest and downgrade sentinel included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plimsoll.tls import extensions as ext
from plimsoll.tls.alerts import Alert, parse_alert
from plimsoll.tls.buffer import BoundsError, Reader, Writer
from plimsoll.tls.codepoints import EXT_ALPN, EXT_KEY_SHARE, EXT_SUPPORTED_VERSIONS
from plimsoll.tls.records import DEFAULT_LIMIT, HelloError, Reason, gather_message
from plimsoll.tls.versions import Version

SERVER_HELLO: Final = 2
#: The random of a HelloRetryRequest (RFC 8446 §4.1.3): SHA-256 of "HelloRetryRequest".
RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_SENTINEL: Final = b"DOWNGRD"


class AlertError(HelloError):
    """The peer answered with an alert instead of a hello."""

    def __init__(self, received: Alert | int) -> None:
        self.received = received
        name = received.label if isinstance(received, Alert) else f"number {received}"
        super().__init__(Reason.ALERT, f"the peer answered with alert {name}")


@dataclass(frozen=True, slots=True)
class ServerHello:
    """A server's first message. `extensions` is None where the block is missing, as before TLS 1.3 it may be."""

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression: int = 0
    extensions: tuple[tuple[int, bytes], ...] | None = None

    def extension(self, code: int) -> bytes | None:
        """The body of the first extension with that number, or None."""
        return next((body for number, body in self.extensions or () if number == code), None)

    @property
    def version_number(self) -> int:
        """The wire number of the version chosen."""
        body = self.extension(EXT_SUPPORTED_VERSIONS)
        return int.from_bytes(body, "big") if body is not None and len(body) == 2 else self.legacy_version

    @property
    def version(self) -> Version | None:
        """The version chosen, or None where it is unknown."""
        return Version.from_wire(self.version_number)

    @property
    def hello_retry_request(self) -> bool:
        """True where the server asks for another hello (RFC 8446 §4.1.4)."""
        return self.random == RETRY_RANDOM

    @property
    def group(self) -> int | None:
        """The key exchange group chosen, or asked for by a HelloRetryRequest; None before TLS 1.3."""
        body = self.extension(EXT_KEY_SHARE)
        return int.from_bytes(body[:2], "big") if body is not None and len(body) >= 2 else None

    @property
    def alpn(self) -> bytes | None:
        """The application protocol chosen, where the hello says so (before TLS 1.3)."""
        body = self.extension(EXT_ALPN)
        try:
            return None if body is None else ext.read_alpn(body)[0]
        except BoundsError:
            return None

    @property
    def downgraded_to(self) -> Version | None:
        """What the downgrade sentinel says (RFC 8446 §4.1.3): TLS 1.2, or TLS 1.1 for "1.1 or below"; else None."""
        if self.random[24:31] != _SENTINEL:
            return None
        return {0: Version.TLS1_1, 1: Version.TLS1_2}.get(self.random[31])

    def encode(self) -> bytes:
        """The handshake message, its header included."""
        body = Writer().number(self.legacy_version, 2).raw(self.random).vector(self.session_id, 1)
        body.number(self.cipher_suite, 2).number(self.compression, 1)
        if self.extensions is not None:
            ext.write_block(body, self.extensions)
        return bytes(Writer().number(SERVER_HELLO, 1).vector(bytes(body), 3))

    @classmethod
    def parse(cls, message: bytes) -> ServerHello:
        """The hello in a handshake message, its header included. Raises HelloError."""
        try:
            reader = Reader(message)
            if reader.number(1) != SERVER_HELLO:
                raise HelloError(Reason.UNEXPECTED, "the handshake message is no ServerHello")
            body = reader.window(3)
            reader.finish()
            hello = cls(
                legacy_version=body.number(2),
                random=body.take(32),
                session_id=body.vector(1, most=32),
                cipher_suite=body.number(2),
                compression=body.number(1),
                extensions=ext.read_block(body) if body.remaining else None,
            )
            body.finish()
        except BoundsError as error:
            raise HelloError(Reason.MALFORMED, f"the ServerHello breaks its own lengths: {error}") from None
        return hello


def peek_server_hello(data: bytes | bytearray | memoryview, limit: int = DEFAULT_LIMIT) -> ServerHello | int:
    """The hello at the start of a server's answer, or how many bytes there must be before looking again.

    Raises AlertError where the answer is an alert, HelloError for anything else that is no hello.
    """
    data = bytes(data)
    if data[:1] == b"\x15":
        return _alert(data)
    if data[:2] != b"\x16\x03"[: len(data)]:
        raise HelloError(Reason.NOT_TLS, "the answer is no TLS record")
    found = gather_message(data, SERVER_HELLO, limit, alone=False)
    if isinstance(found, int):
        return found
    body, _ = found
    return ServerHello.parse(bytes(Writer().number(SERVER_HELLO, 1).vector(body, 3)))


def _alert(data: bytes) -> int:
    if len(data) < 7:
        return 7
    alert = parse_alert(data)
    if alert is None:
        raise HelloError(Reason.MALFORMED, "the answer is no alert that could be read")
    raise AlertError(alert[0])
