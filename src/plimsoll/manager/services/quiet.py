"""What may not happen while an upgrade is under way: a silence of its doing would be taken for a floor's."""

from __future__ import annotations

from plimsoll.manager.ports import Conflict
from plimsoll.manager.services.upgrade_views import stage_of
from plimsoll.manager.store import Connection
from plimsoll.manager.store import upgrades as table


def check_no_upgrade(connection: Connection, what: str) -> None:
    """Raises Conflict, which says that `what` has to wait (``no floor is raised``, ``no change begins``)."""
    running = table.under_way(connection)
    if running is not None:
        raise Conflict(
            f"upgrade {running.id} to {running.target} is under way ({running.state}, {stage_of(running)}), and {what}"
            f" until it is over; nothing was changed. To end it here: plimsoll upgrade abort {running.id}"
        )
