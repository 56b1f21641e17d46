"""What the connections of one gate share: floors, log, limits, and who must go when the floor rises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plimsoll.net.board import FloorBoard
from plimsoll.net.contexts import ServerContexts
from plimsoll.net.deadlines import Deadlines
from plimsoll.net.identity import Identity
from plimsoll.net.linger import Linger
from plimsoll.net.refusals import Refusals
from plimsoll.net.sightings import Outcome, SightingLog
from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.hello import ClientHello
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.net.connection import Connection

#: How often connections that must go are looked at, in seconds.
_SWEEP = 0.25
#: Rules end by the wall clock, which may jump; so it is read at least this often while a rule has an end.
_RULES = 5.0


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Bounds that keep idle, slow and hostile peers cheap. Times in seconds."""

    hello_seconds: float = 10.0
    hello_bytes: int = 64 * 1024
    pending_hellos: int = 8192
    handshake_seconds: float = 10.0
    pending_handshakes: int = 4096
    shutdown_seconds: float = 2.0
    lingering: int = 4096
    stop_seconds: float = 5.0


def refusal_for(hello: ClientHello) -> bytes:
    """Alert 70 in a record of the version that the hello speaks: some clients read no other."""
    return _PROTOCOL_VERSION[min(max(hello.legacy_version, 0x0300), 0x0303)]


_PROTOCOL_VERSION = {wire: alert_record(Alert.PROTOCOL_VERSION, wire) for wire in (0x0300, 0x0301, 0x0302, 0x0303)}


def computer_of(identity: Identity) -> str | None:
    """The computer that an identity is, where nothing better is known: agents and relays by their id."""
    return None if identity.role == "manager" else identity.id


class Keeper:
    """Holds the connections of one gate and enforces each published snapshot on them."""

    def __init__(
        self,
        point: Point,
        contexts: ServerContexts,
        board: FloorBoard,
        log: SightingLog,
        protocol_factory: Callable[[Connection], asyncio.Protocol],
        *,
        limits: GateLimits,
        identify: Callable[[Identity], str | None],
        clock: Callable[[], float],
    ) -> None:
        self.point = point
        self.contexts = contexts
        self.board = board
        self.log = log
        self.protocol_factory = protocol_factory
        self.limits = limits
        self.identify = identify
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        #: Set by whoever waits for the last connection's end.
        self.emptied: asyncio.Event | None = None
        self.handshakes: Deadlines[Connection] = Deadlines(self.loop, limits.handshake_seconds, self._late)
        self.linger = Linger(self.loop, limits.shutdown_seconds, limits.lingering)
        self.refusals = Refusals()
        self._clock = clock
        self._latest = 0.0
        self._leaving: dict[Connection, float] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._rules: asyncio.TimerHandle | None = None
        self._shadow = board.snapshot.shadow.get(point)
        self._unsubscribe = board.subscribe(self._published)
        self._apply(board.snapshot)

    def now(self) -> float:
        """The time by which rules end. It never goes back: an exception that has ended stays ended."""
        now = self._clock()
        if now > self._latest:
            self._latest = now
        return self._latest

    def close(self) -> None:
        """End all timers; nothing is enforced any more."""
        self._unsubscribe()
        for timer in (self._sweeper, self._rules):
            if timer is not None:
                timer.cancel()
        self._sweeper = self._rules = None
        self.linger.close()

    # -- enforcing

    def recheck(self) -> None:
        """Enforce the snapshot in force at the present time; rules may have ended."""
        self._published(self.board.snapshot)

    def _published(self, snapshot: FloorSnapshot) -> None:
        self._apply(snapshot)
        now = self.now()
        for connection in [c for c in self.connections if not c.keeps(snapshot, now)]:
            self.dismiss(connection)
        for connection in self.handshakes.items():
            newest = connection.hello.newest
            if newest is None or newest < snapshot.admits_from(self.point, connection.address, now):
                connection.refuse_handshake()
        self._look_at_shadow(snapshot.shadow.get(self.point))

    def _look_at_shadow(self, shadow: Version | None) -> None:
        """A raise would end the connections that are open below it, so a new shadow floor sees them in the log too.

        An agent that beats more often than an idle connection is closed never says another hello.
        """
        if shadow is self._shadow:
            return
        self._shadow = shadow
        for connection in self.connections if shadow is not None else ():
            if shadow is not None and connection.version < shadow and connection not in self._leaving:
                connection.count_again()

    def _apply(self, snapshot: FloorSnapshot) -> None:
        now = self.now()
        self.contexts.set_minimum(snapshot.lowest(self.point, now))
        self.contexts.set_profile(snapshot.profile(self.point))
        if self._rules is not None:
            self._rules.cancel()
            self._rules = None
        ends = [rule.until for rule in snapshot.rules if rule.point is self.point and rule.until is not None]
        ahead = [end - now for end in ends if end > now]
        if ahead:
            self._rules = self.loop.call_later(min(_RULES, min(ahead) + 0.001), self.recheck)

    def dismiss(self, connection: Connection) -> None:
        """End a connection after the answer in flight; after its grace in any case."""
        if connection in self._leaving:
            return
        self._leaving[connection] = self.loop.time()
        connection.finish()
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(_SWEEP, self._sweep)

    def forget(self, connection: Connection) -> None:
        """The connection is done."""
        self.connections.discard(connection)
        self.handshakes.discard(connection)
        self._leaving.pop(connection, None)
        if self.emptied is not None and not self.connections:
            self.emptied.set()

    def admit_handshake(self, connection: Connection) -> None:
        """Watch the handshake's time; of too many the oldest ends."""
        if len(self.handshakes) >= self.limits.pending_handshakes:
            oldest = self.handshakes.pop_oldest()
            if oldest is not None:
                self._late(oldest)
        self.handshakes.add(connection)

    def _late(self, connection: Connection) -> None:
        connection.break_off(Outcome.TIMEOUT, "handshake", b"")

    def _sweep(self) -> None:
        self._sweeper = None
        now = self.loop.time()
        for connection, since in list(self._leaving.items()):
            if now - since >= connection.grace:
                connection.abort()
        if self._leaving:
            self._sweeper = self.loop.call_later(_SWEEP, self._sweep)
