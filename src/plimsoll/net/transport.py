"""TLS as an asyncio transport directly on a non-blocking socket.

asyncio's own TLS transport allocates 256 KiB per connection, reaches the peer only through its own buffers, and shows
a bare end of file where a handshake must end with an alert. Here OpenSSL reads and writes the socket itself. A
decision record has the figures.

Rules of this file: nothing is sent in plain text once the handshake's keys are in use; data that the application gave
is sent before the end is announced; the peer sees close_notify and FIN, never a reset of our making, unless the
application aborts.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import mmap
import socket
import ssl
import termios
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

#: One TLS record's plaintext: no read returns more, so a shorter answer means that the socket is empty.
_RECORD = 16_384
#: How many records one connection may bring before the others get their turn.
_READS_IN_A_ROW = 8
#: What is given to OpenSSL in one call; longer data would keep the loop too long.
_PIECE = 512 * 1024
_HIGH_WATER = 64 * 1024
#: A peer that takes nothing of what waits for it for this time, in seconds, is gone or means harm.
STALL = 60.0

_Bytes = bytes | bytearray | memoryview


class TransportOwner(Protocol):
    """Whoever opened the transport and decides about it."""

    def established(self) -> asyncio.Protocol | None:
        """The handshake ended. The protocol to use, or None where the connection must end at once."""

    def failed(self, error: Exception) -> None:
        """The handshake failed; OpenSSL has sent its alert. Called once, instead of `established`."""

    def closed(self) -> None:
        """The transport is done with its socket. Called once, last."""


class TlsTransport(asyncio.Transport):
    """One server-side connection from its handshake to its end."""

    __slots__ = (
        "_buffer",
        "_buffered",
        "_closing",
        "_extra_info",
        "_fd",
        "_handshaking",
        "_high",
        "_linger",
        "_loop",
        "_lost",
        "_low",
        "_owner",
        "_paused",
        "_peer_ended",
        "_protocol",
        "_protocol_paused",
        "_reading",
        "_sent",
        "_sock",
        "_stall",
        "_writing",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: ssl.SSLSocket,
        owner: TransportOwner,
        linger: Callable[[socket.socket], None],
        extra: dict[str, Any],
        watched: bool = False,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._owner = owner
        self._linger = linger
        self._extra_info = extra
        self._protocol: asyncio.Protocol | None = None
        self._handshaking = True
        self._reading = False  # a reader is registered with the loop
        self._writing = False  # a writer is registered with the loop
        self._paused = False
        self._closing = False
        self._lost = False
        self._peer_ended = False
        self._protocol_paused = False
        self._buffer: deque[memoryview] = deque()
        self._buffered = 0
        self._sent = 0  # counts bytes taken from the buffer, so that a stall shows
        self._stall: asyncio.TimerHandle | None = None
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        if watched:
            # Taking over a reader is cheaper than removing it and adding another.
            self._reading = True
            loop.add_reader(self._fd, self._on_readable)

    # -- the handshake

    def start(self) -> None:
        """Begin the handshake with what has arrived."""
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._want(read=True, write=False)
        except ssl.SSLWantWriteError:
            self._want(read=False, write=True)
        except (ssl.SSLError, OSError) as error:
            self._fail(error)
        else:
            self._established()

    def _established(self) -> None:
        self._handshaking = False
        if self._writing:
            self._want(read=self._reading, write=False)
        protocol = self._owner.established()
        if protocol is None:
            self._end()
            return
        self._protocol = protocol
        protocol.connection_made(self)
        # In TLS 1.3 the request usually arrives together with the end of the handshake.
        if not self._closing and not self._paused:
            self._want(read=True, write=self._writing)
            self._on_readable()

    def _fail(self, error: Exception) -> None:
        self._handshaking = False
        self._lost = self._closing = True
        self._owner.failed(error)
        self._release(notify=False)

    def end_handshake(self, last_words: bytes) -> bool:
        """Break off a handshake that is under way with an alert in plain text, and FIN.

        False where the alert could not be given: OpenSSL had half a record under way.
        """
        if not self._handshaking or self._lost:
            return False
        clean = not self._writing
        self._handshaking = False
        self._lost = self._closing = True
        if clean and last_words:
            try:
                # Around OpenSSL: as long as it has not sent ChangeCipherSpec, the peer reads plain records.
                socket.socket.send(self._sock, last_words)
            except OSError:
                clean = False
        self._release(notify=False)
        return clean

    # -- the loop's calls

    def _want(self, *, read: bool, write: bool) -> None:
        if read != self._reading:
            self._reading = read
            if read:
                self._loop.add_reader(self._fd, self._on_readable)
            else:
                self._loop.remove_reader(self._fd)
        if write != self._writing:
            self._writing = write
            if write:
                self._loop.add_writer(self._fd, self._on_writable)
            else:
                self._loop.remove_writer(self._fd)

    def _on_readable(self) -> None:
        if self._handshaking:
            self.start()
            return
        for _ in range(_READS_IN_A_ROW):
            if self._closing or self._paused:
                return
            try:
                data = self._sock.recv(_RECORD)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except (ssl.SSLError, OSError) as error:
                self._lose(error)
                return
            if not data:
                self._on_end_of_peer()
                return
            assert self._protocol is not None
            self._protocol.data_received(data)
            if len(data) < _RECORD and not self._sock_pending():
                return

    def _sock_pending(self) -> int:
        return 0 if self._lost else self._sock.pending()

    def _on_end_of_peer(self) -> None:
        self._peer_ended = True
        self._want(read=False, write=self._writing)
        assert self._protocol is not None
        # TLS has no half-closed state that HTTP would use: whatever the protocol answers, this is the end, but what
        # is still in the buffer is sent first.
        self._protocol.eof_received()
        self.close()

    def _on_writable(self) -> None:
        if self._handshaking:
            self._want(read=True, write=False)
            self.start()
            return
        if not self._flush():
            return
        self._want(read=self._reading, write=False)
        if self._closing:
            self._end()

    def _flush(self) -> bool:
        """Send from the buffer. True where it is empty now."""
        buffer = self._buffer
        while buffer:
            piece = buffer[0]
            try:
                # OpenSSL wants the same bytes again after "not now"; it is all or nothing, so a piece stays whole.
                sent = self._sock.send(piece)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._resume_protocol()
                return False
            except (ssl.SSLError, OSError) as error:
                self._lose(error)
                return False
            self._buffered -= sent
            self._sent += sent
            buffer.popleft()
            if sent < len(piece):
                buffer.appendleft(piece[sent:])
        self._resume_protocol()
        # What resumed may have written again.
        return not self._buffer

    # -- writing

    def write(self, data: _Bytes) -> None:
        """Send the data; what the socket does not take now is sent later, in order."""
        if self._closing or not data:
            return
        if not self._buffer and len(data) <= _PIECE:
            try:
                sent = self._sock.send(data)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                sent = 0
            except (ssl.SSLError, OSError) as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            self._put(_kept(data)[sent:])
        else:
            self._put(_kept(data))
            if not self._writing and not self._flush() and self._lost:
                return
        if self._buffer:
            self._want(read=self._reading, write=True)
            self._pause_protocol()
            if self._stall is None:
                self._stall = self._loop.call_later(STALL, self._look_for_progress, self._progress())

    def _progress(self) -> tuple[int, bytes]:
        """What changes when the peer takes something: our own count moves in steps too large for a slow line."""
        return self._sent, fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4))

    def _look_for_progress(self, before: tuple[int, bytes]) -> None:
        self._stall = None
        if self._buffer:
            now = self._progress()
            if now == before:
                self.abort()
            else:
                self._stall = self._loop.call_later(STALL, self._look_for_progress, now)

    def _put(self, data: memoryview) -> None:
        self._buffered += len(data)
        for start in range(0, len(data), _PIECE):
            self._buffer.append(data[start : start + _PIECE])

    def writelines(self, list_of_data: Iterable[_Bytes]) -> None:
        """Send all of them as one."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        raise RuntimeError("TLS has no half-closed connections here; can_write_eof() says so")

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low at least 0")
        self._high, self._low = high, low
        if not self._closing:
            self._pause_protocol()

    def _pause_protocol(self) -> None:
        if self._buffered > self._high and not self._protocol_paused and self._protocol is not None:
            self._protocol_paused = True
            self._protocol.pause_writing()

    def _resume_protocol(self) -> None:
        if self._protocol_paused and self._buffered <= self._low and self._protocol is not None:
            self._protocol_paused = False
            self._protocol.resume_writing()

    # -- reading

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            self._want(read=False, write=self._writing)

    def resume_reading(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            self._want(read=True, write=self._writing)
            if self._sock.pending():
                # What OpenSSL has taken from the socket already, the socket will not announce again.
                self._loop.call_soon(self._on_readable)

    # -- who and what

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name in self._extra_info:
            return self._extra_info[name]
        if name in ("ssl_object", "peercert", "cipher", "sslcontext", "sockname"):
            if name == "ssl_object":
                return self._sock
            if name == "sslcontext":
                return self._sock.context
            if self._lost:
                return default
            if name == "sockname":
                return self._sock.getsockname()
            return self._sock.getpeercert() if name == "peercert" else self._sock.cipher()
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("this transport drives streaming protocols only")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        if self._protocol is None:
            raise RuntimeError("the handshake has not ended yet")
        return self._protocol

    @property
    def handshaking(self) -> bool:
        """True until the handshake ended, well or not."""
        return self._handshaking

    # -- the end

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Send what is in the buffer, then close_notify and FIN."""
        if self._closing:
            return
        self._closing = True
        if self._handshaking:
            self._handshaking = False
            self._lost = True
            self._release(notify=False)
        elif self._buffer:
            self._want(read=False, write=True)
        else:
            self._end()

    def abort(self) -> None:
        """Close without sending what is in the buffer."""
        if not self._lost:
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        self._end(None if isinstance(error, ConnectionError | ssl.SSLError) else error, notify=False)

    def _end(self, error: Exception | None = None, *, notify: bool = True) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._handshaking = False
        self._buffer.clear()
        self._buffered = 0
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._release(notify=notify)
        protocol, self._protocol = self._protocol, None  # no cycle: what is done is freed at once
        if protocol is not None:
            self._loop.call_soon(protocol.connection_lost, error)

    def _peer_is_gone(self) -> bool:
        """True where the peer has ended the connection too, not only TLS: then nobody reads a close_notify."""
        try:
            return not socket.socket.recv(self._sock, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _release(self, *, notify: bool) -> None:
        """Take the socket from loop and OpenSSL, and hand it to whoever lets it run dry."""
        self._want(read=False, write=False)
        sock = self._sock
        if notify and not (self._peer_ended and self._peer_is_gone()):
            # It sends our close_notify and then, with nothing to read, says so: there is no waiting for the peer's.
            with contextlib.suppress(ssl.SSLError, OSError, ValueError):
                sock.unwrap()
        try:
            raw = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
        except OSError:
            sock.close()
        else:
            if self._peer_ended:
                raw.close()
            else:
                self._linger(raw)
        self._owner.closed()


def _kept(data: _Bytes) -> memoryview:
    """What has to wait: a buffer that the caller may change later is kept as it is now, a mapped file as it is."""
    if isinstance(data, memoryview) and isinstance(data.obj, mmap.mmap) and data.readonly:
        return data
    return memoryview(data if isinstance(data, bytes) else bytes(data))
