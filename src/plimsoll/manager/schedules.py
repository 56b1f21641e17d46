"""When a scheduled task is due, by schedules as the reference writes them. Pure.

A schedule has a time zone and one recurrence: none (once), hourly, daily, weekly or monthly. Times of day are those of
`startTime` in that zone; one that the change to summer time leaves out is taken as the clocks then show it.
"""

from __future__ import annotations

import zoneinfo
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from plimsoll.manager.ports import BadInput

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
WEEKS = ("first", "second", "third", "fourth", "last")
RECURRENCES = ("none", "hourly", "daily", "weekly", "monthly")
DAILY = ("everyday", "weekdays", "custom")
MONTHLY = ("day-of-month", "last-day-of-month", "day-of-week")

#: As far as anybody looks: a 29th of February comes at the latest after eight years.
_FAR = 366 * 9
#: What the reference's own list of months has for the second one.
_MISSPELT = {"feburary": "february"}
#: The year 9000, in milliseconds: calendars end in 9999.
_LATEST = 221_845_000_000_000

#: Where a schedule's own part stands.
_PARTS = {
    "none": "onceOnlyScheduleParameters",
    "hourly": "hourlyScheduleParameters",
    "daily": "dailyScheduleParameters",
    "weekly": "weeklyScheduleParameters",
    "monthly": "monthlyScheduleParameters",
}


