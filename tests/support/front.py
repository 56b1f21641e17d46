"""A TLS server behind a hostile front, in a thread of its own: limits and quirks that make scanners say "no" wrongly.

The handshakes are OpenSSL's, by memory, so that what a front lets pass gets a real answer. A front is random by seed
where it is random at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.hello import ClientHello, HelloError, peek_client_hello
from plimsoll.tls.versions import Version

_OPENSSL = {
    Version.TLS1_0: ssl.TLSVersion.TLSv1,
    Version.TLS1_1: ssl.TLSVersion.TLSv1_1,
    Version.TLS1_2: ssl.TLSVersion.TLSv1_2,
    Version.TLS1_3: ssl.TLSVersion.TLSv1_3,
}
_FAMILIAR = {Version.TLS1_0, Version.TLS1_1, Version.TLS1_2}


@dataclass(slots=True)
class Limits:
    """What the front does. A limit of 0 is none.

    `size`, `suites` and `concurrency` are answered by a reset. `rate` is connections a second, with `burst` at once;
    above it there is silence if `silent`, else a reset, and a connection turned away costs `penalty` tokens.
    `strict_name`: an IP literal in SNI gets alert 47. `needs_name`: a hello without SNI is reset. `familiar`: hellos of
    versions beside TLS 1.0 to 1.2 are dropped. `flaky`: the share of connections that is reset whatever they say.
    """

    size: int = 0
    suites: int = 0
    concurrency: int = 0
    rate: float = 0.0
    burst: float = 0.0
    silent: bool = False
    penalty: float = 0.0
    strict_name: bool = False
    needs_name: bool = False
    familiar: bool = False
    flaky: float = 0.0


class Bucket:
    """A token bucket. It fills from the moment that it was first empty: however slowly its clients come, who is one of
    more than its first tokens is turned away.
    """

    def __init__(self, limits: Limits, number: random.Random) -> None:
        self.limits = limits
        self.size = limits.burst or max(1.0, limits.rate)
        self.tokens = self.size * number.random()
        self.last: float | None = None

    def take(self) -> bool:
        """True where one more connection may pass."""
        now = time.monotonic()
        if self.last is not None:
            self.tokens = min(self.size, self.tokens + (now - self.last) * self.limits.rate)
            self.last = now
        if self.tokens >= 1:
            self.tokens -= 1
            return True
        self.last = now
        self.tokens -= self.limits.penalty
        return False


def context_for(
    folder: Path, oldest: Version = Version.TLS1_0, newest: Version = Version.TLS1_2, ciphers: str = ""
) -> ssl.SSLContext:
    """A server's context with RSA and EC certificates, for those versions."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers((ciphers or "ECDHE+AESGCM:ECDHE-RSA-AES128-SHA:AES128-SHA:AES256-SHA") + ":@SECLEVEL=0")
    context.minimum_version = _OPENSSL[oldest]
    context.maximum_version = _OPENSSL[newest]
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    for kind in ("rsa", "ec"):
        context.load_cert_chain(folder / f"{kind}.pem", folder / f"{kind}.key")
    return context


