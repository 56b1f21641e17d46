"""The fleet as the heartbeat path sees it: in memory, keyed by certificate and by hello.

Everything here runs in the loop's thread; `manager.app` carries calls of other threads over. The store holds the truth
about certificates, policies and commands; what a heartbeat shows (presence, hello) is newer here, and is taken to the
store in batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plimsoll.manager.ports import Presence
from plimsoll.messages import Direction, FloorReport, UpgradeReport
from plimsoll.tls.ja4 import ja4_of_key

if TYPE_CHECKING:
    from plimsoll.manager.services.computers import RegistryEntry
    from plimsoll.net.gate import Connection
    from plimsoll.net.identity import Identity
    from plimsoll.tls.versions import Version

ACTIVE = "active"


@dataclass(slots=True, eq=False)
class Known:
    """One computer: the store's entry, and what it showed since."""

    entry: RegistryEntry
    last_seen: float | None
    online: bool
    address: str
    ja4: str
    offered: Version | None = None
    negotiated: Version | None = None
    observed_at: float | None = None
    #: When the connection was opened whose hello stands here: a kept-alive connection is looked at once.
    opened: float = 0.0
    #: The last floor report that was stored, so that an unchanged one costs no write.
    report: FloorReport | None = None
    #: The last report of an upgrade under way that was stored.
    upgrade: UpgradeReport | None = None
    #: Counts the store's own changes of the entry, so that a slower answer does not put an old one back.
    told: int = 0
    #: When the policy was last given again to a computer that reports another one.
    repeated_at: float = 0.0
    #: Why it cannot talk to us, while that is so.
    problem: str = ""
    #: It was online, and then fell silent: its next heartbeat is a return.
    away: bool = False

    @property
    def id(self) -> str:
        return self.entry.id


