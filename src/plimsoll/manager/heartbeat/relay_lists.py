"""Which relays a computer asks for software: those of its group that are there, else those of the group above it.

A relay asks those of the group above its own. Each gets them in an order of its own, so that the load spreads.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping

from plimsoll.manager.registry import Known, Registry
from plimsoll.messages import Kind

#: A list is made anew after this time, in seconds: relays come and go, and heartbeats are many.
KEEP = 2.0
#: No tree of groups is deeper.
DEEPEST = 16


class RelayLists:
    """In the loop's thread. `parents` is the tree of relay groups: of each the one above it."""

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._made = float("-inf")
        self._by_group: dict[int | None, list[tuple[str, str]]] = {}
        self.parents: Mapping[int, int | None] = {}

    def of(self, known: Known) -> tuple[str, list[str]]:
        """The list's digest and its relays, as ``host:port``. None of them: the manager is the source."""
        group = known.entry.relay_group
        if known.entry.kind is Kind.RELAY:
            group = self._above(group)
        found: list[str] = []
        for _ in range(DEEPEST):
            # Without a group there is no relay to ask: an administrator took it out of all.
            found = [] if group is None else [where for who, where in self._relays(group) if who != known.id]
            if found or group is None:
                break
            group = self._above(group)
        digest = hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:12]
        random.Random(f"{known.id}{digest}").shuffle(found)
        return digest, found

    def _above(self, group: int | None) -> int | None:
        return None if group is None else self.parents.get(group)

    def _relays(self, group: int) -> list[tuple[str, str]]:
        now = self._clock()
        if not 0.0 <= now - self._made < KEEP:
            self._made = now
            self._by_group = {}
            for relay in self._registry.relays():
                if relay.online:
                    host = f"[{relay.address}]" if ":" in relay.address else relay.address
                    member = (relay.id, f"{host}:{relay.entry.relay_port}")
                    self._by_group.setdefault(relay.entry.relay_group, []).append(member)
        return self._by_group.get(group, [])
