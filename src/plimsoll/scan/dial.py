"""The only code of a scan with sockets: one epoll loop that opens connections, says a hello, and reads one answer.

Every stage has its deadline: the connect, the first byte, and the whole answer, so that neither silence nor one byte a
second nor records without end hold it up. A connection is closed by a reset: what else the server would say is of no
interest, and no port is left waiting; only a conversation ends in order.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plimsoll.scan.asking import SHOWN_BYTES, Answer, Ask, Conversation, Kind, Want
from plimsoll.scan.foreign import name_of
from plimsoll.scan.resolve import Address, Resolved, Resolver
from plimsoll.tls.flight import FlightReader
from plimsoll.tls.records import HelloError, Reason
from plimsoll.tls.sslv2 import Ssl2Error, Ssl2Reader
from plimsoll.tls.starttls import Opening, OpeningError

_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLIN | select.EPOLLOUT
_LINGER: Final = struct.pack("ii", 1, 0)
_ORDERLY: Final = struct.pack("ii", 0, 0)
_STREAM: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
#: An answer is a few kilobytes.
_READ: Final = 16384
#: How often deadlines are looked at.
_TICK: Final = 0.05
#: Errors of our own machine, not of the peer: wait and try again.
_STARVED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_STARVED_FOR: Final = 30.0
_RESET: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})

OpeningMaker = Callable[[], Opening]


@dataclass(slots=True, eq=False, repr=False)
class Attempt:
    """One connection to make. `deliver` is called once, from `Dialler.poll`, with its answer."""

    address: Address
    ask: Ask
    deliver: Callable[[Attempt, Answer], None]
    opening: OpeningMaker | None = None
    connect: float = 5.0
    first_byte: float = 5.0
    whole: float = 15.0


class Dialler:
    """The loop. `dial` starts an attempt, `poll` turns the loop once and delivers answers."""

    def __init__(self, local_address: str = "") -> None:
        self.connections = 0
        self._local = local_address
        self._poll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wakeup, _IN)
        self._lines: dict[int, _Line] = {}
        self._done: deque[tuple[Attempt, Answer]] = deque()
        self._starved: deque[tuple[float, Attempt]] = deque()
        self._next_tick = 0.0
        self._resolver: Resolver | None = None

    @property
    def busy(self) -> int:
        """Attempts that have not been delivered yet."""
        return len(self._lines) + len(self._done) + len(self._starved)

    def resolve(self, host: str, port: int, deliver: Resolved) -> None:
        """Look a name up; the answer is delivered from `poll`."""
        if self._resolver is None:
            self._resolver = Resolver(lambda: os.eventfd_write(self._wakeup, 1))
        self._resolver.ask(host, port, deliver)

    def dial(self, attempt: Attempt) -> None:
        """Start an attempt. It is never delivered from within this call."""
        if self._starved:
            self._starved.append((time.monotonic(), attempt))
        else:
            self._start(attempt, None)

    def poll(self, timeout: float) -> None:
        """Wait for at most that long (less where a deadline or an answer is due), and deliver what has come."""
        if self._done:
            timeout = 0.0
        elif self._lines or self._starved:
            timeout = min(timeout, _TICK)
        elif self._resolver is not None and self._resolver.pending:
            timeout = min(timeout, 0.5)
        lines = self._lines
        for descriptor, _ in self._poll.poll(timeout, 256):
            line = lines.get(descriptor)
            if line is not None:
                line.go_on()
            elif descriptor == self._wakeup:
                os.eventfd_read(self._wakeup)
        now = time.monotonic()
        if now >= self._next_tick:
            self._tick(now)
        if self._resolver is not None:
            self._resolver.collect(now)
        for _ in range(len(self._done)):
            attempt, answer = self._done.popleft()
            attempt.deliver(attempt, answer)

    def close(self) -> None:
        """Drop all connections and answers."""
        for line in list(self._lines.values()):
            line.socket.close()
        self._lines.clear()
        self._done.clear()
        self._starved.clear()
        if self._resolver is not None:
            self._resolver.close()
        self._poll.close()
        os.close(self._wakeup)

    def _tick(self, now: float) -> None:
        self._next_tick = now + _TICK
        for line in [line for line in self._lines.values() if line.deadline <= now]:
            line.late()
        for _ in range(len(self._starved)):
            since, attempt = self._starved.popleft()
            if not self._start(attempt, since):
                break

    def _start(self, attempt: Attempt, since: float | None) -> bool:
        family, address = attempt.address
        sock = None
        try:
            sock = socket.socket(family, _STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            if self._local and (":" in self._local) == (family == socket.AF_INET6):
                sock.bind((self._local, 0))
            number = sock.connect_ex(address)
        except OSError as error:
            number = error.errno or errno.EINVAL
        except (OverflowError, ValueError):
            number = errno.EINVAL
        if number in (0, errno.EINPROGRESS) and sock is not None:
            self.connections += 1
            line = _Line(self, attempt, sock, time.monotonic())
            self._lines[sock.fileno()] = line
            line.begin()
            return True
        if sock is not None:
            sock.close()
        now = time.monotonic()
        if number in _STARVED and now - (since or now) < _STARVED_FOR:
            self._starved.appendleft((since or now, attempt))
            return False
        self.finish(attempt, _failed(number, connected=False))
        return True

    def finish(self, attempt: Attempt, answer: Answer) -> None:
        """Deliver that answer with the next turn of the loop."""
        self._done.append((attempt, answer))

    def listen(self, line: _Line, new: bool, writing: bool) -> None:
        """Wait for a connection's bytes, and for room to write where that is wanted."""
        if new:
            self._poll.register(line.socket, _OUT if writing else _IN)
        else:
            self._poll.modify(line.socket, _OUT if writing else _IN)

    def drop(self, line: _Line) -> None:
        """Forget a connection and close it."""
        del self._lines[line.socket.fileno()]
        line.socket.close()


