"""Scheduled tasks: what the manager does by itself at times that somebody set, or when it is told to run one now.

Rules of this file: a task is done first and noted then, so that a crash in between lets it run once more and never not
at all: sending a policy twice, or looking twice, changes nothing. What was due while the manager stood still runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plimsoll.manager import schedules
from plimsoll.manager.ports import (
    BadInput,
    Conflict,
    NotFound,
    Permission,
    Principal,
    Role,
    ServiceError,
    Unavailable,
    internal,
    permits,
    require,
)
from plimsoll.manager.search import Compare, Kind, Search
from plimsoll.manager.services.computers import ACTIVE, ComputersService
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import TASK_FAILED, TASK_RAN, NewEvent
from plimsoll.manager.services.groups import GroupsService
from plimsoll.manager.services.policies import PoliciesService
from plimsoll.manager.store import Connection
from plimsoll.manager.store import tasks as table
from plimsoll.manager.store.tasks import TaskRecord

SEND_POLICY = "send-policy"
CHECK_SOFTWARE = "check-for-software-updates"

#: What a task can be, and what one must be allowed to do who makes one.
TYPES: Mapping[str, Permission] = {
    SEND_POLICY: Permission.POLICIES_SEND,
    CHECK_SOFTWARE: Permission.SOFTWARE_CHANGE,
}

#: Whom a task concerns, and what names them.
FILTERS: Mapping[str, str | None] = {
    "all-computers": None,
    "computer": "computerID",
    "computers-in-group": "computerGroupID",
    "computers-in-group-or-subgroup": "computerGroupID",
    "computers-using-policy": "policyID",
    "computers-using-policy-or-subpolicy": "policyID",
}

#: More than that are no schedule of an administrator.
MOST = 1000
_LARGEST = 1 << 53


@dataclass(frozen=True, slots=True)
class TaskChange:
    """Fields of a task; None leaves one as it is. `schedule` and `filter` are as the reference writes them."""

    name: str | None = None
    type: str | None = None
    enabled: bool | None = None
    schedule: Mapping[str, Any] | None = None
    filter: Mapping[str, Any] | None = None
    run_now: bool = False


class TasksService:
    def __init__(
        self,
        core: Core,
        computers: ComputersService,
        policies: PoliciesService,
        groups: GroupsService,
        look_for_software: Callable[[], str],
    ) -> None:
        self._core = core
        self._computers = computers
        self._policies = policies
        self._groups = groups
        self._look_for_software = look_for_software

    @permits(Permission.TASKS_READ)
    def list(self, principal: Principal) -> tuple[TaskRecord, ...]:
        """In the order of their ids."""
        return self._core.store.read(table.everything)

    @permits(Permission.TASKS_READ)
    def get(self, principal: Principal, task: int) -> TaskRecord:
        return self._core.store.read(lambda c: _known(c, task))

    @permits(Permission.TASKS_CHANGE)
    def create(self, principal: Principal, change: TaskChange) -> TaskRecord:
        """Without a schedule it is never due by itself, and runs when it is told to."""
        if change.name is None or not change.name.strip():
            raise BadInput("a scheduled task needs a name; nothing was made")
        kind = _type(principal, change.type)
        now = self._core.clock()
        schedule = schedules.normal(change.schedule or {}, now)
        columns: dict[str, Any] = {
            "name": change.name.strip(),
            "type": kind,
            "enabled": True if change.enabled is None else change.enabled,
            "schedule": schedule,
            "parameters": _parameters(kind, change.filter or {}),
            "next_run": schedules.next_run(schedule, now),
        }

        def work(unit: Unit) -> TaskRecord:
            if len(table.everything(unit.connection)) >= MOST:
                raise Conflict(f"there are {MOST} scheduled tasks already; nothing was made")
            asked = unit.now if change.run_now else None
            state = {"asked": asked, "last_text": "", "runs": 0, "created": unit.now, "who": principal.who}
            identifier = table.add(unit.connection, **columns, **state)
            unit.audit(principal, "tasks.create", str(identifier), None, columns | {"runNow": change.run_now})
            return _known(unit.connection, identifier)

        return self._core.write(work)

    @permits(Permission.TASKS_CHANGE)
    def update(self, principal: Principal, task: int, change: TaskChange) -> TaskRecord:
        now = self._core.clock()

        def work(unit: Unit) -> TaskRecord:
            before = _known(unit.connection, task)
            kind = _type(principal, change.type or before.type)
            columns: dict[str, Any] = {"type": kind}
            if change.name is not None:
                if not change.name.strip():
                    raise BadInput("a scheduled task needs a name; nothing was changed")
                columns["name"] = change.name.strip()
            if change.enabled is not None:
                columns["enabled"] = change.enabled
            if change.schedule is not None:
                columns["schedule"] = schedules.normal(change.schedule, now)
            if change.filter is not None or kind != before.type:
                columns["parameters"] = _parameters(kind, change.filter or before.parameters)
            columns = {name: value for name, value in columns.items() if getattr(before, name) != value}
            if "schedule" in columns or columns.get("enabled"):
                columns["next_run"] = schedules.next_run(columns.get("schedule", before.schedule), now)
            if change.run_now:
                columns["asked"] = unit.now
            if columns:
                table.change(unit.connection, task, **columns)
                earlier = {name: getattr(before, name) for name in columns}
                unit.audit(principal, "tasks.update", str(task), earlier, columns)
            return _known(unit.connection, task)

        return self._core.write(work)

    @permits(Permission.TASKS_CHANGE)
    def delete(self, principal: Principal, task: int) -> None:
        def work(unit: Unit) -> None:
            before = _known(unit.connection, task)
            table.remove(unit.connection, task)
            unit.audit(principal, "tasks.delete", str(task), {"name": before.name, "type": before.type})

        self._core.write(work)

    @internal
    def tick(self) -> bool:
        """Runs what is due, each once. Whether there was something. Raises Unavailable: then it is due still."""
        now = self._core.clock()
        found = self._core.store.read(lambda c: table.due(c, now))
        for task in found:
            self._run(task, now)
        return bool(found)

    def _run(self, task: TaskRecord, now: float) -> None:
        try:
            said, ok = self._do(task), True
        except Unavailable:
            raise
        except ServiceError as error:
            said, ok = error.message, False

        def work(unit: Unit) -> None:
            current = table.get(unit.connection, task.id)
            if current is None:
                return
            columns: dict[str, Any] = {"last_run": now, "last_ok": ok, "last_text": said, "runs": current.runs + 1}
            if current.asked is not None and current.asked <= now:
                columns["asked"] = None
            if current.next_run is not None and current.next_run <= now:
                columns["next_run"] = _following(current, now)
            table.change(unit.connection, task.id, **columns)
            number, level = (TASK_RAN, "info") if ok else (TASK_FAILED, "warning")
            text = f"the scheduled task {task.name} {'ran' if ok else 'failed'}: {said}"
            unit.event(NewEvent(number, level, text, target=task.name))

        self._core.write(work)

    def _do(self, task: TaskRecord) -> str:
        if task.type == CHECK_SOFTWARE:
            return self._look_for_software()
        acting = Principal("system", f"scheduled task {task.name}", Role.ADMINISTRATOR, "system", id=f"task {task.id}")
        chosen = self._chosen(acting, task.parameters)
        if chosen is None:
            sent = self._computers.send_policy(acting, everyone=True)
        else:
            sent = self._computers.send_policy(acting, computers=chosen) if chosen else 0
        return f"the policy was sent to {sent} computers"

    def _chosen(self, acting: Principal, given: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The ids of whom the filter means; None for everyone. Raises NotFound where what it names is gone."""
        wanted, number = given["type"], given.get("id", 0)
        if FILTERS[wanted] is None:
            return None
        if wanted == "computer":
            return (self._computers.locate(acting, str(number)),)
        if FILTERS[wanted] == "policyID":
            field, numbers = "policyID", self._policy_and_below(acting, number, wanted)
        else:
            field, numbers = "groupID", self._group_and_below(acting, number, wanted)
        found: dict[str, None] = {}
        for one in numbers:
            after = 0
            while page := self._computers.search(
                acting,
                Search((Compare(field, Kind.ID, "equal", one), Compare("ID", Kind.ID, "greater-than", after))),
            ):
                found.update((view.id, None) for view in page if view.state == ACTIVE)
                after = page[-1].number
        return tuple(found)

    def _policy_and_below(self, acting: Principal, policy: int, wanted: str) -> tuple[int, ...]:
        self._policies.get(acting, policy)
        above = {view.id: view.parent_id for view in self._policies.list(acting)}
        return _below(above, policy) if wanted.endswith("subpolicy") else (policy,)

    def _group_and_below(self, acting: Principal, group: int, wanted: str) -> tuple[int, ...]:
        self._groups.get(acting, group)
        above = {view.id: view.parent_id for view in self._groups.list(acting)}
        return _below(above, group) if wanted.endswith("subgroup") else (group,)


