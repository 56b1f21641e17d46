"""The steps of a CA's rotation: each is what one transaction writes, on the row that it was decided on (`store.ca`)."""

from __future__ import annotations

from typing import Any

from plimsoll.fleet.changes import some
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import AuthoritiesChanged
from plimsoll.manager.store import authorities
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.ca import RotationRecord


def switch(core: Core, unit: Unit, record: RotationRecord, name: str, who: str, reason: str) -> None:
    """The new CA issues from now on. With a `reason` somebody does not trust it yet."""
    both = ",".join(core.home.ca(unit.connection).fingerprints)
    members = table.without(unit.connection, trusts=both) if reason else ()
    left = f"; not waited for ({reason}): {some([one.name for one in members])}" if members else ""
    text = f"{name} switched to the CA {short(record.new)}{left}"
    enter(unit, record, table.SWITCH, text, who, reason, switched=unit.now)
    unit.event(NewEvent(numbers.CA_SWITCHED, "info", f"{text}. Computers renew their certificates",
                        target=f"rotation {record.id}"))  # fmt: skip


def withdraw(core: Core, unit: Unit, record: RotationRecord, name: str, who: str, reason: str) -> None:
    """The end of the way back: the old CA alone is trusted. With a `reason` somebody is left behind."""
    left = leave(unit, record, record.old, name, reason)
    text = f"the CA {short(record.new)} is trusted no more; {short(record.old)} is as before" + left
    end(core, unit, record, table.WITHDRAWN, text, who)
    unit.event(NewEvent(numbers.CA_WENT_BACK, "info", text, target=f"rotation {record.id}"))


def enter(unit: Unit, record: RotationRecord, state: str, text: str, who: str, reason: str = "", **values: Any) -> None:
    """The rotation goes on to that phase. Raises StaleError where it moved on since it was read."""
    options = record.options
    if reason:
        options = options | {"reasons": options["reasons"] | {state: reason}}
    table.save(unit.connection, record, state=state, entered=unit.now, soaked=0.0, seen={}, text=text,
               options=options, **values)  # fmt: skip
    unit.changed(*table.drop_requests(unit.connection))
    note(unit, record.id, state, "entered", text, who)
    unit.tell_elsewhere(AuthoritiesChanged())


def end(core: Core, unit: Unit, record: RotationRecord, state: str, text: str, who: str) -> None:
    """It is over: one CA is left, and the other's key leaves the store. Raises StaleError as `enter`."""
    gone = record.old if state == table.RETIRED else record.new
    standing = core.home.ca(unit.connection)
    for one in standing.trusted:
        if one.fingerprint == gone:
            authorities.drop_key(unit.connection, one.key_hash)
    table.save(unit.connection, record, state=state, entered=unit.now, ended=unit.now, seen={}, text=text)
    unit.changed(*table.drop_requests(unit.connection))
    note(unit, record.id, state, "ended", text, who)
    unit.tell_elsewhere(AuthoritiesChanged())


def leave(unit: Unit, record: RotationRecord, shown: str, name: str, reason: str) -> str:
    """Revokes those that show no certificate of that CA; who they are, in words."""
    if not reason:
        return ""
    left = table.leave_behind(unit.connection, shown)
    if not left:
        return ""
    names = [one for _, one in left]
    text = f"{name} left {len(left)} computers behind ({reason}): {some(names, 20)}"
    extra = {"named": names[: table.NAMED]}
    said = f"{text}. Their certificates count no more: activate each again"
    unit.event(NewEvent(numbers.CA_LEFT_BEHIND, "warning", said, target=f"rotation {record.id}", extra=extra))
    unit.changed(*(identifier for identifier, _ in left))
    return f"; {len(left)} computers were left behind: {some(names)}"


def note(unit: Unit, identifier: int, stage: str, what: str, text: str, who: str) -> None:
    """An entry of the rotation's log."""
    table.log(unit.connection, identifier, table.LogRecord(unit.now, stage, what, text, who))


def short(fingerprint: str) -> str:
    """As people are told of it."""
    return fingerprint[:16]