def normal(given: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The same schedule, checked and with everything said. Raises BadInput.

    A missing start time is now; a number may be a text.
    """
    zone = str(given.get("timeZone") or "UTC")
    _zone(zone)
    recurrence = str(given.get("recurrenceType") or "none")
    if recurrence not in RECURRENCES:
        raise _wrong("recurrenceType", recurrence, RECURRENCES)
    part = given.get(_PARTS[recurrence]) or {}
    if not isinstance(part, Mapping):
        raise BadInput(f"{_PARTS[recurrence]} is an object; nothing was changed")
    found: dict[str, Any] = {"timeZone": zone, "recurrenceType": recurrence}
    if given.get("recurrenceCount") is not None:
        found["recurrenceCount"] = _number(given, "recurrenceCount", 1, 1, 1_000_000)
    found[_PARTS[recurrence]] = _READ[recurrence](part, now)
    return found


def _once(part: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {"startTime": _start(part, now)}


def _hourly(part: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {"minutesPastTheHour": _number(part, "minutesPastTheHour", 0, 0, 59)}


def _daily(part: Mapping[str, Any], now: float) -> dict[str, Any]:
    found = {"startTime": _start(part, now), "frequencyType": _word(part, "frequencyType", DAILY)}
    if found["frequencyType"] == "custom":
        found["customInterval"] = _number(part, "customInterval", 1, 1, 365)
    return found


def _weekly(part: Mapping[str, Any], now: float) -> dict[str, Any]:
    start = _start(part, now)
    days = _words(part, "days", DAYS)
    return {"startTime": start, "interval": _number(part, "interval", 1, 1, 52), "days": days}


def _monthly(part: Mapping[str, Any], now: float) -> dict[str, Any]:
    found: dict[str, Any] = {"startTime": _start(part, now), "frequencyType": _word(part, "frequencyType", MONTHLY)}
    if found["frequencyType"] == "day-of-month":
        found["dayOfMonth"] = _number(part, "dayOfMonth", 1, 1, 31)
    if found["frequencyType"] == "day-of-week":
        found["weekOfTheMonth"] = _word(part, "weekOfTheMonth", WEEKS)
        found["dayOfTheWeek"] = _word(part, "dayOfTheWeek", DAYS)
    found["months"] = _words(part, "months", MONTHS)
    if found["frequencyType"] == "day-of-month" and found["dayOfMonth"] > max(_longest(m) for m in found["months"]):
        raise BadInput(f"there is no day {found['dayOfMonth']} in {', '.join(found['months'])}; nothing was changed")
    return found


_READ = {"none": _once, "hourly": _hourly, "daily": _daily, "weekly": _weekly, "monthly": _monthly}


def next_run(details: Mapping[str, Any], after: float) -> float | None:
    """The first moment behind `after`, in seconds since 1970; None where there is none. `details` are normal ones."""
    recurrence = details["recurrenceType"]
    part = details[_PARTS[recurrence]]
    zone = _zone(details["timeZone"])
    if recurrence == "none":
        at = float(part["startTime"] / 1000)
        return at if at > after else None
    if recurrence == "hourly":
        return _next_hourly(part["minutesPastTheHour"], zone, after)
    start = datetime.fromtimestamp(part["startTime"] / 1000, zone)
    clock = start.timetz().replace(tzinfo=None)
    day = max(start.date(), datetime.fromtimestamp(after, zone).date())
    for _ in range(_FAR):
        if _falls(recurrence, part, day, start.date()):
            moment = _moment(day, clock, zone)
            if moment > after and moment * 1000 >= part["startTime"]:
                return moment
        day += timedelta(days=1)
    return None


def _next_hourly(minute: int, zone: zoneinfo.ZoneInfo, after: float) -> float:
    # Every zone is whole minutes away from UTC: minute by minute is exact, and at most 120 of them.
    at = datetime.fromtimestamp(after // 60 * 60 + 60, UTC)
    for _ in range(121):
        if at.astimezone(zone).minute == minute:
            break
        at += timedelta(minutes=1)
    return at.timestamp()


def _falls(recurrence: str, part: Mapping[str, Any], day: date, start: date) -> bool:
    if recurrence == "daily":
        if part["frequencyType"] == "weekdays":
            return day.weekday() < 5
        if part["frequencyType"] == "custom":
            return (day - start).days % int(part["customInterval"]) == 0
        return True
    if recurrence == "weekly":
        weeks = (day - start + timedelta(days=start.weekday())).days // 7
        return DAYS[day.weekday()] in part["days"] and weeks % int(part["interval"]) == 0
    if MONTHS[day.month - 1] not in part["months"]:
        return False
    length = monthrange(day.year, day.month)[1]
    if part["frequencyType"] == "last-day-of-month":
        return day.day == length
    if part["frequencyType"] == "day-of-month":
        return bool(day.day == part["dayOfMonth"])
    if DAYS[day.weekday()] != part["dayOfTheWeek"]:
        return False
    week = part["weekOfTheMonth"]
    return day.day + 7 > length if week == "last" else (day.day - 1) // 7 == WEEKS.index(week)


def _moment(day: date, clock: time, zone: zoneinfo.ZoneInfo) -> float:
    return datetime.combine(day, clock, zone).timestamp()


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(f"unknown time zone {name[:64]!r}: say one like Europe/Berlin; nothing was changed") from None


def _longest(month: str) -> int:
    return monthrange(2024, MONTHS.index(month) + 1)[1]


def _start(part: Mapping[str, Any], now: float) -> int:
    return _number(part, "startTime", int(now * 1000), 0, _LATEST)


def _number(part: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = part.get(name)
    if value is None:
        return default
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 17):
        raise BadInput(f"{name} is a whole number; nothing was changed")
    if not least <= int(text) <= most:
        raise BadInput(f"{name} is {least} to {most}, not {text}; nothing was changed")
    return int(text)


def _word(part: Mapping[str, Any], name: str, valid: tuple[str, ...]) -> str:
    value = part.get(name)
    if value is None:
        return valid[0]
    if value not in valid:
        raise _wrong(name, str(value), valid)
    return str(value)


def _words(part: Mapping[str, Any], name: str, valid: tuple[str, ...]) -> list[str]:
    """In the order of the calendar; none said are all."""
    given = part.get(name)
    words = [given] if isinstance(given, str) else given
    if not words:
        return list(valid)
    if not isinstance(words, list):
        raise BadInput(f"{name} is a list; nothing was changed")
    named = {_MISSPELT.get(word, word) if isinstance(word, str) else "" for word in words}
    for word in named:
        if word not in valid:
            raise _wrong(name, word, valid)
    return [word for word in valid if word in named]


def _wrong(name: str, value: str, valid: tuple[str, ...]) -> BadInput:
    return BadInput(f"{name} is one of {', '.join(valid)}, not {value[:64]!r}; nothing was changed")
