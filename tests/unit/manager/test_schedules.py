"""When a scheduled task is due."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.manager import schedules
from plimsoll.manager.ports import BadInput

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def runs(details: dict[str, Any], after: str, count: int = 4) -> list[str]:
    """The next runs, as clocks in Berlin show them."""
    found, moment = [], at(after)
    normal = schedules.normal(details, moment)
    for _ in range(count):
        following = schedules.next_run(normal, moment)
        if following is None:
            break
        assert following > moment
        moment = following
        found.append(datetime.fromtimestamp(moment, BERLIN).strftime("%a %Y-%m-%d %H:%M"))
    return found


def schedule(recurrence: str, start: str = "2026-03-02 02:30", **part: Any) -> dict[str, Any]:
    names = {"none": "onceOnly"}
    key = f"{names.get(recurrence, recurrence)}ScheduleParameters"
    body = part if recurrence == "hourly" else {"startTime": int(at(start) * 1000), **part}
    return {"timeZone": "Europe/Berlin", "recurrenceType": recurrence, key: body}


@pytest.mark.parametrize(
    ("details", "after", "expected"),
    [
        (schedule("none"), "2026-03-01 00:00", ["Mon 2026-03-02 02:30"]),
        (schedule("none"), "2026-03-03 00:00", []),
        (
            schedule("hourly", minutesPastTheHour="55"),
            "2026-03-02 10:56",
            ["Mon 2026-03-02 11:55", "Mon 2026-03-02 12:55"],
        ),
        # The night to summer time has no half past two: the clocks show half past three.
        (schedule("daily"), "2026-03-28 12:00", ["Sun 2026-03-29 03:30", "Mon 2026-03-30 02:30"]),
        (schedule("daily", frequencyType="weekdays"), "2026-03-06 12:00", ["Mon 2026-03-09 02:30"]),
        (
            schedule("daily", frequencyType="custom", customInterval=3),
            "2026-03-02 12:00",
            ["Thu 2026-03-05 02:30", "Sun 2026-03-08 02:30"],
        ),
        (schedule("daily"), "2026-01-01 00:00", ["Mon 2026-03-02 02:30"]),
        (
            schedule("weekly", interval=2, days=["monday", "friday"]),
            "2026-03-02 12:00",
            ["Fri 2026-03-06 02:30", "Mon 2026-03-16 02:30"],
        ),
        (
            schedule("monthly", frequencyType="day-of-month", dayOfMonth=31),
            "2026-03-31 12:00",
            ["Sun 2026-05-31 02:30", "Fri 2026-07-31 02:30"],
        ),
        (
            schedule("monthly", frequencyType="day-of-month", dayOfMonth=29, months=["feburary"]),
            "2026-03-02 12:00",
            ["Tue 2028-02-29 02:30"],
        ),
        (
            schedule("monthly", frequencyType="last-day-of-month", months="february"),
            "2026-03-02 12:00",
            ["Sun 2027-02-28 02:30"],
        ),
        (
            schedule("monthly", frequencyType="day-of-week", weekOfTheMonth="last", dayOfTheWeek="friday"),
            "2026-03-02 12:00",
            ["Fri 2026-03-27 02:30", "Fri 2026-04-24 02:30"],
        ),
    ],
)
def test_the_next_runs(details: dict[str, Any], after: str, expected: list[str]) -> None:
    assert runs(details, after, len(expected) or 1) == expected


@pytest.mark.parametrize(
    ("details", "says"),
    [
        ({"timeZone": "Mars/Olympus"}, "time zone"),
        ({"timeZone": "../../etc/passwd"}, "time zone"),
        ({"recurrenceType": "yearly"}, "recurrenceType"),
        ({"recurrenceType": "hourly", "hourlyScheduleParameters": {"minutesPastTheHour": 60}}, "0 to 59"),
        ({"recurrenceType": "daily", "dailyScheduleParameters": {"frequencyType": "sometimes"}}, "frequencyType"),
        ({"recurrenceType": "weekly", "weeklyScheduleParameters": {"days": ["caturday"]}}, "days"),
        ({"recurrenceType": "weekly", "weeklyScheduleParameters": {"days": 7}}, "list"),
        ({"recurrenceType": "weekly", "weeklyScheduleParameters": []}, ""),
        ({"recurrenceType": "none", "onceOnlyScheduleParameters": {"startTime": "soon"}}, "whole number"),
        (
            {"recurrenceType": "monthly", "monthlyScheduleParameters": {"dayOfMonth": 31, "months": ["june"]}},
            "no day 31 in june",
        ),
    ],
)
def test_what_is_no_schedule(details: dict[str, Any], says: str) -> None:
    if not says:
        schedules.normal(details, 0.0)
        return
    with pytest.raises(BadInput, match=says):
        schedules.normal(details, 0.0)


@given(
    st.sampled_from(schedules.RECURRENCES),
    st.sampled_from(["UTC", "US/Eastern", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]),
    st.integers(0, 4_000_000_000),
    st.integers(0, 4_000_000_000),
)
def test_a_run_lies_ahead_whatever_the_clocks_do(recurrence: str, zone: str, start: int, after: int) -> None:
    details = {"timeZone": zone, "recurrenceType": recurrence}
    normal = schedules.normal(details, float(start))
    assert schedules.normal(normal, 0.0) == normal
    following = schedules.next_run(normal, float(after))
    assert following is None or following > after
