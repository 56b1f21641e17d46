"""A client's side of the TLS 1.3 handshake (RFC 8446), without sockets: what lies behind the first key exchange.

A ServerHello of TLS 1.3 shows neither certificate nor application protocol, so this goes on with real keys: it reads
EncryptedExtensions, CertificateRequest, Certificate with its OCSP answer, and CertificateVerify, and may finish, so
that tickets come. It believes nothing and keeps no secrets safe: it asks, and is not meant to carry data.

All is bounded: a message by MAX_MESSAGE, a flight by MAX_RECORDS and MAX_BYTES, one HelloRetryRequest. What goes
beyond, and what breaks the protocol, is a HelloError from `feed`; what was seen until then stays in `result`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from plimsoll.scan.keys13 import APPLICATION_DATA, SUITES, Protection, Schedule, record_end
from plimsoll.scan.shares import GROUPS, X25519, Share, make_share
from plimsoll.tls import extensions as ext
from plimsoll.tls.alerts import RECORD_ALERT, Alert
from plimsoll.tls.buffer import BoundsError, Reader, Writer
from plimsoll.tls.codepoints import (
    EXT_ALPN,
    EXT_GROUPS,
    EXT_KEY_SHARE,
    EXT_SIGNATURE_ALGORITHMS,
    EXT_SUPPORTED_VERSIONS,
)
from plimsoll.tls.hello import CLIENT_HELLO, ClientHello
from plimsoll.tls.records import MESSAGE_HEADER, RECORD_HANDSHAKE, RECORD_HEADER, HelloError, Reason
from plimsoll.tls.server_hello import SERVER_HELLO, ServerHello
from plimsoll.tls.versions import Version

MAX_MESSAGE: Final = 256 * 1024
MAX_RECORDS: Final = 1024
MAX_BYTES: Final = 1024 * 1024
MAX_TICKETS: Final = 4

_EXT_STATUS: Final = 5
_EXT_EARLY_DATA: Final = 42
_EXT_COOKIE: Final = 44
_EXT_PSK: Final = 41
_EXT_PSK_MODES: Final = 45
_EXT_CERTIFICATE_SCHEMES: Final = 50
_CHANGE_CIPHER_SPEC: Final = 20
_SPEC_RECORD: Final = b"\x14\x03\x03\x00\x01\x01"

_TICKET: Final = 4
_ENCRYPTED_EXTENSIONS: Final = 8
_CERTIFICATE: Final = 11
_CERTIFICATE_REQUEST: Final = 13
_CERTIFICATE_VERIFY: Final = 15
_FINISHED: Final = 20
_MESSAGE_HASH: Final = 254

#: What a server may sign its handshake with, all that anybody uses.
SCHEMES: Final = (
    0x0403, 0x0804, 0x0503, 0x0805, 0x0603, 0x0806, 0x0807, 0x0808, 0x0809, 0x080A, 0x080B,
)  # fmt: skip
#: What the certificates in the chain may be signed with besides.
_CHAIN_SCHEMES: Final = (*SCHEMES, 0x0401, 0x0501, 0x0601, 0x0201, 0x0203, 0x0904, 0x0905, 0x0906)


@dataclass(frozen=True, slots=True)
class Session13:
    """A ticket, and what it stands for."""

    ticket: bytes
    psk: bytes
    suite: int
    age_add: int = 0
    lifetime: int = 0
    #: The bytes of early data that the server would take with it; None where it offers none.
    early_data: int | None = None


@dataclass(slots=True)
class Seen13:
    """What a handshake showed so far. None and empty values mean: did not come."""

    hello: ServerHello | None = None
    retry: ServerHello | None = None
    #: EncryptedExtensions came, so that a missing `alpn` means that none was chosen.
    extensions_read: bool = False
    alpn: bytes | None = None
    certificate_requested: bool = False
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    scheme: int | None = None
    #: What CertificateVerify signed, and the signature: for `certificates.proves_key`.
    signed: bytes = b""
    signature: bytes = b""
    resumed: bool = False
    #: The server's Finished was right: both sides have the same keys and saw the same messages.
    finished: bool = False
    tickets: list[Session13] = field(default_factory=list)
    alert: Alert | int | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Offer13:
    """What to offer. `shares` are the groups that a key share is sent for; `groups` may say more."""

    server_name: str = ""
    suites: tuple[int, ...] = tuple(SUITES)
    groups: tuple[int, ...] = GROUPS
    shares: tuple[int, ...] = (X25519,)
    schemes: tuple[int, ...] = SCHEMES
    alpn: tuple[bytes, ...] = ()
    staple: bool = True
    session: Session13 | None = None
    #: Without what makes a hello longer: for peers that drop long ones.
    lean: bool = False


class Handshake13:
    """One handshake as a conversation: `start`, then `feed` what arrives and send what it gives, until `done`.

    With `finish` the client ends its side (with an empty certificate if asked for one) and says goodbye, so that a
    server sends its tickets and then closes; without, it stops where the server has shown all. The first tickets end
    it too, unless it is to `linger` until the server has said goodbye.
    """

    def __init__(self, offer: Offer13, *, finish: bool = True, linger: bool = False) -> None:
        self.result = Seen13()
        self.done = False
        self._offer = offer
        self._finish = finish
        self._linger = linger
        self._buffer = bytearray()
        self._messages = bytearray()
        self._records = 0
        self._bytes = 0
        self._shares = {group: make_share(group) for group in offer.shares}
        self._random = os.urandom(32)
        self._session_id = b"" if offer.lean else os.urandom(32)
        self._hello = b""
        self._transcript = b""
        self._cookie: bytes | None = None
        self._schedule: Schedule | None = None
        self._reading: Protection | None = None
        self._writing: Protection | None = None
        self._client_secret = b""
        self._server_secret = b""
        self._request_context = b""
        self._finished_transcript = b""
        self._expected = {SERVER_HELLO}

    def start(self) -> bytes:
        """The ClientHello in its record."""
        self._hello = self._client_hello()
        return _record(self._hello, 0x0301)

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, give what to send. Raises HelloError, after which nothing more may be fed."""
        if self.done:
            return b""
        self._bytes += len(data)
        self._buffer += data
        out = b""
        try:
            if self._bytes > MAX_BYTES:
                raise HelloError(Reason.TOO_LARGE, f"more than {MAX_BYTES} bytes in one handshake")
            while not self.done and (end := record_end(self._buffer, 0)) is not None and end <= len(self._buffer):
                header, body = bytes(self._buffer[:RECORD_HEADER]), bytes(self._buffer[RECORD_HEADER:end])
                del self._buffer[:end]
                out += self._record(header, body)
        except BoundsError as error:
            self.done = True
            raise HelloError(Reason.MALFORMED, f"a handshake message breaks its own lengths: {error}") from None
        except HelloError:
            self.done = True
            raise
        # One ticket tells all that is asked; those in the same packet come along.
        self.done = self.done or (bool(self.result.tickets) and not self._linger)
        return out

    def ended(self) -> None:
        """A server without tickets simply closes when the handshake is over."""
        self.done = self.done or self.result.finished

    # Records

    def _record(self, header: bytes, body: bytes) -> bytes:
        self._records += 1
        if self._records > MAX_RECORDS:
            raise HelloError(Reason.TOO_LARGE, f"more than {MAX_RECORDS} records in one handshake")
        kind = header[0]
        if header[1] != 3:
            raise HelloError(Reason.NOT_TLS, "the answer is no TLS record")
        if kind == APPLICATION_DATA and self._reading is not None:
            kind, body = self._reading.open(header, body)
        elif kind == _CHANGE_CIPHER_SPEC and body == b"\x01":
            return b""  # means nothing in TLS 1.3 (RFC 8446 appendix D.4)
        elif kind == RECORD_HANDSHAKE and self._reading is not None:
            raise HelloError(Reason.UNEXPECTED, "an open handshake record where protected ones belong")
        if kind == RECORD_ALERT:
            self._alert(body)
            return b""
        if kind == APPLICATION_DATA and self.result.finished:
            return b""  # a protocol in which the server speaks first
        if kind != RECORD_HANDSHAKE or not body:
            raise HelloError(Reason.UNEXPECTED, f"a record of type {kind} where a handshake record belongs")
        self._messages += body
        return self._take_messages()

    def _alert(self, body: bytes) -> None:
        if len(body) != 2:
            raise HelloError(Reason.MALFORMED, f"an alert of {len(body)} bytes")
        if body[1] == Alert.CLOSE_NOTIFY:
            self.result.closed = True
        else:
            self.result.alert = known_alert(body[1])
        self.done = True

    def _take_messages(self) -> bytes:
        out = b""
        while not self.done and len(self._messages) >= MESSAGE_HEADER:
            length = MESSAGE_HEADER + int.from_bytes(self._messages[1:MESSAGE_HEADER], "big")
            if length > MAX_MESSAGE:
                raise HelloError(Reason.TOO_LARGE, f"a handshake message of {length} bytes; the limit is {MAX_MESSAGE}")
            if self._messages[0] not in self._expected:
                raise HelloError(Reason.UNEXPECTED, f"handshake message {self._messages[0]} out of its place")
            if len(self._messages) < length:
                break
            message = bytes(self._messages[:length])
            del self._messages[:length]
            out += self._message(message)
        return out

    def _message(self, message: bytes) -> bytes:
        kind, body = message[0], Reader(message, MESSAGE_HEADER)
        if kind == SERVER_HELLO:
            return self._server_hello(message)
        if kind == _FINISHED:
            return self._server_finished(message)
        if kind == _TICKET:
            self._ticket(body)
            return b""
        if kind == _ENCRYPTED_EXTENSIONS:
            self._encrypted_extensions(body)
        elif kind == _CERTIFICATE_REQUEST:
            self._certificate_request(body)
        elif kind == _CERTIFICATE:
            self._certificate(body)
        else:
            self._certificate_verify(body)
        self._transcript += message
        return b""

    # Messages

    def _server_hello(self, message: bytes) -> bytes:
        hello = ServerHello.parse(message)
        if hello.version is not Version.TLS1_3:
            self.result.hello = hello
            raise HelloError(Reason.UNEXPECTED, "the server chose another version than TLS 1.3")
        if hello.cipher_suite not in self._offer.suites or hello.cipher_suite not in SUITES:
            self.result.hello = hello
            raise HelloError(Reason.UNEXPECTED, f"the server chose suite 0x{hello.cipher_suite:04x}, never offered")
        if hello.hello_retry_request:
            return self._retry(hello, message)
        self.result.hello = hello
        self._agree(hello, message)
        return b""

    def _retry(self, hello: ServerHello, message: bytes) -> bytes:
        if self.result.retry is not None:
            raise HelloError(Reason.UNEXPECTED, "a second HelloRetryRequest")
        self.result.retry = hello
        group, cookie = hello.group, hello.extension(_EXT_COOKIE)
        if group is not None and (group not in self._offer.groups or group in self._shares):
            raise HelloError(Reason.UNEXPECTED, f"a HelloRetryRequest for group {group}, not offered or already sent")
        if group is None and cookie is None:
            raise HelloError(Reason.UNEXPECTED, "a HelloRetryRequest that changes nothing")
        if group is not None:
            self._shares = {group: make_share(group)}
        self._cookie = cookie
        name = SUITES[hello.cipher_suite][0]
        digest = hashlib.new(name, self._hello).digest()
        self._transcript = bytes((_MESSAGE_HASH, 0, 0, len(digest))) + digest + message
        self._hello = self._client_hello()
        return (_SPEC_RECORD if self._session_id else b"") + _record(self._hello, 0x0303)

    def _agree(self, hello: ServerHello, message: bytes) -> None:
        name = SUITES[hello.cipher_suite][0]
        session = self._offer.session
        psk = b""
        if (chosen := hello.extension(_EXT_PSK)) is not None:
            if session is None or chosen != b"\0\0" or SUITES[session.suite][0] != name:
                raise HelloError(Reason.UNEXPECTED, "the server resumes a session that was not offered")
            psk, self.result.resumed = session.psk, True
        share = Reader(hello.extension(EXT_KEY_SHARE) or b"")
        group, public = share.number(2), share.vector(2, least=1)
        share.finish()
        if group not in self._shares:
            raise HelloError(Reason.UNEXPECTED, f"a key share for group {group}, which was not sent")
        self._transcript += self._hello + message
        self._schedule = schedule = Schedule(name, psk)
        schedule.mix(self._shares[group].agree(public))
        transcript = self._hashed()
        self._client_secret = schedule.derive(b"c hs traffic", transcript)
        self._server_secret = schedule.derive(b"s hs traffic", transcript)
        if self._messages:
            raise HelloError(Reason.UNEXPECTED, "bytes follow the ServerHello without protection")
        self._reading = Protection(hello.cipher_suite, self._server_secret)
        self._writing = Protection(hello.cipher_suite, self._client_secret)
        self._expected = {_ENCRYPTED_EXTENSIONS}

    def _encrypted_extensions(self, body: Reader) -> None:
        found = dict(ext.read_block(body))
        body.finish()
        if (protocols := found.get(EXT_ALPN)) is not None:
            self.result.alpn = ext.read_alpn(protocols)[0]
        self.result.extensions_read = True
        self._expected = {_FINISHED} if self.result.resumed else {_CERTIFICATE_REQUEST, _CERTIFICATE}

    def _certificate_request(self, body: Reader) -> None:
        self._request_context = body.vector(1)
        ext.read_block(body)
        body.finish()
        self.result.certificate_requested = True
        self._expected = {_CERTIFICATE}

    def _certificate(self, body: Reader) -> None:
        body.vector(1)
        entries = body.window(3)
        body.finish()
        chain = []
        while entries.remaining:
            chain.append(entries.vector(3, least=1))
            for code, extension in ext.read_block(entries):
                if code == _EXT_STATUS and len(chain) == 1:
                    status = Reader(extension)
                    if status.number(1) == 1:
                        self.result.staple = status.vector(3)
        self.result.chain = tuple(chain)
        self._expected = {_CERTIFICATE_VERIFY}

    def _certificate_verify(self, body: Reader) -> None:
        self.result.scheme = body.number(2)
        self.result.signature = body.vector(2)
        body.finish()
        self.result.signed = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + self._hashed()
        self._expected = {_FINISHED}

    def _server_finished(self, message: bytes) -> bytes:
        schedule, hello = self._schedule, self.result.hello
        if schedule is None or hello is None or self._writing is None:
            raise HelloError(Reason.UNEXPECTED, "a Finished before any keys")
        if not hmac.compare_digest(message[MESSAGE_HEADER:], schedule.finished(self._server_secret, self._hashed())):
            raise HelloError(Reason.MALFORMED, "the server's Finished does not fit what was said")
        self.result.finished = True
        self._transcript += message
        if not self._finish:
            self.done = True
            return b""
        schedule.mix()
        transcript = self._hashed()
        # With an empty session id nobody pretends to be TLS 1.2 (RFC 8446 appendix D.4).
        out = (_SPEC_RECORD if self._session_id else b"") + self._own_end(schedule, self._writing)
        self._reading = Protection(hello.cipher_suite, schedule.derive(b"s ap traffic", transcript))
        goodbye = Protection(hello.cipher_suite, schedule.derive(b"c ap traffic", transcript))
        self._finished_transcript = self._hashed()
        self._expected = {_TICKET}
        return out + goodbye.seal(RECORD_ALERT, bytes((1, Alert.CLOSE_NOTIFY)))

    def _own_end(self, schedule: Schedule, writing: Protection) -> bytes:
        """The client's Certificate, empty, if one was asked for, and its Finished."""
        message = b""
        if self.result.certificate_requested:
            body = Writer().vector(self._request_context, 1).number(0, 3)
            message = bytes(Writer().number(_CERTIFICATE, 1).vector(bytes(body), 3))
            self._transcript += message
        verify = schedule.finished(self._client_secret, self._hashed())
        finished = bytes(Writer().number(_FINISHED, 1).vector(verify, 3))
        self._transcript += finished
        return writing.seal(RECORD_HANDSHAKE, message + finished)

    def _ticket(self, body: Reader) -> None:
        hello, schedule = self.result.hello, self._schedule
        if hello is None or schedule is None or len(self.result.tickets) >= MAX_TICKETS:
            return
        lifetime, age_add = body.number(4), body.number(4)
        nonce, ticket = body.vector(1), body.vector(2, least=1)
        found = dict(ext.read_block(body))
        body.finish()
        early = found.get(_EXT_EARLY_DATA)
        psk = schedule.resumption(self._finished_transcript, nonce)
        limit = int.from_bytes(early, "big") if early is not None and len(early) == 4 else None
        self.result.tickets.append(Session13(ticket, psk, hello.cipher_suite, age_add, lifetime, limit))

    def _hashed(self) -> bytes:
        assert self._schedule is not None
        return hashlib.new(self._schedule.name, self._transcript).digest()

    # The hello

    def _client_hello(self) -> bytes:
        message = self._unbound_hello()
        session = self._offer.session
        if session is None:
            return message
        # The binder covers all that stands before it, so it is written last, over its own zeros (RFC 8446 §4.2.11.2).
        schedule = Schedule(SUITES[session.suite][0], session.psk)
        cut = len(message) - (2 + 1 + schedule.size)
        transcript = hashlib.new(schedule.name, self._transcript + message[:cut]).digest()
        return message[: -schedule.size] + schedule.binder(transcript)

    def _unbound_hello(self) -> bytes:
        offer = self._offer
        block: list[ext.Extension] = []
        if offer.server_name:
            block.append(ext.server_name(offer.server_name))
        block.append(ext.number_list(EXT_GROUPS, offer.groups))
        block.append(ext.number_list(EXT_SIGNATURE_ALGORITHMS, offer.schemes))
        if set(offer.schemes) != set(SCHEMES):
            block.append(ext.number_list(_EXT_CERTIFICATE_SCHEMES, _CHAIN_SCHEMES))
        block.append(ext.number_list(EXT_SUPPORTED_VERSIONS, [Version.TLS1_3.wire], 1))
        block.append((EXT_KEY_SHARE, _shares_body(tuple(self._shares.values()))))
        block.append((_EXT_PSK_MODES, b"\x01\x01"))
        if offer.staple and not offer.lean:
            block.append((_EXT_STATUS, b"\x01\0\0\0\0"))
        if offer.alpn:
            block.append(ext.alpn(offer.alpn))
        if self._cookie is not None:
            block.append((_EXT_COOKIE, self._cookie))
        if offer.session is not None:
            block.append((_EXT_PSK, _psk_body(offer.session)))
        hello = ClientHello(Version.TLS1_2.wire, self._random, self._session_id, offer.suites, b"\0", tuple(block))
        return _unrecorded(hello)


