"""Proofs that are kept to be downloaded, and the one that is being made: in the store, for every manager to show.

Rules of this file: one proof is made at a time, by whichever manager was asked for it; its row names that manager, and
a proof whose manager ended is told as broken off.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from plimsoll.manager.ports import Conflict, NotFound, ServiceError
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.store import Connection, facts
from plimsoll.manager.store import proofs as table
from plimsoll.manager.store.proofs import ProofRecord
from plimsoll.scan.proofs import BUNDLE

log = logging.getLogger(__name__)

#: How many bundles are kept for the console to download.
KEPT = 30
#: Seconds between two times that other managers learn how far a proof is.
TELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class MadeProof:
    """A bundle that is kept. `scope` is the verdict over what is in scope, None where nothing was marked."""

    id: str
    made: float
    by: str
    verdict: str
    counts: Mapping[str, int]
    scope: str | None
    change: int | None
    key: str


@dataclass(frozen=True, slots=True)
class Making:
    """A proof that is being made: how many of the ports were asked, and at which other manager, by its name.

    `failed` says why the last one was not made.
    """

    by: str
    since: float
    change: int | None
    done: int = 0
    of: int = 0
    failed: str = ""
    at: str = ""


class _Job(msgspec.Struct, frozen=True):
    """What the store knows of it. `node` makes it, `name` is what that manager is called."""

    id: str
    node: str
    name: str
    by: str
    since: float
    change: int | None
    done: int = 0
    of: int = 0
    failed: str = ""


class ProofShelf:
    """`name` is what this manager is called."""

    def __init__(self, core: Core, nodes: NodesService, name: str) -> None:
        self._core = core
        self._nodes = nodes
        self._name = name
        self._lock = threading.Lock()
        self._own: _Job | None = None
        self._told = 0.0

    def begin(self, by: str, change: int | None, job: str) -> Making:
        """Raises Conflict where one is being made, here or elsewhere."""
        new = _Job(job, self._nodes.own, self._name, by, self._core.clock(), change)

        def work(unit: Unit) -> None:
            known = _job(unit.connection)
            if known is not None and not known.failed and self._lives(unit.connection, known):
                where = "" if known.node == self._nodes.own else f", at the manager {known.name}"
                raise Conflict(f"a proof is being made already{where}; nothing was started. It is done in a moment")
            _put(unit.connection, new)

        with self._lock:
            self._core.write(work)
            self._own, self._told = new, time.monotonic()
        return self._view(new)

    def progress(self, done: int, of: int) -> None:
        """So many of the ports were asked: known here at once, elsewhere soon."""
        with self._lock:
            if self._own is None:
                return
            self._own = job = msgspec.structs.replace(self._own, done=done, of=of)
            now = time.monotonic()
            if not self._nodes.shared or now - self._told < TELL_SECONDS:
                return
            self._told = now
        try:
            self._core.store.write(lambda c: _put(c, job) if _is(c, job) else None)
        except ServiceError as error:
            log.warning("other managers do not learn how far the proof is: %s", error.message)

    def keep(self, record: ProofRecord, files: Mapping[str, bytes]) -> None:
        """It is made: it is in the list from now on, and the oldest ones go."""

        def work(unit: Unit) -> None:
            table.add(unit.connection, record, files)
            table.remove(unit.connection, [one.id for one in table.everyone(unit.connection)[KEPT:]])

        self._core.write(work)

    def end(self, failed: str = "") -> None:
        """Nothing is being made here any more; with a reason it is shown why."""
        with self._lock:
            job, self._own = self._own, None
        if job is None:
            return

        def work(connection: Connection) -> None:
            if not _is(connection, job):
                return
            if failed:
                _put(connection, msgspec.structs.replace(job, failed=failed))
            else:
                facts.drop(connection, facts.PROOF_MAKING)

        try:
            self._core.store.write(work)
        except ServiceError as error:
            log.warning("that the proof is over was not stored: %s", error.message)

    def recover(self) -> None:
        """This manager begins: what it made before is broken off."""

        def work(connection: Connection) -> None:
            known = _job(connection)
            if known is not None and known.node == self._nodes.own and not known.failed:
                _put(connection, msgspec.structs.replace(known, failed=_broken(known)))

        self._core.store.write(work)

    def making(self) -> Making | None:
        """What is being made at any manager, or why the last one failed."""

        def work(connection: Connection) -> tuple[_Job | None, bool]:
            known = _job(connection)
            return known, known is not None and self._lives(connection, known)

        known, lives = self._core.store.read(work)
        if known is None:
            return None
        own = self._own
        if own is not None and own.id == known.id:
            return self._view(own)
        view = self._view(known)
        return view if known.failed or lives else replace(view, failed=_broken(known))

    def made(self) -> tuple[MadeProof, ...]:
        """The newest first."""
        return tuple(
            MadeProof(one.id, one.made, one.who, one.verdict, one.counts, one.scope, one.change, one.key)
            for one in self._core.store.read(table.everyone)
        )

    def files(self, proof: str) -> dict[str, bytes]:
        """The files of a bundle by name. Raises NotFound."""
        return self._files(proof)

    def bundle(self, proof: str) -> bytes:
        """The content alone. Raises NotFound."""
        return self._files(proof, BUNDLE)[BUNDLE]

    def _files(self, proof: str, only: str | None = None) -> dict[str, bytes]:
        found = self._core.store.read(lambda c: table.files(c, proof, only))
        if not found:
            raise NotFound(f"there is no proof {proof!r}: the newest {KEPT} are kept")
        return found

    def _lives(self, connection: Connection, job: _Job) -> bool:
        if job.node == self._nodes.own:
            return self._own is not None and self._own.id == job.id
        return not self._nodes.lost(connection, job.node)

    def _view(self, job: _Job) -> Making:
        where = "" if job.node == self._nodes.own else job.name
        return Making(job.by, job.since, job.change, job.done, job.of, job.failed, where)


def _job(connection: Connection) -> _Job | None:
    known = facts.get(connection, facts.PROOF_MAKING)
    return None if known is None else msgspec.json.decode(known, type=_Job)


def _is(connection: Connection, job: _Job) -> bool:
    known = _job(connection)
    return known is not None and known.id == job.id


def _put(connection: Connection, job: _Job) -> None:
    facts.put(connection, facts.PROOF_MAKING, msgspec.json.encode(job).decode())


def _broken(job: _Job) -> str:
    return f"the manager {job.name} ended while it made the proof, and nothing of it is kept. Make another"
