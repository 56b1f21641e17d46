"""Sightings as knowledge: asked for, named, rolled up and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.homes import ROOT, Desk, desk, principal
from tests.support.sightings import NOW, Seen, sighting

from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Presence, Role, Unavailable
from plimsoll.manager.services import Services
from plimsoll.manager.services.sightings import SightingFilter, parse_since
from plimsoll.manager.store.tables import sighting_counts
from plimsoll.net.sightings import Outcome
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

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
    with desk(tmp_path) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen, clock)
        opened.services.floors.set(ROOT, "TLSv1")
        yield opened


def whos(at: Desk, **wanted: object) -> list[str | None]:
    return [one.name or one.who for one in at.services.sightings.list(ROOT, SightingFilter(**wanted))]  # type: ignore[arg-type]  # as given


def test_sightings_that_the_store_refused_are_kept_for_the_next_time(
    at: Desk, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(work: object) -> object:
        raise Unavailable("the disk is full")

    seen.sighted = [sighting(Version.TLS1_0)]
    with monkeypatch.context() as patched:
        patched.setattr(at.home.store, "write", full)
        with pytest.raises(Unavailable):
            at.services.sightings.absorb()
    seen.sighted = [sighting(Version.TLS1_1)]
    at.services.sightings.absorb()
    stored = at.services.sightings.list(ROOT)
    assert {(row.offered, row.count) for row in stored} == {(Version.TLS1_0, 3), (Version.TLS1_1, 3)}


@pytest.mark.rule("G1")
def test_peers_are_found_by_name_by_version_by_outcome_and_by_time(at: Desk, seen: Seen) -> None:
    key = at.services.api_keys.create(ROOT, "nightly report", "auditor")
    who = f"apikey:{key.view.id}"
    seen.sighted = [
        replace(sighting(Version.TLS1_0, who), user_agent="curl/7.19"),
        replace(sighting(Version.TLS1_3, "user:admin"), last=NOW - 2 * DAY, first=NOW - 2 * DAY),
        sighting(Version.TLS1_1, None, Outcome.REFUSED, "10.0.0.53"),
        replace(sighting(Version.TLS1_2, "computer:gone"), point=Point.HEARTBEAT),
    ]
    assert whos(at, point="heartbeat") == ["computer:gone"]
    for name in ("nightly report", "Nightly Report", who):
        assert whos(at, who=name) == ["nightly report"]
    assert whos(at, who="user:admin") == whos(at, who="admin") == ["admin"]
    assert whos(at, who="10.0.0.53") == whos(at, who="anonymous") == whos(at, refused=True) == [None]
    assert whos(at, who="computer:gone") == ["computer:gone"]
    assert set(whos(at, below="TLSv1.2")) == {"nightly report", None}
    assert "admin" not in whos(at, since="24h")
    assert len(whos(at, limit=2)) == 2
    peers = at.services.sightings.peers(ROOT, SightingFilter(who="nightly report"))
    assert [(one.name, one.offered, one.negotiated, one.refused) for one in peers] == [
        ("nightly report", Version.TLS1_0, Version.TLS1_0, None)
    ]
    assert (peers[0].user_agent, peers[0].count, peers[0].ja4) == ("curl/7.19", 3, ("ja4-TLSv1",))


def test_words_that_ask_for_nothing_are_refused(at: Desk) -> None:
    for wanted, said in (
        ({"point": "4120"}, "valid are heartbeat"),
        ({"below": "1.2"}, "valid are TLSv1"),
        ({"since": "yesterday"}, "how long ago"),
        ({"since": "2999-01-01"}, "future"),
        ({"limit": 0}, "from 1 to 5000"),
        ({"limit": 5001}, "from 1 to 5000"),
    ):
        with pytest.raises(BadInput, match=said):
            whos(at, **wanted)
    with pytest.raises(NotFound, match="nobody is called 'old-9'"):
        whos(at, who="old-9")


def test_times_are_read_as_people_write_them() -> None:
    now = 1_795_000_000.0
    assert parse_since("2h", now) == now - 7200
    assert parse_since("1794990000.5", now) == 1_794_990_000.5
    assert parse_since("2026-11-01", now) == parse_since("2026-11-01T00:00:00Z", now) == 1_793_491_200.0
    assert parse_since("2026-11-01T01:00:00+01:00", now) == 1_793_491_200.0


@pytest.mark.rule("G4")
def test_a_refused_hello_is_attributed_to_whom_it_looks_like_and_never_named_by_it(at: Desk, seen: Seen) -> None:
    old, twin, other = (at.activate(name).computer for name in ("old-1", "twin-1", "other-1"))

    def presence(computer: str, address: str, ja4: str = "ja4-TLSv1") -> Presence:
        return Presence(computer, NOW, address, ja4, Version.TLS1_0, Version.TLS1_0, NOW)

    seen.waiting = [presence(old, "10.0.0.1"), presence(twin, "10.0.0.2"), presence(other, "10.0.0.2")]
    refused = replace(sighting(Version.TLS1_0, None, Outcome.REFUSED, "10.0.0.1"), point=Point.HEARTBEAT)
    nmap = replace(refused, ja4="nmap", last=NOW - 2)
    seen.sighted = [refused, replace(refused, address="10.0.0.2", last=NOW - 1), nmap]
    one, two, three = at.services.sightings.list(ROOT, SightingFilter(refused=True))
    assert (one.who, one.name, one.attribution) == (None, "old-1", "certain")
    assert (two.name, two.attribution, set(two.candidates)) == (None, "one of", {"twin-1", "other-1"})
    assert (three.name, three.attribution) == (None, None)
    assert whos(at, who="old-1") == ["old-1"]


def test_a_day_is_tidied_once_hours_first_and_then_forgotten(at: Desk, seen: Seen, clock: Clock) -> None:
    service = at.services.sightings
    begun = (NOW // DAY) * DAY + 3600
    for hour in range(3):
        moment = begun + hour * 3600
        seen.sighted = [replace(sighting(Version.TLS1_0), first=moment, last=moment)]
        service.absorb()
    clock.now = begun + 14 * DAY
    assert service.tidy().hours == 0
    clock.now += DAY
    assert (service.tidy().hours, service.tidy().hours) == (3, 0)
    assert at.home.store.read(lambda c: c.execute(select(sighting_counts.c.hours)).scalars().all()) == [24]
    assert [one.count for one in service.list(ROOT)] == [9]
    clock.now = begun + 401 * DAY
    assert service.tidy().forgotten == 1
    assert service.list(ROOT) == ()
    assert at.home.store.read(lambda c: c.execute(select(sighting_counts.c.hours)).all()) == []


def test_a_flood_of_strangers_does_not_fill_the_store(at: Desk, seen: Seen) -> None:
    service = at.services.sightings
    service._most = 10
    for batch in range(4):
        seen.sighted = [sighting(Version.TLS1_0, None, Outcome.REFUSED, f"10.1.{batch}.{n}") for n in range(8)]
        service.absorb()
    shown = service.list(ROOT)
    assert len(shown) <= 11
    assert sum(one.count for one in shown) == 32 * 3
    seen.sighted = [sighting(Version.TLS1_0, "user:admin")]
    assert "admin" in whos(at)


def test_our_own_scans_are_no_programs_and_hide_nobody_who_shows_a_name(at: Desk, seen: Seen) -> None:
    """Design: the sources of our own proof scan are registered."""
    judgement, service = at.services.judgement, at.services.sightings

    def affected() -> list[str]:
        return [one.who for one in judgement.preflight(ROOT, "TLSv1.2").affected]

    before = replace(sighting(Version.TLS1_0, address="127.0.60.1"), ja4="before")
    seen.sighted = [before]
    now = service._core.clock()
    _, until = service.register_prober(ROOT, "127.0.60.1", 60)
    probe = replace(sighting(Version.TLS1_0, address="127.0.60.1"), first=now + 1, last=now + 2)
    named = replace(probe, who="user:anna")
    late = replace(probe, ja4="late", first=until + 1, last=until + 1)
    elsewhere = replace(probe, address="127.0.60.2")
    seen.sighted = [probe]
    assert affected() == ["a client at 127.0.60.1"]
    seen.sighted = [named, elsewhere, late]
    assert sorted(affected()) == ["a client at 127.0.60.1", "a client at 127.0.60.1", "a client at 127.0.60.2", "anna"]
    assert {row.who for row in service.list(ROOT)} == {None, "scan:own", "user:anna"}


def test_what_cannot_be_registered_as_our_own_scan(at: Desk) -> None:
    register = at.services.sightings.register_prober
    for address, seconds in (("host", 60), ("127.0.60.1", 0), ("127.0.60.1", 3601)):
        with pytest.raises(BadInput, match="nothing was registered"):
            register(ROOT, address, seconds)
    with pytest.raises(Forbidden):
        register(principal(Role.AUDITOR), "127.0.60.1", 60)
    for number in range(64):
        register(ROOT, f"127.0.60.{number + 1}", 60)
    with pytest.raises(Conflict):
        register(ROOT, "127.0.61.1", 60)
