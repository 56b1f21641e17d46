"""How values are written on screens: times in the reader's zone, ages, counts. Pure but for the clock.

A missing value is an en dash everywhere, so that an empty cell never has to be guessed at.
"""

from __future__ import annotations

import datetime
import functools
import time
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

from plimsoll.tls.versions import Version

NOTHING = "–"
UTC = zoneinfo.ZoneInfo("UTC") if "UTC" in zoneinfo.available_timezones() else datetime.UTC


@functools.lru_cache(64)
def zone(name: str | None) -> datetime.tzinfo:
    """The zone of that IANA name; UTC where there is none, or where this computer does not know it."""
    if not name or len(name) > 64:
        return UTC
    try:
        return zoneinfo.ZoneInfo(name.replace("%2F", "/"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def when(seconds: float | None, where: datetime.tzinfo = UTC, *, short: bool = False) -> Markup:
    """A time since 1970 in seconds as ``2026-11-27 20:04:11 CET``; `short` without date, where it is today's."""
    if not seconds:
        return Markup(NOTHING)
    there = datetime.datetime.fromtimestamp(seconds, where)
    text = there.strftime("%Y-%m-%d %H:%M:%S")
    if short and there.date() == datetime.datetime.fromtimestamp(time.time(), where).date():
        text = there.strftime("%H:%M:%S")
    exact = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{} <small>{}</small></time>').format(
        exact, exact, text, there.strftime("%Z")
    )


_STEPS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "min"), (0, 1, "s"))


def span(seconds: float | None) -> str:
    """A length of time: ``40 s``, ``12 min``, ``3 h``, ``5 d``."""
    if seconds is None:
        return NOTHING
    size = abs(seconds)
    for least, unit, name in _STEPS:
        if size >= least:
            return f"{size / unit:.0f} {name}"
    raise AssertionError("unreachable: the last step holds for every length")


def ago(seconds: float | None) -> Markup:
    """How long a time lies back, with the time itself as a tip."""
    if not seconds:
        return Markup(NOTHING)
    exact = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    past = time.time() - seconds
    text = f"{span(past)} ago" if past >= 0 else f"in {span(past)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact.replace(" ", "T"), exact, text)


def count(number: float | None) -> str:
    """With thin spaces between thousands: 100 000."""
    return NOTHING if number is None else f"{number:,}".replace(",", "\u202f")


def size(octets: float | None) -> str:
    """Bytes as KiB, MiB, GiB."""
    if octets is None:
        return NOTHING
    amount, unit = float(octets), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"


def version(value: Version | None) -> Markup:
    """A TLS version with its colour: early ones warn."""
    if value is None:
        return Markup(NOTHING)
    return Markup('<span class="version {}">{}</span>').format("early" if value.early else "modern", value.label)


_POINTS = {"heartbeat": "Heartbeat", "gui": "GUI", "relay": "Relays", "agent": "Agents"}


def point_name(value: Any) -> str:
    """A point as a title."""
    return _POINTS[value if isinstance(value, str) else value.value]


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 computer``, ``12 computers``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def dash(value: Any) -> Any:
    """The value, or the dash for nothing."""
    return value if value not in (None, "", (), []) else NOTHING


def listed(values: Any, separator: str = ", ") -> Markup:
    return Markup(separator).join(escape(value) for value in values) if values else Markup(NOTHING)


def utc(seconds: float) -> str:
    """For files: ISO 8601 in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def cell(value: Any) -> str:
    """For CSV: a value that a spreadsheet would take for a formula is led by an apostrophe, so that it stays a text."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def zone_name(where: datetime.tzinfo) -> str:
    """``Europe/Berlin (CET)``."""
    name = str(where)
    short = datetime.datetime.now(where).strftime("%Z")
    return name if short in ("", name) else f"{name} ({short})"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "when": when,
    "ago": ago,
    "span": span,
    "count": count,
    "size": size,
    "version": version,
    "point_name": point_name,
    "plural": plural,
    "dash": dash,
    "listed": listed,
    "zone_name": zone_name,
}
