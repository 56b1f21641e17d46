"""A refused computer gets an event that names it and says TLS (G4)."""

from __future__ import annotations

import pytest
from tests.unit.manager.fakes import entry

from plimsoll.manager.refusals import QUIET, Refusals
from plimsoll.manager.registry import Registry
from plimsoll.manager.services.events import NewEvent
from plimsoll.net.board import FloorBoard
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import FloorSnapshot, Point, Rule
from plimsoll.tls.versions import Version

ADDRESS, JA4 = "10.0.0.1", "t10d"


class Bench:
    def __init__(self, *names: str) -> None:
        self.now = 1_000.0
        self.registry = Registry()
        self.registry.load(entry(name, address=ADDRESS, ja4=JA4) for name in names)
        self.told: list[NewEvent] = []
        board = FloorBoard(FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_2}))
        self.ours = False
        self.refusals = Refusals(self.registry, board, self.told.extend, lambda: self.now, lambda sighting: self.ours)

    def refuse(
        self,
        point: Point = Point.HEARTBEAT,
        ja4: str = JA4,
        who: str | None = None,
        count: int = 1,
        outcome: Outcome = Outcome.REFUSED,
    ) -> None:
        sighting = Sighting(
            point=point,
            address=ADDRESS,
            offered=Version.TLS1_0,
            versions=(Version.TLS1_0,),
            ja4=ja4,
            sni=None,
            outcome=outcome,
            negotiated=None,
            who=who,
            count=count,
            first=self.now,
            last=self.now,
        )
        (self.refusals.refused if count == 1 else self.refusals.counted)(sighting)


@pytest.mark.rule("G4")
def test_the_event_names_the_computer_and_says_what_tls_it_offered_and_what_is_asked() -> None:
    bench = Bench("a")
    bench.refuse()
    problem, rejected = bench.told
    assert (problem.number, rejected.number) == (742, 770)
    assert problem.computer == rejected.computer == "a"
    for word in ("host-a", "TLS", "TLSv1.0", "TLSv1.2", "certain"):
        assert word in rejected.description
    assert rejected.extra["attribution"] == "certain"
    assert "TLS" in problem.description


def test_several_candidates_are_one_of_and_none_is_blamed_alone() -> None:
    bench = Bench("a", "b")
    bench.refuse()
    (rejected,) = bench.told
    assert rejected.number == 770
    assert rejected.computer is None
    assert "one of host-a, host-b" in rejected.description
    assert not any(known.problem for known in bench.registry.by_id.values())


def test_strangers_and_other_ports_make_no_event() -> None:
    bench = Bench("a")
    bench.refuse(ja4="nmap")
    bench.refuse(point=Point.GUI)
    assert not bench.told


def test_our_own_scan_is_no_breach_but_a_computers_certificate_is_not_ours() -> None:
    """Design: our own proof scan, whose sources are registered, is none; also where it looks like a computer there."""
    bench = Bench("a")
    bench.ours = True
    bench.refuse()
    bench.refuse(count=4)
    assert not bench.told
    assert not bench.registry.by_id["a"].problem
    bench.refuse(who="computer:a")
    assert [event.number for event in bench.told] == [742, 770]


def test_a_known_certificate_below_the_floor_is_certain_whatever_its_hello() -> None:
    bench = Bench("a")
    bench.refuse(ja4="other", who="computer:a")
    assert [event.number for event in bench.told] == [742, 770]


def test_events_about_one_computer_are_a_minute_apart_and_say_how_many_they_stand_for() -> None:
    bench = Bench("a")
    bench.refuse()
    bench.refuse(count=5)
    bench.refuse()
    assert len(bench.told) == 2
    bench.now += QUIET + 1
    bench.refuse()
    assert bench.told[-1].extra["count"] == 6
    assert "6 times" in bench.told[-1].description


def test_who_comes_through_again_is_told_as_resolved_once() -> None:
    bench = Bench("a")
    bench.refuse()
    known = bench.registry.by_id["a"]
    assert known.problem
    bench.refusals.talked(known, bench.now)
    assert bench.told[-1].number == 743
    assert not known.problem


def test_who_comes_and_goes_is_told_once_a_minute_and_resolved_as_often() -> None:
    bench = Bench("a")
    known = bench.registry.by_id["a"]
    for _ in range(20):
        bench.refuse()
        assert known.problem
        bench.refusals.talked(known, bench.now)
        assert not known.problem
        bench.now += 2
    assert [event.number for event in bench.told] == [742, 770, 743]
    bench.now += QUIET
    bench.refuse()
    bench.refusals.talked(known, bench.now)
    assert [event.number for event in bench.told[3:]] == [742, 770, 743]
    assert bench.told[4].extra["count"] == 20


@pytest.mark.rule("G4")
def test_the_resolution_says_what_the_problem_was_and_what_was_agreed() -> None:
    bench = Bench("a")
    bench.refuse()
    known = bench.registry.by_id["a"]
    known.offered = known.negotiated = Version.TLS1_2
    bench.refusals.talked(known, bench.now)
    resolved = bench.told[-1]
    for word in ("host-a", "TLSv1.2", "TLSv1.0 at most", "floor"):
        assert word in resolved.description
    assert (resolved.extra["reason"], resolved.extra["negotiated"], resolved.extra["floor"]) == (
        "tls", "TLSv1.2", "TLSv1.2"
    )  # fmt: skip


@pytest.mark.rule("G4")
def test_a_computer_without_a_shared_suite_is_told_that_and_is_no_breach_of_a_floor() -> None:
    bench = Bench("a")
    bench.refuse(outcome=Outcome.FAILED)
    assert [event.number for event in bench.told] == [742, 770]
    assert all("suite" in event.description for event in bench.told)
    assert all(event.extra["outcome"] == "failed" for event in bench.told)


def test_a_canary_is_told_its_own_floor() -> None:
    bench = Bench("a")
    rule = Rule(Point.HEARTBEAT, Version.TLS1_3, computer="a", raises=True)
    bench.refusals._board.publish(FloorSnapshot(2, {Point.HEARTBEAT: Version.TLS1_0}, (rule,)))
    bench.refuse(who="computer:a", outcome=Outcome.REFUSED_AFTER)
    assert all("TLSv1.3" in event.description for event in bench.told)
    assert "certificate" in bench.told[1].description


def test_a_problem_of_before_a_restart_is_remembered_and_resolved() -> None:
    bench = Bench("a")
    bench.refusals.remember({"a": ("TLS: it offered TLSv1.0 at most", bench.now - 500), "gone": ("TLS", 1.0)})
    known = bench.registry.by_id["a"]
    assert known.problem.startswith("TLS")
    bench.refusals.talked(known, bench.now)
    assert [event.number for event in bench.told] == [743]
