"""The four facts about TLS that are never shown as one another.

*Capable* (what the table says of a version), *configured* (a setting), *observed* (seen in a handshake) and *required*
(a floor) are distinct types, so that no function can take one for another.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: The kinds of parts, in the order in which they are upgraded (R9): relays go before agents.
KINDS: tuple[str, ...] = ("manager", "database", "relay", "agent", "appliance")
KIND_ORDER = {kind: place for place, kind in enumerate(KINDS)}


class Certainty(enum.Enum):
    """How sure a finding is. A setting is read and not observed: it is `CONFIGURED`."""

    SEEN_OFFERING = "seen-offering"
    SEEN_REFUSED = "seen-refused"
    TABLED = "tabled"
    NEVER_SEEN = "never-seen"
    CONFIGURED = "configured"


class Capability(NamedTuple):
    """What the table says that a version of a part can do. `enforces` is None where nobody knows."""

    speaks_from: Version
    speaks_to: Version
    enforces: bool | None
    source: str
    date: str = ""
    note: str = ""


class Configured(NamedTuple):
    """A floor that a part was told to hold, and why: ``policy``, ``kept through an upgrade``, ``version default``."""

    floor: Version
    origin: str


class Observed(NamedTuple):
    """What a part showed in a handshake that ended with its own certificate."""

    offered: Version
    negotiated: Version | None
    at: float | None


class Required(NamedTuple):
    """The floor that a point holds, or shall hold."""

    point: Point
    floor: Version
