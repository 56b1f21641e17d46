"""A small HTTP/1.1 client over a TlsPipe, enough for the manager's and the relays' answers and for event streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plimsoll.testing.pipe import CLOSED, TLS, PeerError, TlsPipe


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `closing` says that the server will not take another request on this connection."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def closing(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"

    def json(self) -> Any:
        return json.loads(self.body)


class HttpPipe:
    """Requests, one after the other, over one connection."""

    def __init__(self, pipe: TlsPipe, host: str = "localhost") -> None:
        self.pipe = pipe
        self._host = host
        self._buffer = bytearray()

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends a request and reads the whole answer."""
        await self.send(method, path, body, headers)
        answer = await self.head()
        return Answer(answer.status, answer.headers, await self._body(answer))

    async def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Sends a request and does not wait for the answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        if body or method in {"POST", "PUT"}:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.pipe.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> Answer:
        """Reads the status line and headers of an answer; its body stays to be read."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._more()
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        try:
            return Answer(int(lines[0].split(" ")[1]), headers)
        except (IndexError, ValueError):
            raise PeerError(TLS, f"not an HTTP answer: {lines[0][:80]!r}") from None

    async def piece(self, size: int = 65536) -> bytes:
        """The next raw bytes of a body, or b"" at the end of the connection: for streams."""
        if self._buffer:
            data = bytes(self._buffer[:size])
            del self._buffer[:size]
            return data
        return await self.pipe.read(size)

    async def _body(self, answer: Answer) -> bytes:
        if answer.headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._chunks()
        return await self._take(int(answer.headers.get("content-length", "0")))

    async def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                await self._more()
            size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
            del self._buffer[: end + 2]
            body += await self._take(size)
            await self._take(2)
            if size == 0:
                return bytes(body)

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def _more(self) -> None:
        data = await self.pipe.read()
        if not data:
            raise PeerError(CLOSED, "the server closed the connection before the answer was complete")
        self._buffer += data
