"""What a running manager would have seen, for services without one."""

from __future__ import annotations

import time
from collections.abc import Iterable

from plimsoll.manager.ports import Presence
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

NOW = time.time()


def sighting(
    offered: Version, who: str | None = None, outcome: Outcome = Outcome.ADMITTED, address: str = "10.0.0.50"
) -> Sighting:
    return Sighting(
        Point.GUI, address, offered, (offered,), f"ja4-{offered}", None, outcome, offered, who, 3, NOW - 5, NOW
    )


class Seen:
    """Stands in for a running manager: what it saw, given once."""

    def __init__(self) -> None:
        self.waiting: list[Presence] = []
        self.sighted: list[Sighting] = []

    def presence(self) -> Iterable[Presence]:
        given, self.waiting = self.waiting, []
        return given

    def sightings(self) -> Iterable[Sighting]:
        given, self.sighted = self.sighted, []
        return given
