"""A TLS client over a real socket whose every step is in the caller's hands.

asyncio's own TLS hides what a simulated fleet must control: thousands of clients share one context and put their own
certificate on it at the moment the connection is made, resume a session of theirs, bind an address of their own, or
stop in the middle of a handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

_PIECE = 65536
#: OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED.
_HAS_EXPIRED = 10


class PeerError(Exception):
    """A connection that did not come about, or ended early. `reason` is one word for counting."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


REFUSED = "refused by floor"
CERTIFICATE = "certificate"
#: A certificate of the server's chain has ended by our clock: its own, or that of the CA which the client trusts.
ENDED = "certificate ended"
UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
CLOSED = "closed"
TLS = "tls"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Paths of a client's certificate and key in PEM."""

    certificate: Path
    key: Path

    def load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self.certificate, self.key)


class Shown(Protocol):
    """What a client shows of itself: it puts certificate and key on a context."""

    def load(self, context: ssl.SSLContext) -> None: ...


def explain(error: ssl.SSLError) -> PeerError:
    """The counted reason behind an OpenSSL error: alert 70 is a refusal by the floor."""
    reason = error.reason or ""
    detail = reason or str(error)
    if reason in {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"}:
        return PeerError(REFUSED, detail)
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _HAS_EXPIRED:
        return PeerError(ENDED, error.verify_message)
    if "CERT" in reason or "UNKNOWN_CA" in reason:
        return PeerError(CERTIFICATE, detail)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return PeerError(CLOSED, "the server closed the connection")
    return PeerError(TLS, detail)


def wrap(
    context: ssl.SSLContext,
    credentials: Shown | None,
    session: ssl.SSLSession | None,
    server_name: str | None,
) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A TLS object on a shared context, with credentials of its own.

    OpenSSL copies the context's certificate into each connection as it is made, so the next client may put another on
    the same context. No await may come between the two lines.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    if credentials is not None:
        credentials.load(context)
    return context.wrap_bio(incoming, outgoing, server_hostname=server_name, session=session), incoming, outgoing


class TlsPipe:
    """One TLS connection as a client. Errors are PeerError, whatever the layer below says."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        parts: tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO],
        timeout: float,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self.tls, self._incoming, self._outgoing = parts
        self._timeout = timeout

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        context: ssl.SSLContext,
        *,
        credentials: Shown | None = None,
        local_address: str | None = None,
        session: ssl.SSLSession | None = None,
        server_name: str | None = None,
        timeout: float = 20.0,
    ) -> Self:
        """The TCP connection and the TLS object, before a byte was sent: `handshake` is the next step."""
        local = (local_address, 0) if local_address else None
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(host, port, local_addr=local)
        except TimeoutError:
            raise PeerError(TIMEOUT, f"no connection to {host}:{port}") from None
        except OSError as error:
            raise PeerError(UNREACHABLE, f"{host}:{port}: {error.strerror or error}") from None
        try:
            parts = wrap(context, credentials, session, server_name)
        except (OSError, ValueError) as error:
            writer.transport.abort()
            raise PeerError(TLS, str(error)) from None
        return cls(reader, writer, parts, timeout)

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        context: ssl.SSLContext,
        *,
        credentials: Shown | None = None,
        local_address: str | None = None,
        session: ssl.SSLSession | None = None,
        server_name: str | None = None,
        timeout: float = 20.0,
    ) -> Self:
        """A connection after its handshake."""
        pipe = await cls.connect(
            host,
            port,
            context,
            credentials=credentials,
            local_address=local_address,
            session=session,
            server_name=server_name,
            timeout=timeout,
        )
        try:
            await pipe.handshake()
        except BaseException:
            pipe.abort()
            raise
        return pipe

    async def handshake(self) -> None:
        """Completes the handshake. A refusal by the floor raises PeerError with that reason."""
        while not await self.step():
            await self.fill()

    async def step(self) -> bool:
        """One step of the handshake with what has arrived: True once it is complete."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            await self._flush()
            return False
        except ssl.SSLError as error:
            await self._flush()
            raise explain(error) from None
        await self._flush()
        return True

    async def write(self, data: bytes) -> None:
        try:
            self.tls.write(data)
        except ssl.SSLError as error:
            raise explain(error) from None
        await self._flush()

    async def read(self, limit: int = _PIECE) -> bytes:
        """The next bytes, or b"" at the orderly end."""
        while True:
            try:
                return self.tls.read(limit)
            except ssl.SSLWantReadError:
                await self._flush()
                try:
                    await self.fill()
                except PeerError as error:
                    if error.reason != CLOSED:
                        raise
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                raise explain(error) from None

    async def close(self) -> None:
        """Says close_notify and closes; never fails."""
        with contextlib.suppress(ssl.SSLError, ValueError):
            self.tls.unwrap()
        try:
            self._writer.write(self._outgoing.read())
            self._writer.close()
            async with asyncio.timeout(2):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def abort(self) -> None:
        """Drops the connection at once, as a killed process does."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Ends the connection by a reset: the server hears it at once, and gets nothing that was still on its way."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _flush(self) -> None:
        data = self._outgoing.read()
        if not data:
            return
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._timeout):
                await self._writer.drain()
        except TimeoutError:
            raise PeerError(TIMEOUT, "the server takes no more data") from None
        except OSError:
            # The server may have said why before it closed; the next read tells.
            return

    async def fill(self) -> None:
        """Waits for bytes from the server, without looking at them."""
        try:
            async with asyncio.timeout(self._timeout):
                data = await self._reader.read(_PIECE)
        except TimeoutError:
            raise PeerError(TIMEOUT, "the server did not answer in time") from None
        except OSError as error:
            raise PeerError(CLOSED, f"reset: {error.strerror or error}") from None
        if not data:
            raise PeerError(CLOSED, "the server closed the connection")
        self._incoming.write(data)
