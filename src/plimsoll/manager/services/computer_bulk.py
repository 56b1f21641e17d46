"""The same for many computers: other policy or groups, heartbeat now, revoked, deactivated.

Rules of this file: many are changed in pieces, so that heartbeats never wait long for the store; each piece is one
transaction with one entry in the audit trail that has all numbers and what they had before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import BadInput, NotFound, Permission, Principal, permits
from plimsoll.manager.services import policy_rules, sending
from plimsoll.manager.services.computer_views import ACTIVE, ComputerChange
from plimsoll.manager.services.computers import ComputersService, columns_of_change
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.hub import HeartbeatsWanted
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.messages import Direction

#: Computers of one transaction.
PIECE = 1000
#: How many can be taken out of the fleet, or called, at once: more than a person reads the names of.
MOST = 500

#: What can be given to many.
_MANY = frozenset({"policy_id", "group_id", "relay_group_id"})


@dataclass(frozen=True, slots=True)
class Called:
    """Who is called at once, and who calls by itself only and comes when it is due."""

    called: tuple[str, ...]
    waits: tuple[str, ...]


class ComputerBulkService:
    def __init__(self, core: Core, computers: ComputersService) -> None:
        self._core = core
        self._computers = computers

    @permits(Permission.COMPUTERS_CHANGE)
    def change(self, principal: Principal, computers: Sequence[str], change: ComputerChange) -> int:
        """Gives all of these ids a policy, a group or a relay group; how many had another one before.

        A policy's floors wait for Send Policy; its settings go by themselves where it says so. Raises NotFound for a
        policy or group that is not there, and BadInput for any other field; then nothing was changed.
        """

        _check_any(computers)

        def work(unit: Unit, some: Sequence[str]) -> int:
            columns = columns_of_change(unit.connection, change)
            if not columns or not columns.keys() <= _MANY:
                raise BadInput("many computers can be given a policy, a group or a relay group; nothing was changed")
            found = [
                one
                for one in table.find(unit.connection, ids=some)
                if any(getattr(one, name) != value for name, value in columns.items())
            ]
            if not found:
                return 0
            table.change_many(unit.connection, [{"computer": one.id} | columns for one in found])
            target = found[0].id if len(found) == 1 else f"{len(found)} computers"
            unit.audit(principal, "computers.update", target, _before(found, columns), columns)
            unit.changed(*(one.id for one in found))
            if "policy_id" in columns and sending.effective_policies(unit)[columns["policy_id"]].auto_send:
                moved = table.find(unit.connection, ids=[one.id for one in found])
                sending.send_settings(unit, [one for one in moved if one.state == ACTIVE])
            return len(found)

        return sum(self._core.write(lambda unit, some=some: work(unit, some)) for some in _pieces(computers))  # type: ignore[misc]

    @permits(Permission.POLICIES_SEND)
    def send_policy(self, principal: Principal, computers: Sequence[str]) -> int:
        """Send Policy (R14) to all of these ids that are active; to how many it is on its way."""
        _check_any(computers)
        return sum(self._computers.send_policy(principal, computers=some) for some in _pieces(computers))

    @permits(Permission.COMPUTERS_CHANGE)
    def heartbeat_now(self, principal: Principal, computers: Sequence[str]) -> Called:
        """Asks these ids for a heartbeat at once. Only one that listens can be called; others come by themselves.

        Raises BadInput for more than `MOST`.
        """
        _check_many(computers)

        def work(unit: Unit) -> Called:
            policies = sending.effective_policies(unit)
            found = [one for one in table.find(unit.connection, ids=computers) if one.state == ACTIVE]
            listening = [one for one in found if listens(one, policies[one.policy_id])]
            if listening:
                target = listening[0].id if len(listening) == 1 else f"{len(listening)} computers"
                unit.audit(
                    principal, "computers.heartbeat", target, None, {"computers": [one.number for one in listening]}
                )
                unit.changes.append(HeartbeatsWanted(tuple(one.id for one in listening)))
            called = {one.id for one in listening}
            return Called(
                tuple(one.display for one in listening), tuple(one.display for one in found if one.id not in called)
            )

        return self._core.write(work)

    @permits(Permission.COMPUTERS_READ)
    def can_be_called(self, principal: Principal, computer: str) -> bool:
        """Whether that id listens by the policy that it holds."""

        def work(connection: Connection) -> bool:
            found = table.one(connection, computer)
            policies = policy_rules.resolve(policy_table.all_policies(connection))
            return found is not None and listens(found, policies[found.policy_id])

        return self._core.store.read(work)

    @permits(Permission.COMPUTERS_CHANGE)
    def revoke(self, principal: Principal, computers: Sequence[str], reason: str = "") -> int:
        """As `ComputersService.revoke`, for each of these ids that is there and not revoked yet; how many those are."""
        _check_many(computers)
        found = [one for one in self._core.store.read(lambda c: table.find(c, ids=computers)) if one.state != "revoked"]
        for one in found:
            self._computers.revoke(principal, one.id, reason)
        return len(found)

    @permits(Permission.COMPUTERS_CHANGE)
    def delete(self, principal: Principal, computers: Sequence[str]) -> int:
        """As `ComputersService.delete`, for each of these ids that is there; how many those are."""
        _check_many(computers)
        gone = 0
        for one in dict.fromkeys(computers):
            try:
                self._computers.delete(principal, one)
                gone += 1
            except NotFound:
                continue  # somebody was quicker
        return gone


def listens(computer: ComputerRecord, effective: policy_rules.Effective) -> bool:
    """Whether the manager can call it: by the policy that it was given, not the one that waits."""
    given = policy_rules.given_policy(computer, policy_rules.of_computer(effective, computer))
    return computer.listen_port is not None and given.direction is not Direction.AGENT_INITIATED


def _check_any(computers: Sequence[str]) -> None:
    if not computers:
        raise BadInput("no computer is chosen, or none of them is there any more; nothing was changed")


def _check_many(computers: Sequence[str]) -> None:
    _check_any(computers)
    if len(computers) > MOST:
        raise BadInput(f"at most {MOST} computers at once, not {len(computers)}: narrow the list; nothing was changed")


def _pieces(computers: Sequence[str]) -> Iterator[list[str]]:
    whole = list(dict.fromkeys(computers))
    for start in range(0, len(whole), PIECE):
        yield whole[start : start + PIECE]


def _before(found: Sequence[ComputerRecord], columns: dict[str, Any]) -> dict[str, Any]:
    """What each had, by what it had: for the audit trail."""
    earlier: dict[str, Any] = {}
    for name in columns:
        had: dict[str, list[int]] = {}
        for one in found:
            had.setdefault(str(getattr(one, name) or "none"), []).append(one.number)
        earlier[name] = {value: sorted(numbers) for value, numbers in had.items()}
    return earlier
