"""/api/scheduledtasks: what the manager does by itself, and what it is to do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.reference import Item, Lenient, Name, Number, SearchFilter, Text, search_of
from plimsoll.manager.api.shapes import reference as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.api.views import milliseconds
from plimsoll.manager.search import Field as SearchField
from plimsoll.manager.search import Kind, page
from plimsoll.manager.services.tasks import FILTERS, SEND_POLICY, TYPES, TaskChange
from plimsoll.manager.store.tasks import TaskRecord

router = APIRouter(prefix="/api/scheduledtasks", tags=["tasks"])

_STRING, _DATE = SearchField(Kind.STRING), SearchField(Kind.DATE)
FIELDS: Mapping[str, SearchField] = {
    "ID": SearchField(Kind.ID),
    "name": _STRING,
    "type": SearchField(Kind.CHOICE, tuple(TYPES)),
    "enabled": SearchField(Kind.BOOLEAN),
    "runNow": SearchField(Kind.BOOLEAN),
    "lastRunTime": _DATE,
    "nextRunTime": _DATE,
}


class FilterBody(Lenient):
    """Whom it concerns; all computers where nothing is said."""

    type: Text | None = None
    computer_id: Number | None = None
    computer_group_id: Number | None = None
    policy_id: Number | None = None


class SendPolicyBody(Lenient):
    computer_filter: FilterBody | None = None


class TaskBody(Lenient):
    """What is missing stays as it is. `runNow` runs it once, whatever its schedule and whether it is enabled."""

    name: Name | None = None
    type: Text | None = None
    schedule_details: Annotated[dict[str, Any], Field(max_length=20)] | None = None
    enabled: bool | None = None
    run_now: bool | None = None
    send_policy_task_parameters: SendPolicyBody | None = None

    def change(self) -> TaskChange:
        parameters = self.send_policy_task_parameters
        given = None if parameters is None else parameters.computer_filter
        return TaskChange(
            name=self.name,
            type=self.type,
            enabled=self.enabled,
            schedule=self.schedule_details,
            filter=None if given is None else given.model_dump(by_alias=True, exclude_none=True),
            run_now=bool(self.run_now),
        )


def _shown(task: TaskRecord) -> shapes.ScheduledTask:
    answer: shapes.ScheduledTask = {
        "ID": task.id,
        "name": task.name,
        "type": task.type,
        "scheduleDetails": cast(shapes.ScheduleDetails, task.schedule),
        "enabled": task.enabled,
        "lastRunTime": milliseconds(task.last_run),
        "nextRunTime": milliseconds(task.next_run) if task.enabled else None,
        "runNow": task.asked is not None,
        "lastRunOk": task.last_ok,
        "lastRunText": task.last_text,
        "runs": task.runs,
        "createdBy": task.who,
    }
    if task.type == SEND_POLICY:
        chosen: dict[str, Any] = {"type": task.parameters["type"]}
        name = FILTERS[chosen["type"]]
        if name is not None:
            chosen[name] = task.parameters["id"]
        answer["sendPolicyTaskParameters"] = {"computerFilter": cast(shapes.ComputerFilter, chosen)}
    return answer


@router.get("")
def list_tasks(asks: Asks, back: Back) -> shapes.ScheduledTasks:
    """What the manager does by itself, and when."""
    return {"scheduledTasks": [_shown(task) for task in back.services.tasks.list(asks)]}


@router.post("")
def create_task(asks: Asks, back: Back, body: TaskBody) -> shapes.ScheduledTask:
    """Without a schedule it runs only when it is told to: `runNow`."""
    return _shown(back.services.tasks.create(asks, body.change()))


@router.post("/search")
def search_tasks(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.ScheduledTasks:
    """Those that pass, in the order of their IDs."""
    known = [_shown(task) for task in back.services.tasks.list(asks)]
    return {"scheduledTasks": page(known, FIELDS, search_of(body))}


@router.get("/{task}")
def get_task(asks: Asks, back: Back, task: Item) -> shapes.ScheduledTask:
    """One task, with what came of its last run."""
    return _shown(back.services.tasks.get(asks, task))


@router.post("/{task}")
def change_task(asks: Asks, back: Back, task: Item, body: TaskBody | None = None) -> shapes.ScheduledTask:
    """Changes what is said; `runNow` runs it once, within a second or two."""
    return _shown(back.services.tasks.update(asks, task, (body or TaskBody()).change()))


@router.delete("/{task}")
def delete_task(asks: Asks, back: Back, task: Item) -> Empty:
    """It is not run again."""
    back.services.tasks.delete(asks, task)
    return {}
