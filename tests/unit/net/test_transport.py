"""The transport by asyncio's rules: flow control, order, ends, and uvicorn's protocol on top."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.net.conftest import Files
from tests.unit.net.running import HOST, RunningGate, client, dial, read_to_end, tls, until
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from plimsoll.net.gate import Connection
from plimsoll.tls.versions import Version

Start = Callable[..., RunningGate]


class Recorder(asyncio.Protocol):
    """Keeps what happened to it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.transport: asyncio.Transport
        self.received = b""
        self.happened: list[str] = []
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.happened.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> None:
        self.happened.append("eof")

    def pause_writing(self) -> None:
        self.happened.append("pause")

    def resume_writing(self) -> None:
        self.happened.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.happened.append("lost")
        self.lost.append(exc)


class Recorders(list[Recorder]):
    def __call__(self, connection: Connection) -> Recorder:
        self.append(Recorder(connection))
        return self[-1]


@pytest.fixture
def made() -> Recorders:
    return Recorders()


@pytest.fixture
def running(gate: Start, made: Recorders) -> RunningGate:
    return gate(factory=made, floor=Version.TLS1_0)


@pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_2, Version.TLS1_3], ids=str)
def test_much_data_arrives_in_order_both_ways(running: RunningGate, made: Recorders, version: Version) -> None:
    data = bytes(range(253)) * 20_000
    with tls(running.port, version) as sock:
        until(lambda: bool(made))
        running.call(lambda: made[0].transport.write(data))
        running.call(lambda: made[0].transport.writelines([b"and ", memoryview(b"the "), bytearray(b"end")]))
        assert "pause" in made[0].happened
        received = b""
        while len(received) < len(data) + 11:
            received += sock.recv(65536)
        assert received == data + b"and the end"
        until(lambda: made[0].happened[-1] == "resume")
        assert running.call(made[0].transport.get_write_buffer_size) == 0
        sock.sendall(data)
        until(lambda: len(made[0].received) == len(data))
        assert made[0].received == data


def test_a_close_sends_what_is_in_the_buffer_then_close_notify_and_fin(running: RunningGate, made: Recorders) -> None:
    data = bytes(3_000_000)
    with tls(running.port) as sock:
        until(lambda: bool(made))

        def write_and_close() -> None:
            made[0].transport.write(data)
            made[0].transport.close()
            made[0].transport.write(b"too late")
            assert made[0].transport.is_closing()

        running.call(write_and_close)
        assert read_to_end(sock) == data
        sock.unwrap().close()  # it would fail without the gate's close_notify
    until(lambda: bool(made[0].lost))
    assert made[0].lost == [None]


def test_unread_data_of_the_peer_does_not_turn_our_end_into_a_reset(running: RunningGate, made: Recorders) -> None:
    with tls(running.port) as sock:
        until(lambda: bool(made))
        running.call(made[0].transport.pause_reading)
        sock.sendall(bytes(20_000))
        running.call(lambda: made[0].transport.write(b"last words"))
        running.call(made[0].transport.close)
        assert read_to_end(sock) == b"last words"


def test_an_abort_drops_the_buffer(running: RunningGate, made: Recorders) -> None:
    with tls(running.port):
        until(lambda: bool(made))
        running.call(lambda: made[0].transport.write(bytes(20_000_000)))
        running.call(made[0].transport.abort)
        running.call(made[0].transport.abort)
        until(lambda: bool(made[0].lost))
        assert running.call(made[0].transport.get_write_buffer_size) == 0
    until(lambda: not running.gate.connections)