def known_alert(number: int) -> Alert | int:
    """The alert with that number, or the number where it has no name."""
    try:
        return Alert(number)
    except ValueError:
        return number


def _shares_body(shares: Sequence[Share]) -> bytes:
    entries = Writer()
    for share in shares:
        entries.number(share.group, 2).vector(share.public, 2)
    return bytes(Writer().vector(bytes(entries), 2))


def _psk_body(session: Session13) -> bytes:
    """One identity, and zeros where its binder will be. It is of no age: it came a moment ago."""
    identity = Writer().vector(session.ticket, 2).number(session.age_add, 4)
    size = hashlib.new(SUITES[session.suite][0]).digest_size
    binders = Writer().vector(bytes(size), 1)
    return bytes(Writer().vector(bytes(identity), 2).vector(bytes(binders), 2))


def _unrecorded(hello: ClientHello) -> bytes:
    """The hello's message alone: ours are small enough for one record."""
    wire = hello.encode()
    if wire[RECORD_HEADER] != CLIENT_HELLO or len(wire) - RECORD_HEADER != int.from_bytes(wire[3:5], "big"):
        raise HelloError(Reason.TOO_LARGE, "a hello that does not fit into one record")
    return wire[RECORD_HEADER:]


def _record(message: bytes, version: int) -> bytes:
    return bytes((RECORD_HANDSHAKE,)) + version.to_bytes(2, "big") + len(message).to_bytes(2, "big") + message
