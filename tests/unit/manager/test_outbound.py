"""Which floor holds where the manager calls: the heartbeat port's, with the rules of whom it calls."""

from __future__ import annotations

import ipaddress
from typing import Any, cast

import pytest

from plimsoll.manager.outbound import Outbound
from plimsoll.net.board import FloorBoard
from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import Version

NOW = 100.0
OLD = Rule(Point.HEARTBEAT, Version.TLS1_0, computer="old", until=NOW + 1)
NEAR = Rule(Point.HEARTBEAT, Version.TLS1_1, source=ipaddress.ip_network("10.0.0.0/24"), until=NOW + 1)
PAST = Rule(Point.HEARTBEAT, Version.TLS1_0, computer="past", until=NOW)
CANARY = Rule(Point.HEARTBEAT, Version.TLS1_3, computer="canary", raises=True)


@pytest.mark.rule("G5")
@pytest.mark.parametrize(
    ("address", "computer", "floor"),
    [
        ("10.9.9.9", "old", Version.TLS1_0),
        ("10.9.9.9", "other", Version.TLS1_2),
        ("10.9.9.9", "past", Version.TLS1_2),
        ("10.0.0.7", "other", Version.TLS1_1),
        ("10.9.9.9", "canary", Version.TLS1_3),
        ("10.1.1.1", None, Version.TLS1_0),
        ("10.9.9.9", None, Version.TLS1_2),
        ("host.example", "old", Version.TLS1_2),
    ],
)
def test_a_call_is_held_to_the_floor_of_whom_it_calls(address: str, computer: str | None, floor: Version) -> None:
    rules, known = (OLD, NEAR, PAST, CANARY), {"10.1.1.1": ["old"]}
    board = FloorBoard(FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_2}, rules, known))
    nothing = cast(Any, None)
    outbound = Outbound(nothing, nothing, nothing, board, nothing, lambda: NOW)
    try:
        assert outbound._minimum(address, computer) is floor
    finally:
        outbound.close()
