"""Deploying under the floor (R20)."""

from __future__ import annotations

from typing import Literal

import pytest

from plimsoll.fleet.component import UnknownComponentVersionError
from plimsoll.fleet.deployment import obstacles
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

OPEN = dict.fromkeys(Point, Version.TLS1_0)
HELD = dict.fromkeys(Point, Version.TLS1_2)
ALL_MET = (Point.HEARTBEAT, Point.GUI, Point.RELAY)


@pytest.mark.rule("R20")
@pytest.mark.parametrize("kind", ["agent", "relay"])
def test_with_1_2_enforced_only_10_0_and_newer_can_be_deployed(kind: Literal["agent", "relay"]) -> None:
    assert obstacles("9.6", HELD, kind) == ALL_MET
    assert obstacles("10.0", HELD, kind) == ()
    assert obstacles("12.0", HELD, kind) == ()


@pytest.mark.rule("R20")
@pytest.mark.parametrize("point", ALL_MET)
def test_early_tls_must_be_allowed_wherever_it_is_enforced(point: Point) -> None:
    assert obstacles("9.6", OPEN | {point: Version.TLS1_2}) == (point,)


@pytest.mark.rule("R20")
def test_with_early_tls_allowed_nothing_special_applies() -> None:
    assert obstacles("9.5", OPEN) == ()
    assert obstacles("9.5", OPEN | {Point.AGENT: Version.TLS1_3}) == ()


def test_a_point_without_a_floor_holds_1_2_and_bad_versions_are_errors() -> None:
    assert obstacles("9.6", {}) == ALL_MET
    with pytest.raises(UnknownComponentVersionError):
        obstacles("old", {})
