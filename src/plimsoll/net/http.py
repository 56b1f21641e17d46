"""A small HTTP/1.1 server protocol for the ports where only our own programs talk: 4118, 4120 and 4122.

Rules of this file: one reading of every request, or none (what another parser could read differently is refused:
request smuggling); every size and time is bounded; one request at a time, in order; an answer is one write.
"""

from __future__ import annotations

import asyncio
import json
import logging
import mmap
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from plimsoll.net.http_head import Head, HeadError, find_head, parse_head

if TYPE_CHECKING:
    from plimsoll.net.connection import Connection

_log = logging.getLogger(__name__)

_REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 302: "Found",
    304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
    413: "Content Too Large", 416: "Range Not Satisfiable", 417: "Expectation Failed", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
}  # fmt: skip

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: What may wait behind a request that is being answered; more is left in the socket.
_PIPELINE = 64 * 1024
#: A file goes out in turns of this size, among all that are sent: some two milliseconds. Smaller ones cost a third more
#: of the CPU where many are sent at once, since each connection's socket is hardly ever filled (make bench).
_TURN = 2 << 20
_SWEEP = 1.0


@dataclass(slots=True)
class FileBody:
    """A file, or `length` bytes of it from `offset`, as the body.

    Such a file must be replaced by renaming, never shortened in place: it is mapped into memory while it is sent.
    """

    path: str | Path
    offset: int = 0
    length: int | None = None


@dataclass(slots=True)
class Request:
    """A whole request. Header names are in lower case; repeated ones are joined with a comma."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: Connection


@dataclass(slots=True)
class StreamBody:
    """A body of known length that is still coming in. Where it fails, the connection ends before the length is reached:
    the peer sees that it was cut off.
    """

    length: int
    pieces: AsyncIterator[bytes | memoryview]


@dataclass(slots=True)
class Response:
    """An answer. With `file` or `stream` that is the body, and `body` is not looked at.

    `finished` is called once such a body is sent, or cannot be.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    file: FileBody | None = None
    stream: StreamBody | None = None
    finished: Callable[[], None] | None = None

    @property
    def long(self) -> bool:
        """Whether the body is sent piece by piece."""
        return self.file is not None or self.stream is not None


