"""Where our own proof scans come from: what they leave is nobody's program and no breach (design §11).

In memory, and for a while only: a scan that a restart forgets is listed as a client again, which warns and harms
nothing. A peer that showed who it is stays what it is, wherever it comes from.
"""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING

from plimsoll.manager.ports import BadInput, Conflict

if TYPE_CHECKING:
    from plimsoll.net.sightings import Sighting

#: What sightings carry in place of a name.
OWN_SCAN = "scan:own"
#: The longest time, in seconds, for which an address counts as ours: whoever else is there is not listed meanwhile.
LONGEST = 3600
#: How many addresses may be registered at once.
MOST = 64
#: Sightings are taken to the store in batches, so an address outlives its time by this much.
_KEEP = 600.0


class Probers:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._times: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def register(self, address: str, seconds: int, now: float) -> tuple[str, float]:
        """The address as it is kept, and until when. Raises BadInput and Conflict."""
        try:
            known = str(ipaddress.ip_address(address))
        except ValueError:
            raise BadInput(f"{address!r} is no IP address; nothing was registered") from None
        if not 1 <= seconds <= LONGEST:
            raise BadInput(f"an address is registered for 1 to {LONGEST} seconds; nothing was registered")
        with self._lock:
            self._times = {kept: times for kept, times in self._times.items() if times[1] + _KEEP > now}
            since, until = self._times.get(known, (now, now))
            if known not in self._times and len(self._times) >= MOST:
                raise Conflict(f"{MOST} addresses are registered already; wait until one has run out")
            # One that ran out meanwhile does not cover the time between.
            self._times[known] = (since if until >= now else now, max(until, now + seconds))
            return known, self._times[known][1]

    def ours(self, sighting: Sighting) -> bool:
        """An anonymous peer at an address, and in the time, that was registered."""
        since, until = self._times.get(sighting.address, (0.0, 0.0))
        return sighting.who is None and since <= sighting.first and sighting.last <= until
