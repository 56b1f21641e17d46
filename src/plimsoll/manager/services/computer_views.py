"""The shapes in which computers leave and reach the services, and how rows become them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from sys import intern

import msgspec

from plimsoll.fleet.kinds import Configured
from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.policy_rules import Effective, PolicyValues
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.manager.store.computers import ComputerRecord, ListedComputer
from plimsoll.messages import Ack, AgentEvent, Command, FloorReport, Inventory, Kind, Policy, UpgradeReport
from plimsoll.tls.versions import Version

#: States of a computer. Only an active one is served.
ACTIVE = "active"
APPROVAL = "approval"
REVOKED = "revoked"

_KINDS = {kind.value: kind for kind in Kind}


# Not frozen, by intent: a list makes thousands, and a frozen one takes three times as long to make.
@dataclass(slots=True)
class ComputerView:
    """What a list shows. `state` is active, approval (waits for an administrator) or revoked; online is `online`."""

    id: str
    number: int
    kind: Kind
    hostname: str
    display_name: str
    description: str
    version: str
    platform: str
    architecture: str
    address: str
    group_id: int | None
    relay_group_id: int | None
    relay_group: str | None
    policy_id: int
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
    policy_acked_at: float | None
    policy_held: bool
    policy_pending: bool
    floor_held: Version | None
    floor_origin: str | None
    guards: tuple[str, ...]
    listen_port: int | None
    relay_port: int | None
    fingerprint: str
    certificate_expires: float | None
    values: PolicyValues
    own: PolicyValues


@dataclass(frozen=True, slots=True)
class ComputerChange:
    """Fields to change; None leaves one as it is. An empty `relay_group`, or 0 as an id, takes it out of its group.

    A policy and a relay group are named or numbered. `own` sets values of its policy for this computer alone,
    `inherit` names those that its policy decides again.
    """

    display_name: str | None = None
    description: str | None = None
    group_id: int | None = None
    policy: str | None = None
    policy_id: int | None = None
    relay_group: str | None = None
    relay_group_id: int | None = None
    guards: tuple[str, ...] | None = None
    own: PolicyValues | None = None
    inherit: tuple[str, ...] = ()


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
    relay_group: int | None = None
    capability: int = 0
    trusts: str = ""
    #: Whether the newest certificate was not seen in a handshake since it was issued.
    unshown: bool = False
    #: The CA whose certificate it last showed.
    shown: str = ""

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
    upgrade: UpgradeReport | None = None
    capability: int | None = None
    trusts: str = ""


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


class _Told(msgspec.Struct):
    """What a list shows of an inventory."""

    tls_library: str = ""
    speaks: list[Version] = []


_READ_TOLD = msgspec.json.Decoder(_Told)
_NOTHING_TOLD = _Told()


class Viewer:
    """Makes views of many computers: what many have in common is worked out once."""

    def __init__(self, policies: Mapping[int, Effective], groups: Mapping[int, str]) -> None:
        self._policies = policies
        self._groups = groups
        self._values = {
            identifier: PolicyValues(*(getattr(effective, name) for name in PolicyValues.__dataclass_fields__))
            for identifier, effective in policies.items()
        }
        self._pending: dict[tuple[object, ...], bool] = {}

    def view(self, listed: ListedComputer) -> ComputerView:
        computer = listed.record
        effective, values = self._policies[computer.policy_id], self._values[computer.policy_id]
        own = policy_rules.own_values(computer)
        if own is not policy_rules.NOTHING:
            effective = policy_rules.of_computer(effective, computer)
            values = replace(
                values,
                heartbeat_seconds=effective.heartbeat_seconds,
                missed_heartbeats=effective.missed_heartbeats,
                direction=effective.direction,
            )
        told = _READ_TOLD.decode(listed.inventory) if listed.inventory else _NOTHING_TOLD
        held = policy_rules.held_relay_floor(computer) if computer.kind == Kind.RELAY.value else None
        pending = (self._is_pending if own is policy_rules.NOTHING else policy_rules.pending)(computer, effective)
        return ComputerView(
            id=computer.id,
            number=computer.number,
            kind=_KINDS[computer.kind],
            hostname=computer.hostname,
            display_name=computer.display_name,
            description=computer.description,
            version=computer.version,
            platform=computer.platform,
            architecture=computer.architecture,
            address=computer.address,
            group_id=computer.group_id,
            relay_group_id=computer.relay_group_id,
            relay_group=None if computer.relay_group_id is None else self._groups.get(computer.relay_group_id),
            policy_id=computer.policy_id,
            policy=effective.name,
            state=computer.state,
            online=computer.online,
            messages=_status_messages(computer, pending, held),
            last_seen=computer.last_seen,
            activated=computer.activated,
            offered=computer.offered,
            negotiated=computer.negotiated,
            observed_at=computer.observed_at,
            ja4=computer.ja4,
            tls_library=told.tls_library,
            speaks=tuple(told.speaks),
            policy_sent=computer.policy_generation or None,
            policy_sent_at=computer.policy_given_at,
            policy_acked_at=computer.policy_acked_at,
            policy_held=bool(computer.policy_acked) and computer.policy_acked == computer.policy_fingerprint,
            policy_pending=pending,
            floor_held=held.floor if held else computer.agent_floor_given,
            floor_origin=held.origin if held else None,
            guards=tuple(computer.guards),
            listen_port=computer.listen_port,
            relay_port=computer.relay_port,
            fingerprint=computer.fingerprint,
            certificate_expires=computer.certificate_expires,
            values=values,
            own=own,
        )

    def _is_pending(self, computer: ComputerRecord, effective: Effective) -> bool:
        """By all that it depends on; the given policy stands for itself, of which a list has each once."""
        key = (
            id(computer.policy_given),
            computer.policy_id,
            computer.kind,
            computer.agent_floor_given,
            computer.relay_floor_given,
            computer.floors_sent_at is None,
            computer.relay_floor_kept,
            computer.version,
        )
        known = self._pending.get(key)
        if known is None:
            known = self._pending[key] = policy_rules.pending(computer, effective)
        return known


def _status_messages(computer: ComputerRecord, pending: bool, held: Configured | None) -> tuple[str, ...]:
    """What a person should know, the reference's own words first."""
    if computer.state == REVOKED:
        return ("Revoked",)
    if computer.state == APPROVAL:
        return ("Waits for approval",)
    first = "Managed (Online)" if computer.online else "Managed (Offline)"
    if not (computer.clone or pending or held):
        return (first,)
    messages = [first]
    if computer.clone:
        messages.append("Two hosts use this identity: activate one of them anew")
    if pending:
        messages.append("Policy waits to be sent")
    if held is not None and computer.relay_observed not in (None, held.floor):
        messages.append(f"A handshake shows floor {computer.relay_observed}, not {held.floor}")
    return tuple(messages)