def test_a_peer_that_takes_nothing_is_cut_off(
    running: RunningGate, made: Recorders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.net.transport.STALL", 0.2)
    with tls(running.port) as sock:
        until(lambda: bool(made))
        running.call(lambda: made[0].transport.write(bytes(20_000_000)))
        for _ in range(5):
            time.sleep(0.1)
            for _ in range(60):
                sock.recv(16_384)
        assert made[0].lost == [], "it takes a little"
        until(lambda: bool(made[0].lost))


def test_a_paused_reader_leaves_the_data_in_the_socket(running: RunningGate, made: Recorders) -> None:
    with tls(running.port) as sock:
        until(lambda: bool(made))
        transport = made[0].transport
        running.call(transport.pause_reading)
        assert not running.call(transport.is_reading)
        sock.sendall(b"hello")
        time.sleep(0.1)
        assert made[0].received == b""
        running.call(transport.resume_reading)
        until(lambda: made[0].received == b"hello")


@pytest.mark.parametrize("clean", [True, False])
def test_the_peer_s_end_ends_the_connection(running: RunningGate, made: Recorders, clean: bool) -> None:
    sock = tls(running.port)
    until(lambda: bool(made))
    if clean:
        sock.unwrap().close()  # waits for the gate's own close_notify
    sock.close()
    until(lambda: made[0].happened == ["made", "eof", "lost"])
    assert made[0].lost == [None]


def test_a_reset_ends_the_connection(running: RunningGate, made: Recorders) -> None:
    sock = tls(running.port)
    until(lambda: bool(made))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()
    until(lambda: bool(made[0].lost))


def test_garbage_after_the_handshake_ends_the_connection(running: RunningGate, made: Recorders) -> None:
    sock = tls(running.port)
    until(lambda: bool(made))
    socket.socket.send(sock, b"\x17\x03\x03\x00\x20" + bytes(32))
    until(lambda: bool(made[0].lost))
    sock.close()


def test_what_is_known_of_the_peer(running: RunningGate, made: Recorders, files: Files) -> None:
    with tls(running.port, Version.TLS1_2, files.client("a5")) as sock:
        until(lambda: bool(made))
        transport = made[0].transport

        def extra() -> dict[str, Any]:
            names = ("peername", "sockname", "socket", "ssl_object", "cipher", "peercert", "sslcontext", "nothing")
            return {name: transport.get_extra_info(name) for name in names}

        known = running.call(extra)
        assert known["peername"] == sock.getsockname()
        assert known["sockname"] == known["socket"].getsockname() == (HOST, running.port)
        assert known["cipher"][0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        assert ("URI", "plimsoll://net-tests/agent/a5") in known["peercert"]["subjectAltName"]
        assert known["ssl_object"].version() == "TLSv1.2"
        assert known["sslcontext"] is running.contexts.modern
        assert known["nothing"] is None
        assert not transport.can_write_eof()
        with pytest.raises(RuntimeError):
            transport.write_eof()
        assert made[0].connection.suite == known["cipher"][0]
        assert made[0].connection.tls_name == "TLSv1.2"


def test_the_protocol_may_be_changed_and_limits_set(running: RunningGate, made: Recorders) -> None:
    with tls(running.port) as sock:
        until(lambda: bool(made))
        transport = made[0].transport
        other = Recorder(made[0].connection)
        running.call(lambda: transport.set_protocol(other))
        assert running.call(transport.get_protocol) is other
        sock.sendall(b"x")
        until(lambda: other.received == b"x")
        with pytest.raises(ValueError, match="high"):
            running.call(lambda: transport.set_write_buffer_limits(1, 2))
        running.call(lambda: transport.set_write_buffer_limits(high=0))
        running.call(lambda: transport.write(bytes(20_000_000)))
        assert other.happened == ["pause"]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that streams, reads a body, and says who asked."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/stream":
        for _ in range(40):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
    said = f"{scope['scheme']} {scope['client'][0]} {len(body)}".encode()
    await send({"type": "http.response.body", "body": said})


class TestUvicorn:
    @pytest.fixture
    def running(self, gate: Start) -> RunningGate:
        config = Config(application, http="httptools", lifespan="off", proxy_headers=False, log_config=None)
        config.load()
        state = ServerState()

        def factory(connection: Connection) -> asyncio.Protocol:
            return HttpToolsProtocol(config, state, app_state={"connection": connection})

        return gate(factory=factory, floor=Version.TLS1_0)

    def request(self, sock: ssl.SSLSocket, path: str, body: bytes = b"") -> bytes:
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        return read_to_end(sock)

    @pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_2, Version.TLS1_3], ids=str)
    def test_its_http_protocol_serves_through_the_gate(self, running: RunningGate, version: Version) -> None:
        with tls(running.port, version) as sock:
            answer = self.request(sock, "/", bytes(300_000))
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b"https 127.0.0.1 300000" in answer
        with tls(running.port, version) as sock:
            assert self.request(sock, "/stream").count(b"\0") == 4_000_000

    def test_a_raise_ends_its_old_connections(self, running: RunningGate) -> None:
        with tls(running.port, Version.TLS1_1) as idle, tls(running.port, Version.TLS1_3) as modern:
            until(lambda: len(running.gate.connections) == 2)
            running.set_floor(Version.TLS1_2)
            assert idle.recv(1) == b""
            assert b"200 OK" in self.request(modern, "/")


def test_a_client_that_ends_within_the_handshake_leaves_nothing_behind(running: RunningGate, made: Recorders) -> None:
    for _ in range(5):
        half = client().wrap_bio(ssl.MemoryBIO(), hello := ssl.MemoryBIO())
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        with dial(running.port) as plain:
            plain.sendall(hello.read())
            assert plain.recv(1)  # the server's answer has begun: the handshake is under way
    until(lambda: running.gate.pending == 0)
    assert made == []
