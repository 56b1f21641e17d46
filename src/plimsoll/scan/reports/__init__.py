"""Written forms of reports: one file a form. Writers take reports one by one, so that a million need no memory."""

from __future__ import annotations

from typing import Protocol

from plimsoll.scan.report import EndpointReport


class Writer(Protocol):
    """A form under way: `begin` once, `add` each report, `end` once."""

    def begin(self) -> None: ...

    def add(self, report: EndpointReport) -> None: ...

    def end(self) -> None: ...
