"""The audit trail as a chain: is it whole, and what of it may go."""

from __future__ import annotations

from plimsoll.manager.ports import BadInput, Permission, Principal, internal, permits
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.store import audit as table
from plimsoll.manager.store.audit import Link, Verified

__all__ = ["AuditService", "Link", "Verified"]

DAY = 86400.0


class AuditService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.AUDIT_READ)
    def verify(self, principal: Principal, entry: int | None = None, hash_: str | None = None) -> Verified:
        """Walks the chain. `entry` and `hash_`, of a proof that was signed earlier, must still be in it."""
        if (entry is None) != (hash_ is None):
            raise BadInput("an entry's number and its hash belong together; nothing was checked")
        return self.walk(None if entry is None or hash_ is None else (entry, hash_.lower()))

    @internal
    def walk(self, known: tuple[int, str] | None = None) -> Verified:
        return self._core.store.read(lambda c: table.verify(c, known))

    @permits(Permission.ACCESS_CHANGE)
    def prune(self, principal: Principal, days: float) -> int:
        """Deletes what is older; the anchor moves, so that the rest is still proved. Refused on a broken chain."""
        if days < 1:
            raise BadInput("entries stay for a day at least; nothing was deleted")
        if not self.walk().ok:
            raise BadInput("the chain is broken, which is evidence; nothing was deleted. See: plimsoll audit verify")

        def work(unit: Unit) -> int:
            gone = table.prune(unit.connection, unit.now - days * DAY, unit.now)
            if gone:
                unit.audit(principal, "audit.prune", f"older than {days:g} days", None, {"entries": gone})
            return gone

        return self._core.write(work)