@dataclass(slots=True)
class Registry:
    """All computers. `dirty` holds those whose presence is not stored yet."""

    by_id: dict[str, Known] = field(default_factory=dict)
    by_fingerprint: dict[str, Known] = field(default_factory=dict)
    by_hello: dict[tuple[str, str], set[Known]] = field(default_factory=dict)
    dirty: set[Known] = field(default_factory=set)
    with_relay_port: set[Known] = field(default_factory=set)

    def load(self, entries: Iterable[RegistryEntry]) -> None:
        for entry in entries:
            self.put(entry)

    def put(self, entry: RegistryEntry) -> Known:
        """Takes the store's entry; what was seen since then stays."""
        known = self.by_id.get(entry.id)
        if known is None:
            known = Known(entry, entry.last_seen, entry.online, entry.address, entry.ja4)
            known.away = not entry.online and bool(entry.ja4)
            self.by_id[entry.id] = known
            self._index_hello(known)
        else:
            self._forget_fingerprints(known)
            known.entry = entry
        for fingerprint in entry.fingerprints:
            self.by_fingerprint[fingerprint] = known
        (self.with_relay_port.discard if entry.relay_port is None else self.with_relay_port.add)(known)
        return known

    def apply(self, computer: str, entry: RegistryEntry | None) -> None:
        """The store changed this computer; None means that it was deleted."""
        if entry is None:
            self.drop(computer)
            return
        known = self.put(entry)
        known.told += 1
        unseen = known not in self.dirty and (entry.last_seen or 0.0) >= (known.last_seen or 0.0)
        if known.online and not entry.online and unseen:
            # Another manager found it silent, and nobody here has seen it since.
            known.online, known.away = False, True

    def seen_elsewhere(self, seen: Iterable[Presence]) -> list[Known]:
        """What other managers saw of computers. Those with a problem who came through there."""
        came: list[Known] = []
        for one in seen:
            known = self.by_id.get(one.computer)
            if known is None or one.last_seen <= (known.last_seen or 0.0):
                continue
            known.last_seen, known.online, known.away = one.last_seen, True, False
            if one.observed_at is not None and one.observed_at > (known.observed_at or 0.0):
                self._unindex_hello(known)
                known.address, known.ja4, known.observed_at = one.address, one.ja4, one.observed_at
                known.offered, known.negotiated = one.offered, one.negotiated
                self._index_hello(known)
            if known.problem:
                came.append(known)
        return came

    def drop(self, computer: str) -> None:
        known = self.by_id.pop(computer, None)
        if known is None:
            return
        self._forget_fingerprints(known)
        self._unindex_hello(known)
        self.dirty.discard(known)
        self.with_relay_port.discard(known)

    def identify(self, identity: Identity) -> str | None:
        """Which computer shows this certificate: for the gate, which names the computer in its sightings."""
        known = self.by_fingerprint.get(identity.fingerprint)
        return None if known is None or known.entry.state != ACTIVE else known.entry.id

    def seen(self, known: Known, now: float, connection: Connection | None) -> None:
        """An authenticated request: presence, and once for a connection the hello that it began with."""
        known.last_seen = now
        if connection is not None and known.opened != connection.opened:
            self._note_hello(known, connection)
        self.dirty.add(known)

    def visit(self, known: Known, now: float, negotiated: Version | None) -> None:
        """The manager called this computer. We offer all that we speak, so what was agreed is its newest."""
        known.offered = known.negotiated = negotiated
        known.observed_at = now

    def _note_hello(self, known: Known, connection: Connection) -> None:
        known.opened = connection.opened
        known.observed_at = connection.opened
        known.negotiated = connection.version
        hello = connection.hello
        known.offered = hello.newest
        ja4 = ja4_of_key(hello.fingerprint_key)
        if (known.address, known.ja4) != (connection.address, ja4):
            self._unindex_hello(known)
            known.address, known.ja4 = connection.address, ja4
            self._index_hello(known)

    def candidates(self, address: str, ja4: str) -> tuple[Known, ...]:
        """Whose last authenticated hello came from this address and looked like this."""
        return tuple(self.by_hello.get((address, ja4), ()))

    def take_presence(self) -> Iterator[Presence]:
        """What is not stored yet; each is given once."""
        dirty, self.dirty = self.dirty, set()
        for known in dirty:
            if known.last_seen is not None:
                yield Presence(
                    computer=known.id,
                    last_seen=known.last_seen,
                    address=known.address,
                    ja4=known.ja4,
                    offered=known.offered,
                    negotiated=known.negotiated,
                    observed_at=known.observed_at,
                )

    def clock_moved(self, by: float, since: float, now: float) -> None:
        """The wall clock took a step of so many seconds: what was seen keeps its age.

        The step came after `since`, which is in the new time as `now` is: who was seen between the two, was seen
        after the step.
        """
        for known in self.by_id.values():
            if known.last_seen is not None and not since <= known.last_seen <= now:
                known.last_seen += by

    def silent(self, now: float, since: float) -> list[Known]:
        """Who counts as online and has missed more heartbeats than its policy allows.

        `since` is when this manager began to listen: nobody is blamed for the time before.
        """
        return [
            known
            for known in self.by_id.values()
            if known.online
            and known.entry.state == ACTIVE
            and now - max(known.last_seen or 0.0, since) > patience(known)
        ]

    def visited(self) -> list[Known]:
        """Whom the manager has to call, because their policy says that they do not call."""
        return [
            known
            for known in self.by_id.values()
            if known.entry.state == ACTIVE
            and known.entry.policy.direction is Direction.MANAGER_INITIATED
            and known.entry.listen_port is not None
            and known.address
        ]

    def relays(self) -> list[Known]:
        return [known for known in self.with_relay_port if known.entry.state == ACTIVE and known.address]

    def _forget_fingerprints(self, known: Known) -> None:
        for fingerprint in known.entry.fingerprints:
            if self.by_fingerprint.get(fingerprint) is known:
                del self.by_fingerprint[fingerprint]

    def _index_hello(self, known: Known) -> None:
        if known.address and known.ja4:
            self.by_hello.setdefault((known.address, known.ja4), set()).add(known)

    def _unindex_hello(self, known: Known) -> None:
        key = (known.address, known.ja4)
        group = self.by_hello.get(key)
        if group is not None:
            group.discard(known)
            if not group:
                del self.by_hello[key]


def patience(known: Known) -> float:
    """How long a computer may be silent: its allowed misses and the one under way, with the jitter that we ask for."""
    policy = known.entry.policy
    return policy.heartbeat_seconds * (policy.missed_heartbeats + 1) * 1.1 + 5.0
