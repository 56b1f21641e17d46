"""How the values of forms are read: what a person typed or chose, in the reader's zone.

Raises BadInput in words for a person; whatever it concerns was not begun then.
"""

from __future__ import annotations

import datetime
import math
import re

from fastapi import Request

from plimsoll.manager.ports import BadInput
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import ZONE

#: Seconds in the units that a length of time is typed in.
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]*)")
_WORDS = {"second": "s", "sec": "s", "minute": "min", "m": "min", "hour": "h", "hr": "h", "day": "d"}


def reader_zone(request: Request) -> datetime.tzinfo:
    return texts.zone(request.cookies.get(ZONE))


def moment(request: Request, text: str, what: str) -> float | None:
    """Seconds since 1970 of what a field of the type datetime-local gives, in the reader's zone; None for nothing."""
    text = text.strip()
    if not text:
        return None
    try:
        there = datetime.datetime.fromisoformat(text)
        if there.tzinfo is None:
            there = there.replace(tzinfo=reader_zone(request))
        return there.timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadInput(
            f"{what} is a date and a time, 2026-12-24T18:00, not {text[:40]!r}; nothing was changed"
        ) from None


def local(request: Request, seconds: float | None) -> str:
    """The same the other way round, to the minute: what stands in such a field."""
    if not seconds:
        return ""
    return datetime.datetime.fromtimestamp(seconds, reader_zone(request)).strftime("%Y-%m-%dT%H:%M")


def length(text: str, what: str, unit: str = "s") -> float:
    """Seconds of ``90``, ``30 min``, ``2 h``, ``1 d``; a bare number is in `unit`."""
    found = _LENGTH.fullmatch(text.strip().lower())
    name = "" if found is None else found[2]
    name = _WORDS.get(name.rstrip("s") if len(name) > 1 else name, name)
    if found is None or (name and name not in _UNITS):
        raise BadInput(f"{what} is a length of time like '30 min', '2 h' or '1 d', not {text[:40]!r}; nothing was done")
    return float(found[1]) * _UNITS[name or unit]


def number(text: str, what: str) -> int | None:
    """A whole number; None for nothing."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise BadInput(f"{what} is a whole number, not {text[:40]!r}; nothing was done")
    return int(text)


def share(text: str, what: str) -> float:
    """``2%`` or ``2`` as 0.02."""
    try:
        value = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadInput(f"{what} is a share from 0% to 100%, not {text[:40]!r}; nothing was done")
    return value


def lines(text: str) -> tuple[str, ...]:
    """Each line, or what commas part, without what is around it."""
    return tuple(one for part in re.split(r"[\n,]", text) if (one := part.strip()))


def own_path(text: str, otherwise: str) -> str:
    """An address on this manager, where a form or a link says where to go next; no other is followed."""
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if ours else otherwise
