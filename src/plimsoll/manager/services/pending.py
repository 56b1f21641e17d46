"""How many computers wait for Send Policy because a floor in their policy has moved (R14)."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.services import policy_rules
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Kind


@dataclass(frozen=True, slots=True)
class PendingCount:
    """`relays` hold another floor on 4122, `agents` were given another for 4118; `computers` counts each once."""

    relays: int
    agents: int
    computers: int


def count_pending(connection: Connection) -> PendingCount:
    """Counted in the database where many computers agree; relays, of which there are few, one by one."""
    policies = policy_rules.resolve(policy_table.all_policies(connection))
    agents = sum(
        group.count
        for group in count_table.given_groups(connection)
        if group.agent_floor is not None and group.agent_floor is not policies[group.policy_id].agent_floor
    )
    relays = only_relay_floor = 0
    for relay in table.find(connection, kind=Kind.RELAY.value):
        policy = policies[relay.policy_id]
        if policy_rules.held_relay_floor(relay).floor is policy.relay_floor:
            continue
        relays += 1
        if relay.agent_floor_given is None or relay.agent_floor_given is policy.agent_floor:
            only_relay_floor += 1
    return PendingCount(relays, agents, agents + only_relay_floor)
