"""Staged changes (design §7): raised step by step, watched, and taken back by themselves where somebody is cut off.

How it flows: people start, pause and abort here (`change_start` looks at what they ask for); `tick`, which the manager
calls, reads the change under way, observes (`change_watch`), asks `fleet.changes.decide` and does what it says
(`change_steps`, `change_effects`). A step's effects and its entry in the journal are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from plimsoll.fleet.changes import Stage
from plimsoll.manager.ports import Conflict, Forbidden, Permission, Principal, internal, permits
from plimsoll.manager.services.change_start import CANARY, SOAK, PlanView, Standing, Starting, StartRequest
from plimsoll.manager.services.change_steps import Steps
from plimsoll.manager.services.change_views import ChangeView, begins, busy, known, moment, note, plan_of, shown, view
from plimsoll.manager.services.change_watch import Watch, baseline, silent_now
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.floors import FloorsService
from plimsoll.manager.services.judgement import JudgementService
from plimsoll.manager.services.proving import ProvingService
from plimsoll.manager.services.shadow import ShadowService
from plimsoll.manager.store import Connection
from plimsoll.manager.store import changes as table
from plimsoll.manager.store.changes import ChangeRecord, StaleError
from plimsoll.net.sightings import Sighting

__all__ = ["CANARY", "SOAK", "ChangeView", "ChangesService", "PlanView", "Standing", "StartRequest"]

_TRIES = 20


class ChangesService:
    def __init__(
        self,
        core: Core,
        floors: FloorsService,
        judgement: JudgementService,
        shadow: ShadowService,
        proving: ProvingService,
    ) -> None:
        self._core = core
        self._starting = Starting(core, judgement)
        self._watch = Watch(core, judgement, shadow, self._starting.judge)
        self._steps = Steps(core, floors, proving, self._watch)

    # -- asked by people

    @permits(Permission.FLOORS_READ)
    def list(self, principal: Principal, limit: int = 50) -> tuple[ChangeView, ...]:
        """Newest first, without their logs."""
        return tuple(view(one, ()) for one in self._core.store.read(lambda c: table.find(c, limit)))

    @permits(Permission.FLOORS_READ)
    def get(self, principal: Principal, change: int | None = None) -> ChangeView:
        """That change, or the one under way, or the last one."""
        return self._get(change)

    @permits(Permission.FLOORS_READ)
    def standing(self, principal: Principal) -> Standing:
        """Where the fleet is, for whoever chooses a floor. Looks at no computer."""
        return self._starting.standing()

    @permits(Permission.FLOORS_READ)
    def plan(self, principal: Principal, request: StartRequest) -> PlanView:
        """What such a change would do: its direction, points and stages. Nothing is changed. Raises BadInput."""
        return self._starting.plan(principal, request)

    @permits(Permission.FLOORS_CHANGE)
    def start(self, principal: Principal, request: StartRequest) -> ChangeView:
        """Begins a change, or plans it (`at`, `approval`). Nothing was changed where this raises.

        Raises BadInput, Conflict (another one is under way), Blocked (parts would be cut off and `force` was not said,
        or programs would and `accept_affected` was not), Forbidden (it would lock out who asks), Unavailable.
        """
        return self._get(self._starting.start(principal, request))

    @permits(Permission.FLOORS_CHANGE)
    def approve(self, principal: Principal, change: int) -> ChangeView:
        """A second person's word; whoever asked for the change cannot give it."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state != "awaiting approval":
                raise Conflict(f"change {change} does not wait for approval (it is {found.state}); nothing was changed")
            if principal.who == found.who:
                raise Forbidden(f"change {change} is yours: a second person has to approve it; nothing was changed")
            at = found.options.get("at")
            if at is not None and at <= unit.now:
                raise Conflict(
                    f"the start time of change {change}, {moment(at)}, has passed; nothing was changed. Abort it, and"
                    " start one with another time"
                )
            state = "scheduled" if at else "running"
            table.save(
                unit.connection,
                found,
                state=state,
                approved_by=principal.who,
                text=begins(state, at),
                entered=unit.now,
            )
            self._said(unit, principal, found, "approve", f"approved by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def pause(self, principal: Principal, change: int) -> ChangeView:
        """Goes no further; what was raised stays, and is watched."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state not in ("running", "scheduled"):
                raise Conflict(f"change {change} is {found.state}; nothing was changed")
            table.save(unit.connection, found, state="paused", text=f"paused by {principal.name}")
            self._said(unit, principal, found, "pause", f"paused by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def resume(self, principal: Principal, change: int) -> ChangeView:
        """Goes on with the stage that it stood in, whose soak begins anew."""

        def work(unit: Unit, found: ChangeRecord) -> None:
            if found.state not in ("paused", "halted"):
                raise Conflict(f"change {change} is {found.state}; nothing was changed")
            options = dict(found.options)
            if found.state == "halted" and found.stage == Stage.SHADOW.value:
                # Who resumes has read the names.
                options["accepted"] = sorted({*options["accepted"], *found.seen.get("would_be_ids", [])})
            seen = baseline(unit.connection, Stage(found.stage), found.effects, unit.now)
            known = silent_now(unit.connection, found, plan_of(found))
            table.save(
                unit.connection, found, state="running", entered=unit.now, soaked=0.0, options=options,
                seen=seen | {"known_silent": known}, text=f"goes on, by {principal.name}",
            )  # fmt: skip
            self._said(unit, principal, found, "resume", f"resumed by {principal.name}")

        return self._change(change, work)

    @permits(Permission.FLOORS_CHANGE)
    def abort(self, principal: Principal, change: int) -> ChangeView:
        """Takes back what it has moved so far, at once."""

        def check(connection: Connection) -> ChangeRecord:
            found = known(connection, change)
            if found.state not in table.OPEN:
                raise Conflict(
                    f"change {change} is {found.state}; nothing was changed. A done one: plimsoll change back {change}"
                )
            return found

        return self._undo(principal, check, f"aborted by {principal.name}", "aborted")

    @permits(Permission.FLOORS_CHANGE)
    def back(self, principal: Principal, change: int) -> ChangeView:
        """Takes back a change that is done: each point that still stands where it was put."""

        def check(connection: Connection) -> ChangeRecord:
            found = known(connection, change)
            running = table.under_way(connection)
            if running is not None and running.id != change:
                raise Conflict(busy(running))
            if found.state != "done":
                raise Conflict(f"change {change} is {found.state}; only a done one goes back, nothing was changed")
            return found

        return self._undo(principal, check, f"taken back by {principal.name}", "taken back")

    def _undo(
        self, principal: Principal, check: Callable[[Connection], ChangeRecord], why: str, state: str
    ) -> ChangeView:
        """Against a change that moves on meanwhile: read it again, and take back what it is by then."""
        for _ in range(_TRIES):
            found = self._core.store.read(check)
            try:
                self._steps.take_back(principal, found, why, state)
            except StaleError:
                continue
            return self._get(found.id)
        raise Conflict("the change moves on all the time; nothing was changed, try again")

    # -- told by the gates, in the loop's thread

    @internal
    def saw_refusal(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        """A refused hello or handshake, and the (id, name) of each computer whose last own hello it is like."""
        self._watch.refusals.note(sighting, computers)

    # -- run by the manager

    @internal
    def tick(self) -> bool:
        """One look at the change under way, and at most one step. Whether there is one."""
        return self._steps.tick()

    # -- small

    def _change(self, change: int, work: Callable[[Unit, ChangeRecord], None]) -> ChangeView:
        def run(unit: Unit) -> None:
            work(unit, known(unit.connection, change))

        self._core.write(run)
        return self._get(change)

    def _get(self, change: int | None) -> ChangeView:
        return self._core.store.read(lambda c: shown(c, change))

    def _said(self, unit: Unit, principal: Principal, found: ChangeRecord, what: str, text: str) -> None:
        note(unit, found.id, found.stage, what, text, principal.who)
        unit.audit(principal, f"changes.{what}", f"change {found.id}", {"state": found.state}, {"text": text})
