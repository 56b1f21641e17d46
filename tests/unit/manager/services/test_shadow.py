"""Shadow floors: nobody is refused, and who would have been is counted by name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.ports import BadInput, Presence
from plimsoll.manager.services import Services
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

NOW = float(int(time.time()))


class Seen:
    def __init__(self) -> None:
        self.sighted: list[Sighting] = []

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        given, self.sighted = self.sighted, []
        return given


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at(tmp_path: Path, seen: Seen, clock: Clock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen, clock)
        opened.services.floors.set(ROOT, "TLSv1")
        yield opened


def beat(who: str | None, version: Version, when: float, point: Point = Point.HEARTBEAT) -> Sighting:
    return Sighting(
        point, "10.0.0.9", version, (version,), f"ja4-{version}", None, Outcome.ADMITTED, version, who, 2, when, when
    )


@pytest.mark.rule("G1")
def test_who_would_be_refused_is_counted_by_name_and_day(at: Desk, seen: Seen, clock: Clock) -> None:
    old = at.activate("old", "9.6.2").computer
    new = at.activate("new").computer
    assert at.services.shadow.set(ROOT, "TLSv1.2") == (Point.HEARTBEAT, Point.GUI)
    told = at.published[-1]
    assert told.shadow == {Point.HEARTBEAT: Version.TLS1_2, Point.GUI: Version.TLS1_2}
    assert {told.admits_from(point, "10.0.0.9", NOW) for point in told.shadow} == {Version.TLS1_0}, "it refuses nobody"
    seen.sighted = [
        beat(f"computer:{old}", Version.TLS1_0, NOW + 10),
        beat(f"computer:{new}", Version.TLS1_2, NOW + 10),
        beat(f"computer:{old}", Version.TLS1_0, NOW - 10),
        replace(beat(None, Version.TLS1_0, NOW + 10), outcome=Outcome.REFUSED, negotiated=None),
        beat("user:anna", Version.TLS1_1, NOW + 20, Point.GUI),
    ]
    at.services.sightings.absorb()
    clock.now = NOW + 86400
    seen.sighted = [beat(f"computer:{old}", Version.TLS1_0, NOW + 86400)]
    at.services.sightings.absorb()
    found = at.services.shadow.report(ROOT)
    assert next((one.name, one.count) for one in found) == ("old", 2), "the newest day first"
    assert sorted((one.name, one.point.value, one.count) for one in found) == [
        ("anna", "gui", 2),
        ("old", "heartbeat", 2),
        ("old", "heartbeat", 2),
    ]
    heartbeat, gui = at.services.shadow.show(ROOT)
    assert (heartbeat.shadow, heartbeat.would_be) == (Version.TLS1_2, 4)
    assert heartbeat.last is not None
    assert (heartbeat.last.name, heartbeat.last.last) == ("old", NOW + 86400)
    assert gui.would_be == 2
    assert len(at.services.shadow.report(ROOT, 1)) >= 1


def test_an_exception_excuses_here_too(at: Desk, seen: Seen) -> None:
    old = at.activate("old", "9.6.2").computer
    at.services.exceptions.add(ROOT, point="heartbeat", floor="TLSv1", until=NOW + 100, reason="waits", computer=old)
    at.services.shadow.set(ROOT, "TLSv1.2", "heartbeat")
    seen.sighted = [beat(f"computer:{old}", Version.TLS1_0, NOW + 1), beat("computer:x", Version.TLS1_0, NOW + 1)]
    at.services.sightings.absorb()
    assert [one.who for one in at.services.shadow.report(ROOT)] == ["computer:x"]


def test_our_own_scans_are_not_counted(at: Desk, seen: Seen) -> None:
    at.services.sightings.register_prober(ROOT, "10.0.0.9", 60)
    at.services.shadow.set(ROOT, "TLSv1.2", "gui")
    seen.sighted = [beat(None, Version.TLS1_0, NOW + 1, Point.GUI)]
    at.services.sightings.absorb()
    assert at.services.shadow.report(ROOT) == ()


def test_clearing_keeps_the_report(at: Desk, seen: Seen) -> None:
    at.services.shadow.set(ROOT, "TLSv1.2")
    seen.sighted = [beat("user:anna", Version.TLS1_0, NOW + 1, Point.GUI)]
    at.services.sightings.absorb()
    assert at.services.shadow.clear(ROOT) == (Point.HEARTBEAT, Point.GUI)
    assert at.published[-1].shadow == {}
    assert at.services.shadow.clear(ROOT) == ()
    seen.sighted = [beat("user:anna", Version.TLS1_0, NOW + 2, Point.GUI)]
    at.services.sightings.absorb()
    assert [one.count for one in at.services.shadow.report(ROOT)] == [2]
    assert {view.shadow for view in at.services.shadow.show(ROOT)} == {None}


def test_one_that_is_set_again_the_same_day_begins_at_nothing(at: Desk, seen: Seen, clock: Clock) -> None:
    for start in (NOW, NOW + 10):
        clock.now = start
        at.services.shadow.set(ROOT, "TLSv1.2", "heartbeat")
        assert at.services.shadow.show(ROOT)[0].would_be == 0
        seen.sighted = [beat("computer:x", Version.TLS1_0, start + 5)]
        at.services.judgement.absorb()
        assert at.services.shadow.show(ROOT)[0].would_be == 2
    if int(NOW // 86400) == int((NOW + 20) // 86400):
        (both,) = at.services.shadow.report(ROOT)
        assert (both.count, both.first, both.last) == (4, NOW + 5, NOW + 15), "the day's report has all of it"


@pytest.mark.parametrize(
    ("floor", "point", "words"),
    [
        ("TLSv1", "heartbeat", "lies above the floor in force"),
        ("TLSv1.2", "relay", "keep their own handshakes"),
        ("TLSv1.2", "x", "unknown point"),
        ("1.2", "gui", "TLSv1.2"),
    ],
)
def test_what_is_refused(at: Desk, floor: str, point: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        at.services.shadow.set(ROOT, floor, point)
    assert {view.shadow for view in at.services.shadow.show(ROOT)} == {None}


def test_what_no_report_reaches_is_forgotten(at: Desk, seen: Seen, clock: Clock) -> None:
    at.services.shadow.set(ROOT, "TLSv1.2", "heartbeat")
    seen.sighted = [beat("computer:x", Version.TLS1_0, NOW + 1)]
    at.services.judgement.absorb()
    assert at.services.shadow.forget() == 0
    clock.now = NOW + 401 * 86400
    assert at.services.shadow.forget() == 1


def test_a_report_has_bounds(at: Desk) -> None:
    for days in (0, 401):
        with pytest.raises(BadInput):
            at.services.shadow.report(ROOT, days)
