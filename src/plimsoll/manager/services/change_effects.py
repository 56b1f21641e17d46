"""What the stages of a change move, and how it is taken back: each inside the caller's transaction.

`effects` remembers what stood there before, so that a way back touches exactly what this change moved, and leaves alone
what somebody else has moved since.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from plimsoll.fleet.changes import MOVES, Stage, choose_canary
from plimsoll.manager import config
from plimsoll.manager.ports import Principal
from plimsoll.manager.services import policy_rules, sending
from plimsoll.manager.services import shadow as shadow_service
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.floor_state import FloorState
from plimsoll.manager.services.policy_rules import BASE
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import facts, rules
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store import shadow as shadow_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

Effects = dict[str, Any]

#: How much of the relays each wave takes, after the canary.
WAVES = (0.25, 1.0)
_FIELD = {Point.RELAY: "relay_floor", Point.AGENT: "agent_floor"}
_NAMED = 5
_OWN = (Point.HEARTBEAT, Point.GUI)


def owner(change: int) -> str:
    return f"change {change}"


def floors_after(before: FloorState, stage: Stage, target: Version) -> FloorState:
    """The floors once the stage is entered. 4119 keeps its own while 4120 moves, by a line of its own if need be."""
    if stage in (Stage.RELAY_CANARY, Stage.RELAYS):
        return replace(before, relay=target)
    if stage is Stage.AGENTS:
        return replace(before, agent=target)
    if stage is Stage.HEARTBEAT:
        return replace(before, heartbeat=target, protocols=_line(before, before.gui, target))
    if stage is Stage.GUI:
        return before.with_floor(target, [Point.GUI])
    return before


def _line(before: FloorState, gui: Version, heartbeat: Version) -> str | None:
    """A ``protocols=`` value that gives 4119 that floor: the one in force where it does."""
    if config.gui_floor(before.protocols, heartbeat) is gui:
        return before.protocols
    return config.protocols_for(gui, heartbeat)


def note_floors(effects: Effects, before: FloorState, after: FloorState) -> None:
    """Remember which points moved from where, once."""
    moved = effects.setdefault("floors", {})
    for point in Point:
        old, new = before.floor(point), after.floor(point)
        if old is not new:
            known = moved.get(point.value)
            moved[point.value] = {"from": old.value if known is None else known["from"], "to": new.value}
    if before.protocols != after.protocols:
        effects.setdefault("protocols", {"before": before.protocols})


def floors_back(effects: Effects, now: FloorState) -> FloorState:
    """The floors without this change: each point that still stands where it was put goes back."""
    moved = effects.get("floors", {})

    def back(point: Point) -> Version:
        entry, current = moved.get(point.value), now.floor(point)
        return Version(entry["from"]) if entry is not None and current.value == entry["to"] else current

    heartbeat, gui = back(Point.HEARTBEAT), back(Point.GUI)
    before = effects.get("protocols", {}).get("before")
    line = config.protocols_for(gui, heartbeat)
    if "protocols" in effects and config.gui_floor(before, heartbeat) is gui:
        line = before
    elif config.gui_floor(now.protocols, heartbeat) is gui:
        line = now.protocols
    return FloorState(heartbeat, line, back(Point.RELAY), back(Point.AGENT))


def enter(
    unit: Unit,
    principal: Principal,
    change: int,
    stage: Stage,
    target: Version,
    options: dict[str, Any],
    effects: Effects,
) -> str:
    """All of a stage but the four floors, which the caller moves in the same transaction. What was done, in words."""
    if stage is Stage.SHADOW:
        return _shadow(unit, principal, target, options, effects)
    if stage in (Stage.RELAY_CANARY, Stage.RELAYS):
        _raise_policies(unit, principal, Point.RELAY, target, options, effects)
        chosen = _relays(unit, stage, options, effects)
        sent = _send(unit, chosen, effects)
        return f"sent {target} to {counted(sent, 'relay')}: {some(chosen)}" if sent else "there are no relays"
    if stage is Stage.AGENTS:
        _raise_policies(unit, principal, Point.AGENT, target, options, effects)
        everybody = [one for one in computer_table.find(unit.connection) if one.state == "active"]
        return f"sent {target} to {counted(_send(unit, everybody, effects), 'computer')}"
    if stage is Stage.HEARTBEAT_CANARY:
        chosen_ids = canary_of(unit, options)
        rules.put_canary(
            unit.connection, owner(change), Point.HEARTBEAT.value, target, chosen_ids, principal.who, unit.now
        )
        facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)
        effects["canary"] = list(chosen_ids)
        names = computer_table.find(unit.connection, ids=chosen_ids[:_NAMED])
        return f"{counted(len(chosen_ids), 'computer')} held to {target}: {some(names, len(chosen_ids))}"
    if stage is Stage.HEARTBEAT:
        rules.drop_canary(unit.connection, owner(change))
    if stage in (Stage.HEARTBEAT, Stage.GUI):
        _unshadow(unit, principal, MOVES[stage], effects)
        return f"the {stage.value} port holds {target} for all"
    return ""


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def some(computers: Sequence[ComputerRecord], of: int | None = None) -> str:
    """The first few by name, and how many more there are."""
    more = (len(computers) if of is None else of) - _NAMED
    return ", ".join(one.display for one in computers[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def take_back(unit: Unit, principal: Principal, change: int, effects: Effects) -> int:
    """All but the four floors. To how many computers the policy was sent again."""
    rules.drop_canary(unit.connection, owner(change))
    facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)
    for point in _OWN:
        _unshadow(unit, principal, point, effects)
    for identifier, moved in effects.get("policies", {}).items():
        record = policy_table.policy(unit.connection, int(identifier))
        for field, entry in moved.items():
            if record is not None and getattr(record, field) is Version(entry["to"]):
                generation = facts.advance(unit.connection, facts.POLICY_GENERATION, unit.now)
                values: dict[str, Any] = {field: Version(entry["from"]), "generation": generation}
                policy_table.change_policy(unit.connection, record.id, **values)
    sent = effects.get("sent", [])
    if not sent:
        return 0
    found = [one for one in computer_table.find(unit.connection, ids=sent) if one.state == "active"]
    return sending.send_floors(unit, found)


def end(unit: Unit, principal: Principal, change: int, effects: Effects) -> None:
    """What only served the change while it ran goes."""
    rules.drop_canary(unit.connection, owner(change))
    for point in _OWN:
        _unshadow(unit, principal, point, effects)


def _shadow(unit: Unit, principal: Principal, target: Version, options: dict[str, Any], effects: Effects) -> str:
    known = shadow_table.read(unit.connection)
    kept = effects.setdefault("shadow", {})
    points = [point for point in _OWN if point.value in options["points"]]
    for point in points:
        before = known.get(point.value)
        kept.setdefault(point.value, None if before is None else before.floor.value)
        shadow_service.put(unit, principal, point, target)
    return f"a shadow floor of {target} counts at {' and '.join(point.value for point in points)}"


def _unshadow(unit: Unit, principal: Principal, point: Point, effects: Effects) -> None:
    kept = effects.get("shadow", {})
    if point.value not in kept:
        return
    before = kept.pop(point.value)
    if before is None:
        shadow_service.drop(unit, principal, point)
    else:
        shadow_service.put(unit, principal, point, Version(before))


def _raise_policies(
    unit: Unit, principal: Principal, point: Point, target: Version, options: dict[str, Any], effects: Effects
) -> None:
    """Policies with a lower floor of their own follow; the base policy moves with the point's floor."""
    if options.get("lowers"):
        return
    field = _FIELD[point]
    for record in policy_table.all_policies(unit.connection):
        own: Version | None = getattr(record, field)
        if record.name == BASE or own is None or own >= target:
            continue
        effects.setdefault("policies", {}).setdefault(str(record.id), {})[field] = {
            "from": own.value,
            "to": target.value,
        }
        generation = facts.advance(unit.connection, facts.POLICY_GENERATION, unit.now)
        values: dict[str, Any] = {field: target, "generation": generation}
        policy_table.change_policy(unit.connection, record.id, **values)
        unit.audit(principal, "policies.update", record.name, {field: own.value}, {field: target.value})


