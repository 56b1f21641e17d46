"""Administration > Scheduled tasks: what the manager does by itself, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Form, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from plimsoll.manager.ports import BadInput
from plimsoll.manager.schedules import DAYS, RECURRENCES
from plimsoll.manager.services.tasks import CHECK_SOFTWARE, FILTERS, SEND_POLICY, TYPES, TaskChange
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/administration/scheduled-tasks"
TITLES = {SEND_POLICY: "Send Policy", CHECK_SOFTWARE: "Look for new software"}
WHEN = {"none": "Once", "hourly": "Every hour", "daily": "Every day", "weekly": "Every week", "monthly": "Every month"}
WHOM = {
    "all-computers": "All computers",
    "computer": "One computer",
    "computers-in-group": "Computers of a group",
    "computers-in-group-or-subgroup": "Computers of a group, or below it",
    "computers-using-policy": "Computers of a policy",
    "computers-using-policy-or-subpolicy": "Computers of a policy, or below it",
}

Word = Annotated[str, Form(max_length=255)]
Task = Annotated[int, Path(ge=0, le=2**53)]


@router.get(PATH)
def tasks(request: Request, asks: Asks, back: Back) -> Response:
    return page(
        request,
        "tasks/list.html",
        asks,
        tasks=[(one, _whom(one.parameters)) for one in back.services.tasks.list(asks)],
        titles=TITLES,
        when_titles=WHEN,
    )


def _whom(parameters: dict[str, Any]) -> str:
    wanted = str(parameters.get("type", ""))
    number = parameters.get("id")
    return WHOM.get(wanted, "") + (f" (no. {number})" if number is not None else "")


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks, back: Back) -> Response:
    return page(
        request,
        "tasks/new.html",
        asks,
        types=[(one, TITLES[one]) for one in TYPES],
        recurrences=[(one, WHEN[one]) for one in RECURRENCES],
        whom=[(one, WHOM[one]) for one in FILTERS],
        policies=list(back.services.policies.names(asks).items())[:500],
        groups=back.services.groups.list(asks)[:500],
        days=DAYS,
    )


@router.post(PATH)
async def create(request: Request, asks: Signed, back: Back) -> Response:
    sent = await request.form()

    def said(name: str) -> str:
        return str(sent.get(name, ""))[:255]

    change = TaskChange(
        name=said("name"),
        type=said("type"),
        schedule=_schedule(request, said, [str(one) for one in sent.getlist("days")][:7]),
        filter=_filter(said) if said("type") == SEND_POLICY else None,
        run_now=bool(said("run_now")),
    )
    made = await run_in_threadpool(back.services.tasks.create, asks, change)
    return done(request, PATH, f"{made.name} was made.")


def _schedule(request: Request, said: Callable[[str], str], days: list[str]) -> dict[str, Any] | None:
    """As the reference writes it; None where it runs only when it is told to."""
    recurrence = said("recurrence")
    if not recurrence:
        return None
    if recurrence not in RECURRENCES:
        raise BadInput(f"there is no recurrence {recurrence!r}; nothing was made")
    zone = str(fields.reader_zone(request))
    start = fields.moment(request, said("start"), "the start")
    part: dict[str, Any] = {} if start is None else {"startTime": int(start * 1000)}
    if recurrence == "hourly":
        part = {"minutesPastTheHour": fields.number(said("minutes"), "the minutes past the hour") or 0}
    elif recurrence == "daily":
        part["frequencyType"] = "everyday"
    elif recurrence == "weekly" and days:
        part["days"] = days
    elif recurrence == "monthly":
        part |= {"frequencyType": "day-of-month", "dayOfMonth": fields.number(said("day"), "the day") or 1}
    names = {
        "none": "onceOnly", "hourly": "hourly", "daily": "daily", "weekly": "weekly", "monthly": "monthly",
    }  # fmt: skip
    return {"timeZone": zone, "recurrenceType": recurrence, f"{names[recurrence]}ScheduleParameters": part}


def _filter(said: Callable[[str], str]) -> dict[str, Any]:
    wanted = said("whom") or "all-computers"
    name = FILTERS.get(wanted)
    if name is None:
        return {"type": wanted}
    value = {"computerID": said("computer"), "computerGroupID": said("group"), "policyID": said("policy")}[name]
    return {"type": wanted, name: fields.number(value, f"the {name}") or 0}


@router.post(f"{PATH}/{{task}}/run")
def run(request: Request, asks: Signed, back: Back, task: Task) -> Response:
    back.services.tasks.update(asks, task, TaskChange(run_now=True))
    return done(request, PATH, "It runs within a second or two.")


@router.post(f"{PATH}/{{task}}/enabled")
def enabled(
    request: Request, asks: Signed, back: Back, task: Task, on: Annotated[str, Form(max_length=1)] = ""
) -> Response:
    changed = back.services.tasks.update(asks, task, TaskChange(enabled=bool(on)))
    return done(request, PATH, f"{changed.name} is {'on' if on else 'off'}.")


@router.post(f"{PATH}/{{task}}/delete")
def delete(request: Request, asks: Signed, back: Back, task: Task) -> Response:
    back.services.tasks.delete(asks, task)
    return done(request, PATH, "It is not run again.")
