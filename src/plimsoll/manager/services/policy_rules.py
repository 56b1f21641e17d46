"""What a policy says once inheritance is followed, and what is given to a computer (R14, R17). Pure.

Floors travel only by Send Policy. Whatever else gives a policy to a computer repeats the floors that it has already:
`carried_floors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from plimsoll.fleet.kinds import Configured
from plimsoll.fleet.relay_floor import VERSION_DEFAULT, relay_floor, version_default
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.policies import PolicyRecord
from plimsoll.messages import Direction, Inventory, Kind, Policy, fingerprint
from plimsoll.tls.versions import Version

BASE = "Base"

#: What the base policy of a new home says (R6); the reference's intervals (servers 10 minutes, 2 missed).
DEFAULTS: Mapping[str, Any] = {
    "relay_floor": Version.TLS1_2,
    "agent_floor": Version.TLS1_2,
    "heartbeat_seconds": 600,
    "missed_heartbeats": 2,
    "direction": Direction.AGENT_INITIATED.value,
    "auto_send": True,
}


@dataclass(frozen=True, slots=True)
class Effective:
    """A policy with what it inherits."""

    id: int
    name: str
    generation: int
    relay_floor: Version
    agent_floor: Version
    heartbeat_seconds: int
    missed_heartbeats: int
    direction: Direction
    auto_send: bool

    def message(self, agent: Version, relay: Version) -> Policy:
        """The policy as it is sent, with these floors."""
        return Policy(
            name=self.name,
            generation=self.generation,
            heartbeat_seconds=self.heartbeat_seconds,
            missed_heartbeats=self.missed_heartbeats,
            direction=self.direction,
            agent_floor=agent,
            relay_floor=relay,
        )

    def full(self) -> Policy:
        """With the policy's own floors: what Send Policy sends."""
        return self.message(self.agent_floor, self.relay_floor)


def resolve(records: Iterable[PolicyRecord]) -> dict[int, Effective]:
    """Every policy with what it inherits, by id."""
    known = {record.id: record for record in records}
    return {identifier: _resolve(known, identifier) for identifier in known}


def _resolve(known: Mapping[int, PolicyRecord], identifier: int) -> Effective:
    chain = lineage(known, identifier)

    def value(name: str) -> Any:
        for record in chain:
            own = getattr(record, name)
            if own is not None:
                return own
        return DEFAULTS[name]

    return Effective(
        id=identifier,
        name=chain[0].name,
        generation=max(record.generation for record in chain),
        relay_floor=value("relay_floor"),
        agent_floor=value("agent_floor"),
        heartbeat_seconds=value("heartbeat_seconds"),
        missed_heartbeats=value("missed_heartbeats"),
        direction=Direction(value("direction")),
        auto_send=value("auto_send"),
    )


def lineage(known: Mapping[int, PolicyRecord], identifier: int) -> list[PolicyRecord]:
    """The policy, its parent, and so on up to the base policy."""
    chain: list[PolicyRecord] = []
    at: int | None = identifier
    while at is not None and len(chain) <= len(known):
        chain.append(known[at])
        at = known[at].parent_id
    return chain


def descendants(known: Mapping[int, PolicyRecord], identifier: int) -> list[int]:
    """The policy and all that inherit from it."""
    return [other for other in known if any(record.id == identifier for record in lineage(known, other))]


def held_relay_floor(computer: ComputerRecord) -> Configured:
    """R17 for this relay."""
    return relay_floor(computer.version, computer.relay_floor_sent, computer.relay_floor_kept)


def keeps_default(computer: ComputerRecord, inventory: Inventory) -> bool:
    """Whether this is an upgraded relay that was never sent a floor: it keeps its former version's default (R7)."""
    return (
        computer.kind == Kind.RELAY.value
        and inventory.version != computer.version
        and held_relay_floor(computer).origin == VERSION_DEFAULT
    )


def carried_floors(computer: ComputerRecord) -> tuple[Version, Version]:
    """(agent, relay) floor that the computer holds, for a policy that must not move them."""
    relay = held_relay_floor(computer).floor
    agent = computer.agent_floor_given
    return (version_default(computer.version) if agent is None else agent), relay


def activation_policy(effective: Effective, version: str) -> Policy:
    """For a newly activated computer: its version's default floors, until a policy is sent to it (R17)."""
    default = version_default(version)
    return effective.message(default, default)


def given(policy: Policy, now: float, *, sent: bool) -> dict[str, Any]:
    """The columns that remember what was given. `sent` where it was a Send Policy and the floors travelled."""
    columns: dict[str, Any] = {
        "policy_given": msgspec.to_builtins(policy),
        "policy_fingerprint": fingerprint(policy),
        "policy_generation": policy.generation,
        "policy_given_at": now,
        "agent_floor_given": policy.agent_floor,
    }
    if sent:
        columns |= {"relay_floor_given": policy.relay_floor, "floors_sent_at": now}
    return columns


def given_policy(computer: ComputerRecord, effective: Effective) -> Policy:
    """The policy last given to the computer; one that was never given any holds its floors and today's settings."""
    if computer.policy_given is not None:
        return msgspec.convert(computer.policy_given, Policy)
    return effective.message(*carried_floors(computer))


def floors_pending(computer: ComputerRecord, effective: Effective) -> bool:
    """Whether a floor of its policy waits for Send Policy."""
    if computer.agent_floor_given is not None and computer.agent_floor_given is not effective.agent_floor:
        return True
    return computer.kind == Kind.RELAY.value and held_relay_floor(computer).floor is not effective.relay_floor


def pending(computer: ComputerRecord, effective: Effective) -> bool:
    """Whether anything of its policy waits to be sent."""
    if floors_pending(computer, effective):
        return True
    last = given_policy(computer, effective)
    carried = effective.message(last.agent_floor, last.relay_floor)
    return carried.name != last.name or _settings(carried) != _settings(last)


def _settings(policy: Policy) -> tuple[int, int, Direction]:
    return policy.heartbeat_seconds, policy.missed_heartbeats, policy.direction
