"""Scheduled tasks: made, due, run once, noted, and alive after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, Desk, desk, principal, reopened

from plimsoll.manager.ports import BadInput, Forbidden, NotFound, Role, Unavailable
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.tasks import CHECK_SOFTWARE, SEND_POLICY, TaskChange
from plimsoll.testing.clock import FakeClock

DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def at(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        yield opened


def daily(clock: FakeClock, **more: Any) -> dict[str, Any]:
    part = {"startTime": int((clock() + 60) * 1000)}
    return {"timeZone": "UTC", "recurrenceType": "daily", "dailyScheduleParameters": part, **more}


def activate(at: Desk, name: str) -> str:
    """With a token of the clock's own time. The computer's id."""
    token = at.services.activation.create_token(ROOT, None, 60.0, None).token
    return at.activate(name, token=token).computer


def test_a_daily_task_runs_once_a_day_and_says_so(at: Desk, clock: FakeClock) -> None:
    activate(at, "web-1")
    task = at.services.tasks.create(ROOT, TaskChange("nightly", SEND_POLICY, schedule=daily(clock)))
    assert at.services.tasks.tick() is False
    for day in (1, 2):
        clock.advance(DAY if day > 1 else 61)
        assert at.services.tasks.tick() is True
        assert at.services.tasks.tick() is False
        noted = at.services.tasks.get(ROOT, task.id)
        assert (noted.runs, noted.last_ok, noted.last_text) == (day, True, "the policy was sent to 1 computers")
        assert noted.next_run is not None
        assert clock() < noted.next_run <= clock() + DAY
    events = at.services.events.list(ROOT)
    assert [one.number for one in events if one.target == "nightly"] == [2015, 2015]
    entry = next(one for one in at.services.access.audit(ROOT, 50) if one.action == "policies.send")
    assert entry.who == f"system:task {task.id}"


def test_what_was_due_while_the_manager_stood_still_runs_once(tmp_path: Path, clock: FakeClock) -> None:
    with desk(tmp_path, clock) as at:
        at.services.tasks.create(ROOT, TaskChange("kept", SEND_POLICY, schedule=daily(clock, recurrenceCount=2)))
        path, made = at.home.path, at.made
        at.home.close()
        clock.advance(5 * DAY)
        with reopened(path, made, clock) as again:
            assert again.services.tasks.tick() is True
            assert again.services.tasks.tick() is False
            clock.advance(DAY)
            assert again.services.tasks.tick() is True
            (task,) = again.services.tasks.list(ROOT)
            assert (task.runs, task.next_run) == (2, None), "it was to run twice"


def test_run_now_runs_a_task_that_is_switched_off(at: Desk) -> None:
    tasks = at.services.tasks
    once = {"recurrenceType": "none", "onceOnlyScheduleParameters": {"startTime": 10}}
    task = tasks.create(ROOT, TaskChange("now", SEND_POLICY, enabled=False, schedule=once))
    assert tasks.tick() is False
    assert tasks.update(ROOT, task.id, TaskChange(run_now=True)).asked is not None
    assert tasks.tick() is True
    noted = tasks.get(ROOT, task.id)
    assert (noted.runs, noted.asked, noted.next_run) == (1, None, None)
    assert tasks.tick() is False


def test_the_filter_chooses_whom(at: Desk) -> None:
    one, two, three = (activate(at, name) for name in ("one", "two", "three"))
    groups, policies, computers = at.services.groups, at.services.policies, at.services.computers
    above = groups.create(ROOT, "above")
    below = groups.create(ROOT, "below", parent_id=above.id)
    parent = policies.create(ROOT, "parent")
    child = policies.create(ROOT, "child", "parent")
    computers.update(ROOT, one, ComputerChange(group_id=above.id, policy_id=parent.id))
    computers.update(ROOT, two, ComputerChange(group_id=below.id, policy_id=child.id))
    number = computers.get(ROOT, three).number
    cases: list[tuple[dict[str, Any], int]] = [
        ({"type": "all-computers"}, 3),
        ({}, 3),
        ({"type": "computer", "computerID": str(number)}, 1),
        ({"type": "computers-in-group", "computerGroupID": above.id}, 1),
        ({"type": "computers-in-group-or-subgroup", "computerGroupID": above.id}, 2),
        ({"type": "computers-using-policy", "policyID": parent.id}, 1),
        ({"type": "computers-using-policy-or-subpolicy", "policyID": parent.id}, 2),
        ({"type": "computers-in-group", "computerGroupID": groups.create(ROOT, "empty").id}, 0),
    ]
    for chosen, count in cases:
        task = at.services.tasks.create(ROOT, TaskChange("f", SEND_POLICY, filter=chosen, run_now=True, enabled=False))
        assert at.services.tasks.tick()
        assert at.services.tasks.get(ROOT, task.id).last_text == f"the policy was sent to {count} computers", chosen


def test_a_task_whose_computer_is_gone_fails_by_name(at: Desk) -> None:
    web = activate(at, "web-1")
    number = at.services.computers.get(ROOT, web).number
    chosen = {"type": "computer", "computerID": number}
    task = at.services.tasks.create(ROOT, TaskChange("gone", SEND_POLICY, filter=chosen, run_now=True))
    at.services.computers.delete(ROOT, web)
    assert at.services.tasks.tick()
    noted = at.services.tasks.get(ROOT, task.id)
    assert noted.last_ok is False
    assert str(number) in noted.last_text
    assert 2016 in [one.number for one in at.services.events.list(ROOT)]
    assert at.services.tasks.tick() is False, "it is not tried again before its time"


def test_software_is_looked_for(at: Desk) -> None:
    task = at.services.tasks.create(ROOT, TaskChange("look", CHECK_SOFTWARE, run_now=True))
    assert at.services.tasks.tick()
    assert "0 packages were imported" in at.services.tasks.get(ROOT, task.id).last_text


def test_a_store_that_is_away_leaves_it_due(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    task = at.services.tasks.create(ROOT, TaskChange("away", SEND_POLICY, run_now=True))

    def away(*_: Any, **__: Any) -> int:
        raise Unavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(at.services.computers, "send_policy", away)
        with pytest.raises(Unavailable):
            at.services.tasks.tick()
    assert at.services.tasks.get(ROOT, task.id).runs == 0
    assert at.services.tasks.tick() is True


def test_what_no_task_can_be(at: Desk) -> None:
    tasks = at.services.tasks
    for wrong in (
        TaskChange(None, SEND_POLICY),
        TaskChange(" ", SEND_POLICY),
        TaskChange("x", "scan-for-malware"),
        TaskChange("x", None),
        TaskChange("x", SEND_POLICY, filter={"type": "computers-in-orbit"}),
        TaskChange("x", SEND_POLICY, filter={"type": "computer"}),
        TaskChange("x", SEND_POLICY, filter={"type": "computer", "computerID": "9" * 40}),
        TaskChange("x", SEND_POLICY, schedule={"timeZone": "Mars"}),
    ):
        with pytest.raises(BadInput):
            tasks.create(ROOT, wrong)
    assert tasks.list(ROOT) == ()
    for look in (tasks.get, tasks.delete):
        with pytest.raises(NotFound):
            look(ROOT, 9)


def test_who_may_have_what_done(at: Desk) -> None:
    tasks = at.services.tasks
    made = tasks.create(principal(Role.OPERATOR), TaskChange("theirs", SEND_POLICY))
    assert tasks.list(principal(Role.AUDITOR)) == (made,)
    with pytest.raises(Forbidden):
        tasks.create(principal(Role.AUDITOR), TaskChange("x", SEND_POLICY))
    with pytest.raises(Forbidden):
        tasks.update(principal(Role.AUDITOR), made.id, TaskChange(run_now=True))
