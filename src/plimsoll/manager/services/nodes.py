"""The managers of an installation: who is there, who does what only one does at a time, and what they tell each other.

On an embedded store there is one manager, which does everything; nothing here then touches the store.
"""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from plimsoll import RELEASE
from plimsoll.manager.ports import SYSTEM, Conflict, NotFound, Permission, Principal, ServiceError, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import node_news
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.node_news import News
from plimsoll.manager.store import Connection, facts
from plimsoll.manager.store import nodes as table
from plimsoll.manager.store.nodes import NodeRecord

if TYPE_CHECKING:
    from plimsoll.manager.services.core import Core, Unit
    from plimsoll.manager.services.hub import Change

log = logging.getLogger(__name__)

#: Seconds for which a work is a node's without a word from it, and what is left of them when it asks again. A node that
#: is killed is followed by another after the first at the latest.
LEASE_SECONDS = 10.0
RENEW_SECONDS = 6.0
#: Seconds between two tries of a node that does not have the work.
TRY_SECONDS = 1.0
#: Seconds without a word after which a node counts as gone.
GONE_SECONDS = 10.0
#: Seconds between two words of this manager after which it cannot say of others that they are gone: it may be the one
#: that was away, or the database.
SURE_SECONDS = 5.0
#: What a manager listens on that names no address of its own.
ANYWHERE = ("", "0.0.0.0", "::")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeView:
    """`state` is running, stopped or gone; `current` whether its gates have the floors of this generation in force."""

    id: str
    name: str
    address: str
    release: str
    gui_port: int
    heartbeat_port: int
    started: float
    seen: float
    generation: int
    state: str
    current: bool
    own: bool
    works: tuple[str, ...]
    text: str


