"""The small client: whole answers, chunked ones, streams, and servers that end too early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import PeerError


class Wire:
    """Stands in for a TlsPipe: hands out what a server said, piece by piece, and keeps what was sent."""

    def __init__(self, data: bytes, piece: int) -> None:
        self.sent = b""
        self._pieces = [data[at : at + piece] for at in range(0, len(data), piece)]

    async def write(self, data: bytes) -> None:
        self.sent += data

    async def read(self, limit: int = 65536) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def over(data: bytes, piece: int, work: Callable[[HttpPipe], Coroutine[None, None, None]]) -> Wire:
    wire = Wire(data, piece)
    asyncio.run(work(HttpPipe(wire)))  # type: ignore[arg-type]  # has the two methods that are used
    return wire


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_two_answers_one_after_the_other(piece: int) -> None:
    async def work(http: HttpPipe) -> None:
        first = await http.request("POST", "/a", b"{}", {"X-Test": "1"})
        assert (first.status, first.json(), first.closing) == (200, {"a": 1}, False)
        second = await http.request("GET", "/b")
        assert (second.status, second.body, second.closing) == (503, b"", True)

    data = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}HTTP/1.1 503 No\r\nConnection: close\r\n\r\n'
    wire = over(data, piece, work)
    assert wire.sent.startswith(b"POST /a HTTP/1.1\r\n")
    assert b"Content-Length: 2\r\nX-Test: 1\r\n\r\n{}GET /b" in wire.sent


@pytest.mark.parametrize("piece", [1, 5, 4096])
def test_a_chunked_answer(piece: int) -> None:
    async def work(http: HttpPipe) -> None:
        assert (await http.request("GET", "/")).body == b"hello world"

    over(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n", piece, work)


def test_a_stream_is_read_as_it_comes() -> None:
    async def work(http: HttpPipe) -> None:
        await http.send("GET", "/stream")
        assert (await http.head()).status == 200
        heard = b""
        while piece := await http.piece():
            heard += piece
        assert heard == b"data: 1\n\ndata: 2\n\n"

    over(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\ndata: 2\n\n", 40, work)


@pytest.mark.parametrize(
    ("data", "reason"), [(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "closed"), (b"SSH-2.0\r\n\r\n", "tls")]
)
def test_an_answer_that_is_none(data: bytes, reason: str) -> None:
    async def work(http: HttpPipe) -> None:
        with pytest.raises(PeerError) as caught:
            await http.request("GET", "/")
        assert caught.value.reason == reason

    over(data, 4096, work)
