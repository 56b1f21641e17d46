"""What all services share: the store, the clock, and transactions that audit and tell what they changed."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from plimsoll.manager.ports import NothingObserved, Observed, Principal, Publish, Unavailable
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.events import EventView, NewEvent, event_name
from plimsoll.manager.services.hub import Change, ComputersChanged, EventRecorded, Hub
from plimsoll.manager.store import Connection, Store, audit, events

if TYPE_CHECKING:
    from plimsoll.manager.home import Home
    from plimsoll.tls.floors import FloorSnapshot

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Events that are kept in memory while the store is down; beyond that the oldest go.
_LATE = 10_000


class Unit:
    """One transaction: what it changed is told to the hub once it is committed, and not at all otherwise."""

    def __init__(self, connection: Connection, now: float) -> None:
        self.connection = connection
        self.now = now
        self.changes: list[Change] = []
        self._computers: dict[str, None] = {}
        self._elsewhere: dict[str, None] = {}
        self._news: list[Change] = []

    def event(self, new: NewEvent) -> EventView:
        at = self.now if new.time is None else new.time
        values: dict[str, Any] = {
            "time": at,
            "number": new.number,
            "level": new.level,
            "description": new.description,
            "computer": new.computer,
            "target": new.target,
            "origin": new.origin,
            "extra": new.extra,
        }
        identifier = events.add(self.connection, **values)
        view = EventView(id=identifier, name=event_name(new.number), **values)
        self.changes.append(EventRecorded(view))
        return view

    def audit(self, principal: Principal, action: str, target: str, before: Any = None, after: Any = None) -> None:
        """Who did what to what, with the values before and after. Never put a secret in here."""
        audit.append(
            self.connection,
            time=self.now,
            who=principal.who,
            via=principal.via,
            address=principal.address,
            action=action,
            target=target,
            before=before,
            after=after,
        )

    def changed(self, *computers: str) -> None:
        """These computers' registry entries are old now."""
        self._computers.update(dict.fromkeys(computers))

    def changed_elsewhere(self, *computers: str) -> None:
        """The same for other managers alone: whoever called has the new entry."""
        self._elsewhere.update(dict.fromkeys(computers))

    def tell_elsewhere(self, change: Change) -> None:
        """Of interest to other managers alone: whoever called does here himself what follows."""
        self._news.append(change)

    def told_elsewhere(self) -> list[Change]:
        computers = self._computers | self._elsewhere
        told = [*self.changes, *self._news]
        return [ComputersChanged(tuple(computers)), *told] if computers else told

    def told(self) -> list[Change]:
        if not self._computers:
            return self.changes
        return [ComputersChanged(tuple(self._computers)), *self.changes]


class Core:
    """Handed to every service. `clock` is an argument because certificates, tokens and locks are about time."""

    def __init__(
        self,
        store: Store,
        home: Home,
        publish: Publish,
        observed: Observed | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.home = home
        self.publish = publish
        self.observed: Observed = observed or NothingObserved()
        self.clock = clock
        self.hub = Hub()
        #: Told, within the transaction, of what it changed, and of floors once they are in force here: for managers
        #: that share the database (`services.nodes`).
        self.told_elsewhere: Callable[[Connection, Sequence[Change]], None] | None = None
        self.floors_elsewhere: Callable[[], None] | None = None
        self.late_events: deque[NewEvent] = deque(maxlen=_LATE)
        self._publishing = threading.Lock()
        self._published: FloorSnapshot | None = None

    def publish_floors(self) -> None:
        """Floors, rules and shadow floors as they are committed are in force when this returns.

        Read and published under one lock: of two changes at once, the older must not be published last.
        """
        with self._publishing:
            self._put_in_force(self.store.read(floor_state.snapshot))
        if self.floors_elsewhere is not None:
            try:
                self.floors_elsewhere()
            except Unavailable:
                log.warning("other managers were not told of the floors at once; they look within seconds")

    def refresh_floors(self) -> bool:
        """The same where what the gates have is not what is stored: a ruled computer moved, or was deleted."""
        with self._publishing:
            snapshot = self.store.read(floor_state.snapshot)
            if snapshot == self._published:
                return False
            self._put_in_force(snapshot)
        return True

    def _put_in_force(self, snapshot: FloorSnapshot) -> None:
        # Where this fails, nobody knows what the gates have, and a refresh tries again.
        self._published = None
        self.publish(snapshot)
        self._published = snapshot

    def write(self, work: Callable[[Unit], T]) -> T:
        """One transaction. What it changed is told after the commit."""
        units: list[Unit] = []

        def run(connection: Connection) -> T:
            units.append(Unit(connection, self.clock()))
            done = work(units[-1])
            self._tell_elsewhere(units[-1])
            return done

        result = self.store.write(run)
        self._tell(units[-1])
        return result

    def enqueue(self, work: Callable[[Unit], T]) -> Future[T]:
        """The same within the next group commit."""
        outer: Future[T] = Future()

        def run(connection: Connection) -> tuple[T, Unit]:
            unit = Unit(connection, self.clock())
            done = work(unit)
            self._tell_elsewhere(unit)
            return done, unit

        def finish(inner: Future[tuple[T, Unit]]) -> None:
            problem = inner.exception()
            if problem is not None:
                outer.set_exception(problem)
                return
            result, unit = inner.result()
            self._tell(unit)
            outer.set_result(result)

        outer.set_running_or_notify_cancel()
        self.store.enqueue(run).add_done_callback(finish)
        return outer

    def _tell_elsewhere(self, unit: Unit) -> None:
        if self.told_elsewhere is not None and (told := unit.told_elsewhere()):
            self.told_elsewhere(unit.connection, told)

    def _tell(self, unit: Unit) -> None:
        for change in unit.told():
            self.tell(change)

    def tell(self, change: Change) -> None:
        self.hub.tell(change)
