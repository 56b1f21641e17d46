"""The rotation of the CA (design §11): announce the new one, switch to it, retire the old one; and back, until then.

How it flows: people begin and advance here; each step is one transaction on the newest row of `store.ca`, from which
all else follows (`settle`: files, gates, what heartbeats take home) and is made good at the next start or look where a
kill came between. `tick`, which the manager calls, asks computers to renew, advances what may advance by itself, and
names those that are in the way. What a computer trusts and shows comes with its heartbeats (`intake`).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from plimsoll.fleet import ca_rotation as pure
from plimsoll.fleet.ca_rotation import Goal, Judgement, Stand, Verdict
from plimsoll.fleet.changes import some
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, Unavailable, internal, permits
from plimsoll.manager.services import ca_end
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.ca_views import CaView, MemberView, goal_of, view
from plimsoll.manager.services.change_views import busy as change_busy
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import AuthoritiesChanged
from plimsoll.manager.services.quiet import check_no_upgrade
from plimsoll.manager.services.sending import effective_policies
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.store import Connection, authorities
from plimsoll.manager.store import ca as table
from plimsoll.manager.store import changes as change_table
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store.ca import RotationRecord, StaleError
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.messages import Command, Direction

__all__ = ["CaService", "CaView", "MemberView"]

log = logging.getLogger(__name__)

#: Seconds that everybody must have trusted both before the switch comes by itself.
SOAK = 600.0
_LONGEST_SOAK = 30 * 86400.0
#: How many computers are asked to renew in one look, a second: a fleet does not renew as one.
BATCH = 50
#: Seconds until a computer that did not show its new certificate is asked once more.
ASK_AGAIN = 600.0
#: Seconds between two events about computers that are in the way; only where there are others by then.
SAY_AGAIN = 3600.0
#: Seconds between two looks at the manager's own certificates.
DAILY = 86400.0
_NOTE_EVERY = 5.0
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
        self._ticking = threading.Lock()
        # From the new key to the row that names it, and whenever keys are put away that no row names.
        self._settling = threading.RLock()
        self._settled: tuple[int, int] | None = None
        self._settled_at = 0.0
        #: The certificates of CAs that were settled, and when their ends were looked at.
        self._served: tuple[str, ...] = ()
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
        with self._settling:
            self._core.store.read(lambda c: self._check_begin(c, wanted))
            home, now = self._core.home, self._core.clock()
            new = home.keys.make(now)

            def work(unit: Unit) -> None:
                self._check_begin(unit.connection, wanted)
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
                self._note(unit, identifier, table.ANNOUNCE, "started", _short(new.fingerprint), principal.who)
                text = f"{principal.name} rotates the CA: {_short(new.fingerprint)} is announced to all computers"
                unit.event(NewEvent(numbers.CA_STARTED, "info", text, target=f"rotation {identifier}"))
                unit.changed(*(one.id for one in table.members(unit.connection)))

            self._core.write(work)
            self._settle_stored()
        return self._view()

    @permits(Permission.CERTIFICATE_CHANGE)
    def renew(self, principal: Principal) -> CaView:
        """New certificates, good for ten years, for the keys of the CAs that are trusted; no leaf has to be renewed."""
        home = self._core.home
        with self._settling:
            self._core.write(lambda unit: ca_end.renew(unit, home, home.ca(unit.connection).trusted, principal))
            self._settle_stored()
        return self._view()

    @permits(Permission.CERTIFICATE_CHANGE)
    def switch(self, principal: Principal, leave_behind: str = "") -> CaView:
        """Issues from the new CA from now on. Raises Conflict where somebody does not trust it yet.

        `leave_behind` is the reason for which those that are offline or too old are not waited for.
        """

        def work(unit: Unit, record: RotationRecord) -> None:
            self._check_phase(record, table.ANNOUNCE, "switched")
            self._check_ready(unit, record, leave_behind, "not yet trusted by all", "switched")
            self._switch(unit, record, principal.name, principal.who, leave_behind)
            unit.audit(principal, "ca.switch", f"rotation {record.id}", {"issues": record.old},
                       {"issues": record.new} | _reason(leave_behind))  # fmt: skip

        return self._step(work)

    @permits(Permission.CERTIFICATE_CHANGE)
    def retire(self, principal: Principal, leave_behind: str = "") -> CaView:
        """Trusts the old CA no more: there is no way back after this. Raises Conflict where somebody still needs it.

        `leave_behind` is the reason for which those that are offline are revoked; each has to be activated again.
        """

        def work(unit: Unit, record: RotationRecord) -> None:
            self._check_phase(record, table.SWITCH, "retired")
            self._check_ready(unit, record, leave_behind, "still needed", "retired")
            left = self._leave(unit, record, record.new, principal.name, leave_behind)
            text = f"the CA {_short(record.old)} is trusted no more" + left
            self._end(unit, record, table.RETIRED, text, principal.who)
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
                self._check_ready(unit, record, leave_behind, "still needed", "ended")
                self._withdraw(unit, record, principal.name, principal.who, leave_behind)
            else:
                text = f"{principal.name} goes back to the CA {_short(record.old)}"
                self._enter(unit, record, table.BACK, text, principal.who)
                event = NewEvent(numbers.CA_GOES_BACK, "warning", f"{text}; both are trusted until all computers are",
                                 target=f"rotation {record.id}")  # fmt: skip
                unit.event(event)
            unit.audit(principal, "ca.back", f"rotation {record.id}", {"state": record.state},
                       {"issues": record.old} | _reason(leave_behind))  # fmt: skip

        return self._step(work)

    # -- run by the manager

    @internal
    def settle(self) -> None:
        """Brings into use what is stored: files in the home, and whoever listens is told."""
        with self._settling:
            record = self._core.store.read(table.newest)
            self._core.home.ensure_serving(self._core.clock())
            self._settled, self._settled_at = _key(record), self._core.clock()
            self._served = self.standing().fingerprints
        self._core.tell(AuthoritiesChanged())

    @internal
    def standing(self) -> Standing:
        """Who issues and who is trusted now."""
        return self._core.store.read(self._core.home.ca)

    @internal
    def tick(self) -> bool:
        """One look at the rotation under way, and at most one step. Whether there is one.

        Raises ServiceError where it could not be looked at, or what is stored could not be brought into use.
        """
        with self._ticking:
            self._look_at_end()
            record = self._core.store.read(table.newest)
            # Where a step was committed and did not get further.
            if self._settled != _key(record) or not self._settled_today():
                self._settle_stored()
            if record is None or record.state not in table.OPEN:
                self.clock.idle()
                return False
            try:
                if self._look(record):
                    self._settle_stored()
            except StaleError:
                log.info("rotation %d moved on meanwhile", record.id)
            return True

    @internal
    def renew_own(self) -> bool:
        """Once a day, and after a step of the clock: own certificates that have come of age are made anew and served.

        For every manager, since each has its own; a rotation is looked after by one of them. Always False: nothing is
        ever under way here. Raises as `tick`.
        """
        with self._ticking:
            if not self._settled_today() or self.standing().fingerprints != self._served:
                self._settle_stored()
        return False

    def _look_at_end(self) -> None:
        """Once a day, and after a step of the clock."""
        now = self._core.clock()
        if 0 <= now - self._looked_at < DAILY:
            return
        if self._core.write(lambda unit: ca_end.look(unit, self._core.home)):
            self._settle_stored()
        self._looked_at = now

    def _settled_today(self) -> bool:
        return 0 <= self._core.clock() - self._settled_at < DAILY

    def _look(self, record: RotationRecord) -> bool:
        """Whether there was a step that changes who issues or is trusted."""
        core = self._core
        goal = goal_of(record, self.standing())
        judgement = pure.judge(goal, core.store.read(table.counts))
        ready = judgement.verdict is Verdict.READY
        self.clock.follow((record.id, record.state), record.soaked, core.clock(), counts=ready)
        if not ready:
            self.clock.begin_anew()
        if record.state == table.ANNOUNCE:
            if ready and record.options["by_itself"] and self.clock.soaked >= record.options["soak"]:
                core.write(lambda unit: self._switch_if_ready(unit, record))
                return True
        elif ready and record.state == table.BACK:
            core.write(lambda unit: self._withdraw(unit, record, "the manager", "manager", ""))
            return True
        elif self._ask(record, goal):
            return False
        self._wait(record, goal, judgement)
        return False

    def _settle_stored(self) -> None:
        try:
            self.settle()
        except OSError as error:
            raise Unavailable(
                f"the step of the CA's rotation is stored, and cannot be brought into use yet ({error}); it is tried"
                " again every second"
            ) from error

    # -- steps

    def _step(self, work: Callable[[Unit, RotationRecord], None]) -> CaView:
        """Against a rotation that moves on meanwhile: read it again, and do it to what it is by then."""

        def one(unit: Unit) -> None:
            record = table.under_way(unit.connection)
            if record is None:
                raise NotFound("no rotation of the CA is under way; nothing was changed. To begin: plimsoll ca rotate")
            work(unit, record)

        with self._settling:
            for _ in range(_TRIES):
                try:
                    self._core.write(one)
                except StaleError:
                    continue
                self._settle_stored()
                return self._view()
        raise Conflict("the rotation moves on all the time; nothing was changed, try again")

    def _switch_if_ready(self, unit: Unit, record: RotationRecord) -> None:
        self._check_ready(unit, record, "", "not yet trusted by all", "switched")
        self._switch(unit, record, "the manager", "manager", "")

    def _switch(self, unit: Unit, record: RotationRecord, name: str, who: str, reason: str) -> None:
        both = ",".join(self._core.home.ca(unit.connection).fingerprints)
        members = table.without(unit.connection, trusts=both) if reason else ()
        left = f"; not waited for ({reason}): {some([one.name for one in members])}" if members else ""
        text = f"{name} switched to the CA {_short(record.new)}{left}"
        self._enter(unit, record, table.SWITCH, text, who, reason, switched=unit.now)
        unit.event(NewEvent(numbers.CA_SWITCHED, "info", f"{text}. Computers renew their certificates",
                            target=f"rotation {record.id}"))  # fmt: skip

    def _withdraw(self, unit: Unit, record: RotationRecord, name: str, who: str, reason: str) -> None:
        left = self._leave(unit, record, record.old, name, reason)
        text = f"the CA {_short(record.new)} is trusted no more; {_short(record.old)} is as before" + left
        self._end(unit, record, table.WITHDRAWN, text, who)
        unit.event(NewEvent(numbers.CA_WENT_BACK, "info", text, target=f"rotation {record.id}"))

    def _enter(
        self, unit: Unit, record: RotationRecord, state: str, text: str, who: str, reason: str = "", **values: Any
    ) -> None:
        options = record.options
        if reason:
            options = options | {"reasons": options["reasons"] | {state: reason}}
        table.save(unit.connection, record, state=state, entered=unit.now, soaked=0.0, seen={}, text=text,
                   options=options, **values)  # fmt: skip
        unit.changed(*table.drop_requests(unit.connection))
        self._note(unit, record.id, state, "entered", text, who)

    def _end(self, unit: Unit, record: RotationRecord, state: str, text: str, who: str) -> None:
        gone = record.old if state == table.RETIRED else record.new
        standing = self._core.home.ca(unit.connection)
        for one in standing.trusted:
            if one.fingerprint == gone:
                authorities.drop_key(unit.connection, one.key_hash)
        table.save(unit.connection, record, state=state, entered=unit.now, ended=unit.now, seen={}, text=text)
        unit.changed(*table.drop_requests(unit.connection))
        self._note(unit, record.id, state, "ended", text, who)

    def _leave(self, unit: Unit, record: RotationRecord, shown: str, name: str, reason: str) -> str:
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

    def _ask(self, record: RotationRecord, goal: Goal) -> bool:
        """Asks the next computers to renew. Whether there were any."""

        def work(unit: Unit) -> bool:
            visited = [
                policy
                for policy, effective in effective_policies(unit).items()
                if effective.direction is Direction.MANAGER_INITIATED
            ]
            # What was asked in an earlier phase was for another certificate.
            since = max(record.entered, unit.now - ASK_AGAIN)
            ids = table.to_ask(unit.connection, goal.shown, since, visited, BATCH)
            commands = []
            for computer in ids:
                command = Command(id=uuid.uuid4().hex, kind="renew-certificate")
                body = msgspec.to_builtins(command)
                commands.append(CommandRecord(command.id, computer, command.kind, body, unit.now))
            command_table.add_commands(unit.connection, commands)
            unit.changed(*ids)
            return bool(ids)

        return self._core.write(work)

    def _wait(self, record: RotationRecord, goal: Goal, judgement: Judgement) -> None:
        """Notes how it stands, and says once who is in the way."""
        core, now = self._core, self._core.clock()
        behind = core.store.read(lambda c: self._behind(c, goal)) if judgement.behind else ()
        way = pure.in_the_way(goal, behind)
        text = _stands(record, judgement) + (f"; {way}" if way else "")
        seen = {"behind": judgement.behind} | {
            key: record.seen[key] for key in ("said", "said_at", "ready") if key in record.seen
        }
        event = self._news(record, judgement, [name for name, _ in behind], way, now)
        if event is not None:
            if event.number == numbers.CA_READY:
                seen["ready"] = True
            else:
                seen |= {"said": [name for name, _ in behind], "said_at": now}
        elif text == record.text and not (judgement.verdict is Verdict.READY and self.clock.due(_NOTE_EVERY)):
            return
        soaked = self.clock.soaked

        def work(unit: Unit) -> None:
            table.save(unit.connection, record, soaked=soaked, seen=seen, text=text)
            if event is not None:
                self._note(unit, record.id, record.state, "waits", text, "manager")
                unit.event(event)

        core.write(work)
        self._settled = (record.id, record.version + 1)  # it was settled before, and nothing of it changed

    def _news(
        self, record: RotationRecord, judgement: Judgement, names: list[str], way: str, now: float
    ) -> NewEvent | None:
        target = f"rotation {record.id}"
        if judgement.verdict is Verdict.READY:
            automatic = record.state == table.ANNOUNCE and record.options["by_itself"]
            if automatic or record.seen.get("ready"):
                return None
            command = "plimsoll ca switch" if record.state == table.ANNOUNCE else "plimsoll ca retire"
            said = f"rotation {record.id} of the CA: {_stands(record, judgement)}. To go on: {command}"
            return NewEvent(numbers.CA_READY, "info", said, target=target)
        if now - record.entered < self._patience():
            return None
        said_before = record.seen.get("said")
        if said_before is not None and (set(names) <= set(said_before) or now - record.seen["said_at"] < SAY_AGAIN):
            return None
        said = f"rotation {record.id} of the CA waits for {judgement.behind} computers: {way}"
        extra = {"named": names[: table.NAMED]}
        return NewEvent(numbers.CA_WAITS, "warning", said, target=target, extra=extra)

    def _patience(self) -> float:
        """Who answers at all has answered by then, in seconds."""
        policies = self._core.store.read(lambda c: effective_policies(Unit(c, self._core.clock())))
        return 2.2 * max((one.heartbeat_seconds for one in policies.values()), default=600)

    # -- checks

    def _check_begin(self, connection: Connection, wanted: RotateRequest) -> None:
        running = table.under_way(connection)
        if running is not None:
            raise Conflict(
                f"rotation {running.id} is under way, in the phase {running.state}: one at a time; nothing was changed."
                " See: plimsoll ca status"
            )
        others = [one.name for one in node_table.everyone(connection) if one.id != self._core.home.node]
        if others:
            raise Conflict(
                f"{some(others)} would not have the new CA's key, which lies in the home of the manager that makes it;"
                " nothing was changed. Stop the others, take them off the list (plimsoll manager nodes --forget NAME),"
                " rotate, and let them join anew"
            )
        check_no_upgrade(connection, "the CA is not rotated")
        change = change_table.under_way(connection)
        if change is not None:
            raise Conflict(change_busy(change))
        old = self._too_old(connection)
        if old and not wanted.leave_behind:
            raise Conflict(
                f"these agents are too old to be told of a new CA: {some(old)}; nothing was changed. Upgrade them"
                " first, or leave them behind with a reason: plimsoll ca rotate --leave-behind REASON"
            )

    def _too_old(self, connection: Connection) -> list[str]:
        if not any(0 < fact.capability < pure.UNDERSTOOD_FROM for fact in table.counts(connection)):
            return []
        members = table.members(connection)
        return [one.name for one in members if 0 < one.capability < pure.UNDERSTOOD_FROM]

    def _check_phase(self, record: RotationRecord, wanted: str, what: str) -> None:
        if record.state != wanted:
            raise Conflict(
                f"rotation {record.id} is in the phase {record.state}, and is {what} from {wanted} only; nothing was"
                " changed. See: plimsoll ca status"
            )

    def _check_ready(self, unit: Unit, record: RotationRecord, reason: str, why: str, what: str) -> None:
        goal = goal_of(record, self._core.home.ca(unit.connection))
        judgement = pure.judge(goal, table.counts(unit.connection))
        if judgement.verdict is Verdict.READY or (judgement.verdict is Verdict.LEAVING and reason):
            return
        way = pure.in_the_way(goal, self._behind(unit.connection, goal))
        hint = (
            "Wait for their heartbeats, or revoke those that do not answer"
            if judgement.verdict is Verdict.WAIT
            else "Bring them online, or leave them behind with a reason: --leave-behind REASON"
        )
        raise Conflict(f"the CA is {why}: {way}; nothing was {what}. {hint}")

    def _behind(self, connection: Connection, goal: Goal) -> tuple[tuple[str, pure.Fact], ...]:
        found = table.without(connection, trusts=goal.trusts, shown=goal.shown)
        return tuple((one.name, one.fact) for one in found)

    # -- small

    def _view(self) -> CaView:
        return self._core.store.read(lambda c: view(c, self._core.home.ca(c), table.newest(c), self._core.clock()))

    def _note(self, unit: Unit, identifier: int, stage: str, what: str, text: str, who: str) -> None:
        table.log(unit.connection, identifier, table.LogRecord(unit.now, stage, what, text, who))


def _key(record: RotationRecord | None) -> tuple[int, int]:
    return (0, 0) if record is None else (record.id, record.version)


def _short(fingerprint: str) -> str:
    return fingerprint[:16]


def _reason(text: str) -> dict[str, str]:
    return {"leave_behind": text} if text else {}


def _stands(record: RotationRecord, judgement: Judgement) -> str:
    done = judgement.counts.get(Stand.READY, 0)
    if record.state == table.ANNOUNCE:
        return f"{done} of {judgement.total} computers trust both CAs"
    which = "new" if record.state == table.SWITCH else "old"
    return f"{done} of {judgement.total} computers show a certificate of the {which} CA"