def make_certificates(folder: Path) -> Path:
    """RSA and EC certificates in that folder."""
    for kind, options in {"rsa": ["rsa:2048"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}.items():
        command = ["openssl", "req", "-x509", "-newkey", *options, "-nodes", "-days", "30", "-subj", "/CN=target.test"]
        paths = ["-keyout", str(folder / f"{kind}.key"), "-out", str(folder / f"{kind}.pem")]
        subprocess.run([*command, *paths], check=True, capture_output=True)
    return folder


@dataclass(slots=True)
class Front:
    """A running server: where it listens, and what it saw. `scripted` answers instead of TLS where it is given."""

    context: ssl.SSLContext | None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    #: Called for each connection with the transport; what it gives is called with the bytes that arrive.
    scripted: Callable[[asyncio.Transport], Callable[[bytes], None] | None] | None = None
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    turned_away: int = 0
    open: int = 0
    peak: int = 0
    hellos: list[ClientHello] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[Front]:
        """Serve in a thread until the block ends."""
        ready = threading.Event()
        number = random.Random(self.seed)
        bucket = Bucket(self.limits, number) if self.limits.rate else None
        loop: asyncio.AbstractEventLoop | None = None
        end: asyncio.Event | None = None

        async def serve() -> None:
            nonlocal loop, end
            loop, end = asyncio.get_running_loop(), asyncio.Event()
            server = await loop.create_server(lambda: _Door(self, bucket, number), self.host, 0, backlog=512)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await end.wait()
            # A connection that is being accepted while its server closes would be lost by asyncio, and leak.
            loop.remove_reader(server.sockets[0].fileno())
            quiet = 0
            while quiet < 5:
                quiet = 0 if self._doors or len(asyncio.all_tasks()) > 1 else quiet + 1
                for door in list(self._doors):
                    door.transport.abort()
                await asyncio.sleep(0.002)
            server.close()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)
        try:
            yield self
        finally:
            assert loop is not None
            assert end is not None
            loop.call_soon_threadsafe(end.set)
            thread.join(10)

    _doors: set[_Door] = field(default_factory=set)


class _Door(asyncio.Protocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self, front: Front, bucket: Bucket | None, number: random.Random) -> None:
        self.front = front
        self.bucket = bucket
        self.number = number
        self.data = b""
        self.deaf = self.over = False
        self.talk: Callable[[bytes], None] | None = None
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: ssl.SSLObject | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        front = self.front
        self.transport = transport
        front._doors.add(self)
        front.connections += 1
        front.open += 1
        front.peak = max(front.peak, front.open)
        if front.scripted is not None:
            self.talk = front.scripted(transport)
        elif self.bucket is not None and not self.bucket.take():
            front.turned_away += 1
            if front.limits.silent:
                self.deaf = True
            else:
                self.reset()
        elif (front.limits.concurrency and front.open > front.limits.concurrency) or (
            front.limits.flaky and self.number.random() < front.limits.flaky
        ):
            front.turned_away += 1
            self.reset()

    def connection_lost(self, error: Exception | None) -> None:
        self.front.open -= 1
        self.front._doors.discard(self)

    def reset(self) -> None:
        """Close by a reset."""
        self.over = True
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.talk is not None:
            self.talk(data)
        if self.deaf or self.over or self.front.scripted is not None:
            return
        if self.tls is None:
            self.data += data
            try:
                hello = peek_client_hello(self.data)
            except HelloError:
                hello = None
            if isinstance(hello, int) or not self._passes(hello):
                return
            assert self.front.context is not None
            self.tls = self.front.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
            data = self.data
        self._handshake(data)

    def _passes(self, hello: ClientHello | None) -> bool:
        limits = self.front.limits
        if hello is not None:
            self.front.hellos.append(hello)
        if (limits.size and len(self.data) > limits.size) or (
            limits.suites and hello is not None and len(hello.cipher_suites) > limits.suites
        ):
            self.reset()
        elif limits.familiar and (hello is None or not set(hello.offered) <= _FAMILIAR):
            self.deaf = True
        elif hello is not None and hello.server_name is None and limits.needs_name:
            self.reset()
        elif hello is not None and limits.strict_name and _is_literal(hello.server_name):
            self.transport.write(alert_record(Alert.ILLEGAL_PARAMETER))
            self.transport.close()
            self.over = True
        return not self.deaf and not self.over

    def _handshake(self, data: bytes) -> None:
        assert self.tls is not None
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.transport.write(self.outgoing.read())
        except ssl.SSLError:
            self.transport.write(self.outgoing.read())
            self.transport.close()
            self.over = True
        else:
            self.transport.write(self.outgoing.read())


def _is_literal(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True
