"""A way to a server that can be cut: then nothing passes and nothing is refused, as behind a firewall that drops."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Self

HOST = "127.0.0.1"


class Way:
    """Carries what is said to `port` there to `to` here, in both directions, while it is open."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._open = threading.Event()
        self._open.set()
        self._end = False
        self._sockets: list[socket.socket] = []
        self._door = socket.create_server((HOST, 0), backlog=200)
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._accept, name="way", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end = True
        self._open.set()
        for one in (self._door, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Until the end nothing passes. What was said meanwhile arrives then, as when packets are sent again."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._end:
                came, _ = self._door.accept()
                self._open.wait()
                there = socket.create_connection((HOST, self._to))
                self._sockets += came, there
                for one, other in ((came, there), (there, came)):
                    threading.Thread(target=self._carry, args=(one, other), name="way", daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := one.recv(65536):
                self._open.wait()
                other.sendall(said)
            self._open.wait()
            other.shutdown(socket.SHUT_WR)
