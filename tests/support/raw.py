"""A client that looks at the bytes: what a refused peer receives, and how its connection ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass

from plimsoll.testing.caps import client_context
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class Refusal:
    """What came back. `end` is "fin", "reset" or "timeout"."""

    data: bytes
    end: str

    @property
    def alert(self) -> int | None:
        """The number of the fatal alert, if one record with an alert is all there is."""
        if len(self.data) == 7 and self.data[0] == 21 and self.data[3:6] == b"\x00\x02\x02":
            return self.data[6]
        return None


def hello_bytes(newest: Version, *, oldest: Version = Version.TLS1_0, fallback: bool = False) -> bytes:
    """The ClientHello that OpenSSL sends with these versions; `fallback` adds TLS_FALLBACK_SCSV."""
    context = client_context(None, oldest=oldest, newest=newest)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    data = outgoing.read()
    return _with_fallback(data) if fallback else data


def _with_fallback(data: bytes) -> bytes:
    """The same hello with suite 0x5600 added: record, handshake and list lengths grow by two."""
    session = 5 + 4 + 2 + 32
    suites = session + 1 + data[session]
    grown = bytearray(data)
    count = int.from_bytes(data[suites : suites + 2])
    grown[suites + 2 + count : suites + 2 + count] = b"\x56\x00"
    grown[suites : suites + 2] = (count + 2).to_bytes(2)
    grown[6:9] = (int.from_bytes(data[6:9]) + 2).to_bytes(3)
    grown[3:5] = (int.from_bytes(data[3:5]) + 2).to_bytes(2)
    return bytes(grown)


def read_to_end(sock: socket.socket, timeout: float = 15.0) -> Refusal:
    """Everything until the connection ends, and how it ended."""
    sock.settimeout(timeout)
    data = bytearray()
    while True:
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            return Refusal(bytes(data), "timeout")
        except ConnectionResetError:
            return Refusal(bytes(data), "reset")
        if not piece:
            return Refusal(bytes(data), "fin")
        data += piece


def say_hello(port: int, data: bytes, host: str = "127.0.0.1", *, timeout: float = 15.0) -> Refusal:
    """Sends the bytes and reads to the end. For hellos that are refused."""
    with socket.create_connection((host, port), timeout=timeout) as sock:
        sock.sendall(data)
        return read_to_end(sock, timeout)


def first_bytes(port: int, data: bytes, size: int, host: str = "127.0.0.1", *, timeout: float = 15.0) -> bytes:
    """Sends the bytes and reads the first of the answer. For hellos that are admitted."""
    with socket.create_connection((host, port), timeout=timeout) as sock:
        sock.sendall(data)
        received = bytearray()
        while len(received) < size:
            piece = sock.recv(size - len(received))
            if not piece:
                break
            received += piece
        return bytes(received)
