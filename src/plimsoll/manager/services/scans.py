"""Scans from the manager: of its fleet, of some computers, of endpoints in networks that its configuration names.

Rules of this file: one scan at a time runs on a manager, the others wait in the store, so that a restart loses none of
them. The endpoints are fixed when a scan is asked for. A scan whose manager ended is *interrupted*, and what it saw is
kept; it does not go on by itself. Of several managers each may run one. Which of them runs a scan stands in its row,
and every step names that manager, so that no two run one, and one that was given up changes nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.exceptions import ExceptionsService
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.services.proving import Place, ProvingService
from plimsoll.manager.services.scan_run import ScanRun
from plimsoll.manager.services.scan_targets import MOST_ENDPOINTS, Endpoint, LeftOut, of_places, of_words
from plimsoll.manager.services.scan_views import (
    ChangedEndpoint,
    DiffView,
    EndpointView,
    PciEndpoint,
    PciView,
    ScanView,
    endpoint_view,
    over_all,
    scan_view,
    target_of,
)
from plimsoll.manager.services.scope import PCI, in_scope, portless
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import scans as table
from plimsoll.manager.store import scope as scope_table
from plimsoll.manager.store.scans import QUEUED, RUNNING, EndpointRecord, ScanRecord
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import FULL, SWEEP
from plimsoll.scan.profiles import ProfileError, load
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.scan.reports import json_report
from plimsoll.scan.reports.diff import compare
from plimsoll.tls.versions import Version

MODES = (FULL, SWEEP)
#: Scans that wait. Whoever asks for more than that asks by mistake.
MOST_QUEUED = 20
#: Scans that are kept: a year of one a week.
KEPT = 52
#: And endpoints of all these together, which is what takes room: some 5 KiB each, so 100 MB. Two scans of the largest
#: size can be compared; beyond that the oldest scans go first.
KEPT_ENDPOINTS = 2 * MOST_ENDPOINTS
_LABEL = 200
_PAGE = 200


class ScansService:
    """`register` tells whose the probes are, as in `ProvingService`."""

    def __init__(
        self,
        core: Core,
        nodes: NodesService,
        proving: ProvingService,
        exceptions: ExceptionsService,
        register: Callable[[str, int], None],
    ) -> None:
        self._core = core
        self._nodes = nodes
        self._proving = proving
        self._exceptions = exceptions
        self._register = register
        self._node = nodes.own
        self._lock = threading.Lock()
        self._run: ScanRun | None = None
        self._closed = False

    @permits(Permission.SCANS_CHANGE)
    def start(
        self,
        principal: Principal,
        *,
        fleet: bool = False,
        computers: Sequence[str] = (),
        endpoints: Sequence[str] = (),
        opening: str | None = None,
        mode: str = FULL,
        profiles: Sequence[str] = (),
        label: str = "",
    ) -> ScanView:
        """Puts a scan into the queue; it begins within a second where none runs.

        `fleet` is every port of the fleet, `computers` are ids or numbers whose ports are meant, `endpoints` are words
        as `plimsoll scan` takes them, with `opening` what is said before TLS. `mode` is full or sweep. Judged by PCI
        DSS always, and by `profiles`.

        Raises BadInput (nothing to scan, not understood, not covered by `scanNetworks=`, too many), NotFound (a
        computer), Conflict (the queue is full, or no port is known of what was asked for).
        """
        if mode not in MODES:
            raise BadInput(f"unknown mode {mode!r}; valid are {', '.join(MODES)}; nothing was scanned")
        if len(label) > _LABEL:
            raise BadInput(f"a label has at most {_LABEL} characters; nothing was scanned")
        if not (fleet or computers or endpoints):
            raise BadInput("say what to scan: fleet, computers or endpoints; nothing was scanned")
        judged = tuple(dict.fromkeys((PCI, *profiles)))
        try:
            for name in judged:
                load(name)
        except ProfileError as error:
            raise BadInput(f"{error}; nothing was scanned") from None
        chosen, left = self._choose(fleet, computers, endpoints, opening)
        if not chosen:
            why = "; ".join(f"{one.name}: {one.reason}" for one in left[:5])
            raise Conflict(f"no port is known of what was to be scanned ({why}); nothing was scanned")
        asked: dict[str, Any] = {
            "fleet": fleet,
            "computers": list(computers),
            "endpoints": list(endpoints),
            "opening": opening,
            "mode": mode,
            "profiles": list(judged),
        }
        new = ScanRecord(
            id=0,
            created=self._core.clock(),
            who=principal.who,
            via=principal.via,
            label=label.strip() or _label(fleet, computers, endpoints),
            state=QUEUED,
            asked=asked,
            left_out=[one.as_json() for one in left],
            total=len(chosen),
            node=self._node,
        )

        def work(unit: Unit) -> ScanView:
            if table.count(unit.connection, QUEUED) >= MOST_QUEUED:
                raise Conflict(f"{MOST_QUEUED} scans wait already; nothing was scanned. Cancel one, or wait")
            scan = table.add(unit.connection, new)
            rows = [_row(scan, position, one) for position, one in enumerate(chosen)]
            table.add_endpoints(unit.connection, rows)
            unit.audit(principal, "scans.start", f"scan {scan}", None, asked | {"total": len(chosen)})
            return self._view(unit.connection, _known(unit.connection, scan))

        return self._core.write(work)

    def _choose(
        self, fleet: bool, computers: Sequence[str], endpoints: Sequence[str], opening: str | None
    ) -> tuple[tuple[Endpoint, ...], tuple[LeftOut, ...]]:
        places = self._proving.places()
        wanted: list[Place] = list(places) if fleet else []
        left: list[LeftOut] = []
        for known in self._core.store.read(lambda c: _computers(c, computers)):
            theirs = [place for place in places if place.computer == known[0]]
            wanted += theirs
            if not theirs:
                left.append(LeftOut(known[1], known[0], "no port of it is known to listen"))
        own, unknown = of_places(wanted)
        words = of_words(endpoints, opening, places, self._core.home.config.scan_networks) if endpoints else []
        chosen = {one.target: one for one in (*words, *own)}
        if len(chosen) > MOST_ENDPOINTS:
            raise BadInput(
                f"a scan has at most {MOST_ENDPOINTS} endpoints, and these are {len(chosen)}; nothing was scanned"
            )
        return tuple(chosen.values()), tuple(dict.fromkeys([*left, *unknown]))

    @permits(Permission.SCANS_READ)
    def list(self, principal: Principal, limit: int = 50) -> tuple[ScanView, ...]:
        """The newest first."""
        most = min(max(limit, 1), 1000)
        return self._core.store.read(lambda c: tuple(self._view(c, one) for one in table.find(c, most)))

    @permits(Permission.SCANS_READ)
    def get(self, principal: Principal, scan: int) -> ScanView:
        """Raises NotFound, here and below."""
        return self._core.store.read(lambda c: self._view(c, _known(c, scan)))

    @permits(Permission.SCANS_READ)
    def endpoints(
        self, principal: Principal, scan: int, after: int = -1, limit: int = 1000
    ) -> tuple[EndpointView, ...]:
        """A page of them in their order, behind the position `after`; also of a scan that runs."""

        def work(connection: Connection) -> tuple[EndpointRecord, ...]:
            _known(connection, scan)
            return table.endpoints(connection, scan, after, min(max(limit, 1), 5000))

        return tuple(map(endpoint_view, self._core.store.read(work)))

    @permits(Permission.SCANS_READ)
    def endpoint(self, principal: Principal, scan: int, position: int) -> tuple[EndpointView, EndpointReport | None]:
        """One of them with all that was seen of it; None while it waits. Raises NotFound."""
        found = next(iter(self.endpoints(principal, scan, position - 1, 1)), None)
        if found is None or found.position != position:
            raise NotFound(f"scan {scan} has no endpoint {position}")
        line = self._report_at(scan, position)
        return found, None if line is None else msgspec.json.decode(line, type=EndpointReport)

    @permits(Permission.SCANS_READ)
    def report(self, principal: Principal, scan: int) -> Iterator[str]:
        """The document of `plimsoll scan --format json`, in pieces. Of a scan that did not end by itself, what it saw.

        Raises Conflict while it runs or waits.
        """
        return self._document(self._over(scan))

    def _document(self, found: ScanRecord) -> Iterator[str]:
        yield json_report.head(found.started or found.created)
        count = 0
        for page in self._reports(found.id):
            text = ",\n".join(line.decode() for _, line in page)
            yield ("\n" if not count else ",\n") + text
            count += len(page)
        yield json_report.tail(found.ended or found.created, count)

    def _reports(self, scan: int) -> Iterator[Sequence[tuple[int, bytes]]]:
        after = -1
        while page := self._core.store.read(lambda c, a=after: table.reports(c, scan, a, _PAGE)):  # type: ignore[misc]  # a default binds it
            yield page
            after = page[-1][0]

    @permits(Permission.SCANS_READ)
    def diff(self, principal: Principal, scan: int, earlier: int) -> DiffView:
        """What changed at each endpoint since the earlier scan. Raises Conflict where one of them is not over."""
        self._over(scan)
        self._over(earlier)
        before = {target_of(one): one for one in self._all(earlier) if one.state}
        decode = msgspec.json.Decoder(EndpointReport).decode
        changed: list[ChangedEndpoint] = []
        new: list[Target] = []
        kinds = dict.fromkeys(("opened", "closed", "changed", "unproved"), 0)
        same = 0
        for page in self._reports(scan):
            for _, line in page:
                report = decode(line)
                was = before.pop(report.target, None)
                known = None if was is None else self._report_at(earlier, was.position)
                found = compare(None if known is None else decode(known), report)
                if not found.known:
                    new.append(report.target)
                elif not found.changes:
                    same += 1
                else:
                    told = tuple((one.kind.value, one.subject, one.text) for one in found.changes)
                    changed.append(ChangedEndpoint(report.target, told))
                    for kind, _, _ in told:
                        kinds[kind] += 1
        return DiffView(scan, earlier, tuple(changed), same, tuple(new), tuple(before), kinds)

    @permits(Permission.SCANS_READ)
    def pci(self, principal: Principal, scan: int) -> PciView:
        """Each endpoint with its mark of scope as it is now, and what PCI DSS says of what the scan saw (R10)."""

        def work(connection: Connection) -> tuple[Any, ...]:
            _known(connection, scan)
            marks = scope_table.all_marks(connection)
            marked = [one.computer for one in marks if one.computer]
            return marks, computer_table.find(connection, ids=marked) if marked else ()

        marks, computers = self._core.store.read(work)
        early = [view for view in self._exceptions.in_force() if view.floor < Version.TLS1_2]
        rows = self._all(scan)
        found = []
        for row in rows:
            judged = (row.verdicts or {}).get(PCI)
            verdict = Verdict.NOT_PROVED.value if judged is None else judged["verdict"]
            reasons = [f"it was not asked: {row.note}".removesuffix(": ")] if judged is None else judged["reasons"]
            let_in = [view for view in early if view.point.value == row.point]
            if let_in:
                verdict = Verdict.FAILS.value
                said = [f"exception {view.id} lets {view.source or view.name} use {view.floor}" for view in let_in]
                reasons = [*reasons, *said]
            target, scoped = target_of(row), in_scope(row.point, row.computer, marks)
            found.append(PciEndpoint(target, row.point, row.computer, row.name, scoped, verdict, tuple(reasons)))
        there = {row.computer for row in rows}
        missing = []
        for one in computers:
            if one.id not in there:
                own = portless(one)
                missing.append(PciEndpoint(None, "", one.id, one.display, True, own["verdict"], (*own["findings"],)))
        note = "what a handshake can show of requirement 4.2.1; inventories and revocation are not judged"
        return PciView(scan, PCI, over_all([*found, *missing]), note, tuple(found), tuple(missing))

    @permits(Permission.SCANS_CHANGE)
    def cancel(self, principal: Principal, scan: int) -> ScanView:
        """Ends it where it is; what it saw stays. Another manager that runs it asks no more within seconds.

        Raises Conflict where it is over.
        """

        def work(unit: Unit) -> ScanView:
            found = _known(unit.connection, scan)
            values = {"state": table.CANCELLED, "ended": unit.now, "text": f"cancelled by {principal.name}"}
            if not any(table.move(unit.connection, scan, state, **values) for state in (QUEUED, RUNNING)):
                raise Conflict(f"scan {scan} is {found.state} already; nothing was changed")
            unit.audit(principal, "scans.cancel", f"scan {scan}", {"state": found.state}, {"done": found.done})
            said = f"scan {scan} ({found.label}) was cancelled by {principal.name} after {found.done} endpoints"
            unit.event(NewEvent(event_numbers.SCAN_CANCELLED, "info", said, target=f"scan {scan}"))
            return self._view(unit.connection, _known(unit.connection, scan))

        view = self._core.write(work)
        run = self._run
        if run is not None and run.scan == scan:
            run.stop()
        return view

    @permits(Permission.SCANS_CHANGE)
    def delete(self, principal: Principal, scan: int) -> None:
        """Forgets it with its report. Raises Conflict where it runs."""

        def work(unit: Unit) -> None:
            found = _known(unit.connection, scan)
            if self._state(unit.connection, found) == RUNNING:
                raise Conflict(f"scan {scan} runs; nothing was deleted. Cancel it first")
            table.remove(unit.connection, scan)
            before = {"label": found.label, "state": found.state, "total": found.total}
            unit.audit(principal, "scans.delete", f"scan {scan}", before, None)

        self._core.write(work)

    # -- run by the manager

    @internal
    def tick(self) -> bool:
        """Tells of scans that were interrupted, and begins the next where none runs. Whether one runs."""
        with self._lock:
            if self._closed:
                return False
            for found in self._core.store.read(self._left_behind):
                self._interrupt(found, "the manager that ran it ended meanwhile")
            if self._run is not None and self._run.alive:
                return True
            self._run = None
            for found in self._core.store.read(lambda c: table.in_state(c, QUEUED)):
                if self._claim(found):
                    self._run = ScanRun(self._core, found, self._node, self._register, _tidy)
                    self._run.begin()
                    return True
            return False

    @internal
    def close(self) -> None:
        """The manager stops: so does its scan, which is interrupted then."""
        with self._lock:
            self._closed = True
            run, self._run = self._run, None
        if run is None or not run.alive:
            return
        run.stop()
        found = self._core.store.read(lambda c: table.get(c, run.scan))
        if found is not None and found.state == RUNNING:
            self._interrupt(found, "the manager was stopped")

    def _claim(self, found: ScanRecord) -> bool:
        values = {"state": RUNNING, "node": self._node, "started": self._core.clock()}
        return self._core.store.write(lambda c: table.move(c, found.id, QUEUED, **values))

    def _interrupt(self, found: ScanRecord, why: str) -> None:
        def work(unit: Unit) -> None:
            values = {"state": table.INTERRUPTED, "ended": unit.now, "text": f"{why}; what was seen by then is kept"}
            if table.move(unit.connection, found.id, RUNNING, found.node, **values):
                said = f"scan {found.id} ({found.label}) was interrupted after {found.done} endpoints: {why}"
                unit.event(NewEvent(event_numbers.SCAN_INTERRUPTED, "warning", said, target=f"scan {found.id}"))
                _tidy(unit.connection)

        self._core.write(work)

    # -- small

    def _left_behind(self, connection: Connection) -> tuple[ScanRecord, ...]:
        """Those that nobody runs any more, although they say that somebody does."""
        running = table.in_state(connection, RUNNING)
        return tuple(found for found in running if self._state(connection, found) == table.INTERRUPTED)

    def _state(self, connection: Connection, found: ScanRecord) -> str:
        """A scan that nobody runs any more is interrupted, whether that is stored already or not."""
        if found.state != RUNNING:
            return found.state
        if found.node == self._node:
            run = self._run
            return RUNNING if run is not None and run.scan == found.id else table.INTERRUPTED
        return table.INTERRUPTED if self._nodes.lost(connection, found.node) else RUNNING

    def _view(self, connection: Connection, found: ScanRecord) -> ScanView:
        run = self._run
        state = self._state(connection, found)
        return scan_view(found, state, run.done if state == RUNNING and run and run.scan == found.id else None)

    def _over(self, scan: int) -> ScanRecord:
        def work(connection: Connection) -> tuple[ScanRecord, str]:
            known = _known(connection, scan)
            return known, self._state(connection, known)

        found, state = self._core.store.read(work)
        if state in (QUEUED, RUNNING):
            raise Conflict(f"scan {scan} is not over: {found.done} of {found.total} endpoints are done")
        return found

    def _all(self, scan: int) -> Sequence[EndpointRecord]:
        found: list[EndpointRecord] = []
        after = -1
        while page := self._core.store.read(lambda c, a=after: table.endpoints(c, scan, a, 5 * _PAGE)):  # type: ignore[misc]
            found += page
            after = page[-1].position
        return found

    def _report_at(self, scan: int, position: int) -> bytes | None:
        return self._core.store.read(lambda c: table.report_at(c, scan, position))


def _label(fleet: bool, computers: Sequence[str], endpoints: Sequence[str]) -> str:
    parts = ["the fleet"] if fleet else []
    parts += [f"{len(computers)} computers"] if computers else []
    parts += [", ".join(endpoints[:3]) + (", …" if len(endpoints) > 3 else "")] if endpoints else []
    return "; ".join(parts)[:_LABEL]


def _row(scan: int, position: int, one: Endpoint) -> EndpointRecord:
    target = one.target
    return EndpointRecord(
        scan, position, target.host, target.port, target.opening, target.server_name, one.point, one.computer, one.name
    )


def _computers(connection: Connection, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """(id, name) of each that is asked for by id or number."""
    found = []
    for one in dict.fromkeys(wanted):
        known = computer_table.one(connection, one)
        if known is None:
            raise NotFound(f"there is no computer {one!r}; nothing was scanned")
        found.append((known.id, known.display))
    return found


def _known(connection: Connection, scan: int) -> ScanRecord:
    found = table.get(connection, scan)
    if found is None:
        raise NotFound(f"there is no scan {scan}; nothing was changed")
    return found


def _tidy(connection: Connection) -> None:
    """The oldest scans go, where there are more than are kept or they take too much room; the newest two never."""
    room = KEPT_ENDPOINTS
    for number, (scan, endpoints) in enumerate(table.ended(connection)):
        room -= endpoints
        if number >= KEPT or (number >= 2 and room < 0):
            table.remove(connection, scan)
