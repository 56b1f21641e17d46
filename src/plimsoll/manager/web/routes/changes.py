"""Changes: the list, the assistant that leads from a floor to a change that runs, and one change as it goes.

The assistant keeps nothing on the manager: each step is an address that carries what was chosen. What raises a floor is
sent with the judgement whose names were shown, and the service holds it to these names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from plimsoll.fleet.changes import MOVES, Direction, Limits
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, NotFound, Principal
from plimsoll.manager.services.changes import CANARY, SOAK, PlanView, StartRequest
from plimsoll.manager.services.judged import Question
from plimsoll.manager.store.changes import OPEN
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.judging import Look, Shown, address, look, shown, waited
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version

router = console_router()

PATH = "/changes"
NEW = f"{PATH}/new"
ROWS = 50
#: How far back the shadow's count is shown.
SHADOW_DAYS = 30
Points = Annotated[list[str] | None, Query()]
Looked = Annotated[Look, Depends(look)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen so far, as it stands in the address; texts as they were typed."""

    to: str = ""
    points: tuple[str, ...] = ()
    soak: str = ""
    canary: str = ""
    at: str = ""
    freeze: str = ""
    approval: bool = False

    @property
    def values(self) -> tuple[tuple[str, str], ...]:
        """Names and values of all that was chosen."""
        given = [("to", self.to), *(("point", point) for point in self.points), ("soak", self.soak)]
        given += [("canary", self.canary), ("at", self.at), ("freeze", self.freeze)]
        given += [("approval", "1" if self.approval else "")]
        return tuple((name, value) for name, value in given if value)

    def step(self, name: str) -> str:
        return address(f"{NEW}/{name}" if name else NEW, self.values)

    def request(self, request: Request, **more: Any) -> StartRequest:
        """Raises BadInput for a soak or a time that cannot be read."""
        return StartRequest(
            to=self.to,
            points=self.points or ("all",),
            soak=fields.length(self.soak, "a soak", "min") if self.soak.strip() else SOAK,
            canary=self.canary.strip() or CANARY,
            at=fields.moment(request, self.at, "when it begins"),
            freeze=tuple(line.strip() for line in self.freeze.splitlines() if line.strip()),
            approval=self.approval,
            **more,
        )


def chosen(
    to: Annotated[str, Query(max_length=20)] = "",
    point: Points = None,
    soak: Annotated[str, Query(max_length=20)] = "",
    canary: Annotated[str, Query(max_length=200)] = "",
    at: Annotated[str, Query(max_length=40)] = "",
    freeze: Annotated[str, Query(max_length=2000)] = "",
    approval: bool = False,
) -> Chosen:
    return Chosen(to, tuple(point or ()), soak, canary, at, freeze, approval)


Choice = Annotated[Chosen, Depends(chosen)]


# -- the list


@router.get(PATH)
def changes(request: Request, asks: Asks, back: Back) -> Response:
    """The newest first."""
    found = back.services.changes.list(asks, ROWS)
    return page(request, "changes/list.html", asks, changes=found, open=OPEN, here=PATH, most=ROWS)


# -- the assistant


@router.get(NEW)
def choose(request: Request, asks: Asks, back: Back, choice: Choice, wait: bool = False) -> Response:
    """Step 1: which floor, where."""
    standing = back.services.changes.standing(asks)
    return page(
        request,
        "changes/choose.html",
        asks,
        standing=standing,
        points=tuple(Point),
        versions=FLOORS,
        choice=choice,
        to=choice.to or _next(standing.floors.values()),
        advice=waited(back.services.judged.advice(asks), wait),
        under_way=_under_way(back, asks),
    )


def _next(floors: Iterable[Version]) -> str:
    """What to raise to first: 1.2 for whoever is below it anywhere, else 1.3."""
    target = Version.TLS1_2 if any(floor < Version.TLS1_2 for floor in floors) else Version.TLS1_3
    return str(target.value)


def _under_way(back: Backend, asks: Principal) -> Any:
    """The change that stands in the way of another one, if there is one."""
    try:
        found = back.services.changes.get(asks)
    except NotFound:
        return None
    return found if found.state in OPEN else None


