"""The facts behind `/metrics`: a few counted queries, so that a scrape costs little at any size of fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from plimsoll.manager.ports import Permission, Principal, permits
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as change_table
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store import notifications as notification_table
from plimsoll.manager.store import rules as rule_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class ComputerCount:
    """How many computers are alike in these."""

    kind: str
    state: str
    online: bool
    offered: Version | None
    count: int


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """A notification target; `failing_since` is None where the last delivery arrived."""

    name: str
    kind: str
    waiting: int
    failing_since: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at the store. `certificates` are ends in seconds since the epoch, by what they are for."""

    floors: Mapping[Point, Version]
    shadows: Mapping[str, Version]
    computers: tuple[ComputerCount, ...]
    exceptions: Mapping[str, int]
    relays: Mapping[Version | None, int]
    change: tuple[int, str, str] | None
    certificates: Mapping[str, float]
    targets: tuple[TargetFacts, ...]
    #: Who does what alone, by name: only where managers share a database.
    leases: Mapping[str, str] = field(default_factory=dict)


class MetricsService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.MANAGER_READ)
    def facts(self, principal: Principal) -> Facts:
        """What is stored; what only the running process knows is not in it."""
        now = self._core.clock()

        def work(connection: Connection) -> Facts:
            exceptions: dict[str, int] = {}
            for rule in rule_table.in_force(connection):
                if rule.kind == rule_table.EXCEPTION and (rule.until is None or rule.until > now):
                    exceptions[rule.point] = exceptions.get(rule.point, 0) + 1
            running = change_table.under_way(connection)
            return Facts(
                floors=floor_state.read(connection).floors(),
                shadows={point: one.floor for point, one in shadow_table.read(connection).items()},
                computers=tuple(ComputerCount(*row) for row in count_table.counted(connection)),
                exceptions=exceptions,
                relays=count_table.relays_observed(connection),
                change=None if running is None else (running.id, running.state, running.stage),
                certificates=self._certificates(),
                leases=self._leases(connection),
                targets=tuple(
                    TargetFacts(
                        one.name, one.kind, notification_table.waiting(connection, one.cursor), one.failing_since
                    )
                    for one in notification_table.find(connection)
                    if one.active
                ),
            )

        return self._core.store.read(work)

    def _leases(self, connection: Connection) -> Mapping[str, str]:
        if not self._core.store.database.shared:
            return {}
        names = {one.id: one.name for one in node_table.everyone(connection)}
        return {one.name: names.get(one.node, one.node) for one in node_table.all_leases(connection)}

    def _certificates(self) -> Mapping[str, float]:
        home = self._core.home
        found = {"ca": home.ca_certificate}
        found |= {path.stem: path for path in sorted(home.tls.glob("*.pem"))}
        ends: dict[str, float] = {}
        for name, path in found.items():
            try:
                ends[name] = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
            except (OSError, ValueError):
                continue  # one that is being replaced is there at the next look
        return ends
