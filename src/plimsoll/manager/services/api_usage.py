"""How often users and keys ask, over all managers of an installation.

Rules of this file: no request touches the store. Each manager counts in memory, writes down once a second what changed,
and reads what the others did; what they let through counts here too from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from plimsoll.manager.ports import Permission, Principal, internal, permits
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.store import Connection
from plimsoll.manager.store import api_usage as table
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store.api_usage import UsageRecord

#: What others wrote is read again for so many seconds: a transaction may become visible later than its time says.
OVERLAP_SECONDS = 10.0


@dataclass(slots=True)
class Usage:
    """Of one user or key since the process began: requests, and how many of them were refused. Times are seconds."""

    who: str
    first: float
    last: float
    requests: int = 0
    limited: int = 0


class Counting(Protocol):
    """What counts the requests of this manager, by user and key."""

    def usage(self) -> Sequence[Usage]: ...

    def elsewhere(self, passed: Mapping[str, int], now: float) -> None:
        """Takes what other managers let through since the last time."""
        ...


class ApiUsageService:
    def __init__(self, core: Core, nodes: NodesService) -> None:
        self._core = core
        self._nodes = nodes
        self._written: dict[str, int] = {}
        # What each other manager had let through by the last look, and when that was; None before the first.
        self._passed: dict[tuple[str, str], int] = {}
        self._looked: float | None = None

    @internal
    def begin(self) -> None:
        """This manager counts from nothing."""
        if self._nodes.shared:
            self._core.store.write(lambda c: table.clear(c, self._nodes.own))

    @internal
    def exchange(self, counting: Counting) -> None:
        """Writes down what changed here, and tells `counting` what others let through. By one thread at a time."""
        if not self._nodes.shared:
            return
        own = [one for one in counting.usage() if self._written.get(one.who) != one.requests]
        if own:
            rows = [
                UsageRecord(self._nodes.own, one.who, one.first, one.last, one.requests, one.limited) for one in own
            ]
            self._core.store.write(lambda c: table.put(c, rows))
            self._written |= {one.who: one.requests for one in own}
        since = 0.0 if self._looked is None else self._looked - OVERLAP_SECONDS

        def work(connection: Connection) -> tuple[float, tuple[UsageRecord, ...]]:
            return node_table.now(connection), table.others(connection, self._nodes.own, since)

        at, rows_ = self._core.store.read(work)
        more = self._more(rows_)
        # Of what was before the first look nobody knows in which minute it was.
        if more and self._looked is not None:
            counting.elsewhere(more, self._core.clock())
        self._looked = at

    def _more(self, rows: Sequence[UsageRecord]) -> Counter[str]:
        more: Counter[str] = Counter()
        for row in rows:
            passed, key = row.requests - row.limited, (row.node, row.who)
            before = self._passed.get(key, 0)
            # Less than before: that manager's process began anew.
            if passed != before:
                more[row.who] += passed - before if passed > before else passed
            self._passed[key] = passed
        return +more

    @permits(Permission.ACCESS_READ)
    def all(self, principal: Principal, own: Sequence[Usage]) -> tuple[Usage, ...]:
        """Summed over all managers, in the order of names; `own` is what this one counted until now."""
        found = {one.who: Usage(one.who, one.first, one.last, one.requests, one.limited) for one in own}
        rows = self._core.store.read(lambda c: table.others(c, self._nodes.own, 0.0)) if self._nodes.shared else ()
        for row in rows:
            one = found.setdefault(row.who, Usage(row.who, row.first, row.last))
            one.first, one.last = min(one.first, row.first), max(one.last, row.last)
            one.requests += row.requests
            one.limited += row.limited
        return tuple(found[who] for who in sorted(found))
