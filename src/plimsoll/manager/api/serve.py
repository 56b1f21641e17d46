"""uvicorn's HTTP protocol behind the gate and on the local socket: bounds, dates and the connection's facts.

uvicorn's own server is not used: the gate listens, decides and hands over connections whose handshake is done.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from plimsoll.net.gate import Connection
from plimsoll.net.local_socket import short_name

#: The most that a request line and its headers may take, and how long a client may take to send them.
MAX_HEAD = 64 * 1024
HEAD_SECONDS = 20.0
#: Longer than any client of ours keeps a connection idle, so that the server is not the first to close.
KEEP_ALIVE_SECONDS = 75

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _State(ServerState):
    """uvicorn's shared state with a date that is right without a task that renews it."""

    def __init__(self) -> None:
        self._second = 0
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._headers = [(b"date", formatdate(now, usegmt=True).encode())]
        return self._headers

    @default_headers.setter
    def default_headers(self, value: list[tuple[bytes, bytes]]) -> None:
        """uvicorn sets an empty list at the start; the date is always ours."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on a request's head, in bytes and in seconds."""

    _head: int = 0
    _reading_head: bool = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reading_head:
            self._head += len(data)
            if self._head > MAX_HEAD + len(data):
                self._refuse_head()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._reading_head = True
        if self._timer is None:
            self._arm()

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._disarm()
        connection: Connection | None = self.app_state.get("connection")
        if connection is not None:
            # Also of a request that is answered 401 or 404: the sighting is of whoever came.
            for name, value in self.headers:
                if name == b"user-agent":
                    connection.user_agent = value.decode("latin-1")
        try:
            super().on_headers_complete()
        except httptools.HttpParserInvalidURLError:
            self.send_400_response("Invalid request target.")

    def _arm(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse_head(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")


class HttpDoor:
    """Makes protocols for one ASGI application, and ends them."""

    def __init__(self, app: App) -> None:
        # log_config None leaves logging to the process; proxy_headers would let a client choose its own address.
        self._config = Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self.state = _State()
        self._unix: asyncio.Server | None = None
        self._path: Path | None = None

    def protocol(self, connection: Connection) -> asyncio.Protocol:
        """For the gate: the routes find the connection in their state."""
        return BoundedProtocol(self._config, self.state, {"connection": connection})

    async def listen_unix(self, path: Path) -> None:
        """The local socket, for its owner only. A socket that a killed manager left behind is replaced."""
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Bound under a mask so that there is no moment in which others could open it.
            previous = os.umask(0o177)
            try:
                with short_name(path) as name:
                    listener.bind(name)
            finally:
                os.umask(previous)
            listener.listen(64)
            listener.setblocking(False)
            self._unix = await asyncio.get_running_loop().create_unix_server(_PeerProtocol.maker(self), sock=listener)
        except BaseException:
            listener.close()
            raise
        self._path = path

    def close_unix(self) -> None:
        if self._unix is not None:
            self._unix.close()
            self._unix = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def finish(self, seconds: float) -> None:
        """Ends idle connections, lets answers in flight be finished for at most that time, then cuts the rest."""
        for protocol in list(self.state.connections):
            protocol.shutdown()
        tasks = list(self.state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
        for protocol in list(self.state.connections):
            protocol.transport.abort()
        await asyncio.sleep(0)


class _PeerProtocol(BoundedProtocol):
    """On the local socket: who is at the other end, as the kernel says."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        self.app_state = {"peer_uid": peer_uid(peer)}

    @classmethod
    def maker(cls, door: HttpDoor) -> Callable[[], _PeerProtocol]:
        return lambda: cls(door._config, door.state, {})


def peer_uid(peer: socket.socket) -> int:
    """The uid of the process at the other end of a unix socket."""
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)
