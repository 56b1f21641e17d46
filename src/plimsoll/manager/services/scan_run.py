"""One scan under way, in a thread of its own: a child process asks, and what it sees is stored in pieces.

The heartbeat loop has no part in it: the child has an interpreter of its own, and gives way to everybody.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from plimsoll.manager.ports import ServiceError, Unavailable
from plimsoll.manager.scanner import ScanProcess
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.proving import source_towards
from plimsoll.manager.services.scan_views import Line, target_of
from plimsoll.manager.store import Connection
from plimsoll.manager.store import scans as table
from plimsoll.manager.store.scans import RUNNING, EndpointRecord, ScanRecord
from plimsoll.scan.child import Group, Question
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import Target

log = logging.getLogger(__name__)

#: Endpoints that are stored in one transaction, and seconds after which fewer are.
PIECE = 50
SILENCE = 0.5
#: Seconds between two looks whether the scan was cancelled, at another manager too.
LOOK = 2.0
#: For how long our own addresses are registered as ours, and after how many seconds again.
REGISTERED = 600
REGISTER_AGAIN = 240.0
_PAGE = 500


class ScanRun:
    """Begins with `begin`. `tidy` is called in the transaction that ends it, to drop what is no longer kept."""

    def __init__(
        self,
        core: Core,
        scan: ScanRecord,
        node: str,
        register: Callable[[str, int], None],
        tidy: Callable[[Connection], None],
    ) -> None:
        self.scan = scan.id
        self.done = 0
        self._record = scan
        self._core = core
        self._node = node
        self._register = register
        self._tidy = tidy
        self._stop = threading.Event()
        self._process: ScanProcess | None = None
        self._positions: dict[Target, int] = {}
        self._failing = self._unproved = self._findings = 0
        self._thread = threading.Thread(target=self._run, name=f"scan-{scan.id}", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, seconds: float = 5.0) -> None:
        """Asks no more. What was stored stays; the state of the scan is the caller's."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.kill()
        if threading.current_thread() is not self._thread:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._carry_out()
        except ServiceError as error:
            log.error("scan %d: %s", self.scan, error.message)
            self._fail(error.message)
        except Exception as error:
            log.exception("scan %d failed", self.scan)
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.end()

    def _carry_out(self) -> None:
        endpoints = self._endpoints()
        self._positions = {target_of(one): one.position for one in endpoints}
        sources = self._sources(endpoints)
        self._register_all(sources)
        if self._stop.is_set():
            return
        self._process = process = ScanProcess(self._question(endpoints))
        if self._stop.is_set():
            process.kill()
        waiting: list[Line] = []
        raw: list[bytes] = []
        stored = registered = time.monotonic()
        for line in process.lines(SILENCE):
            if self._stop.is_set():
                return
            if line:
                raw.append(line.rstrip())
                waiting.append(msgspec.json.decode(line, type=Line))
                self.done += 1
            now = time.monotonic()
            if now - registered >= REGISTER_AGAIN:
                self._register_all(sources)
                registered = now
            if len(waiting) >= PIECE or now - stored >= (SILENCE if waiting else LOOK):
                if not self._store(waiting, raw):
                    return
                waiting, raw, stored = [], [], now
        if self._stop.is_set() or not self._store(waiting, raw):
            return
        code = process.end()
        if code != 0:
            self._fail(f"the scanner ended with status {code}; the manager's log says why")
            return
        self._core.write(self._finish)

    def _endpoints(self) -> list[EndpointRecord]:
        found: list[EndpointRecord] = []
        while True:
            after = found[-1].position if found else -1
            page = self._core.store.read(lambda c, a=after: table.endpoints(c, self.scan, a, _PAGE))  # type: ignore[misc]  # a default binds it
            found += page
            if len(page) < _PAGE:
                return found

    def _question(self, endpoints: Sequence[EndpointRecord]) -> Question:
        """The fleet's ports are judged by our own CA, as in proofs, and all others by the system's roots."""
        own = Group([target_of(one) for one in endpoints if one.point], str(self._core.home.ca_certificate))
        others = Group([target_of(one) for one in endpoints if not one.point])
        asked = self._record.asked
        groups = [group for group in (own, others) if group.targets]
        return Question(groups, list(asked["profiles"]), asked["mode"])

    def _sources(self, endpoints: Sequence[EndpointRecord]) -> list[str]:
        addresses = {one.host: one.port for one in endpoints}
        return sorted({source for host, port in addresses.items() if (source := source_towards(host, port))})

    def _register_all(self, sources: Sequence[str]) -> None:
        """What we leave behind is nobody's program, and our refusals take no change back."""
        for source in sources:
            try:
                self._register(source, REGISTERED)
            except ServiceError:
                return  # listed as somebody's client then, which warns and harms nothing

    def _store(self, lines: Sequence[Line], raw: Sequence[bytes]) -> bool:
        """What was seen. Whether the scan still is to go on. Waits for a store that is away."""
        judged = [line.judged() for line in lines]
        for verdicts in judged:
            broken = sum(one["broken"] for one in verdicts.values())
            self._findings += broken
            self._failing += bool(broken)
            self._unproved += not broken and any(one["verdict"] != Verdict.HOLDS.value for one in verdicts.values())

        def work(connection: Connection) -> bool:
            figures = {"failing": self._failing, "unproved": self._unproved, "findings": self._findings}
            if not table.move(connection, self.scan, RUNNING, self._node, done=self.done, **figures):
                return False
            for line, text, verdicts in zip(lines, raw, judged, strict=True):
                position = self._positions.get(line.target)
                if position is not None:
                    table.saw(
                        connection, self.scan, position, text, state=line.state, note=line.note,
                        accepted=line.accepted, letter=line.letter, verdicts=verdicts,
                    )  # fmt: skip
            return True

        while True:
            try:
                return self._core.store.write(work)
            except Unavailable:
                if self._stop.wait(1.0):
                    return False

    def _finish(self, unit: Unit) -> None:
        text = f"{self.done} endpoints were asked; {self._failing} break a rule, of {self._unproved} not all is proved"
        values = {"state": table.DONE, "ended": unit.now, "text": text}
        if not table.move(unit.connection, self.scan, RUNNING, self._node, **values):
            return
        level = "warning" if self._failing else "info"
        extra = {"findings": self._findings, "failing": self._failing, "notProved": self._unproved, "total": self.done}
        said = f"scan {self.scan} ({self._record.label}) finished: {text}; {self._findings} findings"
        unit.event(NewEvent(event_numbers.SCAN_FINISHED, level, said, target=f"scan {self.scan}", extra=extra))
        self._tidy(unit.connection)

    def _fail(self, why: str) -> None:
        def work(unit: Unit) -> None:
            values = {"state": table.FAILED, "ended": unit.now, "text": why}
            if table.move(unit.connection, self.scan, RUNNING, self._node, **values):
                said = f"scan {self.scan} ({self._record.label}) failed: {why}"
                unit.event(NewEvent(event_numbers.SCAN_FAILED, "error", said, target=f"scan {self.scan}"))

        try:
            self._core.write(work)
        except ServiceError:
            log.exception("scan %d failed, which could not be stored", self.scan)
