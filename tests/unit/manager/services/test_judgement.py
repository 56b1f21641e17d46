from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, principal

from plimsoll.fleet.advice import Case
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, Presence, Role, Unavailable
from plimsoll.manager.services import Services
from plimsoll.manager.services.computers import RelayObservation
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import Direction, Kind
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

NOW = time.time()


def sighting(
    offered: Version, who: str | None = None, outcome: Outcome = Outcome.ADMITTED, address: str = "10.0.0.50"
) -> Sighting:
    return Sighting(
        Point.GUI, address, offered, (offered,), f"ja4-{offered}", None, outcome, offered, who, 3, NOW - 5, NOW
    )


class Seen:
    """Stands in for a running manager: what it saw, given once."""

    def __init__(self) -> None:
        self.waiting: list[Presence] = []
        self.sighted: list[Sighting] = []

    def presence(self) -> Iterable[Presence]:
        given, self.waiting = self.waiting, []
        return given

    def sightings(self) -> Iterable[Sighting]:
        given, self.sighted = self.sighted, []
        return given


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def at(tmp_path: Path, seen: Seen) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen)
        opened.services.floors.set(ROOT, "TLSv1")
        yield opened


def test_sightings_that_the_store_refused_are_kept_for_the_next_time(
    at: Desk, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(work: object) -> object:
        raise Unavailable("the disk is full")

    seen.sighted = [sighting(Version.TLS1_0)]
    with monkeypatch.context() as patched:
        patched.setattr(at.services.judgement._core.store, "write", full)
        with pytest.raises(Unavailable):
            at.services.judgement.absorb()
    seen.sighted = [sighting(Version.TLS1_1)]
    at.services.judgement.absorb()
    stored = at.services.judgement.sightings(ROOT, 10)
    assert {(row.offered, row.count) for row in stored} == {(Version.TLS1_0, 3), (Version.TLS1_1, 3)}


@pytest.mark.rule("R12")
def test_what_was_observed_beats_the_table_also_before_it_is_stored(at: Desk, seen: Seen) -> None:
    old = at.activate("old-1", "9.6.2").computer
    blockers = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert [(finding.who, finding.version) for finding in blockers] == [("old-1", "9.6.2")]
    seen.waiting.append(Presence(old, NOW, "10.0.0.1", "x", Version.TLS1_2, Version.TLS1_2, NOW))
    assert at.services.judgement.preflight(ROOT, "TLSv1.2").blockers == ()
    assert at.services.computers.get(ROOT, old).offered is Version.TLS1_2


@pytest.mark.rule("R12")
def test_programs_that_cannot_follow_are_named_and_do_not_block(at: Desk, seen: Seen) -> None:
    key = at.services.access.create_api_key(ROOT, "nightly report", "auditor")
    who = f"apikey:{key.view.id}"
    seen.sighted += [
        sighting(Version.TLS1_0, who),
        sighting(Version.TLS1_3, "user:anna", address="10.0.0.51"),
        sighting(Version.TLS1_0, None, address="10.0.0.52"),
        sighting(Version.TLS1_0, "user:gone", Outcome.REFUSED, address="10.0.0.53"),
    ]
    preflight = at.services.judgement.preflight(ROOT, "TLSv1.2", ["gui", "heartbeat"])
    assert preflight.blockers == ()
    assert {finding.who for finding in preflight.affected} == {"nightly report", "a client at 10.0.0.52"}
    assert at.services.floors.set(ROOT, "TLSv1.2").changed
    shown = at.services.judgement.sightings(ROOT)
    assert len(shown) == 4
    assert {one.who for one in shown} == {who, "user:anna", "user:gone", None}
    assert at.services.judgement.forget_sightings(NOW + 1) == 4


@pytest.mark.rule("R8")
def test_advice_for_the_live_fleet(at: Desk) -> None:
    assert at.services.judgement.advice(ROOT).case is Case.NEW_ALL_MODERN
    at.activate("old-1", "9.6.2")
    advice = at.services.judgement.advice(ROOT)
    assert advice.case is Case.NEW_WITH_OLDER
    assert advice.deciding[0].who == "old-1"


@pytest.mark.rule("R19")
def test_the_picture_shows_who_talks_to_whom(at: Desk) -> None:
    at.activate("relay-1", kind=Kind.RELAY)
    at.activate("old-1", "9.6.2")
    links = at.services.judgement.picture(ROOT)
    assert {link.point for link in links} >= {Point.HEARTBEAT, Point.RELAY}


def test_a_part_has_the_points_that_it_meets(at: Desk) -> None:
    at.activate("web-1")
    fleet = at.services.judgement.fleet()
    points = {part.name: part.points for part in fleet.parts}
    assert points["web-1"] == {Point.HEARTBEAT}
    assert {part.kind for part in fleet.parts} == {"manager", "database", "agent"}
    base = at.services.policies.list(ROOT)[0]
    at.activate("relay-1", kind=Kind.RELAY)
    at.services.policies.update(ROOT, base.id, PolicyValues(direction=Direction.BIDIRECTIONAL))
    points = {part.name: part.points for part in at.services.judgement.fleet().parts}
    assert points["web-1"] == {Point.HEARTBEAT, Point.AGENT, Point.RELAY}
    at.services.policies.update(ROOT, base.id, PolicyValues(direction=Direction.MANAGER_INITIATED))
    points = {part.name: part.points for part in at.services.judgement.fleet().parts}
    assert points["web-1"] == {Point.AGENT, Point.RELAY}


def test_the_revoked_are_no_part_of_the_fleet(at: Desk) -> None:
    old = at.activate("old-1", "9.6.2").computer
    at.services.computers.revoke(ROOT, old)
    assert at.services.judgement.preflight(ROOT, "TLSv1.2").blockers == ()


def test_a_relays_four_floors_reach_the_judgement_apart(at: Desk) -> None:
    relay = at.activate("relay-1", "12.0.0", Kind.RELAY).computer
    at.services.computers.observe_relay(RelayObservation(relay, NOW, Version.TLS1_2, "probed"))
    part = next(part for part in at.services.judgement.fleet().parts if part.kind == "relay")
    assert part.relay is not None
    assert (part.relay.sent, part.relay.observed, part.relay.acknowledged) == (None, Version.TLS1_2, False)
    at.services.computers.send_policy(ROOT, computers=[relay])
    part = next(part for part in at.services.judgement.fleet().parts if part.kind == "relay")
    assert part.relay is not None
    assert part.relay.sent is Version.TLS1_0


def test_words_that_are_no_version_or_point(at: Desk) -> None:
    with pytest.raises(BadInput, match="valid are TLSv1"):
        at.services.judgement.preflight(ROOT, "1.2")
    with pytest.raises(BadInput, match="valid are all, heartbeat"):
        at.services.judgement.preflight(ROOT, "TLSv1.2", "4120")
    with pytest.raises(BadInput, match="which points"):
        at.services.judgement.preflight(ROOT, "TLSv1.2", [])


def test_our_own_scans_are_no_programs_and_hide_nobody_who_shows_a_name(at: Desk, seen: Seen) -> None:
    """Design: the sources of our own proof scan are registered."""
    judgement = at.services.judgement

    def affected() -> list[str]:
        return [one.who for one in judgement.preflight(ROOT, "TLSv1.2").affected]

    before = replace(sighting(Version.TLS1_0, address="127.0.60.1"), ja4="before")
    seen.sighted = [before]
    now = judgement._core.clock()
    _, until = judgement.register_prober(ROOT, "127.0.60.1", 60)
    probe = replace(sighting(Version.TLS1_0, address="127.0.60.1"), first=now + 1, last=now + 2)
    named = replace(probe, who="user:anna")
    late = replace(probe, ja4="late", first=until + 1, last=until + 1)
    elsewhere = replace(probe, address="127.0.60.2")
    seen.sighted = [probe]
    assert affected() == ["a client at 127.0.60.1"]
    seen.sighted = [named, elsewhere, late]
    assert sorted(affected()) == ["a client at 127.0.60.1", "a client at 127.0.60.1", "a client at 127.0.60.2", "anna"]
    assert {row.who for row in judgement.sightings(ROOT, 10)} == {None, "scan:own", "user:anna"}


def test_what_cannot_be_registered_as_our_own_scan(at: Desk) -> None:
    register = at.services.judgement.register_prober
    for address, seconds in (("host", 60), ("127.0.60.1", 0), ("127.0.60.1", 3601)):
        with pytest.raises(BadInput, match="nothing was registered"):
            register(ROOT, address, seconds)
    with pytest.raises(Forbidden):
        register(principal(Role.AUDITOR), "127.0.60.1", 60)
    for number in range(64):
        register(ROOT, f"127.0.60.{number + 1}", 60)
    with pytest.raises(Conflict):
        register(ROOT, "127.0.61.1", 60)
