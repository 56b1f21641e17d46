"""Failures in a row, of passwords and of codes alike, and the lock that comes of them."""

from __future__ import annotations

from plimsoll.manager.ports import Principal, Role
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import LOCKED_OUT, NewEvent
from plimsoll.manager.store import access as table
from plimsoll.manager.store.access import UserRecord

#: After that many failures in a row a user cannot sign in for a while, whatever the password.
FAILURES = 5
LOCK_SECONDS = 900.0


def is_locked(user: UserRecord, now: float) -> bool:
    return user.locked_until is not None and user.locked_until > now


def note_failure(core: Core, user: str, address: str, what: str) -> None:
    """In a transaction of its own: what failed is rolled back. `what`: password or code."""

    def work(unit: Unit) -> None:
        record = table.user(unit.connection, user)
        if record is None:
            return
        failures = record.failures + 1
        until = unit.now + LOCK_SECONDS if failures >= FAILURES else None
        table.change_user(
            unit.connection, user, failures=0 if until else failures, locked_until=until or record.locked_until
        )
        who = Principal("user", user, Role(record.role), "web", address)
        after = {"what": what, "failures": failures, "locked": until is not None}
        unit.audit(who, "access.sign_in.failed", user, None, after)
        if until is not None:
            text = f"{user} is locked for {LOCK_SECONDS / 60:.0f} minutes after {failures} wrong passwords or codes"
            unit.event(NewEvent(LOCKED_OUT, "warning", f"{text}, the last from {address}", target=user))

    core.write(work)
