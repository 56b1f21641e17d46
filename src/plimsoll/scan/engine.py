"""Many endpoints at once: sessions share one loop, each within its own limits, and reports stream out as they are done.

Memory holds the sessions that are under way and nothing else: targets are taken from their iterator when there is room
for another one, and a report is gone once it was handed out.
"""

from __future__ import annotations

import heapq
import resource
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from plimsoll.scan.asking import Answer
from plimsoll.scan.dial import Attempt, Dialler, OpeningMaker
from plimsoll.scan.endpoint import Endpoint
from plimsoll.scan.options import Options
from plimsoll.scan.orders import Orders
from plimsoll.scan.report import EndpointReport, Target
from plimsoll.scan.resolve import Address, literal
from plimsoll.scan.session import Outgoing, Session

OnReport = Callable[[EndpointReport], None]

#: Sessions under way for each connection that may be open: some wait for their own pace, a name, or a time-out.
_SESSIONS: Final = 3
#: Descriptors that are not ours to use: files, pipes, the loop itself.
_RESERVED: Final = 24
_IDLE: Final = 0.5


@dataclass(slots=True, eq=False, repr=False)
class Progress:
    """How far a scan is. `total` is 0 where the targets were not counted."""

    done: int = 0
    active: int = 0
    connections: int = 0
    started: float = 0.0
    total: int = 0

    def time_left(self, now: float) -> float | None:
        """Seconds until the end at the pace so far, or None where that cannot be said."""
        if not self.done or not self.total:
            return None
        return (now - self.started) / self.done * (self.total - self.done)


def scan_endpoint(target: Target, options: Options | None = None) -> EndpointReport:
    """Scan one endpoint."""
    reports: list[EndpointReport] = []
    scan_many([target], options or Options(), reports.append)
    return reports[0]


def scan_many(
    targets: Iterable[Target],
    options: Options,
    on_report: OnReport,
    progress: Callable[[Progress], None] | None = None,
    *,
    total: int = 0,
) -> Progress:
    """Scan them all, each report handed to `on_report` when it is done, in no order.

    `progress` is called about ten times a second. An exception of either ends the scan.
    """
    scan = _Scan(iter(targets), options, on_report, progress, total)
    try:
        return scan.run()
    finally:
        scan.dialler.close()


@dataclass(slots=True, eq=False, repr=False)
class _Place:
    """An endpoint under way: its session, addresses, and whether it waits in a queue."""

    endpoint: Endpoint
    session: Session
    addresses: list[Address]
    opening: OpeningMaker | None
    host: str = ""
    network: str = ""
    waiting: bool = False
    alarm: float = 0.0


@dataclass(slots=True, eq=False, repr=False)
class _Flight(Attempt):
    """An attempt that knows whose it is."""

    place: _Place | None = None
    out: Outgoing | None = None
    host: str = ""
    network: str = ""


