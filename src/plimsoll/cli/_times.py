"""Times and spans as people type them: ``90d``, ``12h``, ``30m``, ``2026-12-31``, ``2026-12-31T18:00`` (UTC)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from plimsoll.cli._errors import Code, CommandError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str, option: str) -> float:
    """A span in seconds. Raises CommandError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise CommandError(f"{option} {text!r} is no span of time: write 45s, 30m, 12h, 7d or 4w", Code.USAGE)
    return float(found[1]) * _UNITS[found[2]]


def moment(text: str, option: str) -> float:
    """A moment in seconds since the epoch: a date, a date and time of UTC, or a span from now. Raises CommandError."""
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        if not text.strip()[:1].isdigit() or "-" in text:
            raise CommandError(
                f"{option} {text!r} is no time: write 2026-12-31, 2026-12-31T18:00 (UTC), or a span such as 30d",
                Code.USAGE,
            ) from None
        return time.time() + seconds(text, option)
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()
