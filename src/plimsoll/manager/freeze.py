"""Freeze hours: when no stage of a change begins. Weekdays, hours and a time zone, because changes belong to people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+)?"
    r"(?P<begin>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})"
    r"(?:\s+(?P<zone>\S+))?",
    re.IGNORECASE,
)
#: What is said where it is no window.
FORM = "[Mon-Fri ]HH:MM-HH:MM[ Europe/Berlin], of UTC where no time zone is said"


class WindowError(ValueError):
    """Text that is no window, with what is wrong of it."""


@dataclass(frozen=True, slots=True)
class Window:
    """`days` are 0 (Monday) to 6, those on which it begins; minutes of the day; an end before the begin is the next
    day's. `text` is as it was written.
    """

    text: str
    days: frozenset[int]
    begin: int
    end: int
    zone: tzinfo

    def holds(self, now: float) -> bool:
        """Whether that moment, in seconds since the epoch, lies in it, by the wall clocks of its zone."""
        local = datetime.fromtimestamp(now, self.zone)
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return local.weekday() in self.days and self.begin <= minute < self.end
        yesterday = (local.date() - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)


def parse_window(text: str) -> Window:
    """``Mon-Fri 08:00-18:00 Europe/Berlin``; days and zone may be left out. Raises WindowError."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise WindowError(f"freeze hours are {FORM}, not {text!r}")
    begin, end = _minute(found["begin"], text), _minute(found["end"], text)
    if begin == end:
        raise WindowError(f"the freeze hours {text!r} begin when they end")
    return Window(text.strip(), _days(found["first"], found["last"], text), begin, end, _zone(found["zone"]))


def frozen_by(windows: Sequence[str], now: float) -> str:
    """The first of these windows that holds the moment, or an empty text."""
    return next((window for window in windows if parse_window(window).holds(now)), "")


def _minute(text: str, whole: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > 24 * 60:
        raise WindowError(f"there is no {text} o'clock in {whole!r}")
    return hours * 60 + minutes


def _days(first: str | None, last: str | None, whole: str) -> frozenset[int]:
    if first is None:
        return frozenset(range(7))
    try:
        begin = _DAYS.index(first.lower())
        end = begin if last is None else _DAYS.index(last.lower())
    except ValueError:
        raise WindowError(f"days are {', '.join(day.title() for day in _DAYS)}; {whole!r} names another") from None
    return frozenset((begin + step) % 7 for step in range((end - begin) % 7 + 1))


def _zone(name: str | None) -> tzinfo:
    if name is None or name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found; no name of one; a folder
        raise WindowError(f"this computer knows no time zone {name!r}; write one like Europe/Berlin, or UTC") from None