class _Scan:
    def __init__(
        self,
        targets: Iterator[Target],
        options: Options,
        on_report: OnReport,
        progress: Callable[[Progress], None] | None,
        total: int,
    ) -> None:
        self.dialler = Dialler(options.local_address)
        self._targets = targets
        self._options = options
        self._on_report = on_report
        self._on_progress = progress
        self._progress = Progress(started=time.monotonic(), total=total)
        self._overall = min(options.overall, _descriptors())
        self._orders = Orders()
        self._more = True
        self._flying = 0
        self._per: dict[str, int] = {}
        self._waiting: deque[_Place] = deque()
        self._alarms: list[tuple[float, int, _Place]] = []
        self._alarm_number = 0
        self._next_progress = 0.0

    def run(self) -> Progress:
        self._fill()
        while self._progress.active or self._more:
            now = time.monotonic()
            timeout = _IDLE
            if self._alarms:
                timeout = max(0.0, min(timeout, self._alarms[0][0] - now))
            self.dialler.poll(timeout)
            now = time.monotonic()
            while self._alarms and self._alarms[0][0] <= now:
                place = heapq.heappop(self._alarms)[2]
                place.alarm = 0.0
                self._pump(place)
            if self._waiting:
                self._release()
            if self._more:
                self._fill()
            self._tell(now)
        self._tell(0.0, last=True)
        return self._progress

    # Endpoints come and go

    def _fill(self) -> None:
        limit = self._overall * _SESSIONS
        while self._more and self._progress.active < limit and self._flying < self._overall:
            target = next(self._targets, None)
            if target is None:
                self._more = False
                return
            self._progress.active += 1
            endpoint = Endpoint(target, self._options, time.time(), self._orders)
            address = literal(target.host, target.port)
            if address is not None:
                self._begin(endpoint, [address], "")
            else:
                self._resolve(endpoint)

    def _resolve(self, endpoint: Endpoint) -> None:
        target = endpoint.target

        def found(addresses: list[Address], reason: str) -> None:
            self._begin(endpoint, addresses, reason)

        self.dialler.resolve(target.host, target.port, found)

    def _begin(self, endpoint: Endpoint, addresses: list[Address], reason: str) -> None:
        if not addresses:
            self._finish(endpoint.unreachable(reason))
            return
        opening = None
        if endpoint.target.opening:
            from plimsoll.tls.starttls import open_with

            opening = partial(open_with, endpoint.target.opening, endpoint.target.server_name)
        session = endpoint.session(addresses)
        place = _Place(endpoint, session, addresses, opening)
        place.host, place.network = _groups(addresses[0])
        session.start(time.monotonic())
        self._pump(place)

    def _finish(self, report: EndpointReport) -> None:
        self._progress.active -= 1
        self._progress.done += 1
        self._on_report(report)

    # Connections within the limits

    def _pump(self, place: _Place) -> None:
        """Start what the session has to ask, as far as the limits allow."""
        session = place.session
        while not session.done:
            if self._flying >= self._overall or self._full(place):
                if not place.waiting:
                    place.waiting = True
                    self._waiting.append(place)
                return
            now = time.monotonic()
            out = session.take(now)
            if out is None:
                break
            self._dial(place, out)
        if session.done and not session.flying:
            if place.endpoint.open:
                place.endpoint.open = False
                self._finish(place.endpoint.report())
        elif not session.done:
            self._set_alarm(place)

    def _full(self, place: _Place) -> bool:
        per = self._per
        return (
            per.get(place.host, 0) >= self._options.per_host or per.get(place.network, 0) >= self._options.per_network
        )

    def _dial(self, place: _Place, out: Outgoing) -> None:
        options = self._options
        address = place.addresses[place.session.address]
        if place.session.address:
            place.host, place.network = _groups(address)
        per = self._per
        per[place.host] = per.get(place.host, 0) + 1
        per[place.network] = per.get(place.network, 0) + 1
        self._flying += 1
        self.dialler.dial(
            _Flight(
                address, out.ask, self._answered, place.opening, options.timeout, out.first_byte,
                min(options.whole, out.ask.whole or options.whole),
                place, out, place.host, place.network,
            )
        )  # fmt: skip

    def _answered(self, attempt: Attempt, answer: Answer) -> None:
        assert isinstance(attempt, _Flight)
        assert attempt.place is not None
        assert attempt.out is not None
        self._flying -= 1
        self._less(attempt.host)
        self._less(attempt.network)
        attempt.place.session.answered(attempt.out, answer, time.monotonic())
        self._pump(attempt.place)

    def _less(self, key: str) -> None:
        left = self._per[key] - 1
        if left:
            self._per[key] = left
        else:
            del self._per[key]

    def _release(self) -> None:
        """Let those go on that waited for a limit."""
        for _ in range(len(self._waiting)):
            if self._flying >= self._overall:
                return
            place = self._waiting.popleft()
            if self._full(place):
                self._waiting.append(place)
            else:
                place.waiting = False
                self._pump(place)

    def _set_alarm(self, place: _Place) -> None:
        """Wake the session when its pause is over, or at its deadline."""
        moment = place.session.pace.not_before
        if place.session.flying and moment <= time.monotonic():
            return  # an answer will wake it
        if not place.alarm or moment < place.alarm:
            place.alarm = moment
            self._alarm_number += 1
            heapq.heappush(self._alarms, (moment, self._alarm_number, place))

    def _tell(self, now: float, last: bool = False) -> None:
        if self._on_progress is None or (now < self._next_progress and not last):
            return
        self._next_progress = now + 0.1
        self._progress.connections = self.dialler.connections
        self._on_progress(self._progress)


def _groups(address: Address) -> tuple[str, str]:
    """The host and its network (/24, or /64), by which connections are counted."""
    family, where = address
    host = where[0]
    if family == socket.AF_INET6:
        return host, socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8].hex()
    return host, host.rpartition(".")[0]


def _descriptors() -> int:
    """How many connections the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(2, soft - _RESERVED) if soft != resource.RLIM_INFINITY else 1 << 20
