"""What may not happen while an upgrade, or a rotation of the CA, is under way: each would take the other's silences
for its own.
"""

from __future__ import annotations

from plimsoll.manager.ports import Conflict
from plimsoll.manager.services.upgrade_views import stage_of
from plimsoll.manager.store import Connection
from plimsoll.manager.store import ca as ca_table
from plimsoll.manager.store import upgrades as table


def check_no_upgrade(connection: Connection, what: str) -> None:
    """Raises Conflict, which says that `what` has to wait (``no floor is raised``, ``no change begins``)."""
    running = table.under_way(connection)
    if running is not None:
        raise Conflict(
            f"upgrade {running.id} to {running.target} is under way ({running.state}, {stage_of(running)}), and {what}"
            f" until it is over; nothing was changed. To end it here: plimsoll upgrade abort {running.id}"
        )


def check_no_rotation(connection: Connection, what: str) -> None:
    """Raises Conflict, which says that `what` has to wait (``no change begins``, ``no upgrade begins``)."""
    running = ca_table.under_way(connection)
    if running is not None:
        raise Conflict(
            f"the CA is being rotated (rotation {running.id}, in the phase {running.state}), and {what} until it is"
            " over; nothing was changed. See: plimsoll ca status. To end it: plimsoll ca retire, or plimsoll ca back"
        )
