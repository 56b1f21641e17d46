"""The end of a CA: told a year before, and put off where nobody rotated, by a new certificate for the same key.

What the CA signed is as good with its renewed certificate as before, and who trusts the former one needs no other until
that ends. So a renewal moves nobody; a rotation, which brings a new key, is still what people are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plimsoll.manager.ca import CA_WARNED, DAY, Authority
from plimsoll.manager.ports import SYSTEM, Principal
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.core import Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import AuthoritiesChanged
from plimsoll.manager.store import authorities, facts
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.authorities import AuthorityRecord

if TYPE_CHECKING:
    from plimsoll.manager.home import Home

#: Seconds before its end from which the manager renews its certificate.
RENEWED = 90 * DAY
#: Seconds between two warnings.
SAY_AGAIN = 30 * DAY


def look(unit: Unit, home: Home) -> bool:
    """Renews what ends soon, or has ended, and warns of what ends within a year. Whether a certificate was renewed."""
    trusted = home.ca(unit.connection).trusted
    due = [one for one in trusted if one.ends - unit.now < RENEWED]
    if due:
        renew(unit, home, due, SYSTEM)
        return True
    ending = [one for one in trusted if one.ends - unit.now < CA_WARNED]
    said = float(facts.get(unit.connection, facts.CA_END_SAID) or 0.0)
    if ending and not 0 <= unit.now - said < SAY_AGAIN:
        facts.put(unit.connection, facts.CA_END_SAID, str(unit.now))
        rotating = table.under_way(unit.connection) is not None
        for one in ending:
            text = advice(one, unit.now, rotating=rotating)
            unit.event(NewEvent(numbers.CA_ENDS, "warning", text, target=one.fingerprint[:16]))
    return False


def advice(one: Authority, now: float, *, rotating: bool) -> str:
    """When it ends and what to do, from a year before; else nothing. `now` is in seconds since the epoch."""
    left = one.ends - now
    if left >= CA_WARNED:
        return ""
    when = f"ends on {_day(one.ends)}, in {left / DAY:.0f} days" if left > 0 else f"ended on {_day(one.ends)}"
    do = "Go on with the rotation under way: plimsoll ca status" if rotating else "Rotate it: plimsoll ca rotate"
    return (
        f"the CA {one.fingerprint[:16]} {when}. {do}. Where nobody does, its certificate is renewed"
        f" {RENEWED / DAY:.0f} days before, with the same key; to do that now: plimsoll ca renew"
    )


def renew(unit: Unit, home: Home, ones: Sequence[Authority], principal: Principal) -> None:
    """New certificates for the keys of these, audited and told. They are in use once the home was settled."""
    for one in ones:
        fresh = one.renewed(unit.now)
        record = AuthorityRecord(fresh.certificate_fingerprint, one.key_hash, unit.now, fresh.certificate_pem)
        authorities.put(unit.connection, record)
        before = {"certificate": one.certificate_fingerprint, "ends": _day(one.ends)}
        after = {"certificate": fresh.certificate_fingerprint, "ends": _day(fresh.ends)}
        unit.audit(principal, "ca.renew", one.fingerprint[:16], before, after)
        text = (
            f"{principal.name} renewed the certificate of the CA {one.fingerprint[:16]}, which ended on"
            f" {_day(one.ends)}: it ends on {_day(fresh.ends)}. The key is the same; for a new one: plimsoll ca rotate"
        )
        level = "warning" if principal is SYSTEM else "info"
        unit.event(NewEvent(numbers.CA_RENEWED, level, text, target=one.fingerprint[:16]))
    running = table.under_way(unit.connection)
    if running is not None:
        # What each says of the other's key ends with the certificates that it was made from.
        old, new = (_find(home, unit, fingerprint) for fingerprint in (running.old, running.new))
        table.save(unit.connection, running, new_with_old=old.cross(new), old_with_new=new.cross(old))
    unit.changes.append(AuthoritiesChanged())


def _find(home: Home, unit: Unit, fingerprint: str) -> Authority:
    return next(one for one in home.ca(unit.connection).trusted if one.fingerprint == fingerprint)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
