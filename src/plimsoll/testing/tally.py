"""What a simulated herd counts: small whatever its size, and of several processes the sum.

Latencies are kept as a histogram whose buckets grow by two per cent, so that a percentile is right to that much and
ten million heartbeats take no more room than ten.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

#: The shortest latency that is told from a shorter one, in seconds, and by how much a bucket is longer than the last.
_SHORTEST = 1e-4
_GROWTH = 1.02
_LOG = math.log(_GROWTH)
#: Beyond so many seconds all are alike: every step of a heartbeat has a time limit far below.
_LONGEST = 1e4
_MARKS = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class Histogram(msgspec.Struct):
    """Durations in seconds. `counts` has the number of each bucket that is not empty."""

    counts: dict[int, int] = {}
    most: float = 0.0

    def add(self, seconds: float) -> None:
        bucket = 0 if seconds <= _SHORTEST else math.ceil(math.log(min(seconds, _LONGEST) / _SHORTEST) / _LOG)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.most = max(self.most, seconds)

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.most = max(self.most, other.most)

    def at(self, share: float) -> float:
        """Seconds that this share of all did not exceed; 0 where nothing was measured."""
        wanted = math.ceil(share * sum(self.counts.values()))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(self.most, _SHORTEST * _GROWTH**bucket)
        return 0.0

    def milliseconds(self) -> dict[str, float]:
        """p50, p95, p99 and max in milliseconds; empty where nothing was measured."""
        if not self.counts:
            return {}
        found = {name: round(1000 * self.at(share), 2) for name, share in _MARKS.items()}
        return found | {"max": round(1000 * self.most, 2)}


class Second(msgspec.Struct, array_like=True):
    """One second of a run: heartbeats begun, answered, and failed."""

    sent: int = 0
    answered: int = 0
    failed: int = 0


class Tally(msgspec.Struct):
    """Counted by one process.

    `lost` are heartbeats whose request went out whole and that got no answer, though nothing was done to them;
    `failures` count by stage and cause, `injected` what the fault script did. `shed` were answered with a time to come
    back. `heard` agents were answered at least once. `silent` were not answered within two intervals at the end;
    `longest_gap` is the longest time in seconds between two answers to one agent. `behind` is by how much this process
    began a heartbeat too late itself: where that is large, latencies say more of the simulator than of the manager.
    """

    #: Nothing counts yet: each agent brings one heartbeat first.
    warming: bool = False
    agents: int = 0
    sent: int = 0
    answered: int = 0
    lost: int = 0
    shed: int = 0
    handshakes: int = 0
    resumed: int = 0
    kept: int = 0
    heard: int = 0
    silent: int = 0
    longest_gap: float = 0.0
    behind: float = 0.0
    failures: dict[str, int] = {}
    injected: dict[str, int] = {}
    negotiated: dict[str, int] = {}
    latency: Histogram = msgspec.field(default_factory=Histogram)
    seconds: dict[int, Second] = {}

    def at(self, second: int) -> Second:
        return self.seconds.setdefault(second, Second())

    def failed(self, cause: str, second: int) -> None:
        self.failures[cause] = self.failures.get(cause, 0) + 1
        self.at(second).failed += 1

    def hit(self, kind: str) -> None:
        self.injected[kind] = self.injected.get(kind, 0) + 1


def _merged(sums: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {name: sums.get(name, 0) + more.get(name, 0) for name in (*sums, *more)}


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of what several processes counted."""
    total = Tally()
    for one in tallies:
        for name in ("agents", "sent", "answered", "lost", "shed", "handshakes", "resumed", "kept", "heard", "silent"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        for name in ("failures", "injected", "negotiated"):
            setattr(total, name, _merged(getattr(total, name), getattr(one, name)))
        total.warming = total.warming or one.warming
        total.longest_gap = max(total.longest_gap, one.longest_gap)
        total.behind = max(total.behind, one.behind)
        total.latency.merge(one.latency)
        for second, counted in one.seconds.items():
            here = total.at(second)
            here.sent += counted.sent
            here.answered += counted.answered
            here.failed += counted.failed
    return total


@dataclass(slots=True)
class HerdReport:
    """A tally for people and programs; `seconds` is how long the run took, `rate` the answers in a second of it."""

    tally: Tally
    seconds: float
    processes: int = 1
    faults: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; times in seconds, latencies in milliseconds."""
        t = self.tally
        names = ("agents", "sent", "answered", "lost", "shed", "handshakes", "resumed", "kept", "heard", "silent")
        data: dict[str, Any] = {name: getattr(t, name) for name in names}
        data |= {"longest_gap": round(t.longest_gap, 3), "behind": round(t.behind, 3)}
        data |= {"failures": t.failures, "injected": t.injected, "negotiated": t.negotiated}
        data |= {"latency": t.latency.milliseconds(), "seconds": round(self.seconds, 3)}
        data |= {"rate": round(t.answered / self.seconds, 2) if self.seconds else 0.0, "processes": self.processes}
        rates = [[second, *msgspec.to_builtins(t.seconds[second])] for second in sorted(t.seconds)]
        return data | {"faults": self.faults, "per_second": rates}
