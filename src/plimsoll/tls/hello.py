"""The ClientHello: read without consuming, bounded, and kept as it came.

`peek_client_hello` is what a gate asks with the bytes that a socket has so far. Order, repeats and unknown values of
extensions are kept, so that a hello survives a round trip. Only HelloError ever escapes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plimsoll.tls import extensions as ext
from plimsoll.tls.buffer import BoundsError, Writer
from plimsoll.tls.codepoints import (
    EXT_ALPN,
    EXT_GROUPS,
    EXT_SERVER_NAME,
    EXT_SIGNATURE_ALGORITHMS,
    EXT_SUPPORTED_VERSIONS,
    FALLBACK_SCSV,
    GREASE,
)
from plimsoll.tls.records import DEFAULT_LIMIT, MAX_PLAINTEXT, HelloError, Reason, gather_message, to_records
from plimsoll.tls.server_hello import AlertError, ServerHello, peek_server_hello
from plimsoll.tls.versions import Version, newest

__all__ = [
    "DEFAULT_LIMIT",
    "AlertError",
    "ClientHello",
    "FingerprintKey",
    "HelloError",
    "HelloReader",
    "Reason",
    "ServerHello",
    "encode_client_hello",
    "peek_client_hello",
    "peek_server_hello",
]

CLIENT_HELLO: Final = 1
_LEGACY_CAP: Final = Version.TLS1_2.wire
_HTTP_METHODS: Final = (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ")
#: Enough to see a record header and a message header, and less than any hello or HTTP request.
_FIRST_LOOK: Final = 9
_SSL2_HEADER: Final = 11


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A client's first message.

    `length` counts the bytes on the wire, record headers included. In the SSLv2 format (RFC 5246 appendix E.2)
    `random` is the challenge as sent (16 to 32 bytes) and `cipher_suites` may hold three-byte SSL 2 kinds, which are
    above 0xFFFF. The contents of an extension are read when asked for; one whose body is malformed reads as absent,
    since OpenSSL refuses such a hello anyway. Only supported_versions, which decides, is checked at once.
    """

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suites: tuple[int, ...]
    compression: bytes
    extensions: tuple[tuple[int, bytes], ...] = ()
    sslv2_format: bool = False
    length: int = 0
    record_version: int = 0x0301

    def extension(self, code: int) -> bytes | None:
        """The body of the first extension with that number, or None."""
        for number, body in self.extensions:
            if number == code:
                return body
        return None

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The wire numbers of all versions that the hello names, unknown ones and GREASE too."""
        body = self.extension(EXT_SUPPORTED_VERSIONS)
        return (self.legacy_version,) if body is None else _version_numbers(body)

    @property
    def offered(self) -> tuple[Version, ...]:
        """The known versions that the hello names, in its order.

        Without supported_versions a hello names only the newest that it would speak; that field is older than
        TLS 1.3 and counts as at most 1.2.
        """
        body = self.extension(EXT_SUPPORTED_VERSIONS)
        if body is not None:
            return _offered(body)
        known = Version.from_wire(min(self.legacy_version, _LEGACY_CAP))
        return () if known is None else (known,)

    @property
    def newest(self) -> Version | None:
        """The newest version offered, or None where none is known."""
        body = self.extension(EXT_SUPPORTED_VERSIONS)
        return Version.from_wire(min(self.legacy_version, _LEGACY_CAP)) if body is None else _newest(body)

    @property
    def server_name(self) -> str | None:
        """The host name asked for (SNI)."""
        body = self.extension(EXT_SERVER_NAME)
        try:
            return None if body is None else ext.read_server_name(body)
        except BoundsError:
            return None

    @property
    def alpn(self) -> tuple[bytes, ...]:
        """The application protocols offered, in order of preference."""
        body = self.extension(EXT_ALPN)
        try:
            return () if body is None else ext.read_alpn(body)
        except BoundsError:
            return ()

    @property
    def groups(self) -> tuple[int, ...]:
        """The key exchange groups offered, in order of preference."""
        return self._numbers(EXT_GROUPS)

    @property
    def signature_schemes(self) -> tuple[int, ...]:
        """The signature schemes offered, in order of preference."""
        return self._numbers(EXT_SIGNATURE_ALGORITHMS)

    @property
    def fallback_scsv(self) -> bool:
        """True where the client says that it retries with a lower version (RFC 7507)."""
        return FALLBACK_SCSV in self.cipher_suites

    @property
    def fingerprint_key(self) -> FingerprintKey:
        """All that JA4 depends on, hashable and cheap: GREASE left out, since it differs from hello to hello."""
        protocols = self.alpn
        return (
            max(_without_grease(self.version_numbers), default=0),
            _without_grease(self.cipher_suites),
            tuple(sorted(_without_grease(tuple([code for code, _ in self.extensions])))),
            protocols[0] if protocols else b"",
            _without_grease(self.signature_schemes),
        )

    def encode(self, record_size: int = MAX_PLAINTEXT) -> bytes:
        """The hello on the wire, in records of at most that many payload bytes. `length` is not looked at."""
        if self.sslv2_format:
            return self._encode_sslv2()
        body = Writer().number(self.legacy_version, 2).raw(self.random).vector(self.session_id, 1)
        body.vector(bytes(Writer().numbers(self.cipher_suites, 2)), 2).vector(self.compression, 1)
        if self.extensions:
            ext.write_block(body, self.extensions)
        message = Writer().number(CLIENT_HELLO, 1).vector(bytes(body), 3)
        return to_records(bytes(message), self.record_version, record_size)

    def _encode_sslv2(self) -> bytes:
        specs = bytes(Writer().numbers(self.cipher_suites, 3))
        body = Writer().number(CLIENT_HELLO, 1).number(self.legacy_version, 2)
        body.numbers((len(specs), len(self.session_id), len(self.random)), 2)
        body.raw(specs).raw(self.session_id).raw(self.random)
        return bytes(Writer().number(0x8000 | len(body), 2).raw(bytes(body)))

    def _numbers(self, code: int) -> tuple[int, ...]:
        body = self.extension(code)
        try:
            return () if body is None else ext.read_number_list(body)
        except BoundsError:
            return ()


#: (newest version number, suites, sorted extension numbers, first protocol, signature schemes), without GREASE.
FingerprintKey = tuple[int, tuple[int, ...], tuple[int, ...], bytes, tuple[int, ...]]


def _without_grease(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return numbers if GREASE.isdisjoint(numbers) else tuple([n for n in numbers if n not in GREASE])


# A fleet's clients send few different lists of versions, and every hello is asked for them several times.
@lru_cache(maxsize=1024)
def _offered(body: bytes) -> tuple[Version, ...]:
    return tuple(version for number in _version_numbers(body) if (version := Version.from_wire(number)) is not None)


@lru_cache(maxsize=1024)
def _newest(body: bytes) -> Version | None:
    return newest(_offered(body))


def _version_numbers(body: bytes) -> tuple[int, ...]:
    try:
        return ext.read_number_list(body, 1)
    except BoundsError:
        return ()  # only in a hello that was put together by hand; a parsed one was checked


def peek_client_hello(data: bytes | bytearray | memoryview, limit: int = DEFAULT_LIMIT) -> ClientHello | int:
    """The hello at the start of the data, or how many bytes there must be before it is worth looking again.

    Such a number is always more than there are, never more than the hello will
    have, and only grows. What follows the hello's last record is not looked at.
    Raises HelloError for what cannot become a hello within the limit.
    """
    data = bytes(data)
    if not data:
        return _FIRST_LOOK
    first = data[0]
    if first & 0x80:
        return _peek_sslv2(data, limit)
    if first != 22:
        return _not_a_hello(data)
    if len(data) >= 2 and data[1] != 3:
        raise HelloError(Reason.NOT_TLS, "the first bytes are no TLS record")
    found = gather_message(data, CLIENT_HELLO, limit, alone=True)
    if isinstance(found, int):
        return found
    body, length = found
    return _parse_body(body, length, data[1] << 8 | data[2])


def _not_a_hello(data: bytes) -> int:
    """Tell plain HTTP from anything else; wait only while it can still turn out to be HTTP."""
    opening = data[:4]
    if opening in _HTTP_METHODS:
        raise HelloError(Reason.PLAIN_HTTP, "plain HTTP where TLS is spoken")
    if len(opening) < 4 and any(method.startswith(opening) for method in _HTTP_METHODS):
        return _FIRST_LOOK
    raise HelloError(Reason.NOT_TLS, "the first bytes are no TLS record")


def _parse_body(body: bytes, length: int, record_version: int) -> ClientHello:
    try:
        return _unpack_body(body, length, record_version)
    except (struct.error, IndexError, BoundsError):
        raise HelloError(Reason.MALFORMED, "the hello breaks its own lengths") from None


def _unpack_body(body: bytes, length: int, record_version: int) -> ClientHello:
    # By hand and in one go, since every connection pays for it: a field outside the body is a short slice, and the
    # positions are compared with the end where slices would forgive.
    end = len(body)
    legacy_version = body[0] << 8 | body[1]
    position = 35 + body[34]
    session_id = body[35:position]
    suites_length = body[position] << 8 | body[position + 1]
    suites_at = position + 2
    position = suites_at + suites_length
    compression_at = position + 1
    position = compression_at + body[position]
    if len(session_id) > 32 or suites_length < 2 or suites_length & 1 or position == compression_at or position > end:
        raise BoundsError("a field outside its bounds")
    suites = struct.unpack_from(f">{suites_length // 2}H", body, suites_at)
    return ClientHello(
        legacy_version,
        body[2:34],
        session_id,
        suites,
        body[compression_at:position],
        _unpack_extensions(body, position) if position < end else (),
        False,
        length,
        record_version,
    )


_HEADER: Final = struct.Struct(">HH")


def _unpack_extensions(body: bytes, position: int) -> tuple[tuple[int, bytes], ...]:
    end = len(body)
    if body[position] << 8 | body[position + 1] != end - position - 2:
        raise BoundsError("bytes left over after the extensions")
    position += 2
    unpack = _HEADER.unpack_from
    found = []
    while position < end:
        code, size = unpack(body, position)
        position += 4 + size
        found.append((code, body[position - size : position]))
        if code == EXT_SUPPORTED_VERSIONS:
            ext.read_number_list(found[-1][1], 1)
    if position != end:
        raise BoundsError("an extension past the end")
    return tuple(found)


def _peek_sslv2(data: bytes, limit: int) -> ClientHello | int:
    """A hello in the SSLv2 format: a two-byte header with its top bit set, then the message."""
    if len(data) < _SSL2_HEADER:
        if len(data) > 2 and data[2] != CLIENT_HELLO:
            raise HelloError(Reason.NOT_TLS, "the first bytes are no TLS record")
        return _SSL2_HEADER
    end = 2 + ((data[0] & 0x7F) << 8 | data[1])
    kind, version, specs, session, challenge = struct.unpack_from(">BHHHH", data, 2)
    if kind != CLIENT_HELLO or (version != Version.SSL2.wire and version >> 8 != 3):
        raise HelloError(Reason.NOT_TLS, "the first bytes are no TLS record")
    if (
        end != _SSL2_HEADER + specs + session + challenge
        or not specs
        or specs % 3
        or session > 32
        or not 16 <= challenge <= 32
    ):
        raise HelloError(Reason.MALFORMED, "the SSLv2-format hello breaks its own lengths")
    if version == Version.SSL2.wire:
        raise HelloError(Reason.SSL2_ONLY, "the client speaks SSL 2 only")
    if end > limit:
        raise HelloError(Reason.TOO_LARGE, f"a hello of {end} bytes; the limit is {limit}")
    if len(data) < end:
        return end
    middle = _SSL2_HEADER + specs
    suites = tuple(int.from_bytes(data[at : at + 3], "big") for at in range(_SSL2_HEADER, middle, 3))
    return ClientHello(
        legacy_version=version,
        random=data[middle + session : end],
        session_id=data[middle : middle + session],
        cipher_suites=suites,
        compression=b"\x00",
        sslv2_format=True,
        length=end,
        record_version=Version.SSL2.wire,
    )


class HelloReader:
    """Feeds bytes as they come until the hello is whole."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()
        self.wanted = _FIRST_LOOK
        self.hello: ClientHello | None = None

    def feed(self, data: bytes) -> ClientHello | None:
        """The hello once it is whole, else None. Raises HelloError as `peek_client_hello` does."""
        self._data += data
        if self.hello is None and (len(self._data) >= self.wanted or len(self._data) <= _FIRST_LOOK):
            found = peek_client_hello(self._data, self._limit)
            if isinstance(found, int):
                self.wanted = found
            else:
                self.hello = found
        return self.hello

    @property
    def rest(self) -> bytes:
        """The bytes that followed the hello, once it is whole."""
        return b"" if self.hello is None else bytes(self._data[self.hello.length :])


def encode_client_hello(
    *,
    legacy_version: int = Version.TLS1_2.wire,
    random: bytes = bytes(32),
    session_id: bytes = b"",
    cipher_suites: Iterable[int],
    compression: bytes = b"\x00",
    extensions: Iterable[tuple[int, bytes]] = (),
    versions: Iterable[Version] = (),
    record_version: int = 0x0301,
    record_size: int = MAX_PLAINTEXT,
) -> bytes:
    """A hello on the wire. `versions`, where given, becomes a supported_versions extension at the end."""
    block = tuple(extensions)
    numbers = [version.wire for version in versions]
    if numbers:
        block += (ext.number_list(EXT_SUPPORTED_VERSIONS, numbers, 1),)
    hello = ClientHello(
        legacy_version, random, session_id, tuple(cipher_suites), compression, block, record_version=record_version
    )
    return hello.encode(record_size)
