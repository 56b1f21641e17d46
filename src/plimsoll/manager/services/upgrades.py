"""Upgrades of the fleet in waves (R9): relays first, watched, halted where too many fail, and with a way back.

How it flows: people start, pause and abort here (`upgrade_start` looks at what they ask for); `tick`, which the manager
calls, reads the upgrade under way, gives the next orders, observes, asks `fleet.upgrades.decide` and does what it says
(`upgrade_steps`). Computers report with their heartbeats (`upgrade_reports`).
"""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.manager.ports import Conflict, Permission, Principal, internal, permits
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.software import SoftwareService, SoftwareView
from plimsoll.manager.services.stage_clock import StageClock
from plimsoll.manager.services.upgrade_start import Starting, StartRequest, fitting
from plimsoll.manager.services.upgrade_steps import Steps, held, outcome, recall
from plimsoll.manager.services.upgrade_views import (
    HostView,
    PlanView,
    UpgradeView,
    host_view,
    known,
    note,
    shown,
    stage_of,
    view,
)
from plimsoll.manager.store import Connection
from plimsoll.manager.store import upgrades as table
from plimsoll.manager.store.upgrades import StaleError, UpgradeRecord

__all__ = ["HostView", "PlanView", "StartRequest", "UpgradeView", "UpgradesService"]

_TRIES = 20


