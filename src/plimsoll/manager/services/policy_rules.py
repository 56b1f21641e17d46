"""What a policy says once inheritance is followed, and what is given to a computer (R14, R17). Pure.

Floors travel only by Send Policy. Whatever else gives a policy to a computer repeats the floors that it has already:
`carried_floors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from plimsoll.fleet.kinds import Configured
from plimsoll.fleet.relay_floor import VERSION_DEFAULT, relay_floor, version_default
from plimsoll.manager.ports import BadInput
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.policies import PolicyRecord
from plimsoll.messages import Direction, Inventory, Kind, Policy, fingerprint
from plimsoll.tls.versions import Version

BASE = "Base"

#: Bounds of a heartbeat interval, in seconds: below, a fleet floods its manager; above, nobody notices a death.
HEARTBEAT = range(1, 86400 + 1)
MISSED = range(1, 1000 + 1)

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
class PolicyValues:
    """Values of a policy; None inherits from the parent. The base policy has all of them set.

    A computer has own values too, of what is no floor: those hold for it alone, whatever its policy says.
    """

    relay_floor: Version | None = None
    agent_floor: Version | None = None
    heartbeat_seconds: int | None = None
    missed_heartbeats: int | None = None
    direction: Direction | None = None
    auto_send: bool | None = None


#: Where a computer has no values of its own.
NOTHING = PolicyValues()


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


def columns_of(values: PolicyValues) -> dict[str, Any]:
    """What is set, as the store has it. Raises BadInput where a value is out of its bounds."""
    given = {name: getattr(values, name) for name in PolicyValues.__dataclass_fields__}
    columns = {name: value for name, value in given.items() if value is not None}
    if "heartbeat_seconds" in columns and columns["heartbeat_seconds"] not in HEARTBEAT:
        raise BadInput("a heartbeat interval is 1 to 86400 seconds; nothing was changed")
    if columns.get("missed_heartbeats", 1) not in MISSED:
        raise BadInput("a computer is offline after 1 to 1000 missed heartbeats; nothing was changed")
    if "direction" in columns:
        columns["direction"] = columns["direction"].value
    return columns


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


def of_computer(effective: Effective, computer: ComputerRecord) -> Effective:
    """Its policy with the values that are the computer's own."""
    own = own_values(computer)
    if own is NOTHING:
        return effective
    return replace(
        effective,
        heartbeat_seconds=own.heartbeat_seconds or effective.heartbeat_seconds,
        missed_heartbeats=own.missed_heartbeats or effective.missed_heartbeats,
        direction=own.direction or effective.direction,
    )


def own_values(computer: ComputerRecord) -> PolicyValues:
    """What holds for this computer alone; `NOTHING` itself where its policy decides all."""
    heartbeat, missed, direction = (
        computer.own_heartbeat_seconds,
        computer.own_missed_heartbeats,
        computer.own_direction,
    )
    if heartbeat is None and missed is None and direction is None:
        return NOTHING
    return PolicyValues(
        heartbeat_seconds=heartbeat,
        missed_heartbeats=missed,
        direction=None if direction is None else Direction(direction),
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


def acknowledged(computer: ComputerRecord) -> bool:
    """Whether it took the policy that was last given to it, and took it since its floors were last sent."""
    if not computer.policy_acked == computer.policy_fingerprint != "":
        return False
    return computer.floors_sent_at is None or (computer.policy_acked_at or 0.0) >= computer.floors_sent_at


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
