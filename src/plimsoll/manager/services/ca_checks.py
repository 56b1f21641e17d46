"""What must be so before a rotation of the CA begins, and before it takes a step. Who is in the way is named."""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.fleet import ca_rotation as pure
from plimsoll.fleet.ca_rotation import Goal, Verdict
from plimsoll.fleet.changes import some
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.ports import Conflict
from plimsoll.manager.services.ca_settling import mark
from plimsoll.manager.services.ca_views import goal_of
from plimsoll.manager.services.change_views import busy as change_busy
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.nodes import GONE_SECONDS
from plimsoll.manager.services.quiet import check_no_upgrade
from plimsoll.manager.store import Connection
from plimsoll.manager.store import ca as table
from plimsoll.manager.store import changes as change_table
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store.ca import RotationRecord
from plimsoll.manager.store.nodes import NodeRecord


def check_begin(core: Core, connection: Connection, leave_behind: bool) -> None:
    """Raises Conflict where no rotation can begin now. With `leave_behind` agents that are too old do not keep it."""
    running = table.under_way(connection)
    if running is not None:
        raise Conflict(
            f"rotation {running.id} is under way, in the phase {running.state}: one at a time; nothing was changed."
            " See: plimsoll ca status"
        )
    late = late_managers(core, connection, core.home.ca(connection))
    if late:
        raise Conflict(
            f"{late_text(late)}; nothing was changed. Look into the log there, upgrade it, or stop it: it takes what it"
            " missed when it starts. See: plimsoll manager nodes"
        )
    check_no_upgrade(connection, "the CA is not rotated")
    change = change_table.under_way(connection)
    if change is not None:
        raise Conflict(change_busy(change))
    old = _too_old(connection)
    if old and not leave_behind:
        raise Conflict(
            f"these agents are too old to be told of a new CA: {some(old)}; nothing was changed. Upgrade them"
            " first, or leave them behind with a reason: plimsoll ca rotate --leave-behind REASON"
        )


def late_managers(core: Core, connection: Connection, standing: Standing) -> tuple[NodeRecord, ...]:
    """Further managers that run and do not go by these CAs: they were told a moment ago, or cannot.

    This one is not among them: it settles before it looks. One that does not run settles before a port of it opens.
    """
    wanted = mark(standing)
    running = node_table.running(connection, GONE_SECONDS)
    return tuple(one for one in running if one.id != core.home.node and one.authorities != wanted)


def late_text(late: Sequence[NodeRecord]) -> str:
    """Which managers are in the way, and why as far as they said it."""
    named = some([f"{one.name} ({one.text or 'release ' + one.release})" for one in late])
    return f"these managers do not go by the CAs of the store yet: {named}"


def _too_old(connection: Connection) -> list[str]:
    if not any(0 < fact.capability < pure.UNDERSTOOD_FROM for fact in table.counts(connection)):
        return []
    members = table.members(connection)
    return [one.name for one in members if 0 < one.capability < pure.UNDERSTOOD_FROM]


def check_phase(record: RotationRecord, wanted: str, what: str) -> None:
    """Raises Conflict in another phase than the `wanted` one."""
    if record.state != wanted:
        raise Conflict(
            f"rotation {record.id} is in the phase {record.state}, and is {what} from {wanted} only; nothing was"
            " changed. See: plimsoll ca status"
        )


def check_ready(core: Core, unit: Unit, record: RotationRecord, reason: str, why: str, what: str) -> None:
    """Raises Conflict where a computer or a manager is not ready for the next phase.

    With a `reason` computers that cannot be reached are not waited for; a manager that runs always is.
    """
    standing = core.home.ca(unit.connection)
    goal = goal_of(record, standing)
    judgement = pure.judge(goal, table.counts(unit.connection))
    if judgement.verdict is not Verdict.READY and not (judgement.verdict is Verdict.LEAVING and reason):
        way = pure.in_the_way(goal, behind(unit.connection, goal))
        hint = (
            "Wait for their heartbeats, or revoke those that do not answer"
            if judgement.verdict is Verdict.WAIT
            else "Bring them online, or leave them behind with a reason: --leave-behind REASON"
        )
        raise Conflict(f"the CA is {why}: {way}; nothing was {what}. {hint}")
    late = late_managers(core, unit.connection, standing)
    if late:
        raise Conflict(
            f"{late_text(late)}; nothing was {what}. They take them within a second: try again, look into the log"
            " there, or stop it"
        )


def behind(connection: Connection, goal: Goal) -> tuple[tuple[str, pure.Fact], ...]:
    """The computers that are in the way of that goal, by name."""
    found = table.without(connection, trusts=goal.trusts, shown=goal.shown)
    return tuple((one.name, one.fact) for one in found)
