"""One heartbeat's durable part: acks, events, inventory, reports, in the next group commit.

What comes twice is stored once: acks by the command's state, events by their rising sequence.
"""

from __future__ import annotations

from typing import Any

from plimsoll.fleet.relay_floor import version_default
from plimsoll.manager.ports import NotFound
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import policy_rules, upgrade_reports
from plimsoll.manager.services.computer_views import Intake, IntakeResult, RegistryEntry, entry, inventory_columns
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.sending import APPLY, UPGRADE, effective_policies
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import computers as table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import AgentEvent, Inventory

#: How many earlier starts of a host are remembered to recognise a second host with the same key.
_STARTS = 8


def take_in(unit: Unit, intake: Intake) -> IntakeResult:
    computer = table.get(unit.connection, intake.computer)
    if computer is None:
        raise NotFound(f"computer {intake.computer} is not known here any more; activate it again")
    columns: dict[str, Any] = {"last_sequence": max(intake.sequence, computer.last_sequence)}
    upgrade_reports.take_report(unit, computer, intake.upgrade)
    stored = _take_acks(unit, computer, intake, columns)
    last_event = _take_events(unit, computer, intake)
    columns["last_event_sequence"] = last_event
    if intake.fingerprint == computer.fingerprint and computer.previous_fingerprint is not None:
        columns["previous_fingerprint"] = None
    if intake.fingerprint == computer.fingerprint and computer.ca_shown != computer.ca_issuer:
        columns["ca_shown"] = computer.ca_issuer
    if intake.capability is not None:
        columns |= {"capability": intake.capability, "ca_trusts": intake.trusts}
    if intake.policy_fingerprint and intake.policy_fingerprint != computer.policy_acked:
        columns |= {"policy_acked": intake.policy_fingerprint, "policy_acked_at": unit.now}
    clone = _take_inventory(unit, computer, intake.inventory, columns)
    if intake.relay is not None:
        columns |= {
            "relay_reported": intake.relay.floor,
            "relay_reported_origin": intake.relay.origin.value,
            "relay_reported_at": unit.now,
        }
    table.change(unit.connection, computer.id, **columns)
    unit.changed_elsewhere(computer.id)
    return IntakeResult(stored, last_event, read_entry(unit, computer.id), clone)


def read_entry(unit: Unit, identifier: str) -> RegistryEntry | None:
    computer = table.get(unit.connection, identifier)
    if computer is None:
        return None
    effective = policy_rules.of_computer(effective_policies(unit)[computer.policy_id], computer)
    return entry(computer, effective, command_table.waiting(unit.connection, [identifier]))


def _take_acks(unit: Unit, computer: ComputerRecord, intake: Intake, columns: dict[str, Any]) -> tuple[str, ...]:
    stored: list[str] = []
    for ack in intake.acks:
        command = command_table.command(unit.connection, ack.command, computer.id)
        # An ack for a command that is gone (replaced, deleted) is taken too, else the agent would repeat it for ever.
        stored.append(ack.command)
        if command is None or command.kind == UPGRADE:
            # An order to upgrade may have been taken back when it was too late: how it ended counts all the same.
            runs = intake.inventory.version if intake.inventory is not None else computer.version
            upgrade_reports.take_end(unit, computer, ack, runs)
        if command is None or command.done is not None:
            continue
        command_table.finish_command(unit.connection, ack.command, unit.now, ack.ok, ack.text)
        if command.kind == APPLY and ack.ok:
            columns |= {"policy_acked": computer.policy_fingerprint, "policy_acked_at": unit.now}
        if not ack.ok and command.kind != UPGRADE:
            text = f"{computer.display} could not carry out {command.kind}: {ack.text or 'no reason given'}"
            unit.event(NewEvent(742, "warning", text, computer=computer.id, target=computer.display))
    return tuple(stored)


def _take_events(unit: Unit, computer: ComputerRecord, intake: Intake) -> int:
    last = computer.last_event_sequence
    for event in sorted(intake.events, key=lambda event: event.sequence):
        if event.sequence <= last:
            continue
        unit.event(_agent_event(computer, event))
        last = event.sequence
    return last


def _agent_event(computer: ComputerRecord, event: AgentEvent) -> NewEvent:
    return NewEvent(
        event.number,
        "info",
        event.text,
        computer=computer.id,
        target=computer.display,
        time=event.time,
        extra={"sequence": event.sequence},
        origin="agent",
    )


def _take_inventory(unit: Unit, computer: ComputerRecord, inventory: Inventory | None, columns: dict[str, Any]) -> bool:
    """Takes the inventory over; True where its boot id shows that two hosts use one identity."""
    if inventory is None:
        return False
    columns |= inventory_columns(inventory, computer)
    if policy_rules.keeps_default(computer, inventory):
        # R7: a relay that is upgraded keeps the floor it held, although its new version's default is another.
        columns["relay_floor_kept"] = version_default(computer.version)
    if not inventory.boot_id or inventory.boot_id == computer.boot_id:
        return False
    # A boot id never comes back after another: where it does, two hosts take turns.
    clone = inventory.boot_id in computer.boot_ids
    earlier = [boot for boot in (*computer.boot_ids, computer.boot_id) if boot and boot != inventory.boot_id]
    columns |= {"boot_id": inventory.boot_id, "boot_ids": earlier[-_STARTS:]}
    if clone and not computer.clone:
        columns["clone"] = True
        text = (
            f"{computer.display}: two hosts take turns under one identity ({inventory.hostname}, {computer.hostname});"
            " reset the agent on one of them and activate it anew"
        )
        unit.event(NewEvent(event_numbers.CLONE, "warning", text, computer=computer.id, target=computer.display))
    return clone
