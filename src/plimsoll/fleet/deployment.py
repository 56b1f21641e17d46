"""Which floors stand in the way of deploying an agent or relay of a version (R20)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from plimsoll.fleet.capabilities import capability
from plimsoll.fleet.component import ComponentVersion
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: A deployment downloads from the GUI port, activates at the heartbeat port, and updates from the relays.
_MET_BY_A_DEPLOYMENT = (Point.HEARTBEAT, Point.GUI, Point.RELAY)


def obstacles(
    version: ComponentVersion | str, floors: Mapping[Point, Version], kind: Literal["agent", "relay"] = "agent"
) -> tuple[Point, ...]:
    """The points whose floor must be lowered before that version can be deployed; none means that it can be.

    A point without a floor holds TLS 1.2. Raises UnknownComponentVersionError for a text that is no version.
    """
    speaks_to = capability(kind, version).speaks_to
    return tuple(point for point in _MET_BY_A_DEPLOYMENT if floors.get(point, Version.TLS1_2) > speaks_to)
