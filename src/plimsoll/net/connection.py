"""One admitted connection: what it offered, what was agreed, who it is."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import TYPE_CHECKING

from plimsoll.net.contexts import NEGOTIATED
from plimsoll.net.identity import Identity, identity_of
from plimsoll.net.keeper import Keeper, refusal_for
from plimsoll.net.sightings import NO_SHARED_SUITE, Outcome
from plimsoll.net.transport import TlsTransport
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.hello import ClientHello
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.net.sightings import Key

_log = logging.getLogger(__name__)

#: Seconds that an answer in flight may still take after a raise; a handler sets 60 for a download.
GRACE = 10.0
_COMPUTER = "computer:"
#: How much of a user agent is kept.
_USER_AGENT = 160


class Connection:
    """What the application knows of its peer. `who` may become known later: set it, and the floor is checked again."""

    __slots__ = (
        "_keeper",
        "_key",
        "_suite",
        "_user_agent",
        "_who",
        "address",
        "computer",
        "grace",
        "hello",
        "identity",
        "opened",
        "port",
        "protocol",
        "resumed",
        "transport",
        "version",
    )

    def __init__(self, keeper: Keeper, hello: ClientHello, address: str, port: int) -> None:
        self._keeper = keeper
        self._key: Key | None = None
        self._suite = ""
        self._who: str | None = None
        self._user_agent = ""
        self.hello = hello
        self.address = address
        self.port = port
        self.opened = keeper.now()
        self.grace = GRACE
        #: What was negotiated; SSL 2, which never is, until the handshake has ended.
        self.version = Version.SSL2
        self.identity: Identity | None = None
        self.computer: str | None = None
        self.resumed = False
        self.protocol: asyncio.Protocol | None = None
        self.transport: TlsTransport | None = None

    @property
    def point(self) -> Point:
        return self._keeper.point

    @property
    def suite(self) -> str:
        """OpenSSL's name of the suite that was negotiated."""
        if not self._suite and self.transport is not None:
            cipher: tuple[str, str, int] | None = self.transport.get_extra_info("cipher")
            self._suite = "" if cipher is None else cipher[0]
        return self._suite

    @property
    def certificate_ends(self) -> float | None:
        """When the peer's certificate expires, in seconds since the epoch; None where it showed none."""
        shown = None if self.transport is None else self.transport.get_extra_info("peercert")
        return ssl.cert_time_to_seconds(shown["notAfter"]) if shown and "notAfter" in shown else None

    @property
    def tls_name(self) -> str:
        """The negotiated version as administrators write it, ``TLSv1.2``."""
        return str(self.version)

    @property
    def server_name(self) -> str | None:
        """The host name that the peer asked for (SNI)."""
        return self.hello.server_name

    @property
    def who(self) -> str | None:
        """``computer:<id>``, ``apikey:<id>`` or ``user:<name>``, once known."""
        return self._who

    @who.setter
    def who(self, who: str | None) -> None:
        if who == self._who:
            return
        self._who = who
        keeper = self._keeper
        now = keeper.now()
        if self._key is not None:
            self._key = keeper.log.attribute(self._key, self.hello, who, now, _printable(self._user_agent))
        if who is not None and who.startswith(_COMPUTER):
            self.computer = who.removeprefix(_COMPUTER)
            if self.version < self.floor(keeper.board.snapshot, now):
                self._record(Outcome.REFUSED_AFTER, negotiated=self.version)
                keeper.dismiss(self)

    def count_again(self) -> None:
        """Count it in the log once more, though its handshake was counted already: it is still there."""
        if self._key is not None:
            self._keeper.log.again(self._key, self.hello, self._keeper.now())

    @property
    def user_agent(self) -> str:
        """What its last HTTP request called itself, to the letter."""
        return self._user_agent

    @user_agent.setter
    def user_agent(self, text: str) -> None:
        if text == self._user_agent:
            return
        self._user_agent = text
        if self._key is not None:
            self._keeper.log.describe(self._key, self.hello, _printable(text), self._keeper.now())

    def floor(self, snapshot: FloorSnapshot, now: float) -> Version:
        """The floor that holds for this peer in that snapshot."""
        return snapshot.floor_for(self._keeper.point, self.address, self.computer, now)

    def keeps(self, snapshot: FloorSnapshot, now: float) -> bool:
        """Whether what was agreed keeps to that snapshot: the floor, and the suites at TLS 1.2."""
        return self.version >= self.floor(snapshot, now) and self._keeps_suite(snapshot)

    def _keeps_suite(self, snapshot: FloorSnapshot) -> bool:
        """A resumed session brings its suite along, whatever the context serves by now."""
        return self.version is not Version.TLS1_2 or snapshot.profile(self._keeper.point).allows(self.suite)

    # -- begun and ended by the gate

    def begin(self, sock: socket.socket, proxied: bool, watched: bool) -> None:
        """Hand the socket, its hello still unread, to OpenSSL. `watched`: the loop has a reader for it already."""
        keeper = self._keeper
        descriptor = sock.fileno()
        newest = self.hello.newest
        modern = newest is not None and newest.rank >= Version.TLS1_2.rank
        context = keeper.contexts.modern if modern else keeper.contexts.early
        try:
            wrapped = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):
            if watched:
                keeper.loop.remove_reader(descriptor)
            sock.close()  # the peer is gone already
            return
        extra = {
            "peername": (self.address, self.port),
            # The socket's own peer would be the proxy; who asks gets the peer's name from `peername`.
            "socket": None if proxied else wrapped,
            "connection": self,
        }
        self.transport = TlsTransport(keeper.loop, wrapped, self, keeper.linger.add, extra, watched)
        keeper.admit_handshake(self)
        self.transport.start()

    def established(self) -> asyncio.Protocol | None:
        """Check what was agreed against the floors of now, before a byte reaches the application."""
        keeper = self._keeper
        keeper.handshakes.discard(self)
        assert self.transport is not None
        sock: ssl.SSLSocket = self.transport.get_extra_info("ssl_object")
        self.version = NEGOTIATED.get(sock.version() or "", Version.SSL2)
        self.resumed = bool(sock.session_reused)
        if keeper.contexts.client_ca is not None:
            self.identity = identity_of(sock)
            if self.identity is not None:
                self.computer = keeper.identify(self.identity)
                if self.computer is not None:
                    self._who = _COMPUTER + self.computer
        now = keeper.now()
        if self.version < self.floor(keeper.board.snapshot, now):
            self._record(Outcome.REFUSED_AFTER, negotiated=self.version)
            return None
        if not self._keeps_suite(keeper.board.snapshot):
            self._record(Outcome.FAILED, detail=NO_SHARED_SUITE)
            return None
        self._key = self._record(Outcome.ADMITTED, negotiated=self.version)
        try:
            self.protocol = keeper.protocol_factory(self)
        except Exception:  # noqa: BLE001 - it is logged with its trace
            _log.exception("no protocol for a connection from %s", self.address)
            return None
        keeper.connections.add(self)
        return self.protocol

    def failed(self, error: Exception) -> None:
        """OpenSSL ended the handshake, or the peer did."""
        self._record(Outcome.FAILED, detail=_reason(error))

    def closed(self) -> None:
        self._keeper.forget(self)

    def refuse_handshake(self) -> None:
        """The floor rose above the best that this hello offers, while its handshake was under way."""
        self.break_off(Outcome.REFUSED, "", refusal_for(self.hello))

    def break_off(self, outcome: Outcome, detail: str, last_words: bytes) -> None:
        """End a handshake that is under way."""
        if self.transport is not None and self.transport.handshaking:
            self._record(outcome, detail=detail)
            self.transport.end_handshake(last_words)

    def finish(self) -> None:
        """Let the answer in flight go out, then close."""
        shutdown = getattr(self.protocol, "shutdown", None)
        if shutdown is not None:
            shutdown()
        elif self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Close now."""
        if self.transport is not None:
            self.transport.abort()

    def _record(self, outcome: Outcome, *, negotiated: Version | None = None, detail: str = "") -> Key:
        keeper = self._keeper
        return keeper.log.record(
            keeper.point,
            self.address,
            self.hello,
            outcome,
            self.opened if outcome is Outcome.ADMITTED else keeper.now(),
            negotiated=negotiated,
            who=self._who,
            detail=detail,
        )


def _printable(user_agent: str) -> str:
    """Fit to be stored and shown: it is whatever a stranger chose to send."""
    text = user_agent[:_USER_AGENT]
    return text if text.isascii() and text.isprintable() else "".join(c if " " <= c <= "~" else "?" for c in text)


def _reason(error: Exception) -> str:
    """A short and countable text: OpenSSL's own name of what went wrong."""
    if isinstance(error, ssl.SSLEOFError):
        return "the peer ended"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "unknown").lower().replace("_", " ")
    return (error.strerror or "the peer ended").lower() if isinstance(error, OSError) else type(error).__name__