class UpgradesService:
    def __init__(self, core: Core, software: SoftwareService, clock: StageClock | None = None) -> None:
        self._core = core
        self._software = software
        self._starting = Starting(core, software)
        self._steps = Steps(core, software, clock or StageClock())

    # -- asked by people

    @permits(Permission.UPGRADES_READ)
    def list(self, principal: Principal, limit: int = 50) -> tuple[UpgradeView, ...]:
        """Newest first, without their logs."""
        return self._core.store.read(lambda c: tuple(view(c, one) for one in table.find(c, limit)))

    @permits(Permission.UPGRADES_READ)
    def get(self, principal: Principal, upgrade: int | None = None) -> UpgradeView:
        """That upgrade, or the one under way, or the last one."""
        return self._get(upgrade)

    @permits(Permission.UPGRADES_READ)
    def hosts(
        self,
        principal: Principal,
        upgrade: int,
        *,
        state: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> tuple[HostView, ...]:
        """Its computers, or those in that state, in the order of their ids; `after` an id and `limit` make pages."""

        def work(connection: Connection) -> tuple[HostView, ...]:
            known(connection, upgrade)
            states = None if state is None else (state,)
            return tuple(map(host_view, table.hosts(connection, upgrade, states=states, after=after, limit=limit)))

        return self._core.store.read(work)

    @permits(Permission.UPGRADES_READ)
    def plan(self, principal: Principal, request: StartRequest) -> PlanView:
        """What `start` would do; it changes nothing. Raises as `start`."""
        return self._starting.plan(request)

    @permits(Permission.SOFTWARE_READ)
    def packages_for(self, principal: Principal, architecture: str) -> tuple[SoftwareView, ...]:
        """The packages that an upgrade of such a computer could go to, the newest first."""
        found = fitting((one for one in self._software.everything() if one.product == "agent"), architecture)
        return tuple(sorted(found, key=lambda one: one.component, reverse=True))

    @permits(Permission.UPGRADES_CHANGE)
    def start(self, principal: Principal, request: StartRequest) -> UpgradeView:
        """Begins an upgrade. Nothing was changed where this raises.

        Raises BadInput (nobody to upgrade, no package, waves that are none), NotFound (a name that nobody has),
        Conflict (something is under way; the manager is older; the release could not reach its manager under the floors
        in force; somebody would go before a relay of theirs), Unavailable.
        """
        return self._get(self._starting.start(principal, request))

    @permits(Permission.UPGRADES_CHANGE)
    def pause(self, principal: Principal, upgrade: int) -> UpgradeView:
        """Gives no more orders, and takes back those that nobody can have obeyed yet."""

        def work(unit: Unit, found: UpgradeRecord) -> None:
            if found.state != "running":
                raise Conflict(f"upgrade {upgrade} is {found.state}; nothing was changed")
            stopped = recall(unit, found)
            text = f"paused by {principal.name}" + (f"; {stopped} orders were taken back" if stopped else "")
            table.save(unit.connection, found, state="paused", text=text)
            self._said(unit, principal, found, "pause", text)

        return self._change(upgrade, work)

    @permits(Permission.UPGRADES_CHANGE)
    def resume(self, principal: Principal, upgrade: int) -> UpgradeView:
        """Goes on with the wave that it stood in. Who resumes has read the failures: they count no more.

        Computers whose relay is still not upgraded are left out.
        """

        def work(unit: Unit, found: UpgradeRecord) -> None:
            if found.state not in ("paused", "halted"):
                raise Conflict(f"upgrade {upgrade} is {found.state}; nothing was changed")
            options = dict(found.options)
            if found.state == "halted":
                options["accepted"] = options["accepted"] | {str(found.wave): _failures(unit, found)}
            left = 0
            while found.state == "halted" and not options.get("back_of") and (some := held(unit.connection, found)):
                for relay in {relay for _, _, relay in some}:
                    ids = [identifier for identifier, _, of in some if of == relay]
                    why = f"its {relay} was not upgraded before it"
                    table.move_all(
                        unit.connection, found.id, (table.WAITING,), table.LEFT, unit.now, ids=ids, detail=why
                    )
                left += len(some)
            text = f"goes on, by {principal.name}" + (f"; {left} are left out for their relays" if left else "")
            table.save(
                unit.connection, found, state="running", entered=unit.now, soaked=0.0, options=options, text=text
            )
            self._said(unit, principal, found, "resume", text)

        return self._change(upgrade, work)

    @permits(Permission.UPGRADES_CHANGE)
    def abort(self, principal: Principal, upgrade: int) -> UpgradeView:
        """Ends it here: who was upgraded stays so, who has not switched does not."""

        def work(unit: Unit, found: UpgradeRecord) -> None:
            if found.state not in table.OPEN:
                raise Conflict(
                    f"upgrade {upgrade} is {found.state}; nothing was changed. To undo what it did: plimsoll upgrade"
                    f" back {upgrade}"
                )
            recall(unit, found, to=table.LEFT, detail="the upgrade was aborted")
            table.move_all(
                unit.connection, found.id, (table.WAITING,), table.LEFT, unit.now, detail="the upgrade was aborted"
            )
            text = f"aborted by {principal.name}; {outcome(unit.connection, found).removeprefix('done: ')}"
            table.save(unit.connection, found, state="aborted", ended=unit.now, text=text)
            self._said(unit, principal, found, "abort", text)
            said = f"upgrade {found.id} to {found.target} was {text}"
            unit.event(NewEvent(numbers.UPGRADE_ABORTED, "warning", said, target=f"upgrade {found.id}"))

        return self._change(upgrade, work)

    @permits(Permission.UPGRADES_CHANGE)
    def back(self, principal: Principal, upgrade: int) -> UpgradeView:
        """Begins the way back of one that is over: each of its computers to the release that it had and still keeps.

        Computers first, then relays; nothing is downloaded. Raises Conflict where none can go back.
        """
        record = self._core.store.read(lambda c: known(c, upgrade))
        return self._get(self._starting.back(principal, record))

    # -- run by the manager

    @internal
    def tick(self) -> bool:
        """One look at the upgrade under way, and at most one step. Whether there is one."""
        return self._steps.tick()

    # -- small

    def _get(self, upgrade: int | None) -> UpgradeView:
        return self._core.store.read(lambda c: shown(c, upgrade))

    def _change(self, upgrade: int, work: Callable[[Unit, UpgradeRecord], None]) -> UpgradeView:
        """Against an upgrade that moves on meanwhile: read it again, and do it to what it is by then."""
        for _ in range(_TRIES):
            try:
                self._core.write(lambda unit: work(unit, known(unit.connection, upgrade)))
            except StaleError:
                continue
            return self._get(upgrade)
        raise Conflict("the upgrade moves on all the time; nothing was changed, try again")

    def _said(self, unit: Unit, principal: Principal, found: UpgradeRecord, what: str, text: str) -> None:
        note(unit, found.id, stage_of(found), what, text, principal.who)
        unit.audit(principal, f"upgrades.{what}", f"upgrade {found.id}", {"state": found.state}, {"text": text})


def _failures(unit: Unit, found: UpgradeRecord) -> int:
    """How many of the wave failed, or fell silent after they were done."""
    bad = table.bad(unit.connection, found.id, found.wave, found.entered)
    silent = table.offline(unit.connection, found.id, found.wave, (table.DONE,))
    return sum(map(len, bad.values())) + len(silent)
