"""From accept to a decision: wait for the whole ClientHello, look at it, admit or refuse (design §4, steps 1 to 3).

Rules of this file: nothing is read that OpenSSL must see; a peer that sends nothing, or a byte now and then, wakes
nobody; every peer gets the gate's answer, never a reset.
"""

from __future__ import annotations

import socket

from plimsoll.net.connection import Connection
from plimsoll.net.deadlines import Deadlines
from plimsoll.net.keeper import Keeper, refusal_for
from plimsoll.net.linger import drain
from plimsoll.net.proxy import UNTRUSTED_HEADER, ProxyHeaderError, begins_proxy_header, peek_proxy_header
from plimsoll.net.refusals import Refusal
from plimsoll.net.sightings import Outcome
from plimsoll.tls.alerts import alert_record
from plimsoll.tls.floors import Point
from plimsoll.tls.hello import ClientHello, HelloError, Reason, peek_client_hello
from plimsoll.tls.versions import Version

#: The bytes that a hello needs before the first look is worth it: both its headers and its version. Every hello, every
#: request of plain HTTP and every PROXY header is longer.
FIRST_LOOK = 11
#: What is looked at unless more is known to be needed; nearly every hello is shorter.
_LOOK = 4096
#: A hello in this many pieces is only a way to cost us time.
_LOOKS = 64
#: Under memory pressure the kernel wakes us before the bytes are there; then we come back after this time.
_NAP = 0.1
_CLOSE_WAIT = 8

#: SSL2_MT_ERROR with NO_CIPHER_ERROR, in a record of SSL 2: what such a client can read.
_SSL2_ERROR = b"\x80\x03\x00\x00\x01"

_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)


class Arrival:
    """A peer whose hello is awaited."""

    __slots__ = (
        "_keeper",
        "_looks",
        "_pending",
        "_proxied",
        "_proxy",
        "_wanted",
        "address",
        "port",
        "sock",
        "waiting",
    )

    def __init__(
        self, keeper: Keeper, pending: Deadlines[Arrival], sock: socket.socket, peer: tuple[str, int], proxy: bool
    ) -> None:
        self._keeper = keeper
        self._pending = pending
        self._proxy = proxy  # it is a trusted proxy, whose header has not been read yet
        self._proxied = False
        self._wanted = FIRST_LOOK
        self._looks = 0
        #: The loop has a reader for it.
        self.waiting = False
        self.sock = sock
        self.address, self.port = peer

    def look(self) -> None:
        """Look at what has arrived, and decide or wait."""
        try:
            data = self.sock.recv(max(_LOOK, self._wanted), socket.MSG_PEEK)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self.drop()
            return
        if not data:
            self.drop()
        elif self.waiting and len(data) < self._wanted:
            self._woken_early()
        elif self._proxy:
            self._read_proxy_header(data)
        else:
            self._read_hello(data)

    def drop(self) -> None:
        """End it without an answer."""
        self._leave()
        self.sock.close()

    def expire(self) -> None:
        """Its time is up."""
        self._count(Outcome.TIMEOUT, "hello")
        self._end()

    # -- deciding

    def _read_hello(self, data: bytes) -> None:
        known = self._keeper.refusals.find(data)
        if known is not None and self._below_floor(known.newest):
            self._refuse(known)
            return
        try:
            found = peek_client_hello(data, self._keeper.limits.hello_bytes)
        except HelloError as error:
            self._turn_away(error, data)
            return
        if isinstance(found, int):
            self._wait_for(found)
        else:
            self._decide(found, data)

    def _below_floor(self, newest: Version | None) -> bool:
        keeper = self._keeper
        floor = keeper.board.snapshot.admits_from(keeper.point, self.address, keeper.now())
        return newest is None or newest.rank < floor.rank

    def _refuse(self, refusal: Refusal) -> None:
        keeper = self._keeper
        keeper.log.record(keeper.point, self.address, refusal.hello, Outcome.REFUSED, keeper.now(), kind=refusal.kind)
        self._end(refusal.answer)

    def _decide(self, hello: ClientHello, data: bytes) -> None:
        keeper = self._keeper
        if self._below_floor(hello.newest):
            self._refuse(keeper.refusals.keep(data, hello, refusal_for(hello)))
            return
        self._pending.discard(self)
        # OpenSSL reads a record's header first: with the old mark it would wait for bytes that need not come.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        Connection(keeper, hello, self.address, self.port).begin(self.sock, self._proxied, self.waiting)

    def _turn_away(self, error: HelloError, data: bytes) -> None:
        if error.reason is Reason.SSL2_ONLY:
            self._count(Outcome.REFUSED, "SSLv2 only")
            self._end(_SSL2_ERROR)
            return
        # A balancer that nobody named is the likeliest reason for which nothing comes in: it is told apart.
        proxied = not self._proxied and begins_proxy_header(data)
        self._count(Outcome.NOT_TLS, UNTRUSTED_HEADER if proxied else error.reason.value)
        if error.reason is Reason.PLAIN_HTTP and self._keeper.point is Point.GUI:
            port = self.sock.getsockname()[1]
            text = f"This port speaks HTTPS only. Begin the address with https:// as in https://this-host:{port}/\n"
            self._end(_HTTP_ANSWER % (len(text), text.encode()))
        else:
            self._end(b"" if error.alert is None else alert_record(error.alert))

    def _end(self, answer: bytes = b"") -> None:
        """Answer, and close so that the answer arrives."""
        self._leave()
        sock = self.sock
        try:
            # What was only peeked at is taken now: unread bytes would turn the close into a reset.
            drain(sock)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            return
        if answer:
            try:
                # With the end that follows it goes out as one segment.
                sock.send(answer, socket.MSG_MORE)
            except OSError:
                sock.close()
                return
        self._keeper.linger.add(sock)

    def _count(self, outcome: Outcome, detail: str) -> None:
        keeper = self._keeper
        keeper.log.record(keeper.point, self.address, None, outcome, keeper.now(), detail=detail)

    # -- waiting

    def _wait(self) -> None:
        if not self.waiting:
            self.waiting = True
            self._keeper.loop.add_reader(self.sock.fileno(), self.look)

    def _wait_for(self, wanted: int) -> None:
        self._looks += 1
        if self._looks > _LOOKS:
            self._count(Outcome.NOT_TLS, "a hello in too many pieces")
            self._end()
            return
        self._wanted = wanted
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
        self._wait()

    def _woken_early(self) -> None:
        """Readable although the bytes are not all there: the peer has ended its side, or the kernel is short."""
        if self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE_WAIT:
            self._count(Outcome.NOT_TLS, "ended within its hello")
            self._end()
            return
        self._stop_waiting()
        self._keeper.loop.call_later(_NAP, self._look_again)

    def _look_again(self) -> None:
        if self in self._pending:
            self.look()

    def _leave(self) -> None:
        self._stop_waiting()
        self._pending.discard(self)

    def _stop_waiting(self) -> None:
        if self.waiting:
            self.waiting = False
            self._keeper.loop.remove_reader(self.sock.fileno())

    # -- a load balancer's header

    def _read_proxy_header(self, data: bytes) -> None:
        try:
            found = peek_proxy_header(data)
        except ProxyHeaderError as error:
            self._count(Outcome.NOT_TLS, str(error))
            self._end()
            return
        if isinstance(found, int):
            self._wait_for(found)
            return
        self._proxy = False
        if found is not None:
            self.sock.recv(found.length)
            if found.source is not None:
                self.address, self.port = found.source
                self._proxied = True
            self._wanted = FIRST_LOOK
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, FIRST_LOOK)
        self._stop_waiting()
        self.look()
