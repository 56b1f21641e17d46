"""A SQL Server as far as its handshake goes: PRELOGIN, then a real OpenSSL whose records travel inside TDS packets.

SQL Server itself does not run here; the framing is that of MS-TDS 2.2.6.5 (options) and 2.2.3.1 (packet header).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

_HEADER = 8
_PACKET = 4096
#: Answers to PRELOGIN: all is encrypted, TLS is not spoken (MS-TDS 2.2.6.5).
ENCRYPT_ON, ENCRYPT_NOT_SUP = 0x01, 0x02


@contextlib.contextmanager
def tds_server(
    certificate: Path,
    key: Path,
    *,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    encryption: int = ENCRYPT_ON,
) -> Iterator[int]:
    """Its port on loopback. One thread a connection; each ends with its connection or after 10 seconds.

    `encryption` is what it answers to PRELOGIN.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if maximum in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Early versions are what some of these servers are for.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = minimum, maximum
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=_serve, args=(connection, context, encryption))
            threads.append(thread)
            thread.start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        # A blocked accept is woken by the shutdown, not by a close.
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(10)
        listener.close()
        for thread in threads:
            thread.join(15)


def _serve(connection: socket.socket, context: ssl.SSLContext, encryption: int) -> None:
    connection.settimeout(10)
    # A client that goes away in the middle of a handshake is what a scanner does all day.
    with connection, contextlib.suppress(OSError):
        if _message(connection) is None:
            return
        connection.sendall(_packet(0x04, _prelogin_answer(encryption)))
        _handshake(connection, context)


def _handshake(connection: socket.socket, context: ssl.SSLContext) -> None:
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(arriving, leaving, server_side=True)
    done = failed = False
    while not (done or failed):
        try:
            session.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            failed = True
        if leaving.pending:
            connection.sendall(_packets(leaving.read()))
        if not (done or failed):
            message = _message(connection)
            if message is None:
                return
            arriving.write(message)


def _prelogin_answer(encryption: int) -> bytes:
    """VERSION (16.0) and ENCRYPTION."""
    options = struct.pack(">BHHBHHB", 0x00, 11, 6, 0x01, 17, 1, 0xFF)
    return options + struct.pack(">BBHHB", 16, 0, 1000, 0, encryption)


def _packet(kind: int, payload: bytes, status: int = 1) -> bytes:
    return struct.pack(">BBHHBB", kind, status, len(payload) + _HEADER, 0, 1, 0) + payload


def _packets(data: bytes) -> bytes:
    size = _PACKET - _HEADER
    starts = range(0, len(data), size)
    return b"".join(_packet(0x12, data[start : start + size], int(start + size >= len(data))) for start in starts)


def _message(connection: socket.socket) -> bytes | None:
    """The payload of the next PRELOGIN message, of all its packets; None at the end of the stream."""
    payload = b""
    while True:
        header = _exactly(connection, _HEADER)
        if header is None:
            return None
        kind, status, length = struct.unpack_from(">BBH", header)
        if kind != 0x12:
            return None
        body = _exactly(connection, length - _HEADER)
        if body is None:
            return None
        payload += body
        if status & 1:
            return payload


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return None
        data += more
    return data
