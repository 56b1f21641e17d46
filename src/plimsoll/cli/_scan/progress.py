"""One line on standard error while a scan goes on."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plimsoll.scan.engine import Progress


class ProgressLine:
    """How many endpoints are done, and about how long the rest will take."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        left = progress.time_left(time.monotonic())
        rest = "" if left is None else f", about {span(left)} left"
        sys.stderr.write(f"\r\x1b[K{progress.done} of {self._total} endpoints, {progress.active} under way{rest}")
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        """Makes room for a result."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def span(seconds: float) -> str:
    """A duration in the unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