@dataclass(frozen=True, slots=True)
class Step:
    """What every step after the first shows: the plan, its direction, and the steps with their addresses."""

    choice: Chosen
    plan: PlanView
    steps: tuple[tuple[str, str, str], ...]

    @property
    def raises(self) -> bool:
        return self.plan.plan.direction is Direction.RAISE

    @property
    def takes(self) -> float:
        """How long all soaks last together, in seconds."""
        return sum(self.plan.plan.soak_of(stage) for stage in self.plan.plan.stages)

    @property
    def leaves(self) -> Version:
        """Lowering: the highest floor that is left."""
        return max((self.plan.floors[point] for point in self.plan.points), key=lambda one: one.rank)

    @property
    def question(self) -> Question:
        """Raising: who would be cut off. Lowering: who is below what is left, and comes in again."""
        to = self.choice.to if self.raises else self.leaves.value
        return Question(to, tuple(point.value for point in self.plan.points))


def _step(request: Request, asks: Principal, back: Backend, choice: Chosen, *, strict: bool = True) -> Step:
    """Raises BadInput where what was chosen makes no change. Without `strict`, options do not count yet."""
    wanted = choice if strict else Chosen(choice.to, choice.points)
    plan = back.services.changes.plan(asks, wanted.request(request))
    raises = plan.plan.direction is Direction.RAISE
    names = [("", "1. Floor"), ("preflight", "2. Who is in the way" if raises else "2. What it lets in")]
    names += [("shadow", "3. Shadow")] if raises else []
    names += [("plan", f"{len(names) + 1}. Plan")]
    names += [("start", f"{len(names) + 1}. Start")]
    return Step(choice, plan, tuple((name, title, choice.step(name)) for name, title in names))


def _judged(back: Backend, asks: Principal, step: Step, wanted: Look, name: str) -> Shown:
    return shown(back, asks, step.question, wanted, f"{NEW}/{name}", step.choice.values)


def _back_to_the_floor(choice: Chosen) -> Response:
    return RedirectResponse(choice.step(""), status_code=303)


@router.get(f"{NEW}/preflight")
def preflight(request: Request, asks: Asks, back: Back, choice: Choice, wanted: Looked) -> Response:
    """Step 2: by name, who would be cut off."""
    if not choice.to:
        return _back_to_the_floor(choice)
    step = _step(request, asks, back, choice, strict=False)
    return page(
        request, "changes/preflight.html", asks, step=step, judged=_judged(back, asks, step, wanted, "preflight"),
        scope=_in_scope(back, asks, step), after="changes/after_preflight.html",
    )  # fmt: skip


def _in_scope(back: Backend, asks: Principal, step: Step) -> list[str]:
    """The points in the scope of PCI DSS that would let early TLS in again."""
    if step.raises or Version(step.choice.to) >= Version.TLS1_2:
        return []
    moved = {point.value for point in step.plan.points}
    return [mark.point for mark in back.services.scope.marks(asks) if mark.point in moved]


@dataclass(frozen=True, slots=True)
class WouldBe:
    """Who would have been refused at a point, over all days."""

    name: str
    who: str | None
    address: str
    point: Point
    floor: Version
    offered: Version | None
    count: int
    first: float
    last: float

    @property
    def computer(self) -> str:
        """Its id, where it is one."""
        return self.who.removeprefix("computer:") if self.who and self.who.startswith("computer:") else ""


def _would_be(back: Backend, asks: Principal, points: Collection[Point]) -> list[WouldBe]:
    """One row for each client at each point, those seen last first."""
    rows: dict[tuple[object, ...], WouldBe] = {}
    for one in back.services.shadow.report(asks, SHADOW_DAYS):
        if one.point not in points:
            continue
        key = (one.point, one.who, one.address)
        known = rows.get(key)
        newer = known is None or one.last > known.last
        rows[key] = WouldBe(
            one.name, one.who, one.address, one.point,
            one.floor if known is None or newer else known.floor,
            one.offered if known is None or newer else known.offered,
            one.count + (known.count if known else 0),
            min(one.first, known.first) if known else one.first,
            max(one.last, known.last) if known else one.last,
        )  # fmt: skip
    return sorted(rows.values(), key=lambda row: -row.last)


@router.get(f"{NEW}/shadow")
def shadow(request: Request, asks: Asks, back: Back, choice: Choice) -> Response:
    """Step 3: try it without refusing anybody."""
    if not choice.to:
        return _back_to_the_floor(choice)
    step = _step(request, asks, back, choice, strict=False)
    back.services.sightings.absorb()
    return page(
        request,
        "changes/shadow.html",
        asks,
        step=step,
        points=[view for view in back.services.shadow.show(asks) if view.point in step.plan.points],
        rows=_would_be(back, asks, step.plan.points),
        here=choice.step("shadow"),
    )


@router.get(f"{NEW}/plan")
def plan(request: Request, asks: Asks, back: Back, choice: Choice) -> Response:
    """Step 4: how it goes."""
    if not choice.to:
        return _back_to_the_floor(choice)
    return _plan_page(request, asks, back, choice, None)


