"""uvicorn's protocol as we run it: bounds on the head, keep-alive, and an end that finishes answers."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from plimsoll.manager.api import serve
from plimsoll.manager.api.serve import HttpDoor, Message, Receive, Scope, Send
from plimsoll.net.gate import Connection

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Says who asks; ``/slow`` answers when `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.states: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.states.append(scope["state"])
        if scope["path"] == "/slow":
            await self.go.wait()
        body = str(scope["client"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        last: Message = {"type": "http.response.body", "body": body}
        await send(last)


def served(test: Callable[[Echo, HttpDoor, Callable[[], Awaitable[Streams]]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Echo()
        door = HttpDoor(app)
        connection = cast(Connection, "the gate's connection")
        server = await asyncio.get_running_loop().create_server(lambda: door.protocol(connection), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        writers: list[asyncio.StreamWriter] = []

        async def connect() -> Streams:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(20):
                await test(app, door, connect)
        finally:
            for writer in writers:
                writer.close()
            server.close()
            await door.finish(0.1)
            await asyncio.sleep(0.01)

    asyncio.run(run())


def test_routes_see_the_connection_and_no_server_is_named() -> None:
    async def test(app: Echo, _: HttpDoor, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        for _request in range(2):  # kept alive
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b"\r\ndate: " in head
            assert b"server" not in head
            assert b"6.6.6.6" not in await reader.read(1000)
        assert app.states[0]["connection"] == "the gate's connection"

    served(test)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"x: " + b"a" * (serve.MAX_HEAD + 300_000),
        b"GET /" + b"a" * (serve.MAX_HEAD + 300_000),
    ],
)
def test_a_head_without_end_gets_400(head: bytes) -> None:
    async def test(app: Echo, _: HttpDoor, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(head)
        try:
            answer = await reader.read()
        except ConnectionError:
            answer = b""  # closed while we were still sending
        assert not answer or answer.startswith(b"HTTP/1.1 400")
        assert not app.states

    served(test)


def test_a_client_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.1)

    async def test(_app: Echo, _: HttpDoor, connect: Callable[[], Awaitable[Streams]]) -> None:
        silent, _writer = await connect()
        slow, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nHo")
        assert await silent.read() == b""
        assert await slow.read() == b""

    served(test)


def test_what_is_no_http_gets_400() -> None:
    async def test(_app: Echo, _: HttpDoor, connect: Callable[[], Awaitable[Streams]]) -> None:
        for junk in (b"\x16\x03\x01\x00\x05hello\r\n\r\n", b"GET  HTTP/9.9\r\n\r\n"):
            reader, writer = await connect()
            writer.write(junk)
            assert (await reader.read()).startswith(b"HTTP/1.1 400")

    served(test)


def test_the_end_waits_for_answers_in_flight_and_not_for_idle_connections() -> None:
    async def test(app: Echo, door: HttpDoor, connect: Callable[[], Awaitable[Streams]]) -> None:
        busy, writer = await connect()
        idle, idle_writer = await connect()
        idle_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await idle.readuntil(b"\r\n\r\n")
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        while len(app.states) < 2:
            await asyncio.sleep(0.01)
        finishing = asyncio.ensure_future(door.finish(10))
        await asyncio.sleep(0.05)
        assert not finishing.done()
        app.go.set()
        await finishing
        assert b"connection: close" in await busy.read()
        await idle.read()

    served(test)


def test_the_local_socket_is_its_owners_and_tells_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "manager.sock"
    path.touch()  # what a killed manager left behind

    async def test() -> None:
        app = Echo()
        door = HttpDoor(app)
        await door.listen_unix(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert app.states == [{"peer_uid": os.getuid()}]
        door.close_unix()
        await door.finish(1)
        writer.close()
        assert not path.exists()

    asyncio.run(test())
