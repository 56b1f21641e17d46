"""Small real TLS servers in threads: OpenSSL's handshakes on a free port of loopback, within a range of versions."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from plimsoll.tls.versions import Version

_OPENSSL = {
    Version.TLS1_0: ssl.TLSVersion.TLSv1,
    Version.TLS1_1: ssl.TLSVersion.TLSv1_1,
    Version.TLS1_2: ssl.TLSVersion.TLSv1_2,
    Version.TLS1_3: ssl.TLSVersion.TLSv1_3,
}


class SmallServer:
    """`hellos` counts connections, `peers` are the addresses that they came from."""

    def __init__(self, certificates: Path, before: Callable[[socket.socket], None] | None = None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.set_ciphers("DEFAULT:@SECLEVEL=0")
        self._context.load_cert_chain(certificates / "ec.pem", certificates / "ec.key")
        self._context.load_cert_chain(certificates / "rsa.pem", certificates / "rsa.key")
        self._before = before
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hellos = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def speak(self, oldest: Version, newest: Version = Version.TLS1_3) -> None:
        """From now on these versions and no other."""
        # First the wider end, so that at no time the least is above the most.
        self._context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        self._context.maximum_version = _OPENSSL[newest]
        self._context.minimum_version = _OPENSSL[oldest]

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.hellos += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock.settimeout(10)
            if self._before is not None:
                self._before(sock)
            with self._context.wrap_socket(sock, server_side=True) as talking:
                talking.recv(1)


@contextlib.contextmanager
def small_server(
    certificates: Path,
    oldest: Version,
    newest: Version = Version.TLS1_3,
    before: Callable[[socket.socket], None] | None = None,
) -> Iterator[SmallServer]:
    made = SmallServer(certificates, before)
    made.speak(oldest, newest)
    try:
        yield made
    finally:
        made.close()


def smtp(sock: socket.socket) -> None:
    """What a mail server says until STARTTLS is agreed on."""
    sock.sendall(b"220 mail.test ESMTP\r\n")
    while line := _line(sock):
        if line.upper().startswith(b"EHLO"):
            sock.sendall(b"250-mail.test\r\n250 STARTTLS\r\n")
        elif line.upper().startswith(b"STARTTLS"):
            sock.sendall(b"220 go ahead\r\n")
            return
        else:
            sock.sendall(b"500 no\r\n")
    raise OSError("the peer left")


def _line(sock: socket.socket) -> bytes:
    """Byte by byte: what follows the line is TLS."""
    found = bytearray()
    while not found.endswith(b"\n"):
        piece = sock.recv(1)
        if not piece:
            return b""
        found += piece
    return bytes(found)