def entry(computer: ComputerRecord, effective: Effective, commands: Iterable[CommandRecord]) -> RegistryEntry:
    policy = policy_rules.given_policy(computer, effective)
    # What computers have in common stands in memory once: half a kilobyte less for each.
    fingerprints = (computer.fingerprint, computer.previous_fingerprint)
    return RegistryEntry(
        id=computer.id,
        kind=Kind(computer.kind),
        hostname=computer.hostname,
        version=intern(computer.version),
        state=intern(computer.state),
        fingerprints=tuple(filter(None, fingerprints)),
        policy=policy,
        policy_fingerprint=intern(computer.policy_fingerprint),
        acked_fingerprint=intern(computer.policy_acked),
        commands=tuple(msgspec.convert(command.body, Command) for command in commands),
        address=computer.address,
        ja4=intern(computer.ja4),
        last_seen=computer.last_seen,
        online=computer.online,
        last_sequence=computer.last_sequence,
        last_event_sequence=computer.last_event_sequence,
        listen_port=computer.listen_port,
        relay_port=computer.relay_port,
        has_inventory=bool(computer.inventory),
        relay_group=computer.relay_group_id,
        capability=computer.capability,
        trusts=intern(computer.ca_trusts),
        unshown=computer.ca_shown != computer.ca_issuer,
        shown=intern(computer.ca_shown),
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
