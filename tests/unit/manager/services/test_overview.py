"""The overview: what the dashboard shows, in time for any size of fleet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.sightings import NOW, Seen, sighting

from plimsoll.manager.ports import BadInput, Presence, Unavailable
from plimsoll.manager.services import Services, overview
from plimsoll.manager.services.overview import OverviewService
from plimsoll.manager.services.overview_views import LineKey
from plimsoll.manager.store import handshake_totals
from plimsoll.messages import Kind
from plimsoll.net.sightings import Outcome
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


class Steady:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def at(tmp_path: Path, seen: Seen) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen)
        yield opened


@pytest.fixture
def steady() -> Steady:
    return Steady()


@pytest.fixture
def large(at: Desk, steady: Steady, monkeypatch: pytest.MonkeyPatch) -> OverviewService:
    """An overview that takes any fleet for a large one."""
    monkeypatch.setattr(overview, "SMALL", 0)
    s = at.services
    return OverviewService(s.floors._core, s.floors, s.judgement, s.sightings, s.exceptions, s.computers, steady)


def presence(computer: str, offered: Version, address: str = "127.0.0.9") -> Presence:
    return Presence(computer, NOW, address, "x", offered, offered, NOW)


def test_a_fresh_home_is_shown_at_once_with_the_first_steps(at: Desk) -> None:
    over = at.services.overview.show(ROOT)
    assert over.at is not None
    assert over.first_steps
    assert over.needs == ()
    assert over.computers == 0
    assert [(point.point, point.port) for point in over.floors][:2] == [(Point.HEARTBEAT, 4120), (Point.GUI, 4119)]
    assert at.services.overview.picture(ROOT) is not None


def test_the_first_steps_end_when_somebody_sets_a_floor(at: Desk) -> None:
    at.activate("web-1")
    assert at.services.overview.show(ROOT).first_steps
    at.services.floors.set(ROOT, "TLSv1.1", "heartbeat")
    assert not at.services.overview.show(ROOT).first_steps


def test_computers_are_counted_by_kind_and_by_what_they_offered(at: Desk, seen: Seen) -> None:
    for name, kind, offered in (("a", Kind.AGENT, Version.TLS1_3), ("b", Kind.AGENT, None), ("r", Kind.RELAY, None)):
        computer = at.activate(name, kind=kind).computer
        if offered is not None:
            seen.waiting.append(presence(computer, offered))
    at.services.computers.revoke(ROOT, at.activate("gone").computer)
    over = at.services.overview.show(ROOT)
    assert over.kinds == {"agent": 2, "relay": 1}
    assert list(over.offered.items()) == [(Version.TLS1_3, 1), (None, 2)]
    assert over.computers == 3


@pytest.mark.rule("R19")
def test_a_raise_shows_in_the_next_picture_and_as_if_shows_it_before(at: Desk, seen: Seen) -> None:
    at.services.floors.set(ROOT, "TLSv1")
    at.activate("old-1", "9.6.2")
    at.activate("new-1", "10.0.0")
    seen.sighted.append(sighting(Version.TLS1_0, "user:anna"))
    then = at.services.overview.picture(ROOT, "TLSv1.2")
    now = at.services.overview.picture(ROOT)
    assert now is not None
    assert then is not None
    assert now.refused == 0
    assert then.cut == {"agents before 10.0": 1, "older programs": 1}
    assert then.let_in == {}
    at.services.floors.set(ROOT, "TLSv1.2", force=True, reason="a test")
    after, before = at.services.overview.picture(ROOT), at.services.overview.picture(ROOT, "TLSv1")
    assert after is not None
    assert before is not None
    assert {link.from_ for link in after.links if link.state == "refused"} == {"agents before 10.0", "older programs"}
    assert before.let_in == {"agents before 10.0": 1, "older programs": 1}
    with pytest.raises(BadInput, match="TLSv9"):
        at.services.overview.picture(ROOT, "TLSv9")


def test_who_is_behind_a_line_or_in_a_group_comes_in_pages(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "ROWS", 2)
    for number in range(5):
        at.activate(f"old-{number}", "9.6.2")
    at.activate("new-1", "12.0.0")
    key = LineKey(from_="agents before 10.0", state="refused")
    names: list[str] = []
    after: int | None = 0
    while after is not None:
        page = at.services.overview.members(ROOT, key, after=after)
        assert page.count == 5
        names += [one.hostname for one in page.computers]
        after = page.after
    assert names == [f"old-{number}" for number in range(5)]
    group = at.services.overview.members(ROOT, LineKey("agents 10.0 and newer"))
    assert [one.hostname for one in group.computers] == ["new-1"]
    with pytest.raises(BadInput, match="which line"):
        at.services.overview.members(ROOT, LineKey())


def test_programs_behind_a_line_are_listed_by_name(at: Desk, seen: Seen) -> None:
    key = at.services.api_keys.create(ROOT, "nightly report", "auditor")
    seen.sighted.append(sighting(Version.TLS1_0, f"apikey:{key.view.id}"))
    found = at.services.overview.members(ROOT, LineKey(from_="older programs", to="manager"))
    assert [one.who for one in found.programs] == ["nightly report"]
    assert (found.count, found.computers, found.more_programs) == (1, (), 0)


def test_the_newest_refusals_have_names_and_are_counted_for_a_day(at: Desk, seen: Seen) -> None:
    seen.sighted += [sighting(Version.TLS1_0, None, Outcome.REFUSED, f"10.0.0.{number}") for number in range(1, 15)] + [
        sighting(Version.TLS1_3, "user:anna")
    ]
    over = at.services.overview.show(ROOT)
    over = at.services.overview.show(ROOT)
    assert len(over.refusals) == overview.REFUSALS
    assert over.refusals_day == 14 * 3


def test_a_large_fleet_is_looked_at_by_the_loop_and_never_by_who_asks(
    at: Desk, large: OverviewService, steady: Steady
) -> None:
    at.activate("web-1")
    over = large.show(ROOT)
    assert (over.at, over.counts) == (None, ())
    assert large.picture(ROOT) is None
    with pytest.raises(Unavailable, match="in a moment"):
        large.members(ROOT, LineKey("relays"))
    large.tick()
    assert large.show(ROOT).computers == 1
    at.activate("web-2")
    assert large.show(ROOT).computers == 1
    large.tick()
    assert large.show(ROOT).computers == 1, "it rests between two looks"
    steady.now += overview.LEAST_REST + 1
    large.tick()
    assert large.show(ROOT).computers == 2


def test_a_large_fleet_that_nobody_asks_about_is_left_alone(at: Desk, large: OverviewService, steady: Steady) -> None:
    at.activate("web-1")
    large.tick()
    at.activate("web-2")
    steady.now += overview.ASKED + 1
    large.tick()
    assert large.show(ROOT).computers == 1
    large.tick()
    assert large.show(ROOT).computers == 2, "once somebody asks it is looked at again"


def test_floors_are_those_of_now_whatever_the_last_look_saw(at: Desk, large: OverviewService) -> None:
    at.activate("old-1", "9.6.2")
    large.tick()
    at.services.floors.set(ROOT, "TLSv1.1", "heartbeat", force=True, reason="a test")
    assert large.show(ROOT).floors[0].floor is Version.TLS1_1


def test_what_needs_a_person_is_said_with_names(at: Desk) -> None:
    computer = at.activate("db-7").computer
    at.services.exceptions.add(
        ROOT, point="heartbeat", floor="TLSv1", until=time.time() + 3600, reason="a machine tool", computer=computer
    )
    over = at.services.overview.show(ROOT, {computer: "TLS"})
    assert [(need.kind, need.level) for need in over.needs][:2] == [("refused", "bad"), ("exception", "warm")]
    assert over.needs[0].said == "1 computer cannot talk to the manager: db-7"
    assert over.needs[1].said.startswith("The exception of db-7 ends in 60 minutes")


def test_versions_over_time_are_counted_by_the_hour_and_by_the_day(at: Desk, seen: Seen) -> None:
    seen.sighted += [
        sighting(Version.TLS1_2, "user:anna"),
        sighting(Version.TLS1_0, None, Outcome.REFUSED),
        sighting(Version.TLS1_3, None, Outcome.FAILED),
    ]
    at.services.sightings.absorb()
    for hours, each in ((24, 1), (14 * 24, 24)):
        buckets = at.services.sightings.over_time(ROOT, hours, each)
        assert len(buckets) == hours // each
        assert [bucket.start for bucket in buckets] == sorted(bucket.start for bucket in buckets)
        full = [bucket for bucket in buckets if bucket.count]
        assert [(dict(one.versions), one.refused, one.failed) for one in full] == [({Version.TLS1_2: 3}, 3, 3)]
    at.services.sightings._core.clock = lambda: time.time() + 500 * 86400
    at.services.sightings.tidy(force=True)
    assert at.services.sightings._core.store.read(lambda c: handshake_totals.since(c, 0)) == ()
