"""The loop of notifications: every target in a thread of its own, so that a slow one holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plimsoll.manager.notify.senders import DeliveryError, Sender
from plimsoll.manager.ports import ServiceError
from plimsoll.manager.services.hub import Change, Elsewhere, EventRecorded
from plimsoll.net.backoff import Backoff

if TYPE_CHECKING:
    from plimsoll.manager.services import Services
    from plimsoll.manager.store.notifications import TargetRecord

log = logging.getLogger(__name__)

#: Seconds between two looks at the list of targets.
LOOK_SECONDS = 1.0
#: The delays after a failure: the first, and the longest.
FIRST, LONGEST = 1.0, 300.0
#: What was not wanted moves the stored place only now and then: it costs a write, and saying it again costs a read.
NOTE_EVERY = 1000


@dataclass(slots=True)
class _Worker:
    """One target's thread. `known` is the target as it was when the thread began."""

    known: TargetRecord
    stop: threading.Event = field(default_factory=threading.Event)
    wake: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Forwarder:
    """`run_forever` is for the supervisor; `close` ends the threads."""

    def __init__(self, services: Services, backoff: Callable[[], Backoff] = lambda: Backoff(FIRST, LONGEST)) -> None:
        self._services = services
        self._backoff = backoff
        self._workers: dict[int, _Worker] = {}

    async def run_forever(self) -> None:
        unsubscribe = self._services.hub.subscribe(self._heard)
        failing = False
        try:
            while True:
                try:
                    await asyncio.to_thread(self.look)
                    failing = False
                except ServiceError as error:
                    if not failing:
                        log.error("who is to be notified could not be read, and is soon: %s", error.message)
                    failing = True
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            unsubscribe()
            await asyncio.to_thread(self.close)

    def look(self) -> None:
        """Begins a thread for each target, anew where its settings changed, and ends those of removed ones."""
        mine = self._services.nodes.holds("notifications")
        found = {one.id: one for one in self._services.notifications.targets()} if mine else {}
        for identifier, worker in list(self._workers.items()):
            target = found.get(identifier)
            if target is None or _terms(target) != _terms(worker.known):
                self._end(self._workers.pop(identifier))
        for identifier, target in found.items():
            if identifier not in self._workers:
                worker = self._workers[identifier] = _Worker(target)
                worker.thread = threading.Thread(
                    target=self._work, args=(worker,), name=f"notify-{target.id}", daemon=True
                )
                worker.thread.start()

    def close(self) -> None:
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.stop.set()
            worker.wake.set()
        for worker in workers:
            self._end(worker)

    def _end(self, worker: _Worker) -> None:
        worker.stop.set()
        worker.wake.set()
        if worker.thread is not None:
            # One that waits for a receiver is left to its time-out: it keeps nothing that is not in the store.
            worker.thread.join(0.5)

    def _heard(self, change: Change) -> None:
        if isinstance(change, EventRecorded | Elsewhere):
            for worker in tuple(self._workers.values()):
                worker.wake.set()

    def _work(self, worker: _Worker) -> None:
        backoff = self._backoff()
        sender: Sender | None = None
        cursor = stored = worker.known.cursor
        try:
            while not worker.stop.is_set():
                worker.wake.clear()
                try:
                    due = self._services.notifications.due(worker.known, cursor)
                    if due is None:
                        worker.wake.wait(LOOK_SECONDS * 30)
                        continue
                    if due.events:
                        sender = sender or self._services.notifications.sender(worker.known)
                        sender.send(due.events)
                        backoff.reset()
                    if (due.events or due.cursor - stored >= NOTE_EVERY) and not worker.stop.is_set():
                        if not self._services.notifications.arrived(worker.known, due.cursor, bool(due.events)):
                            return
                        stored = due.cursor
                    cursor = due.cursor
                except DeliveryError as error:
                    self._failed(worker, error)
                    wish = error.retry_after or 0.0
                    worker.stop.wait(max(wish, backoff.next()))
                except ServiceError as error:
                    log.warning("notifications for %s wait for the store: %s", worker.known.name, error.message)
                    worker.stop.wait(backoff.next())
        finally:
            if sender is not None:
                sender.close()

    def _failed(self, worker: _Worker, error: DeliveryError) -> None:
        log.warning("notifications for %s: %s", worker.known.name, error)
        self._services.notifications.failed(worker.known, str(error), gone=error.gone)


def _terms(target: TargetRecord) -> tuple[object, ...]:
    """What a thread works by; its place in the events is none of it, since the thread itself moves that."""
    return (target.kind, target.settings, target.level, target.numbers, target.secret)
