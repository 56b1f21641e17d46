"""Receivers for notifications, over real sockets and real TLS."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.testing.certificates import TestAuthority


@dataclass
class SyslogReceiver:
    """Takes RFC 5425 frames; `hang_up_after` frames of a connection it closes it."""

    port: int
    frames: list[bytes] = field(default_factory=list)
    connections: int = 0
    hang_up_after: int = 10**9
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, seconds: float = 10.0) -> list[bytes]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.frames) >= count, seconds), self.frames
            return list(self.frames)


def _frames(connection: socket.socket, take: Callable[[bytes], bool]) -> None:
    buffer = b""
    while data := connection.recv(65536):
        buffer += data
        while b" " in buffer:
            size, _, rest = buffer.partition(b" ")
            if len(rest) < int(size):
                break
            frame, buffer = rest[: int(size)], rest[int(size) :]
            if not take(frame):
                return


@contextlib.contextmanager
def syslog_receiver(context: ssl.SSLContext | None, hang_up_after: int = 10**9) -> Iterator[SyslogReceiver]:
    listener = socket.create_server(("127.0.0.1", 0))
    made = SyslogReceiver(listener.getsockname()[1], hang_up_after=hang_up_after)

    def serve(raw: socket.socket) -> None:
        with contextlib.suppress(OSError), raw:
            connection = raw if context is None else context.wrap_socket(raw, server_side=True)
            with connection:
                taken = 0

                def take(frame: bytes) -> bool:
                    nonlocal taken
                    taken += 1
                    with made.arrived:
                        made.frames.append(frame)
                        made.arrived.notify_all()
                    return taken < made.hang_up_after

                _frames(connection, take)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = listener.accept()
                made.connections += 1
                threading.Thread(target=serve, args=(raw,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield made
    finally:
        listener.close()


def server_context(authority: TestAuthority, folder: Path, host: str = "127.0.0.1") -> ssl.SSLContext:
    certificate, key = authority.leaf("manager", "receiver", hosts=(host,)).write(folder, f"server-{host}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


@dataclass
class Delivery:
    headers: Mapping[str, str]
    body: bytes


@dataclass
class HookReceiver:
    """Answers each POST with the next of `answers` (status, headers), and with 204 when they are used up."""

    port: int
    answers: list[tuple[int, dict[str, str]]]
    deliveries: list[Delivery] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/hook"

    def wait(self, count: int, seconds: float = 10.0) -> list[Delivery]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.deliveries) >= count, seconds), self.deliveries
            return list(self.deliveries)


@contextlib.contextmanager
def hook_receiver(context: ssl.SSLContext, *answers: tuple[int, dict[str, str]]) -> Iterator[HookReceiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers = made.answers.pop(0) if made.answers else (204, {})
            with made.arrived:
                made.deliveries.append(Delivery({k.lower(): v for k, v in self.headers.items()}, body))
                made.arrived.notify_all()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    made = HookReceiver(server.server_address[1], list(answers))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
