"""What Prometheus reads: counters that this process keeps, and figures that are looked up when it asks.

Rules of this file: labels come from closed sets (points, versions, outcomes, levels, event numbers), never from a
peer: a stranger must not be able to make new series.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plimsoll import RELEASE
from plimsoll.manager.services.hub import Change, EventRecorded
from plimsoll.manager.services.metrics import Facts
from plimsoll.net.sightings import Sighting
from plimsoll.tls.versions import Version

#: The media type of the text format that `render` writes.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


#: Seconds; the budgets of heartbeats (250 ms) and of group commits (50 ms) are bounds among them.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters since the start of the process. Safe from any thread."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._handshakes = Counter(
            "plimsoll_handshakes",
            "Attempts to connect, by point, outcome and TLS version (agreed on, or offered where it was refused).",
            ("point", "outcome", "version"),
            registry=self._registry,
        )
        self._events = Counter(
            "plimsoll_events", "System events, by level and number.", ("level", "number"), registry=self._registry
        )
        self._heartbeats = Histogram(
            "plimsoll_heartbeat_seconds",
            "Heartbeats that were answered: on a new connection from its hello to the answer, else from the request.",
            ("connection",),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._turned_away = Counter(
            "plimsoll_heartbeat_port_refusals",
            "Requests on the heartbeat port that were not done, by reason: busy and store have a Retry-After.",
            ("reason",),
            registry=self._registry,
        )
        self._writes = Histogram(
            "plimsoll_store_commit_seconds",
            "Transactions that wrote, with their wait for other writers.",
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._failed_writes = Counter(
            "plimsoll_store_failures", "Transactions that wrote nothing after all.", registry=self._registry
        )
        # A series that is not there cannot be added up; and looking it up costs more than counting.
        self._by_connection = {kind: self._heartbeats.labels(kind) for kind in ("new", "kept")}
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def sighted(self, sightings: Iterable[Sighting]) -> None:
        """A batch as it was drained. Summed first: an attempt that got a name is taken back from the nameless ones."""
        sums: dict[tuple[str, str, str], int] = {}
        for one in sightings:
            labels = (one.point.value, one.outcome.value, _text(one.negotiated or one.offered))
            sums[labels] = sums.get(labels, 0) + one.count
        for labels, count in sums.items():
            if count > 0:
                self._handshakes.labels(*labels).inc(count)

    def heartbeat(self, connection: str, seconds: float) -> None:
        """One was answered; `connection` is "new" or "kept"."""
        self._by_connection[connection].observe(seconds)

    def turned_away(self, reason: str) -> None:
        """A request on 4120 was refused, for one of the reasons that the door has."""
        self._turned_away.labels(reason).inc()

    def stored(self, seconds: float, done: bool) -> None:
        """A transaction that wrote, or was to."""
        self._writes.observe(seconds)
        if not done:
            self._failed_writes.inc()

    def heard(self, change: Change) -> None:
        """For the hub."""
        if isinstance(change, EventRecorded):
            self._events.labels(change.event.level, str(change.event.number)).inc()

    def render(self, facts: Facts, process: Mapping[str, Any]) -> bytes:
        """The text format 0.0.4. `process` is what the running part says of itself (`Live.status`)."""
        seen = CollectorRegistry()
        seen.register(_Look(facts, process))
        return generate_latest(seen) + generate_latest(self._registry)


def _text(version: Version | None) -> str:
    return "unknown" if version is None else version.value


def _number(version: Version) -> float:
    """1.2 for TLS 1.2: a floor as a line in a graph."""
    return float(version.value.removeprefix("TLSv"))


class _Look(Collector):
    """One look, as metric families."""

    def __init__(self, facts: Facts, process: Mapping[str, Any]) -> None:
        self._facts = facts
        self._process = process

    def collect(self) -> Iterator[Metric]:
        facts = self._facts
        yield _gauge("plimsoll_info", "The release.", ("release",), [((RELEASE,), 1)])
        floors = [((point.value,), _number(floor)) for point, floor in facts.floors.items()]
        yield _gauge("plimsoll_floor", "The floor of each point: 1.2 is TLS 1.2.", ("point",), floors)
        shadows = [((point,), _number(floor)) for point, floor in facts.shadows.items()]
        yield _gauge("plimsoll_shadow_floor", "Shadow floors that count.", ("point",), shadows)
        computers = [
            ((one.kind, one.state, "online" if one.online else "offline", _text(one.offered)), one.count)
            for one in facts.computers
        ]
        labels = ("kind", "state", "presence", "offered")
        yield _gauge("plimsoll_computers", "Computers, by the newest TLS version they offered.", labels, computers)
        relays = [((_text(floor),), count) for floor, count in facts.relays.items()]
        yield _gauge("plimsoll_relays", "Active relays, by the floor seen in a handshake.", ("observed",), relays)
        exceptions = [((point,), count) for point, count in facts.exceptions.items()]
        yield _gauge("plimsoll_exceptions", "Exceptions whose time is not up.", ("point",), exceptions)
        change = [] if facts.change is None else [((facts.change[1], facts.change[2]), facts.change[0])]
        yield _gauge("plimsoll_change", "The number of the change under way.", ("state", "stage"), change)
        ends = [((name,), moment) for name, moment in facts.certificates.items()]
        yield _gauge("plimsoll_certificate_expiry_seconds", "When it ends (Unix time).", ("certificate",), ends)
        waiting = [((one.name, one.kind), one.waiting) for one in facts.targets]
        said = "Events that have not arrived at a target."
        yield _gauge("plimsoll_notifications_waiting", said, ("target", "kind"), waiting)
        failing = [((one.name, one.kind), int(one.failing_since is not None)) for one in facts.targets]
        yield _gauge("plimsoll_notifications_failing", "1: the last delivery failed.", ("target", "kind"), failing)
        connections = [((point,), count) for point, count in self._process.get("connections", {}).items()]
        yield _gauge("plimsoll_connections", "Open connections.", ("point",), connections)
        queues = [((name,), count) for name, count in self._process.get("queues", {}).items()]
        yield _gauge("plimsoll_queue_length", "What waits here, by what it waits for.", ("queue",), queues)
        leases = [((work, node), 1.0) for work, node in facts.leases.items()]
        yield _gauge("plimsoll_lease", "Which manager does what alone.", ("work", "node"), leases)
        if "missing" in self._process:
            ready = [((), float(not self._process["missing"]))]
            yield _gauge("plimsoll_ready", "As /ready says: 1 where agents and people may come.", (), ready)
        if "current" in self._process:
            current = [((), float(bool(self._process["current"])))]
            yield _gauge(
                "plimsoll_floor_current", "1: the floors in force are known to be the current ones.", (), current
            )
        if "generation" in self._process:
            generation = [((), self._process["generation"])]
            yield _gauge("plimsoll_floor_generation", "The generation of the floors in force.", (), generation)


def _gauge(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
