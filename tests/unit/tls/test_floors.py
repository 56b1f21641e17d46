"""Floors, rules and snapshots."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import FLOORS, Version

COMPUTERS = ["c1", "c2", "c3"]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "fd00::1"]
NETWORKS = [ipaddress.ip_network(text) for text in ["10.0.0.0/24", "10.0.0.1/32", "10.0.0.0/8", "fd00::/8", "::/0"]]
floors = st.sampled_from(FLOORS)
points = st.sampled_from(Point)
times = st.integers(0, 20).map(float)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    by_source = draw(st.booleans())
    return Rule(
        point=draw(points),
        floor=draw(floors),
        source=draw(st.sampled_from(NETWORKS)) if by_source else None,
        computer=None if by_source else draw(st.sampled_from(COMPUTERS)),
        until=draw(st.none() | times),
        raises=draw(st.booleans()),
    )


snapshots = st.builds(
    FloorSnapshot,
    generation=st.integers(1, 9),
    floors=st.dictionaries(points, floors),
    rules=st.lists(rules(), max_size=5).map(tuple),
    known_addresses=st.dictionaries(st.sampled_from(ADDRESSES), st.sets(st.sampled_from(COMPUTERS)).map(tuple)),
    shadow=st.dictionaries(points, floors),
)
addresses = st.sampled_from(ADDRESSES)


@pytest.mark.rule("R5")
def test_points_have_the_reference_ports() -> None:
    assert {point.value: point.default_port for point in Point} == {
        "agent": 4118, "gui": 4119, "heartbeat": 4120, "relay": 4122,
    }  # fmt: skip


@pytest.mark.rule("R6")
@given(points)
def test_a_point_that_nothing_names_enforces_tls_1_2(point: Point) -> None:
    assert FloorSnapshot(1, {}).floor(point) is Version.TLS1_2


@given(snapshots, points, addresses, times)
def test_what_is_admitted_before_the_certificate_covers_all_who_may_come(
    snapshot: FloorSnapshot, point: Point, address: str, now: float
) -> None:
    admitted = snapshot.admits_from(point, address, now)
    for computer in (None, *snapshot.known_addresses.get(address, ())):
        assert admitted <= snapshot.floor_for(point, address, computer, now)


@given(snapshots, points, addresses, st.none() | st.sampled_from(COMPUTERS), times)
def test_nothing_is_admitted_below_the_minimum_of_the_context(
    snapshot: FloorSnapshot, point: Point, address: str, computer: str | None, now: float
) -> None:
    lowest = snapshot.lowest(point, now)
    assert lowest <= snapshot.admits_from(point, address, now)
    assert lowest <= snapshot.floor_for(point, address, computer, now)


@given(snapshots, points, addresses, st.none() | st.sampled_from(COMPUTERS), times)
def test_without_an_active_rule_the_floor_of_the_point_holds(
    snapshot: FloorSnapshot, point: Point, address: str, computer: str | None, now: float
) -> None:
    if not any(rule.point is point and rule.active(now) for rule in snapshot.rules):
        assert snapshot.admits_from(point, address, now) is snapshot.floor(point)
        assert snapshot.floor_for(point, address, computer, now) is snapshot.floor(point)
        assert snapshot.lowest(point, now) is snapshot.floor(point)


@given(snapshots, points, addresses, st.none() | st.sampled_from(COMPUTERS), times)
def test_a_floor_changes_only_to_one_that_a_rule_in_force_names(
    snapshot: FloorSnapshot, point: Point, address: str, computer: str | None, now: float
) -> None:
    named = {rule.floor for rule in snapshot.rules if rule.point is point and rule.active(now)}
    assert snapshot.floor_for(point, address, computer, now) in {snapshot.floor(point), *named}
    assert snapshot.admits_from(point, address, now) in {snapshot.floor(point), *named}


@given(snapshots, points, addresses, st.none() | st.sampled_from(COMPUTERS), times)
def test_the_index_says_what_a_look_at_every_rule_says(
    snapshot: FloorSnapshot, point: Point, address: str, computer: str | None, now: float
) -> None:
    at = [rule for rule in snapshot.rules if rule.point is point and rule.active(now)]
    floor = snapshot.floor(point)

    def moved(low: list[Version], high: list[Version]) -> Version:
        return min([floor, *low]) if low and min(low) < floor else max([floor, *high])

    named = [rule for rule in at if rule.covers(address) or (computer is not None and rule.computer == computer)]
    assert snapshot.floor_for(point, address, computer, now) is moved(
        [rule.floor for rule in named if not rule.raises], [rule.floor for rule in named if rule.raises]
    )
    known = snapshot.known_addresses.get(address, ())
    low = [rule.floor for rule in at if not rule.raises and (rule.covers(address) or rule.computer in known)]
    high = [rule.floor for rule in at if rule.raises and rule.covers(address)]
    assert snapshot.admits_from(point, address, now) is moved(low, high)


@given(times, times)
def test_a_rule_ends_at_its_time(until: float, now: float) -> None:
    assert Rule(Point.GUI, Version.TLS1_0, computer="c1", until=until).active(now) is (now < until)


@pytest.mark.rule("G5")
def test_an_exception_is_for_its_computer_alone() -> None:
    rule = Rule(Point.HEARTBEAT, Version.TLS1_0, computer="old", until=100.0)
    snapshot = FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_2}, (rule,), {"10.0.0.1": ["old", "new"]})
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.1", 50.0) is Version.TLS1_0
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.2", 50.0) is Version.TLS1_2
    assert snapshot.admits_from(Point.GUI, "10.0.0.1", 50.0) is Version.TLS1_2
    assert snapshot.floor_for(Point.HEARTBEAT, "10.0.0.1", "old", 50.0) is Version.TLS1_0
    assert snapshot.floor_for(Point.HEARTBEAT, "10.0.0.1", "new", 50.0) is Version.TLS1_2
    assert snapshot.floor_for(Point.HEARTBEAT, "10.0.0.1", None, 50.0) is Version.TLS1_2
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.1", 100.0) is Version.TLS1_2
    assert snapshot.lowest(Point.HEARTBEAT, 100.0) is Version.TLS1_2


def test_a_canary_is_raised_by_source_at_once_and_by_computer_after_its_certificate() -> None:
    by_source = Rule(Point.HEARTBEAT, Version.TLS1_3, source=ipaddress.ip_network("10.0.0.0/24"), raises=True)
    by_computer = Rule(Point.HEARTBEAT, Version.TLS1_3, computer="canary", raises=True)
    snapshot = FloorSnapshot(1, {}, (by_source, by_computer), {"10.1.0.1": ["canary"]})
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.9", 0.0) is Version.TLS1_3
    assert snapshot.admits_from(Point.HEARTBEAT, "10.1.0.1", 0.0) is Version.TLS1_2
    assert snapshot.floor_for(Point.HEARTBEAT, "10.1.0.1", "canary", 0.0) is Version.TLS1_3
    assert snapshot.floor_for(Point.HEARTBEAT, "10.1.0.1", None, 0.0) is Version.TLS1_2


def test_a_canary_below_the_floor_keeps_nothing_open() -> None:
    canary = Rule(Point.HEARTBEAT, Version.TLS1_2, computer="canary", raises=True)
    snapshot = FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_3}, (canary,))
    assert snapshot.lowest(Point.HEARTBEAT, 0.0) is Version.TLS1_3


def test_an_exception_wins_over_a_canary() -> None:
    lowering = Rule(Point.RELAY, Version.TLS1_1, computer="c1", until=9.0)
    raising = Rule(Point.RELAY, Version.TLS1_3, source=ipaddress.ip_network("10.0.0.0/8"), raises=True)
    for order in [(lowering, raising), (raising, lowering)]:
        snapshot = FloorSnapshot(1, {}, order, {"10.0.0.1": ["c1"]})
        assert snapshot.admits_from(Point.RELAY, "10.0.0.1", 0.0) is Version.TLS1_1
        assert snapshot.floor_for(Point.RELAY, "10.0.0.1", "c1", 0.0) is Version.TLS1_1


@pytest.mark.parametrize("names", [{}, {"computer": "c1", "source": ipaddress.ip_network("10.0.0.0/8")}])
def test_a_rule_names_one_of_source_and_computer(names: dict) -> None:
    with pytest.raises(ValueError, match="either a source network or a computer"):
        Rule(Point.GUI, Version.TLS1_0, **names)


def test_an_exception_that_waits_for_a_raise_holds_off_the_canary_of_that_raise() -> None:
    waiting = Rule(Point.HEARTBEAT, Version.TLS1_0, computer="c1", until=9.0)
    canary = Rule(Point.HEARTBEAT, Version.TLS1_2, computer="c1", raises=True)
    snapshot = FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_0}, (waiting, canary))
    assert snapshot.floor_for(Point.HEARTBEAT, "10.0.0.1", "c1", 0.0) is Version.TLS1_0
    assert snapshot.floor_for(Point.HEARTBEAT, "10.0.0.1", "c1", 10.0) is Version.TLS1_2


def test_a_network_covers_only_its_own_family() -> None:
    assert not Rule(Point.GUI, Version.TLS1_0, source=ipaddress.ip_network("::/0")).covers("10.0.0.1")
    assert Rule(Point.GUI, Version.TLS1_0, source=ipaddress.ip_network("::/0")).covers("fd00::1")