def _plan_page(request: Request, asks: Principal, back: Backend, choice: Chosen, problem: BadInput | None) -> Response:
    step = _step(request, asks, back, choice, strict=False)
    return page(
        request,
        "changes/plan.html",
        asks,
        400 if problem else 200,
        step=step,
        error=problem,
        canaries=("5%", "10%", "1", *back.services.changes.standing(asks).canaries),
        canary=choice.canary or CANARY,
        soak=choice.soak or f"{SOAK / 60:.0f} min",
        limits=Limits(),
    )


@router.get(f"{NEW}/start")
def confirm(request: Request, asks: Asks, back: Back, choice: Choice, wanted: Looked) -> Response:
    """Step 5: what will happen, and to whom, before it does."""
    if not choice.to:
        return _back_to_the_floor(choice)
    try:
        step = _step(request, asks, back, choice)
        asked = choice.request(request)
    except BadInput as error:
        return _plan_page(request, asks, back, choice, error)
    return page(
        request,
        "changes/start.html",
        asks,
        step=step,
        asked=asked,
        moves={stage.value: point for stage, point in MOVES.items()},
        judged=_judged(back, asks, step, wanted, "start") if step.raises else None,
        after="changes/after_start.html",
        reason="",
    )


@router.post(PATH)
def start(
    request: Request,
    asks: Signed,
    back: Back,
    to: Annotated[str, Form(max_length=20)] = "",
    point: Annotated[list[str] | None, Form()] = None,
    soak: Annotated[str, Form(max_length=20)] = "",
    canary: Annotated[str, Form(max_length=200)] = "",
    at: Annotated[str, Form(max_length=40)] = "",
    freeze: Annotated[str, Form(max_length=2000)] = "",
    approval: Annotated[bool, Form()] = False,
    kept: Annotated[str, Form(max_length=40)] = "",
    accept_affected: Annotated[bool, Form()] = False,
    force: Annotated[bool, Form()] = False,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Begins it. Whoever would be cut off must have stood in the judgement that was shown."""
    choice = Chosen(to, tuple(point or ()), soak, canary, at, freeze, approval)
    asked = choice.request(
        request,
        accept_affected=accept_affected,
        force=force,
        reason=reason.strip() or None,
        seen=back.services.judged.names(asks, kept) or frozenset(),
    )
    made = back.services.changes.start(asks, asked)
    return done(request, f"{PATH}/{made.id}", f"Change {made.id}: {made.text}")


# -- one change


@router.get(f"{PATH}/{{change}}")
def change(request: Request, asks: Asks, back: Back, change: int) -> Response:
    """One change as it stands; while it runs, the screen keeps up with it."""
    found = back.services.changes.get(asks, change)
    return page(
        request,
        "changes/one.html",
        asks,
        change=found,
        open=found.state in OPEN,
        moved=[Point(name) for name in found.options["points"]],
        at=found.stages.index(found.stage),
        mine=found.who == asks.who,
        restored=max(found.before.values(), default=found.target, key=lambda floor: floor.rank).value,
        proofs=[one for one in back.services.proof.made(asks) if one.change == change],
        making=back.services.proof.making(asks),
        here=f"{PATH}/{change}",
    )


@router.post(f"{PATH}/{{change}}/pause")
def pause(request: Request, asks: Signed, back: Back, change: int) -> Response:
    back.services.changes.pause(asks, change)
    return done(request, f"{PATH}/{change}", "Paused: it goes no further, and what was raised stays and is watched")


@router.post(f"{PATH}/{{change}}/resume")
def resume(request: Request, asks: Signed, back: Back, change: int) -> Response:
    back.services.changes.resume(asks, change)
    return done(request, f"{PATH}/{change}", "It goes on; the soak of its stage begins anew")


@router.post(f"{PATH}/{{change}}/approve")
def approve(request: Request, asks: Signed, back: Back, change: int) -> Response:
    back.services.changes.approve(asks, change)
    return done(request, f"{PATH}/{change}", "Approved")


@router.post(f"{PATH}/{{change}}/abort")
def abort(request: Request, asks: Signed, back: Back, change: int) -> Response:
    back.services.changes.abort(asks, change)
    return done(request, f"{PATH}/{change}", "Aborted: what it had moved is back where it was")


@router.post(f"{PATH}/{{change}}/back")
def take_back(request: Request, asks: Signed, back: Back, change: int) -> Response:
    back.services.changes.back(asks, change)
    return done(request, f"{PATH}/{change}", "Taken back: every point that still stood where it was put is as before")
