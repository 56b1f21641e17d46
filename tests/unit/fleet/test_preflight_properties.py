"""What holds for every fleet: a stable order, sums that add up, and a higher target that never has fewer blockers."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.fleet.parts import Database, Fleet, Part, Program, RelayFloor
from plimsoll.fleet.preflight import judge
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import FLOORS, Version

some = settings(max_examples=1000 if os.environ.get("PLIMSOLL_DEEP") else 60, deadline=None)
tls = st.sampled_from(FLOORS)
maybe = st.none() | tls
moments = st.none() | st.floats(0, 2e9)
component_versions = st.sampled_from(
    [None, "?", "9.5", "9.6", "10.0", "10.0 Update 8", "10.0.3367", "11.1", "12.0.0", "12.0.0.563"]
)
rules = st.lists(
    st.builds(Rule, st.sampled_from(list(Point)), tls, computer=st.just("1"), until=st.just(2e9)), max_size=2
).map(tuple)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    offered = draw(maybe)
    negotiated = None if offered is None else draw(st.none() | st.sampled_from([v for v in FLOORS if v <= offered]))
    return Part(
        id="",
        kind=draw(st.sampled_from(["manager", "agent", "relay", "appliance", "database"])),
        name=draw(st.sampled_from(["a", "A", "b", "host-1"])),
        version=draw(component_versions),
        points=draw(st.frozensets(st.sampled_from(list(Point)))),
        offered=offered,
        negotiated=negotiated,
        observed_at=draw(moments),
        last_seen=draw(moments),
        relay=draw(st.none() | st.builds(RelayFloor, observed=maybe)),
        suites_shared=draw(st.none() | st.booleans()),
        refused=draw(maybe),
        refused_at=draw(moments),
        database=draw(st.none() | st.builds(Database, st.sampled_from(["sqlserver", "oracle"]), st.booleans(), maybe)),
        exceptions=draw(rules),
    )


programs = st.builds(
    Program,
    st.just(""),
    st.sampled_from(["curl", "browser"]),
    offered=maybe,
    point=st.sampled_from(list(Point)),
    suites_shared=st.none() | st.booleans(),
)


def numbered(parts: list[Part], programs: list[Program]) -> Fleet:
    return Fleet.of(
        [replace(part, id=f"part {number}") for number, part in enumerate(parts)],
        [replace(program, id=f"program {number}") for number, program in enumerate(programs)],
    )


fleets = st.builds(numbered, st.lists(parts(), max_size=6), st.lists(programs, max_size=3))
point_sets = st.frozensets(st.sampled_from(list(Point)))


@pytest.mark.rule("R12")
@some
@given(fleets, st.lists(tls, min_size=2, max_size=2, unique=True).map(sorted), point_sets)
def test_a_higher_target_never_has_fewer_blockers(
    fleet: Fleet, targets: list[Version], points: frozenset[Point]
) -> None:
    lower, higher = (judge(fleet, target, points) for target in targets)
    assert {one.id for one in lower.blockers} <= {one.id for one in higher.blockers}
    assert {one.id for one in lower.affected} <= {one.id for one in higher.affected}


@some
@given(fleets, tls, point_sets, point_sets)
def test_more_points_never_have_fewer_blockers(
    fleet: Fleet, target: Version, points: frozenset[Point], more: frozenset[Point]
) -> None:
    fewer, all_of_them = judge(fleet, target, points), judge(fleet, target, points | more)
    assert {one.id for one in fewer.blockers} <= {one.id for one in all_of_them.blockers}


@some
@given(fleets, tls, point_sets, st.randoms(use_true_random=False))
def test_the_order_never_depends_on_that_of_the_input(
    fleet: Fleet, target: Version, points: frozenset[Point], chance: random.Random
) -> None:
    shuffled = Fleet.of(
        chance.sample(fleet.parts, len(fleet.parts)), chance.sample(fleet.programs, len(fleet.programs))
    )
    assert judge(shuffled, target, points) == judge(fleet, target, points)


@some
@given(fleets, tls, point_sets)
def test_everyone_judged_is_counted_once_and_every_finding_is_complete(
    fleet: Fleet, target: Version, points: frozenset[Point]
) -> None:
    found = judge(fleet, target, points)
    assert found.clear + len(found.blockers) + len(found.affected) == found.judged
    assert found.judged <= len(fleet.parts) + len(fleet.programs)
    assert not {one.id for one in found.blockers} & {one.id for one in found.noted}
    for one in (*found.blockers, *found.affected, *found.noted):
        assert one.reason
        assert one.evidence
        assert one.remedy
        assert set(one.points) <= points
