"""The shapes in which computers leave and reach the services, and how rows become them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.policy_rules import Effective
from plimsoll.manager.store.computers import CommandRecord, ComputerRecord
from plimsoll.messages import Ack, AgentEvent, Command, FloorReport, Inventory, Kind, Policy
from plimsoll.tls.versions import Version

#: States of a computer. Only an active one is served.
ACTIVE = "active"
APPROVAL = "approval"
REVOKED = "revoked"


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


def view(computer: ComputerRecord, effective: Effective, groups: Mapping[int, str]) -> ComputerView:
    """`groups` are relay groups by id."""
    inventory = msgspec.convert(computer.inventory, Inventory) if computer.inventory else None
    held = None
    if computer.kind == Kind.RELAY.value:
        held = policy_rules.held_relay_floor(computer)
    return ComputerView(
        id=computer.id,
        kind=Kind(computer.kind),
        hostname=computer.hostname,
        display_name=computer.display_name,
        version=computer.version,
        platform=computer.platform,
        architecture=computer.architecture,
        address=computer.address,
        group_id=computer.group_id,
        relay_group=groups.get(computer.relay_group_id) if computer.relay_group_id is not None else None,
        policy=effective.name,
        state=computer.state,
        online=computer.online,
        messages=status_messages(computer, effective),
        last_seen=computer.last_seen,
        activated=computer.activated,
        offered=computer.offered,
        negotiated=computer.negotiated,
        observed_at=computer.observed_at,
        ja4=computer.ja4,
        tls_library=inventory.tls_library if inventory else "",
        speaks=tuple(inventory.speaks) if inventory else (),
        policy_sent=computer.policy_generation or None,
        policy_sent_at=computer.policy_given_at,
        policy_held=bool(computer.policy_acked) and computer.policy_acked == computer.policy_fingerprint,
        policy_pending=policy_rules.pending(computer, effective),
        floor_held=held.floor if held else computer.agent_floor_given,
        floor_origin=held.origin if held else None,
        guards=tuple(computer.guards),
        listen_port=computer.listen_port,
        relay_port=computer.relay_port,
        fingerprint=computer.fingerprint,
        certificate_expires=computer.certificate_expires,
    )


def status_messages(computer: ComputerRecord, effective: Effective) -> tuple[str, ...]:
    """What a person should know, the reference's own words first."""
    if computer.state == REVOKED:
        return ("Revoked",)
    if computer.state == APPROVAL:
        return ("Waits for approval",)
    messages = ["Managed (Online)" if computer.online else "Managed (Offline)"]
    if computer.clone:
        messages.append("Two hosts use this identity: activate one of them anew")
    if policy_rules.pending(computer, effective):
        messages.append("Policy waits to be sent")
    if computer.kind == Kind.RELAY.value and computer.relay_observed is not None:
        holds = policy_rules.held_relay_floor(computer).floor
        if computer.relay_observed is not holds:
            messages.append(f"A handshake shows floor {computer.relay_observed}, not {holds}")
    return tuple(messages)


def entry(computer: ComputerRecord, effective: Effective, commands: Iterable[CommandRecord]) -> RegistryEntry:
    policy = policy_rules.given_policy(computer, effective)
    fingerprints = (computer.fingerprint, computer.previous_fingerprint)
    return RegistryEntry(
        id=computer.id,
        kind=Kind(computer.kind),
        hostname=computer.hostname,
        version=computer.version,
        state=computer.state,
        fingerprints=tuple(filter(None, fingerprints)),
        policy=policy,
        policy_fingerprint=computer.policy_fingerprint,
        acked_fingerprint=computer.policy_acked,
        commands=tuple(msgspec.convert(command.body, Command) for command in commands),
        address=computer.address,
        ja4=computer.ja4,
        last_seen=computer.last_seen,
        online=computer.online,
        last_sequence=computer.last_sequence,
        last_event_sequence=computer.last_event_sequence,
        listen_port=computer.listen_port,
        relay_port=computer.relay_port,
        has_inventory=bool(computer.inventory),
    )


def inventory_columns(inventory: Inventory, known: ComputerRecord | None) -> dict[str, object]:
    """What an inventory changes. Display name and guards stay where an administrator set them."""
    columns: dict[str, object] = {
        "kind": inventory.kind.value,
        "hostname": inventory.hostname,
        "version": inventory.version,
        "platform": inventory.platform,
        "architecture": inventory.architecture,
        "listen_port": inventory.listen_port,
        "relay_port": inventory.relay_port,
        "inventory": msgspec.to_builtins(inventory),
    }
    if known is None or not known.display_name:
        columns["display_name"] = inventory.display_name
    if known is None or not known.guards_set:
        columns["guards"] = list(inventory.guards)
    return columns