def _below(above: Mapping[int, int | None], top: int) -> tuple[int, ...]:
    """It, and all whose way up leads to it."""
    found = [top]
    for one in found:
        found += [child for child, parent in above.items() if parent == one and child not in found]
    return tuple(found)


def _following(task: TaskRecord, now: float) -> float | None:
    most = task.schedule.get("recurrenceCount")
    return None if most is not None and task.runs + 1 >= most else schedules.next_run(task.schedule, now)


def _type(principal: Principal, given: str | None) -> str:
    if given is None or given not in TYPES:
        raise BadInput(
            f"a scheduled task is one of {', '.join(TYPES)} here, not {given!r}; nothing was changed. What else the"
            " reference schedules is no part of this product"
        )
    require(principal, TYPES[given])
    return given


def _parameters(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The type of a computer filter, and the id that it needs."""
    if kind != SEND_POLICY:
        return {}
    wanted = given.get("type") or "all-computers"
    if wanted not in FILTERS:
        raise BadInput(f"a computer filter is one of {', '.join(FILTERS)}, not {wanted!r}; nothing was changed")
    name = FILTERS[wanted]
    if name is None:
        return {"type": wanted}
    number = str(given.get("id") if given.get(name) is None else given[name])
    if not (number.isascii() and number.isdigit() and 0 < int(number) <= _LARGEST if len(number) < 17 else False):
        raise BadInput(f"the computer filter {wanted} needs a {name}; nothing was changed")
    return {"type": wanted, "id": int(number)}


def _known(connection: Connection, task: int) -> TaskRecord:
    found = table.get(connection, task)
    if found is None:
        raise NotFound(f"there is no scheduled task {task}; nothing was changed")
    return found