def _failed(number: int, connected: bool) -> Answer:
    text = os.strerror(number)
    if number in _RESET:
        return Answer(Kind.RESET, detail="" if connected else "while connecting")
    if number == errno.ECONNREFUSED:
        return Answer(Kind.REFUSED_CONNECT)
    return Answer(Kind.RESET if connected else Kind.UNREACHABLE, detail=text)


class _Line:
    """One connection: connect, the opening where there is one, the hello, the answer."""

    __slots__ = (
        "_first", "_got", "_listening", "_out", "_peer", "_reader", "_started", "_state", "_whole",
        "attempt", "deadline", "dialler", "opening", "socket",
    )  # fmt: skip

    def __init__(self, dialler: Dialler, attempt: Attempt, sock: socket.socket, now: float) -> None:
        self.dialler = dialler
        self.attempt = attempt
        self.socket = sock
        self.opening: Opening | None = None
        self.deadline = now + attempt.connect
        self._whole = now + attempt.whole
        self._started = now
        self._state = "connect"
        self._out = b""
        self._first = b""
        self._got = 0
        self._listening: bool | None = None
        self._peer: Conversation | None = None
        self._reader: FlightReader | Ssl2Reader | None = None

    def begin(self) -> None:
        """Say the first word at once: on a near network the connection is there before anyone waited for it."""
        attempt = self.attempt
        if attempt.opening is not None:
            try:
                self.opening = attempt.opening()
                self._out = self.opening.start()
            except OpeningError as error:
                self._end(Answer(Kind.OPENING_FAILED, detail=str(error)))
                return
            self._watch(True)
        else:
            self._speak()
            self._write()

    def go_on(self) -> None:
        """Something can be read or written, or the connection broke."""
        if (self._state == "connect" or self._out) and not self._write():
            return
        if self._state != "connect":
            self._read()

    def late(self) -> None:
        """The deadline has passed."""
        if self._state == "connect":
            self._end(Answer(Kind.UNREACHABLE, detail="no connection in time"))
        elif self._state == "opening":
            self._end(Answer(Kind.TIMEOUT, detail="the protocol before TLS fell silent"))
        else:
            self._end(self._cut_off(Kind.TIMEOUT, f"{self._got} bytes came, not the whole answer" if self._got else ""))

    def _speak(self) -> None:
        """Make the hello ready to send."""
        ask = self.attempt.ask
        if ask.want is Want.TALK:
            assert ask.peer is not None, "an Ask that talks needs its peer"
            self._peer = ask.peer()
            data = self._peer.start()
        else:
            self._reader = Ssl2Reader() if ask.hello[0] & 0x80 else FlightReader(ask.want is Want.FLIGHT)
            data = ask.hello
        self._out += data if self.opening is None else self.opening.wrap(data)

    def _watch(self, writing: bool) -> None:
        if self._listening is not writing:
            self.dialler.listen(self, self._listening is None, writing)
            self._listening = writing

    def _write(self) -> bool:
        """Send what is to be sent; False where the connection is gone or does not take it yet."""
        try:
            if self._out:
                sent = self.socket.send(self._out)
                self._out = self._out[sent:]
            elif self._state == "connect":
                number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, os.strerror(number))
        except BlockingIOError:
            self._watch(True)
            return False
        except OSError as error:
            self._broken(error)
            return False
        if self._state == "connect":
            self._connected()
        self._watch(bool(self._out))
        return True

    def _connected(self) -> None:
        now = time.monotonic()
        if self.opening is None:
            self._state = "answer"
            self.deadline = min(self._whole, now + self.attempt.first_byte)
        else:
            self._state = "opening"
            self.deadline = now + self.attempt.whole

    def _read(self) -> None:
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if len(self._first) < SHOWN_BYTES:
            self._first += data[: SHOWN_BYTES - len(self._first)]
        if not data:
            self._closed()
            return
        try:
            if self.opening is not None:
                data = self._unwrapped(data)
            if data and self._state == "answer":
                self._take(data)
        except OpeningError as error:
            self._end(Answer(Kind.OPENING_FAILED, detail=str(error)))
        except HelloError as error:
            self._end(self._garbled(error))

    def _unwrapped(self, data: bytes) -> bytes:
        """What of the data is TLS. Moves on to the hello when the opening is through."""
        opening = self.opening
        assert opening is not None
        if self._state == "answer":
            return opening.unwrap(data)
        self._out += opening.feed(data)
        if opening.ready:
            self._state = "answer"
            now = time.monotonic()
            self._whole = now + self.attempt.whole
            self.deadline = min(self._whole, now + self.attempt.first_byte)
            self._first = b""
            self._speak()
        if self._out:
            self._write()
        return b""

    def _take(self, data: bytes) -> None:
        if not self._got:
            self.deadline = self._whole
        self._got += len(data)
        if self._reader is not None:
            if self._reader.feed(data):
                self._end(self._found())
            return
        assert self._peer is not None
        out = self._peer.feed(data)
        if out and self.opening is not None:
            out = self.opening.wrap(out)
        if self._peer.done:
            self._part(self._out + out)
            self._end(Answer(Kind.TALKED, talk=self._peer))
        elif out:
            self._out += out
            self._write()

    def _part(self, last: bytes) -> None:
        """End a conversation in order: a server forgets the session of a client that resets the connection."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ORDERLY)
            if last:
                self.socket.send(last)

    def _found(self) -> Answer:
        reader = self._reader
        if isinstance(reader, FlightReader):
            if reader.hello is not None:
                return Answer(Kind.SERVER_HELLO, reader.hello, flight=reader.flight)
            return Answer(Kind.ALERT, alert=reader.alert)
        assert reader is not None
        if reader.hello is not None:
            return Answer(Kind.SSL2_HELLO, ssl2_kinds=reader.hello.kinds)
        return Answer(Kind.ALERT, alert=reader.alert)

    def _cut_off(self, kind: Kind, detail: str) -> Answer:
        """What is known where the answer broke off: a hello that came whole stays an answer."""
        reader = self._reader
        if self._peer is not None:
            self._peer.ended()
            if self._peer.done:
                return Answer(Kind.TALKED, talk=self._peer)
        if isinstance(reader, FlightReader) and reader.hello is not None:
            return Answer(Kind.SERVER_HELLO, reader.hello, flight=reader.flight, detail=f"then {kind.value}")
        if reader is not None and reader.alert is not None:
            return Answer(Kind.ALERT, alert=reader.alert)
        return Answer(kind, detail=detail, talk=self._peer)

    def _garbled(self, error: HelloError) -> Answer:
        reader = self._reader
        if isinstance(reader, FlightReader) and reader.hello is not None:
            return Answer(Kind.SERVER_HELLO, reader.hello, flight=reader.flight, detail=f"then {error}")
        if error.reason is Reason.NOT_TLS:
            return Answer(Kind.FOREIGN, detail=name_of(self._first), talk=self._peer)
        if isinstance(error, Ssl2Error):
            return Answer(Kind.SSL2_HELLO, detail=str(error))
        return Answer(Kind.FOREIGN, detail=str(error), talk=self._peer)

    def _closed(self) -> None:
        if self._state == "opening":
            self._end(Answer(Kind.EOF, detail="before the opening was through"))
        else:
            self._end(self._cut_off(Kind.EOF, f"after {self._got} bytes" if self._got else ""))

    def _broken(self, error: OSError) -> None:
        connected = self._state != "connect"
        answer = _failed(error.errno or errno.EIO, connected)
        self._end(self._cut_off(answer.kind, answer.detail) if connected else answer)

    def _end(self, answer: Answer) -> None:
        answer.first_bytes = self._first
        answer.elapsed = time.monotonic() - self._started
        self.dialler.drop(self)
        self.dialler.finish(self.attempt, answer)