#: A handler that has its answer at hand returns it as it is, which saves a task.
Handler = Callable[[Request], Awaitable[Response] | Response]


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Times in seconds: for a request to arrive whole, for a silent connection, for a peer that takes no answer."""

    head_bytes: int = 16 * 1024
    request_seconds: float = 30.0
    idle_seconds: float = 75.0
    write_seconds: float = 30.0


def problem(status: int, message: str) -> Response:
    """An error in the form that every door uses."""
    return Response(status, json.dumps({"message": message}).encode())


class HttpProtocol(asyncio.Protocol):
    """Reads requests from one connection and answers them with `handler`."""

    __slots__ = (
        "__weakref__",
        "_begun",
        "_body_at",
        "_buffer",
        "_busy",
        "_closing",
        "_connection",
        "_deadline",
        "_handler",
        "_head",
        "_limits",
        "_loop",
        "_max_body",
        "_task",
        "_transport",
        "_writable",
    )

    def __init__(
        self,
        handler: Handler,
        connection: Connection,
        max_body: int = 1 << 20,
        limits: HttpLimits = HttpLimits(),
    ) -> None:
        self._handler = handler
        self._connection = connection
        self._max_body = max_body
        self._limits = limits
        self._buffer = b""
        self._head: Head | None = None  # of the request whose body is awaited
        self._body_at = 0
        self._begun = False
        self._busy = False  # inside the handler's own call
        self._task: asyncio.Task[None] | None = None
        self._writable: asyncio.Event | None = None
        self._closing = False
        self._transport: asyncio.Transport

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + self._limits.request_seconds
        _watch(self._loop, self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._task is not None:
            self._task.cancel()
        if self._writable is not None:
            self._writable.set()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._deadline = self._loop.time() + self._limits.write_seconds

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        self._deadline = self._loop.time() + self._limits.idle_seconds

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._task is None:
            self._advance()
        elif len(self._buffer) > _PIPELINE:
            self._transport.pause_reading()

    def shutdown(self) -> None:
        """Finish the answer in flight, then close."""
        if self._task is None and not self._busy and not self._buffer:
            self._close()
        else:
            self._closing = True

    # -- one request after the other

    def _advance(self) -> None:
        """Answer what the buffer holds whole."""
        while self._buffer and self._task is None and not self._transport.is_closing():
            try:
                if not self._step():
                    if not self._begun:
                        # The limit runs from a request's first byte, so that no trickle extends it.
                        self._begun = True
                        self._deadline = self._loop.time() + self._limits.request_seconds
                    return
            except HeadError as error:
                self._refuse(error.status, str(error))
                return

    def _step(self) -> bool:
        """Read one request and begin its answer. False where it is not whole yet."""
        head = self._head
        if head is None:
            end = find_head(self._buffer, self._limits.head_bytes)
            if end < 0:
                return False
            head = self._head = parse_head(self._buffer[: end - 4])
            self._body_at = end
            if head.length > self._max_body:
                raise HeadError(413, f"the body has {head.length} bytes; the limit is {self._max_body}")
            if head.expects_continue and len(self._buffer) < end + head.length:
                self._transport.write(_CONTINUE)
        end = self._body_at + head.length
        buffer = self._buffer
        if len(buffer) < end:
            return False
        self._head = None
        self._begun = False
        self._buffer = buffer[end:] if len(buffer) > end else b""
        self._answer(head, buffer[self._body_at : end])
        return True

    def _answer(self, head: Head, body: bytes) -> None:
        path, _, query = head.target.partition("?")
        request = Request(
            head.method,
            unquote(path) if "%" in path else path,
            dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            head.headers,
            body,
            self._connection,
        )
        self._busy = True
        try:
            answer = self._handler(request)
        except Exception as error:  # noqa: BLE001 - it is logged with its trace
            answer = _failed(request, error)
        self._busy = False
        if isinstance(answer, Response) and not answer.long:
            self._send(head, answer)
            return
        # Until it is answered, the time limit is the application's; its own work has limits of its own.
        self._deadline = float("inf")
        self._task = self._loop.create_task(self._answer_later(head, request, answer), name="http-answer")

    async def _answer_later(self, head: Head, request: Request, answer: Awaitable[Response] | Response) -> None:
        try:
            if not isinstance(answer, Response):
                try:
                    answer = await answer
                except Exception as error:  # noqa: BLE001 - it is logged with its trace
                    answer = _failed(request, error)
            try:
                if self._transport.is_closing():
                    return
                if answer.file is not None:
                    await self._send_file(head, answer, answer.file)
                elif answer.stream is not None:
                    await self._send_stream(head, answer, answer.stream)
                else:
                    self._send(head, answer)
            finally:
                if answer.finished is not None:
                    answer.finished()
        finally:
            self._task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._advance()

    def _send(self, head: Head, answer: Response) -> None:
        body = b"" if head.method == "HEAD" else answer.body
        keep = head.keep_alive and not self._closing
        self._deadline = self._loop.time() + self._limits.idle_seconds
        self._transport.write(_head_bytes(answer, len(answer.body), keep) + body)
        if not keep:
            self._close()

    async def _send_file(self, head: Head, answer: Response, body: FileBody) -> None:
        try:
            mapped, size = _map(Path(body.path))
        except OSError as error:
            _log.error("cannot send %s: %s", body.path, error)
            self._send(head, problem(404, "this file cannot be read here; ask again or ask another source"))
            return
        start = min(max(body.offset, 0), size)
        end = size if body.length is None else min(size, start + max(body.length, 0))
        keep = head.keep_alive
        self._transport.write(_head_bytes(answer, end - start, keep and not self._closing))
        # Nothing is closed here: what the transport still has to send keeps the mapping alive.
        view = memoryview(mapped)
        at = end if head.method == "HEAD" else start
        while at < end and not self._transport.is_closing():
            self._transport.write(view[at : min(at + _TURN, end)])
            at += _TURN
            if self._writable is not None:
                await self._writable.wait()
            else:
                await asyncio.sleep(0)  # a fast reader must not keep the loop for a whole file
        self._deadline = self._loop.time() + self._limits.idle_seconds
        if not keep or self._closing:
            self._close()

    async def _send_stream(self, head: Head, answer: Response, body: StreamBody) -> None:
        self._transport.write(_head_bytes(answer, body.length, head.keep_alive and not self._closing))
        left = body.length
        try:
            if head.method != "HEAD":
                async for piece in body.pieces:
                    if self._transport.is_closing():
                        return
                    self._transport.write(piece[:left])
                    left -= min(left, len(piece))
                    if not left:
                        break
                    if self._writable is not None:
                        await self._writable.wait()
        except Exception as error:  # noqa: BLE001 - the peer must see that it has not got all
            _log.warning("an answer was cut off with %d bytes to go: %s", left, error)
        if head.method != "HEAD" and left:
            self._transport.abort()
            return
        self._deadline = self._loop.time() + self._limits.idle_seconds
        if not head.keep_alive or self._closing:
            self._close()

    def _refuse(self, status: int, message: str) -> None:
        # What follows an unreadable request cannot be read either.
        self._buffer = b""
        answer = problem(status, message)
        self._transport.write(_head_bytes(answer, len(answer.body), False) + answer.body)
        self._close()

    def _close(self) -> None:
        self._closing = True
        # A peer that takes nothing must not hold what is left in the buffer.
        self._deadline = self._loop.time() + self._limits.write_seconds
        self._transport.close()

    def overdue(self, now: float) -> bool:
        """End the connection if its time is up. True where it has ended, by this or otherwise."""
        if now < self._deadline:
            return False
        transport = self._transport
        if self._writable is not None or transport.get_write_buffer_size() or transport.is_closing():
            transport.abort()
        elif self._buffer:
            self._refuse(408, "the request did not arrive in time")
            return False
        else:
            transport.close()
        return True


def _map(path: Path) -> tuple[mmap.mmap, int]:
    with path.open("rb") as file:
        size = path.stat().st_size
        if not size:
            return mmap.mmap(-1, 1), 0  # an empty file cannot be mapped
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ), size


_PLAIN: dict[tuple[int, str, bool], str] = {}


def _head_bytes(answer: Response, length: int, keep: bool) -> bytes:
    key = (answer.status, answer.content_type, keep)
    plain = _PLAIN.get(key)
    if plain is None:
        plain = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}\r\n"
        if answer.content_type:
            plain += f"Content-Type: {answer.content_type}\r\n"
        if not keep:
            plain += "Connection: close\r\n"
        if len(_PLAIN) < 512:
            _PLAIN[key] = plain
    size = "" if answer.status in (204, 304) else f"Content-Length: {length}\r\n"
    if not answer.headers:
        return f"{plain}{size}\r\n".encode("latin-1")
    lines = "".join([f"{name}: {_one_line(value)}\r\n" for name, value in answer.headers.items()])
    return f"{plain}{lines}{size}\r\n".encode("latin-1", "replace")


def _one_line(value: str) -> str:
    """A header's value that came from elsewhere must not begin another header."""
    return value.replace("\r", " ").replace("\n", " ")


def _failed(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, "an internal error; it is in the log, and nothing more was changed")


class _Watch:
    """One timer for all connections of a loop: a timer each would cost more than a kept-alive request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.protocols: weakref.WeakSet[HttpProtocol] = weakref.WeakSet()
        self._loop = loop
        self._armed = False

    def add(self, protocol: HttpProtocol, every: float) -> None:
        self.protocols.add(protocol)
        if not self._armed:
            self._armed = True
            self._loop.call_later(every, self._look, every)

    def _look(self, every: float) -> None:
        now = self._loop.time()
        for protocol in [p for p in self.protocols if p.overdue(now)]:
            self.protocols.discard(protocol)
        self._armed = bool(self.protocols)
        if self._armed:
            self._loop.call_later(every, self._look, every)


_watches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = weakref.WeakKeyDictionary()


def _watch(loop: asyncio.AbstractEventLoop, protocol: HttpProtocol) -> None:
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch(loop)
    watch.add(protocol, _SWEEP)