def _relays(unit: Unit, stage: Stage, options: dict[str, Any], effects: Effects) -> list[ComputerRecord]:
    """The next wave: the canary first, then a quarter, then the rest; all at once where floors go down."""
    everybody = [one for one in computer_table.find(unit.connection, kind=Kind.RELAY.value) if one.state == "active"]
    sent = set(effects.get("sent", []))
    left = [one for one in everybody if one.id not in sent]
    if options.get("lowers"):
        return left
    if stage is Stage.RELAY_CANARY:
        return left[: max(1, math.ceil(0.05 * len(everybody)))]
    wave = effects.get("waves", 0)
    effects["waves"] = wave + 1
    share = WAVES[min(wave, len(WAVES) - 1)]
    return left[: max(1, math.ceil(share * len(everybody)))]


def relays_left(unit_relays: Sequence[ComputerRecord], effects: Effects) -> bool:
    """Whether a wave is still to come."""
    sent = set(effects.get("sent", []))
    return any(one.state == "active" and one.id not in sent for one in unit_relays)


def _send(unit: Unit, chosen: Sequence[ComputerRecord], effects: Effects) -> int:
    sent = sending.send_floors(unit, chosen)
    effects["sent"] = sorted({*effects.get("sent", []), *(one.id for one in chosen)})
    return sent


def canary_of(unit: Unit, options: dict[str, Any]) -> tuple[str, ...]:
    """The computers of the canary: a group's, or a number or share of those that call in, of every kind."""
    policies = policy_rules.resolve(policy_table.all_policies(unit.connection))
    calling = [
        one
        for one in computer_table.find(unit.connection)
        if one.state == "active"
        and policy_rules.of_computer(policies[one.policy_id], one).direction is not Direction.MANAGER_INITIATED
    ]
    named: str = options["canary"]
    if named.startswith("group:"):
        return tuple(one.id for one in calling if one.relay_group_id == options["canary_group"])
    if named.startswith("policy:"):
        return tuple(one.id for one in calling if one.policy_id == options["canary_policy"])
    excused = _excused(unit)
    online = [one for one in calling if one.online and one.id not in excused]
    count = canary_count(named, len(online))
    return choose_canary([(one.id, one.version, one.offered) for one in online], count)


def _excused(unit: Unit) -> set[str]:
    """Computers with an exception of their own: they tell nothing of the new floor."""
    return {
        rule.computer
        for rule in rules.in_force(unit.connection)
        if rule.computer is not None and rule.kind == rules.EXCEPTION and rule.point == Point.HEARTBEAT.value
    }


def canary_count(named: str, of: int) -> int:
    """How many computers "5%" or "5" are. Raises ValueError."""
    if named.endswith("%"):
        share = float(named[:-1])
        if not 0 < share <= 100:
            raise ValueError(named)
        return min(of, max(1, math.ceil(share / 100 * of)))
    count = int(named)
    if count < 1:
        raise ValueError(named)
    return min(of, count)


def accepted_of(findings: Collection[Any]) -> list[str]:
    """How findings of a preflight are remembered as accepted: programs by who and address, parts by id."""
    return sorted(
        "|".join(finding.id.split("|")[:2]) if finding.kind == "program" else f"computer:{finding.id}"
        for finding in findings
    )
