"""The rotation of the CA (design §11): announce the new one, switch to it, retire the old one; and back, until then.

How it flows: people begin and advance here; each step (`ca_steps`) is one transaction on the newest row of `store.ca`,
from which all else follows on each manager (`ca_settling`: files, gates, what heartbeats take home) and is made good at
the next start or look where a kill came between. `tick`, which one manager calls, asks computers to renew, advances
what may advance by itself, and names those that are in the way (`ca_watch`, `ca_checks`). What a computer trusts and
shows comes with its heartbeats (`intake`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.fleet.ca_rotation import Stand
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, Unavailable, internal, permits
from plimsoll.manager.services import ca_checks as checks
from plimsoll.manager.services import ca_end
from plimsoll.manager.services import ca_steps as steps
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.ca_settling import DAILY, Settling
from plimsoll.manager.services.ca_views import CaView, MemberView, goal_of, view
from plimsoll.manager.services.ca_watch import Watch
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import AuthoritiesChanged
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.store import Connection, authorities
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.ca import RotationRecord, StaleError

__all__ = ["CaService", "CaView", "MemberView"]

log = logging.getLogger(__name__)

#: Seconds that everybody must have trusted both before the switch comes by itself.
SOAK = 600.0
_LONGEST_SOAK = 30 * 86400.0
_TRIES = 20


@dataclass(frozen=True, slots=True)
class RotateRequest:
    """`by_itself`: switch once everybody has trusted both for `soak` seconds; else it waits for `switch`.

    `leave_behind` is the reason for which agents that cannot be told are not waited for.
    """

    by_itself: bool = True
    soak: float = SOAK
    leave_behind: str = ""


class CaService:
    def __init__(self, core: Core, clock: StageClock | None = None) -> None:
        self._core = core
        self.clock = clock or StageClock()
        #: What this manager does with what is stored.
        self.settling = Settling(core)
        self._watch = Watch(core, self.clock)
        self._ticking = threading.Lock()
        #: When the ends of the CAs were looked at.
        self._looked_at = 0.0

    # -- asked by people

    @permits(Permission.CERTIFICATE_READ)
    def show(self, principal: Principal) -> CaView:
        """Who issues, who is trusted, and the rotation under way, or the last one."""
        return self._view()

    @permits(Permission.CERTIFICATE_READ)
    def computers(
        self, principal: Principal, *, stand: str | None = None, after: str | None = None, limit: int = 1000
    ) -> tuple[MemberView, ...]:
        """Active computers with how far each is, in the order of their ids; `after` an id and `limit` make pages.

        With `stand` (a value of `Stand`) only those; a page may be shorter than there are more.
        """

        def work(connection: Connection) -> tuple[MemberView, ...]:
            record = table.newest(connection)
            goal = goal_of(record, self._core.home.ca(connection))
            found: list[MemberView] = []
            at = after
            while len(found) < limit:
                page = table.members(connection, after=at, limit=limit)
                for one in page:
                    how = goal.stand(one.fact)
                    if stand in (None, how.value):
                        found.append(MemberView.of(one, how))
                if len(page) < limit:
                    break
                at = page[-1].id
            return tuple(found[:limit])

        if stand is not None and stand not in {one.value for one in Stand}:
            raise BadInput(f"unknown state {stand!r}; there are {', '.join(one.value for one in Stand)}")
        return self._core.store.read(work)

    @permits(Permission.CERTIFICATE_CHANGE)
    def rotate(self, principal: Principal, request: RotateRequest | None = None) -> CaView:
        """Makes a new CA and announces it. Nothing was changed where this raises.

        Raises Conflict (a rotation, a change or an upgrade is under way; agents are too old to be told), BadInput.
        """
        wanted = request or RotateRequest()
        if not 0 <= wanted.soak <= _LONGEST_SOAK:
            raise BadInput(
                f"a soak lasts from 0 s to {_LONGEST_SOAK:.0f} s, not {wanted.soak:g} s; nothing was changed"
            )
        with self.settling.lock:
            self._core.store.read(lambda c: checks.check_begin(self._core, c, bool(wanted.leave_behind)))
            home, now = self._core.home, self._core.clock()
            new = home.keys.make(now)

            def work(unit: Unit) -> None:
                checks.check_begin(self._core, unit.connection, bool(wanted.leave_behind))
                old = home.ca(unit.connection).issuing
                # Until now there was one that a certificate can be of.
                table.name_issuer(unit.connection, old.fingerprint)
                record = RotationRecord(
                    id=0, created=unit.now, who=principal.who, name=principal.name, via=principal.via,
                    state=table.ANNOUNCE, entered=unit.now, soaked=0.0, old=old.fingerprint, new=new.fingerprint,
                    new_with_old=old.cross(new), old_with_new=new.cross(old), switched=None,
                    options={"by_itself": wanted.by_itself, "soak": wanted.soak, "reasons": {}}, seen={},
                    text="the new CA is announced",
                )  # fmt: skip
                identifier = table.add(unit.connection, record)
                authorities.put(unit.connection, home.keys.record_of(new, unit.now))
                after = {"old": old.fingerprint, "new": new.fingerprint, "by_itself": wanted.by_itself}
                unit.audit(principal, "ca.rotate", f"rotation {identifier}", None, after | _reason(wanted.leave_behind))
                steps.note(unit, identifier, table.ANNOUNCE, "started", steps.short(new.fingerprint), principal.who)
                text = f"{principal.name} rotates the CA: {steps.short(new.fingerprint)} is announced to all computers"
                unit.event(NewEvent(numbers.CA_STARTED, "info", text, target=f"rotation {identifier}"))
                unit.changed(*(one.id for one in table.members(unit.connection)))
                unit.tell_elsewhere(AuthoritiesChanged())

            self._core.write(work)
            self._settle_stored()
        return self._view()

    @permits(Permission.CERTIFICATE_CHANGE)
    def renew(self, principal: Principal) -> CaView:
        """New certificates, good for ten years, for the keys of the CAs that are trusted; no leaf has to be renewed."""
        home = self._core.home
        with self.settling.lock:
            self._core.write(lambda unit: ca_end.renew(unit, home, home.ca(unit.connection).trusted, principal))
            self._settle_stored()
        return self._view()

    @permits(Permission.CERTIFICATE_CHANGE)
    def switch(self, principal: Principal, leave_behind: str = "") -> CaView:
        """Issues from the new CA from now on. Raises Conflict where somebody does not trust it yet.

        `leave_behind` is the reason for which those that are offline or too old are not waited for.
        """

        def work(unit: Unit, record: RotationRecord) -> None:
            checks.check_phase(record, table.ANNOUNCE, "switched")
            checks.check_ready(self._core, unit, record, leave_behind, "not yet trusted by all", "switched")
            steps.switch(self._core, unit, record, principal.name, principal.who, leave_behind)
            unit.audit(principal, "ca.switch", f"rotation {record.id}", {"issues": record.old},
                       {"issues": record.new} | _reason(leave_behind))  # fmt: skip

        return self._step(work)

    @permits(Permission.CERTIFICATE_CHANGE)
    def retire(self, principal: Principal, leave_behind: str = "") -> CaView:
        """Trusts the old CA no more: there is no way back after this. Raises Conflict where somebody still needs it.

        `leave_behind` is the reason for which those that are offline are revoked; each has to be activated again.
        """

        def work(unit: Unit, record: RotationRecord) -> None:
            checks.check_phase(record, table.SWITCH, "retired")
            checks.check_ready(self._core, unit, record, leave_behind, "still needed", "retired")
            left = steps.leave(unit, record, record.new, principal.name, leave_behind)
            text = f"the CA {steps.short(record.old)} is trusted no more" + left
            steps.end(self._core, unit, record, table.RETIRED, text, principal.who)
            unit.audit(principal, "ca.retire", f"rotation {record.id}", {"trusts": [record.old, record.new]},
                       {"trusts": [record.new]} | _reason(leave_behind))  # fmt: skip
            unit.event(
                NewEvent(numbers.CA_RETIRED, "info", f"{principal.name}: {text}", target=f"rotation {record.id}")
            )

        return self._step(work)

    @permits(Permission.CERTIFICATE_CHANGE)
    def back(self, principal: Principal, leave_behind: str = "") -> CaView:
        """Issues from the old CA again; both are trusted until every computer shows a certificate of the old one.

        Again with `leave_behind`, a reason: ends it now, and those that are offline and show one of the new CA are
        revoked.
        """

        def work(unit: Unit, record: RotationRecord) -> None:
            if record.state == table.BACK:
                if not leave_behind:
                    raise Conflict(
                        f"rotation {record.id} goes back already: {record.text}; nothing was changed. It ends by itself"
                        " once every computer shows a certificate of the old CA"
                    )
                checks.check_ready(self._core, unit, record, leave_behind, "still needed", "ended")
                steps.withdraw(self._core, unit, record, principal.name, principal.who, leave_behind)
            else:
                text = f"{principal.name} goes back to the CA {steps.short(record.old)}"
                steps.enter(unit, record, table.BACK, text, principal.who)
                event = NewEvent(numbers.CA_GOES_BACK, "warning", f"{text}; both are trusted until all computers are",
                                 target=f"rotation {record.id}")  # fmt: skip
                unit.event(event)
            unit.audit(principal, "ca.back", f"rotation {record.id}", {"state": record.state},
                       {"issues": record.old} | _reason(leave_behind))  # fmt: skip

        return self._step(work)

    # -- run by the manager

    @internal
    def settle(self) -> None:
        """Brings into use what is stored: files in the home, and gates. Raises Unavailable where that cannot be."""
        self.settling.settle()

    @internal
    def standing(self) -> Standing:
        """Who issues and who is trusted now."""
        return self._core.store.read(self._core.home.ca)

    @internal
    def tick(self) -> bool:
        """One look at the rotation under way, and at most one step; one manager does this. Whether there is one.

        Raises ServiceError where it could not be looked at, or what is stored could not be brought into use.
        """
        with self._ticking:
            self._look_at_end()
            # Where a step was committed and did not get further.
            self.settling.look()
            record = self._core.store.read(table.newest)
            if record is None or record.state not in table.OPEN:
                self.clock.idle()
                return False
            try:
                if self._watch.look(record, self.standing()):
                    self.settling.settle()
            except StaleError:
                log.info("rotation %d moved on meanwhile", record.id)
            return True

    @internal
    def follow(self) -> bool:
        """What another manager stored is brought into use here, and once a day, and after a step of the clock, own
        certificates that have come of age are made anew.

        For every manager. Always False: nothing is ever under way here. Raises as `tick`.
        """
        self.settling.look()
        return False

    def _look_at_end(self) -> None:
        """Once a day, and after a step of the clock."""
        now = self._core.clock()
        if 0 <= now - self._looked_at < DAILY:
            return
        self._core.write(lambda unit: ca_end.look(unit, self._core.home))
        self._looked_at = now

    # -- small

    def _step(self, work: Callable[[Unit, RotationRecord], None]) -> CaView:
        """Against a rotation that moves on meanwhile: read it again, and do it to what it is by then."""

        def one(unit: Unit) -> None:
            record = table.under_way(unit.connection)
            if record is None:
                raise NotFound("no rotation of the CA is under way; nothing was changed. To begin: plimsoll ca rotate")
            work(unit, record)

        with self.settling.lock:
            for _ in range(_TRIES):
                try:
                    self._core.write(one)
                except StaleError:
                    continue
                self._settle_stored()
                return self._view()
        raise Conflict("the rotation moves on all the time; nothing was changed, try again")

    def _settle_stored(self) -> None:
        try:
            self.settling.settle()
        except Unavailable as error:
            raise Unavailable(f"the step of the CA's rotation is stored; {error.message}") from error

    def _view(self) -> CaView:
        return self._core.store.read(lambda c: view(c, self._core.home.ca(c), table.newest(c), self._core.clock()))


def _reason(text: str) -> dict[str, str]:
    return {"leave_behind": text} if text else {}
