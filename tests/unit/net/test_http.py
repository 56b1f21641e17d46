"""The HTTP protocol over a real gate: order, bounds, time limits, files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.net.running import GET, RunningGate, ask, read_answer, read_to_end, tls, until

from plimsoll.net.gate import Connection
from plimsoll.net.http import FileBody, HttpLimits, HttpProtocol, Request, Response

Start = Callable[..., RunningGate]
Handler = Callable[[Request], Any]


def serving(start: Start, handler: Handler, max_body: int = 1000, limits: HttpLimits | None = None) -> RunningGate:
    def factory(connection: Connection) -> asyncio.Protocol:
        return HttpProtocol(handler, connection, max_body, limits or HttpLimits())

    return start(factory=factory)


def echo(request: Request) -> Response:
    said = [request.method, request.path, request.query, request.body.decode("latin-1")]
    return Response(body=json.dumps(said).encode(), headers={"X-Said": request.headers.get("x-say", "")})


async def late(request: Request) -> Response:
    await asyncio.sleep(0.02 if request.path == "/1" else 0)
    return echo(request)


@pytest.mark.parametrize("handler", [echo, late])
def test_pipelined_requests_are_answered_in_order(gate: Start, handler: Handler) -> None:
    running = serving(gate, handler)
    requests = b"".join(
        f"POST /{number}?a=%20b&c HTTP/1.1\r\nHost: h\r\nContent-Length: {number}\r\n\r\n".encode() + b"x" * number
        for number in range(20)
    )
    with tls(running.port) as sock:
        sock.sendall(requests + b"GET /last%2Fone HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answers = read_to_end(sock).decode().split("HTTP/1.1 200 OK\r\n")[1:]
    said = [json.loads(answer.partition("\r\n\r\n")[2]) for answer in answers]
    assert said[:-1] == [["POST", f"/{number}", {"a": " b", "c": ""}, "x" * number] for number in range(20)]
    assert said[-1] == ["GET", "/last/one", {}, ""]


def test_a_request_may_come_byte_by_byte(gate: Start) -> None:
    running = serving(gate, echo)
    with tls(running.port) as sock:
        for byte in b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok":
            sock.sendall(bytes([byte]))
        assert json.loads(read_answer(sock)[1])[3] == "ok"


def test_100_continue_is_said_before_the_body(gate: Start) -> None:
    running = serving(gate, echo)
    with tls(running.port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert json.loads(read_answer(sock)[1])[3] == "ok"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 17_000, 431),
    ],
)
def test_a_refused_request_gets_its_answer_and_the_end(gate: Start, data: bytes, status: int) -> None:
    called: list[Request] = []
    running = serving(gate, called.append)
    with tls(running.port) as sock:
        sock.sendall(data + b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = read_to_end(sock)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1") == 1
    assert "message" in json.loads(answer.partition(b"\r\n\r\n")[2])
    assert called == []


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"", b""), (b"GET / HT", b"HTTP/1.1 408"), (b"POST / HTTP/1.1\r\nHost: h\r\nContent-", b"408")],
)
def test_a_silent_or_slow_peer_is_closed(gate: Start, sent: bytes, answer: bytes) -> None:
    limits = HttpLimits(request_seconds=0.3, idle_seconds=0.3)
    running = serving(gate, echo, limits=limits)
    with tls(running.port) as sock:
        sock.sendall(sent)
        assert answer in read_to_end(sock)


def test_a_trickled_body_does_not_extend_its_time(gate: Start) -> None:
    running = serving(gate, echo, limits=HttpLimits(request_seconds=0.5))
    with tls(running.port) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\n")
        start = time.monotonic()
        try:
            while time.monotonic() - start < 10:
                sock.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - start < 8


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_handler_s_fault_is_a_500_and_the_connection_lives(
    gate: Start, caplog: pytest.LogCaptureFixture, asynchronous: bool
) -> None:
    def fails(request: Request) -> Any:
        if request.path == "/fine":
            return Response(body=b"{}")
        return fails_late() if asynchronous else 1 // 0

    async def fails_late() -> Response:
        raise ZeroDivisionError

    running = serving(gate, fails)
    with tls(running.port) as sock:
        sock.sendall(GET)
        head, body = read_answer(sock)
        assert head.startswith("HTTP/1.1 500")
        assert "message" in json.loads(body)
        assert ask(sock, "/fine") == {}
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_s_headers_cannot_begin_others(gate: Start) -> None:
    running = serving(gate, lambda _: Response(status=204, headers={"X-A": "b\r\nX-Evil: 1"}, content_type=""))
    with tls(running.port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_to_end(sock) == b"HTTP/1.1 204 No Content\r\nConnection: close\r\nX-A: b  X-Evil: 1\r\n\r\n"


class TestFiles:
    CONTENT = bytes(range(251)) * 12_000  # 3 MB, and no multiple of a piece

    @pytest.fixture
    def running(self, gate: Start, tmp_path: Path) -> RunningGate:
        (tmp_path / "file").write_bytes(self.CONTENT)
        (tmp_path / "empty").write_bytes(b"")

        def handler(request: Request) -> Response:
            offset, length = request.query.get("offset", "0"), request.query.get("length")
            body = FileBody(tmp_path / request.path[1:], int(offset), None if length is None else int(length))
            return Response(file=body, content_type="application/octet-stream")

        return serving(gate, handler)

    def fetch(self, running: RunningGate, target: str, method: str = "GET") -> tuple[str, bytes]:
        with tls(running.port) as sock:
            sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            head, _, body = read_to_end(sock).partition(b"\r\n\r\n")
        return head.decode(), body

    def test_whole_and_in_part(self, running: RunningGate) -> None:
        assert self.fetch(running, "/file")[1] == self.CONTENT
        assert self.fetch(running, "/file?offset=1000000&length=70000")[1] == self.CONTENT[1_000_000:1_070_000]
        assert self.fetch(running, "/file?offset=99999999")[1] == b""
        assert self.fetch(running, "/empty")[1] == b""

    def test_a_missing_one_is_a_404_and_a_head_has_no_body(self, running: RunningGate) -> None:
        head, body = self.fetch(running, "/missing")
        assert head.startswith("HTTP/1.1 404")
        assert b"message" in body
        head, body = self.fetch(running, "/file", "HEAD")
        assert f"Content-Length: {len(self.CONTENT)}" in head
        assert body == b""

    def test_a_reader_that_stops_holds_no_memory_and_the_next_request_waits_its_turn(
        self, running: RunningGate
    ) -> None:
        with tls(running.port) as sock:
            sock.sendall(b"GET /file HTTP/1.1\r\nHost: h\r\n\r\nGET /empty HTTP/1.1\r\nHost: h\r\n\r\n")
            time.sleep(0.3)
            (connection,) = running.gate.connections
            transport = connection.transport
            assert transport is not None
            assert transport.get_write_buffer_size() <= 512 * 1024
            _, body = read_answer(sock)
            assert body[: len(self.CONTENT)] == self.CONTENT
            if len(body) == len(self.CONTENT):
                assert read_answer(sock)[1] == b""

    def test_a_reader_that_never_reads_is_cut_off(self, gate: Start, tmp_path: Path) -> None:
        (tmp_path / "big").write_bytes(bytes(40_000_000))
        limits = HttpLimits(write_seconds=0.3)
        running = serving(gate, lambda _: Response(file=FileBody(tmp_path / "big")), limits=limits)
        with tls(running.port) as sock:
            sock.sendall(GET)
            until(lambda: len(running.gate.connections) == 1)
            until(lambda: len(running.gate.connections) == 0)
