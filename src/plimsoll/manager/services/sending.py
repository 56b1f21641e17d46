"""How policies reach computers: as commands in an outbox that survives a crash on either side."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from plimsoll.manager.services import policy_rules
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.policy_rules import Effective
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Command, Policy

APPLY: Literal["apply-policy"] = "apply-policy"
UPGRADE: Literal["upgrade"] = "upgrade"


def effective_policies(unit: Unit) -> dict[int, Effective]:
    return policy_rules.resolve(policy_table.all_policies(unit.connection))


def send_floors(unit: Unit, computers: Sequence[ComputerRecord]) -> int:
    """Send Policy: each computer's whole policy, floors included (R14)."""
    policies = effective_policies(unit)

    def message(computer: ComputerRecord) -> Policy:
        return policy_rules.of_computer(policies[computer.policy_id], computer).full()

    return _give(unit, computers, message, sent=True)


def send_settings(unit: Unit, computers: Sequence[ComputerRecord]) -> int:
    """Any other change: the policy's settings with the floors that each computer holds already."""
    policies = effective_policies(unit)

    def message(computer: ComputerRecord) -> Policy:
        effective = policy_rules.of_computer(policies[computer.policy_id], computer)
        return effective.message(*policy_rules.carried_floors(computer))

    return _give(unit, computers, message, sent=False)


def send_automatically(unit: Unit, before: Mapping[int, Effective], policy_ids: Sequence[int]) -> int:
    """After a change of these policies: sends settings that changed, where the policy sends by itself."""
    after = effective_policies(unit)
    moved = [
        identifier
        for identifier in policy_ids
        if after[identifier].auto_send
        and (identifier not in before or _settings(before[identifier]) != _settings(after[identifier]))
    ]
    if not moved:
        return 0
    return send_settings(unit, table.find(unit.connection, policy_ids=moved))


def _settings(effective: Effective) -> tuple[object, ...]:
    return effective.name, effective.heartbeat_seconds, effective.missed_heartbeats, effective.direction


def _give(
    unit: Unit, computers: Sequence[ComputerRecord], message: Callable[[ComputerRecord], Policy], *, sent: bool
) -> int:
    commands: list[CommandRecord] = []
    columns: list[dict[str, object]] = []
    for computer in computers:
        policy = message(computer)
        command = Command(id=uuid.uuid4().hex, kind=APPLY, policy=policy)
        commands.append(CommandRecord(command.id, computer.id, APPLY, msgspec.to_builtins(command), unit.now))
        columns.append({"computer": computer.id} | policy_rules.given(policy, unit.now, sent=sent))
    ids = [computer.id for computer in computers]
    command_table.drop_waiting(unit.connection, ids, APPLY)
    command_table.add_commands(unit.connection, commands)
    table.change_many(unit.connection, columns)
    unit.changed(*ids)
    return len(ids)
