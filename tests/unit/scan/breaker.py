"""A TLS 1.3 server without manners: it knows the protocol well enough to break it under protection."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from plimsoll.scan.handshake13 import Handshake13
from plimsoll.scan.keys13 import SUITES, Protection, Schedule
from plimsoll.scan.shares import make_share
from plimsoll.tls.hello import ClientHello, peek_client_hello
from plimsoll.tls.records import to_records
from plimsoll.tls.server_hello import RETRY_RANDOM, ServerHello

_STATUS = b"\0\5\0\x0a\1\0\0\6answer"
_ENTRIES = b"\0\0\4leaf" + b"\0\x0e" + _STATUS + b"\0\0\4next" + b"\0\0"
CERTIFICATE = b"\0" + len(_ENTRIES).to_bytes(3, "big") + _ENTRIES


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


class Breaker:
    """One handshake against a client in the same process; all that a test wants wrong is an argument."""

    def __init__(
        self,
        suite: int = 0x1301,
        *,
        retries: Sequence[int | None] = (),
        cookie: bytes = b"",
        before: Sequence[bytes] = (),
        order: Sequence[int] = (8, 11, 15, 20),
        bodies: dict[int, bytes] | None = None,
        certificate: bytes = b"",
        finished: bytes = b"",
        ticket: bytes | None = None,
        hello_extensions: tuple[tuple[int, bytes], ...] = (),
    ) -> None:
        self.suite = suite
        self.retries = retries
        self.cookie = cookie
        self.before = before
        self.order = order
        self.bodies = {8: b"\0\0", 11: CERTIFICATE, 13: b"\0\0\0", 15: b"\4\3\0\1s", **(bodies or {})}
        self.certificate = certificate
        self.finished = finished
        self.ticket = ticket
        self.hello_extensions = hello_extensions
        self.hellos: list[ClientHello] = []

    def run(self, client: Handshake13) -> None:
        name = SUITES[self.suite][0]
        wire = client.start()
        transcript = wire[5:]
        self._read(wire)
        for group in self.retries:
            retry = self._hello(RETRY_RANDOM, self._retry_extensions(group))
            wire = client.feed(to_records(retry, 0x0303))
            wire = wire.removeprefix(b"\x14\x03\x03\0\1\1")
            digest = hashlib.new(name, transcript).digest()
            transcript = message(254, digest) + retry + wire[5:]
            self._read(wire)
        offered = self.hellos[-1].extension(51) or b""
        group = int.from_bytes(offered[2:4], "big")
        share = make_share(group)
        secret = share.agree(offered[6 : 6 + int.from_bytes(offered[4:6], "big")])
        entry = group.to_bytes(2, "big") + len(share.public).to_bytes(2, "big") + share.public
        hello = self._hello(b"r" * 32, ((51, entry), *self.hello_extensions))
        client.feed(to_records(hello, 0x0303))
        transcript += hello
        self._protected(client, name, secret, transcript)

    def _protected(self, client: Handshake13, name: str, secret: bytes, transcript: bytes) -> None:
        schedule = Schedule(name)
        schedule.mix(secret)
        traffic = schedule.derive(b"s hs traffic", hashlib.new(name, transcript).digest())
        seal = Protection(self.suite, traffic).seal
        for body in self.before:
            client.feed(seal(20, body or b"\1"))
        for kind in self.order:
            body = self.bodies.get(kind, b"")
            if kind == 20 and 20 not in self.bodies:
                body = self.finished or schedule.finished(traffic, hashlib.new(name, transcript).digest())
            one = self.certificate if kind == 11 and self.certificate else message(kind, body)
            transcript += one
            for start in range(0, len(one), 16000):
                client.feed(seal(22, one[start : start + 16000]))
        if self.ticket is not None:
            schedule.mix()
            traffic = schedule.derive(b"s ap traffic", hashlib.new(name, transcript).digest())
            client.feed(Protection(self.suite, traffic).seal(22, message(4, self.ticket)))

    def _read(self, wire: bytes) -> None:
        hello = peek_client_hello(wire)
        assert isinstance(hello, ClientHello)
        self.hellos.append(hello)

    def _retry_extensions(self, group: int | None) -> tuple[tuple[int, bytes], ...]:
        found: tuple[tuple[int, bytes], ...] = ()
        if group is not None:
            found += ((51, group.to_bytes(2, "big")),)
        if self.cookie:
            found += ((44, len(self.cookie).to_bytes(2, "big") + self.cookie),)
        return found

    def _hello(self, random: bytes, extensions: tuple[tuple[int, bytes], ...]) -> bytes:
        session = self.hellos[-1].session_id
        return ServerHello(0x0303, random, session, self.suite, 0, ((43, b"\3\4"), *extensions)).encode()