class NodesService:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._shared = core.store.database.shared
        self._id = core.home.node
        self._channel = f"plimsoll_{core.home.installation[:24]}"
        self._until: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._asking = threading.Lock()
        self._ended = False
        # Since when this manager has spoken without a gap, and when it last did; both by a clock that only goes on.
        self._speaks_since = self._spoke = -math.inf
        if self._shared:
            core.told_elsewhere = self._say_changes
            core.floors_elsewhere = lambda: self.say(News(self._id, floors=True))

    @property
    def shared(self) -> bool:
        """Whether there can be other managers."""
        return self._shared

    @property
    def own(self) -> str:
        """This manager's id."""
        return self._id

    @permits(Permission.MANAGER_READ)
    def list(self, principal: Principal) -> tuple[NodeView, ...]:
        """Every manager of this installation that was ever there; none on an embedded store."""

        def work(connection: Connection) -> tuple[NodeView, ...]:
            now = table.now(connection)
            generation = facts.counter(connection, facts.FLOOR_GENERATION)
            works: dict[str, list[str]] = {}
            for lease in table.all_leases(connection):
                works.setdefault(lease.node, []).append(lease.name)
            return tuple(
                self._view(one, now, generation, tuple(works.get(one.id, ()))) for one in table.everyone(connection)
            )

        return self._core.store.read(work) if self._shared else ()

    @permits(Permission.MANAGER_CHANGE)
    def forget(self, principal: Principal, node: str) -> None:
        """Takes one that is gone for good off the list. Raises Conflict for one that runs, NotFound."""
        found = next((one for one in self.list(principal) if node in (one.id, one.name)), None)
        if found is None:
            raise NotFound(f"there is no manager {node!r}; nothing was changed")
        if found.state == table.RUNNING:
            raise Conflict(f"the manager {found.name} runs; nothing was changed. Stop it first")

        def work(unit: Unit) -> None:
            table.remove(unit.connection, found.id)
            unit.audit(principal, "nodes.forget", found.name, {"node": found.id})

        self._core.write(work)

    # -- what a running manager says of itself

    @internal
    def begin(self, gui_port: int, heartbeat_port: int, generation: int, authorities: str = "") -> None:
        if not self._shared:
            return
        config = self._core.home.config
        name = config.public_name or socket.gethostname()
        address = "" if config.listen_address in ANYWHERE else config.listen_address
        node = NodeRecord(
            id=self._id,
            name=name,
            address=address,
            release=RELEASE,
            gui_port=gui_port,
            heartbeat_port=heartbeat_port,
            started=0.0,
            seen=0.0,
            generation=generation,
            state=table.RUNNING,
            authorities=authorities,
        )

        def work(unit: Unit) -> None:
            table.put(unit.connection, node)
            text = f"The manager {name} serves this installation, with the ports {gui_port} and {heartbeat_port}."
            unit.event(NewEvent(event_numbers.NODE_STARTED, "info", text, target=name))

        self._core.write(work)

    @internal
    def beat(self, generation: int, text: str = "", authorities: str = "") -> None:
        """It lives, and these floors and CAs are in force at its gates. `text` is what others should know of it."""
        if not self._shared:
            return
        known = self._core.store.write(lambda c: table.beat(c, self._id, generation, text, authorities))
        now = time.monotonic()
        if now - self._spoke > SURE_SECONDS:
            self._speaks_since = now
        self._spoke = now
        if not known:
            log.warning("another manager took this one off the list of managers; it is on it again after a restart")

    @internal
    def end(self) -> None:
        """It stops: others take over its works at once."""
        self._ended = True
        if self._shared:
            try:
                self._core.store.write(lambda c: table.stop(c, self._id))
            except ServiceError as error:
                log.warning("that this manager stops was not stored: %s", error.message)

    @internal
    def generation(self) -> int:
        """Of the floors that are stored."""
        return self._core.store.read(lambda c: facts.counter(c, facts.FLOOR_GENERATION))

    @internal
    def others(self) -> Sequence[NodeView]:
        """Further managers that run now."""
        return [one for one in self.list(SYSTEM) if not one.own and one.state == table.RUNNING]

    @internal
    def lost(self, connection: Connection, node: str) -> bool:
        """Whether what that other manager had begun will not be finished: it stopped, or was not heard of for long.

        After the database, or this manager, was away, nobody is lost before all had the time to speak again.
        """
        if not self._shared:
            return True
        now = time.monotonic()
        if now - self._spoke > SURE_SECONDS or now - self._speaks_since < GONE_SECONDS:
            return False
        return all(one.id != node for one in table.running(connection, GONE_SECONDS))

    # -- works that one does at a time

    @internal
    def holds(self, work: str) -> bool:
        """Whether this manager does the work now; asks for it where nobody does. From any thread but the loop's.

        A store that is down gives a work to nobody, and takes it from nobody before its time.
        """
        if not self._shared:
            return True
        with self._asking:
            now = time.monotonic()
            until = self._until.get(work, 0.0)
            if until - now > RENEW_SECONDS:
                return True
            if self._ended or now - self._asked.get(work, -TRY_SECONDS) < TRY_SECONDS:
                return until > now
            self._asked[work] = now
            try:
                got = self._core.store.write(lambda c: table.take_lease(c, work, self._id, LEASE_SECONDS))
            except ServiceError:
                return until > now
            if got:
                # By the time before the question: the database counts from a later moment.
                self._until[work] = now + LEASE_SECONDS
            else:
                self._until.pop(work, None)
            return got

    @internal
    def only_here(self, work: str, tick: Callable[[], bool]) -> Callable[[], bool]:
        """The tick for one manager at a time: elsewhere it does nothing, and is not busy."""
        return lambda: self.holds(work) and tick()

    # -- what managers tell each other

    @internal
    def say(self, news: News) -> None:
        """Now, in a transaction of its own."""
        if self._shared:
            text = node_news.encode(news)
            self._core.store.write(lambda c: self._core.store.say(c, self._channel, text))

    @internal
    def hear(self, heard: Callable[[News | None], None], stopped: Callable[[], bool]) -> None:
        """Blocks until `stopped`. Gives what others say; None where something may have been missed.

        Raises Unavailable where the connection to the database is lost.
        """

        def take(text: str | None) -> None:
            news = None if text is None else node_news.decode(text)
            if news is None or news.node != self._id:
                heard(news)

        self._core.store.hear(self._channel, take, stopped)

    def _say_changes(self, connection: Connection, changes: Sequence[Change]) -> None:
        news = node_news.of_changes(self._id, changes)
        if news is not None:
            self._core.store.say(connection, self._channel, node_news.encode(news))

    def _view(self, one: NodeRecord, now: float, generation: int, works: tuple[str, ...]) -> NodeView:
        state = "gone" if one.state == table.RUNNING and now - one.seen > GONE_SECONDS else one.state
        return NodeView(
            id=one.id,
            name=one.name,
            address=one.address,
            release=one.release,
            gui_port=one.gui_port,
            heartbeat_port=one.heartbeat_port,
            started=one.started,
            seen=one.seen,
            generation=one.generation,
            state=state,
            current=state == table.RUNNING and one.generation == generation,
            own=one.id == self._id,
            works=works,
            text=one.text,
        )
