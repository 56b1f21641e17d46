"""Written forms of reports: one file a form. Writers take reports one by one, so that a million need no memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from plimsoll.scan.report import EndpointReport

if TYPE_CHECKING:
    from plimsoll.scan.profiles import ProfileVerdict
    from plimsoll.scan.reports.diff import Difference

#: What the required profiles say of a report.
Verdicts = Callable[[EndpointReport], "tuple[ProfileVerdict, ...]"]
#: What changed at a report's endpoint since an earlier scan.
Differences = Callable[[EndpointReport], "Difference"]


class Writer(Protocol):
    """A form under way: `begin` once, `add` each report, `end` once."""

    def begin(self) -> None: ...

    def add(self, report: EndpointReport) -> None: ...

    def end(self) -> None: ...


def no_verdicts(_report: EndpointReport) -> tuple[ProfileVerdict, ...]:
    """Where no profile is required."""
    return ()
