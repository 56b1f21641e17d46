"""The floors as they are stored, and what a change of them does. Reads and writes; decides nothing about who may.

4120's floor is a row; 4119's follows from the ``protocols=`` value last applied and 4120's; relays' and agents' stand
in the base policy, where they travel from.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, replace

from plimsoll.manager import config
from plimsoll.manager.services.policy_rules import BASE, DEFAULTS
from plimsoll.manager.store import Connection, facts
from plimsoll.manager.store import ciphers as cipher_table
from plimsoll.manager.store import floors as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store import rules as rule_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class FloorState:
    """What decides all four floors. `protocols` is the value in force, which the file may no longer have."""

    heartbeat: Version
    protocols: str | None
    relay: Version
    agent: Version

    @property
    def gui(self) -> Version:
        return config.gui_floor(self.protocols, self.heartbeat)

    def floor(self, point: Point) -> Version:
        return {
            Point.HEARTBEAT: self.heartbeat,
            Point.GUI: self.gui,
            Point.RELAY: self.relay,
            Point.AGENT: self.agent,
        }[point]

    def floors(self) -> dict[Point, Version]:
        return {point: self.floor(point) for point in Point}

    def with_floor(self, target: Version, points: Collection[Point]) -> FloorState:
        """The state after setting these points (design §5): 4119 by its line in the file, or by having none."""
        after = replace(
            self,
            heartbeat=target if Point.HEARTBEAT in points else self.heartbeat,
            relay=target if Point.RELAY in points else self.relay,
            agent=target if Point.AGENT in points else self.agent,
        )
        if Point.GUI in points:
            return replace(after, protocols=config.protocols_for(target, after.heartbeat))
        return after


def read(connection: Connection) -> FloorState:
    base = policy_table.policy_named(connection, BASE)
    assert base is not None, "every home has the base policy"
    return FloorState(
        heartbeat=table.read(connection)[Point.HEARTBEAT.value],
        protocols=applied_protocols(connection),
        relay=base.relay_floor or DEFAULTS["relay_floor"],
        agent=base.agent_floor or DEFAULTS["agent_floor"],
    )


def applied_protocols(connection: Connection) -> str | None:
    """The ``protocols=`` value in force. The digest decides whether there is one: a value may be any text."""
    if facts.get(connection, facts.PROTOCOLS_DIGEST) in (None, config.digest(None)):
        return None
    return facts.get(connection, facts.PROTOCOLS_VALUE)


def remember_protocols(connection: Connection, value: str | None) -> None:
    """This value is in force, and what the file has from now on."""
    facts.put(connection, facts.PROTOCOLS_DIGEST, config.digest(value))
    facts.put(connection, facts.PROTOCOLS_VALUE, value or "")


def store(connection: Connection, before: FloorState, after: FloorState, now: float) -> int:
    """Writes what differs; the new generation."""
    if after.heartbeat is not before.heartbeat:
        table.put(connection, Point.HEARTBEAT.value, after.heartbeat)
    if after.protocols != before.protocols:
        remember_protocols(connection, after.protocols)
    if (after.relay, after.agent) != (before.relay, before.agent):
        base = policy_table.policy_named(connection, BASE)
        assert base is not None
        generation = facts.advance(connection, facts.POLICY_GENERATION, now)
        policy_table.change_policy(
            connection, base.id, relay_floor=after.relay, agent_floor=after.agent, generation=generation
        )
    if after.floors() != before.floors():
        return facts.advance(connection, facts.FLOOR_GENERATION, now)
    return facts.counter(connection, facts.FLOOR_GENERATION)


def profiles(connection: Connection) -> dict[Point, CipherProfile]:
    """The cipher profiles that were set."""
    return {Point(point): CipherProfile(name) for point, name in cipher_table.read(connection).items()}


def snapshot(connection: Connection) -> FloorSnapshot:
    rules = tuple(
        Rule(
            Point(rule.point),
            rule.floor,
            None if rule.source is None else ipaddress.ip_network(rule.source),
            rule.computer,
            rule.until,
            rule.reason,
            rule.kind == rule_table.CANARY,
        )
        for rule in rule_table.in_force(connection)
    )
    known: dict[str, set[str]] = {}
    if any(rule.computer is not None for rule in rules):
        for address, computer in rule_table.addresses(connection):
            known.setdefault(address, set()).add(computer)
    shadow = {Point(point): record.floor for point, record in shadow_table.read(connection).items()}
    generation = facts.counter(connection, facts.FLOOR_GENERATION)
    return FloorSnapshot(generation, read(connection).floors(), rules, known, shadow, profiles(connection))
