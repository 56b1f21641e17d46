"""Computers: what is known of each, what was sent to it, and the path of its heartbeats into the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from plimsoll.manager.ports import Permission, Presence, Principal, internal, permits
from plimsoll.messages import Ack, AgentEvent, Command, FloorReport, Inventory, Kind, Policy
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class ComputerView:
    """What a list shows. `state` is active, approval (waits for an administrator) or revoked; online is `online`."""

    id: str
    kind: Kind
    hostname: str
    display_name: str
    version: str
    platform: str
    architecture: str
    address: str
    group_id: int | None
    relay_group: str | None
    policy: str
    state: str
    online: bool
    messages: tuple[str, ...]
    last_seen: float | None
    activated: float
    offered: Version | None
    negotiated: Version | None
    observed_at: float | None
    ja4: str
    tls_library: str
    speaks: tuple[Version, ...]
    policy_sent: int | None
    policy_sent_at: float | None
    policy_held: bool
    policy_pending: bool
    floor_held: Version | None
    floor_origin: str | None
    guards: tuple[str, ...]
    listen_port: int | None
    relay_port: int | None
    fingerprint: str
    certificate_expires: float | None


@dataclass(frozen=True, slots=True)
class ComputerChange:
    """Fields to change; None leaves one as it is. An empty `relay_group` takes the computer out of its group."""

    display_name: str | None = None
    group_id: int | None = None
    policy: str | None = None
    relay_group: str | None = None
    guards: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """What the heartbeat path holds in memory of one computer. `policy` is the one last given to it.

    `fingerprints` are the certificates that are good now: the current one, and the former until the new one is seen.
    """

    id: str
    kind: Kind
    hostname: str
    version: str
    state: str
    fingerprints: tuple[str, ...]
    policy: Policy
    policy_fingerprint: str
    acked_fingerprint: str
    commands: tuple[Command, ...]
    address: str
    ja4: str
    last_seen: float | None
    online: bool
    last_sequence: int
    last_event_sequence: int
    listen_port: int | None
    relay_port: int | None
    has_inventory: bool

    @property
    def display(self) -> str:
        return self.hostname or self.id


@dataclass(frozen=True, slots=True)
class Intake:
    """The part of one heartbeat that must be durable before the answer: acks, events, inventory, reports.

    `fingerprint` is the certificate it came with; seeing the newest one retires the former.
    """

    computer: str
    time: float
    sequence: int
    fingerprint: str
    policy_fingerprint: str = ""
    policy_generation: int = 0
    inventory: Inventory | None = None
    acks: Sequence[Ack] = ()
    events: Sequence[AgentEvent] = ()
    relay: FloorReport | None = None


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """`entry` is the registry's new entry where the intake changed it; `clone` says that two hosts use one key."""

    stored_acks: tuple[str, ...]
    stored_event: int
    entry: RegistryEntry | None
    clone: bool = False


@dataclass(frozen=True, slots=True)
class RelayObservation:
    """What a handshake with a relay's port showed: accepted versions, or why nothing could be said."""

    computer: str
    time: float
    floor: Version | None
    detail: str
    report: FloorReport | None = None


class ComputersService:
    @permits(Permission.COMPUTERS_READ)
    def list(
        self,
        principal: Principal,
        *,
        kind: Kind | None = None,
        relay_group: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[ComputerView, ...]:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_READ)
    def get(self, principal: Principal, computer: str) -> ComputerView:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_CHANGE)
    def update(self, principal: Principal, computer: str, change: ComputerChange) -> ComputerView:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_CHANGE)
    def delete(self, principal: Principal, computer: str) -> None:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_CHANGE)
    def revoke(self, principal: Principal, computer: str, reason: str = "") -> ComputerView:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_CHANGE)
    def approve(self, principal: Principal, computer: str) -> ComputerView:
        raise NotImplementedError

    @permits(Permission.POLICIES_SEND)
    def send_policy(
        self,
        principal: Principal,
        *,
        computers: Sequence[str] | None = None,
        relay_group: str | None = None,
        everyone: bool = False,
    ) -> int:
        """Send Policy (R14): snapshots each computer's policy, floors included, and queues it. Returns how many."""
        raise NotImplementedError

    @internal
    def registry(self) -> Iterable[RegistryEntry]:
        raise NotImplementedError

    @internal
    def entry(self, computer: str) -> RegistryEntry | None:
        raise NotImplementedError

    @internal
    def take_in(self, intake: Intake) -> Future[IntakeResult]:
        """Stores it with the next group commit. The future fails with Unavailable where the store cannot."""
        raise NotImplementedError

    @internal
    def apply_presence(self, batch: Sequence[Presence]) -> None:
        """One transaction for the whole batch. Sets the computers online; `set_online` tells the other way."""
        raise NotImplementedError

    @internal
    def set_online(self, computers: Sequence[str], online: bool) -> None:
        raise NotImplementedError

    @internal
    def observe_relay(self, observation: RelayObservation) -> None:
        raise NotImplementedError

    @internal
    def note_unknown(self, computer: str, kind: Kind, fingerprint: str, address: str) -> RegistryEntry:
        """A validly signed identity that the store does not know (a restored manager): waits for approval."""
        raise NotImplementedError
