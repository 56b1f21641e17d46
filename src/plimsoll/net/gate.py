"""The gate: one door for every listening port (design §4).

It accepts, looks at the ClientHello without consuming it, and then refuses with an alert of its own or hands the
socket to OpenSSL with the context that fits. A new snapshot on the board is in force for the next hello.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import time
from collections.abc import Callable, Collection

from plimsoll.net.arrival import FIRST_LOOK, Arrival
from plimsoll.net.board import FloorBoard
from plimsoll.net.connection import Connection
from plimsoll.net.contexts import ServerContexts
from plimsoll.net.deadlines import Deadlines
from plimsoll.net.errors import CannotListen, PortTaken
from plimsoll.net.identity import Identity
from plimsoll.net.keeper import GateLimits, Keeper, computer_of
from plimsoll.net.listen import listening_socket
from plimsoll.net.sightings import SightingLog
from plimsoll.tls.floors import Point

__all__ = ["CannotListen", "Connection", "Gate", "GateLimits", "PortTaken"]

_log = logging.getLogger(__name__)

#: How many peers are accepted before the others get their turn.
_ACCEPTS_IN_A_ROW = 64
#: Out of files or memory, accepting is tried again after this time, in seconds.
_PAUSE = 0.5
_SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_MAPPED = "::ffff:"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Gate:
    """One listening port of one point.

    `protocol_factory` is called with each connection whose handshake is done and whose version is admitted.
    `identify` maps the identity in a verified certificate to a computer's id. `trusted_proxies` are addresses or
    networks whose PROXY header is believed; nobody else's is read.
    """

    def __init__(
        self,
        point: Point,
        contexts: ServerContexts,
        board: FloorBoard,
        log: SightingLog,
        protocol_factory: Callable[[Connection], asyncio.Protocol],
        *,
        limits: GateLimits = GateLimits(),  # noqa: B008 - frozen
        trusted_proxies: Collection[str] = (),
        identify: Callable[[Identity], str | None] = computer_of,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.point = point
        self.contexts = contexts
        self.log = log
        self.limits = limits
        self._board = board
        self._factory = protocol_factory
        self._trusted = tuple(ipaddress.ip_network(proxy, strict=False) for proxy in trusted_proxies)
        self._identify = identify
        self._clock = clock
        self._keeper: Keeper | None = None
        self._listener: socket.socket | None = None
        self._paused: asyncio.TimerHandle | None = None
        self._port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen. Port 0 takes a free one. Raises PortTaken or CannotListen."""
        if self._listener is not None:
            raise RuntimeError("the gate listens already")
        listener = listening_socket(host, port)
        # The accepted sockets inherit the mark: a peer that says less than a hello's beginning wakes nobody.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, FIRST_LOOK)
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._keeper = Keeper(
            self.point,
            self.contexts,
            self._board,
            self.log,
            self._factory,
            limits=self.limits,
            identify=self._identify,
            clock=self._clock,
        )
        self._pending: Deadlines[Arrival] = Deadlines(self._keeper.loop, self.limits.hello_seconds, Arrival.expire)
        self._keeper.loop.add_reader(listener, self._accept)

    @property
    def port(self) -> int:
        """The port that it listens on, or last listened on."""
        return self._port

    @property
    def connections(self) -> frozenset[Connection]:
        """The connections whose handshake is done."""
        return frozenset() if self._keeper is None else frozenset(self._keeper.connections)

    @property
    def pending(self) -> int:
        """How many peers have not said a whole hello or not ended their handshake."""
        return 0 if self._keeper is None else len(self._pending) + len(self._keeper.handshakes)

    def recheck(self) -> None:
        """Enforce the snapshot in force by the clock of now. Rules that end are noticed without it, within seconds."""
        if self._keeper is not None:
            self._keeper.recheck()

    async def stop(self, seconds: float | None = None) -> None:
        """Stop listening, let answers in flight go out for at most that time (default: the limits'), and close."""
        keeper, self._keeper = self._keeper, None
        if keeper is None or self._listener is None:
            return
        keeper.loop.remove_reader(self._listener)
        if self._paused is not None:
            self._paused.cancel()
        self._listener.close()
        self._listener = None
        for arrival in self._pending.items():
            arrival.drop()
        self._pending.clear()
        for connection in (*keeper.handshakes.items(), *keeper.connections):
            connection.finish()
        if keeper.connections:
            keeper.emptied = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(keeper.emptied.wait(), self.limits.stop_seconds if seconds is None else seconds)
        for connection in tuple(keeper.connections):
            connection.abort()
        await asyncio.sleep(0)  # the protocols' connection_lost
        keeper.handshakes.clear()
        keeper.close()

    # -- accepting

    def _accept(self) -> None:
        keeper, listener = self._keeper, self._listener
        if keeper is None or listener is None:
            return
        for _ in range(_ACCEPTS_IN_A_ROW):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._accept_failed(error, keeper, listener)
                return
            sock.setblocking(False)
            address = peer[0].removeprefix(_MAPPED)
            arrival = Arrival(keeper, self._pending, sock, (address, peer[1]), self._trusts(address))
            # Nearly every hello is there already: then nothing is kept of the peer.
            arrival.look()
            if arrival.waiting:
                self._keep_waiting(arrival)

    def _keep_waiting(self, arrival: Arrival) -> None:
        if len(self._pending) >= self.limits.pending_hellos:
            oldest = self._pending.pop_oldest()
            if oldest is not None:
                oldest.expire()
        self._pending.add(arrival)

    def _accept_failed(self, error: OSError, keeper: Keeper, listener: socket.socket) -> None:
        if error.errno not in _SHORT:
            _log.warning("accept on port %d failed: %s", self._port, error)
            return
        _log.error("port %d: %s; the oldest waiting peers are dropped", self._port, error.strerror)
        for _ in range(max(1, len(self._pending) // 8)):
            oldest = self._pending.pop_oldest()
            if oldest is None:
                break
            oldest.drop()
        # The listener stays readable; without a pause the loop would spin on it.
        keeper.loop.remove_reader(listener)
        self._paused = keeper.loop.call_later(_PAUSE, self._accept_again)

    def _accept_again(self) -> None:
        self._paused = None
        if self._keeper is not None and self._listener is not None:
            self._keeper.loop.add_reader(self._listener, self._accept)

    def _trusts(self, address: str) -> bool:
        if not self._trusted:
            return False
        ip = ipaddress.ip_address(address.partition("%")[0])
        return any(ip.version == network.version and ip in network for network in self._trusted)
