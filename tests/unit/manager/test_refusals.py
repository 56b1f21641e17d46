"""A refused computer gets an event that names it and says TLS (G4)."""

from __future__ import annotations

import pytest
from tests.unit.manager.fakes import entry

from plimsoll.manager.refusals import QUIET, Refusals
from plimsoll.manager.registry import Registry
from plimsoll.manager.services.events import NewEvent
from plimsoll.net.board import FloorBoard
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import FloorSnapshot, Point
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

    def refuse(self, point: Point = Point.HEARTBEAT, ja4: str = JA4, who: str | None = None, count: int = 1) -> None:
        sighting = Sighting(
            point=point,
            address=ADDRESS,
            offered=Version.TLS1_0,
            versions=(Version.TLS1_0,),
            ja4=ja4,
            sni=None,
            outcome=Outcome.REFUSED,
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
