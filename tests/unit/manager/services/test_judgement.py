from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.sightings import NOW, Seen, sighting

from plimsoll.fleet.advice import Case
from plimsoll.fleet.kinds import Certainty
from plimsoll.manager.ports import BadInput, Presence
from plimsoll.manager.services import Services
from plimsoll.manager.services.computers import ComputerChange, RelayObservation
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import Direction, Kind
from plimsoll.net.sightings import Outcome
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def at(tmp_path: Path, seen: Seen) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen)
        opened.services.floors.set(ROOT, "TLSv1")
        yield opened


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
    key = at.services.api_keys.create(ROOT, "nightly report", "auditor")
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
    shown = at.services.sightings.list(ROOT)
    assert len(shown) == 4
    assert {one.who for one in shown} == {who, "user:anna", "user:gone", None}


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


@pytest.mark.rule("G1")
def test_a_blocker_is_named_with_the_day_since_when_and_how_it_was_refused(at: Desk, seen: Seen) -> None:
    old = at.activate("old-1", "9.6.2").computer
    beat = replace(
        sighting(Version.TLS1_0, f"computer:{old}", address="10.0.0.1"), point=Point.HEARTBEAT, first=NOW - 9e5
    )
    seen.sighted = [beat]
    seen.waiting = [Presence(old, NOW, "10.0.0.1", beat.ja4, Version.TLS1_0, Version.TLS1_0, NOW)]
    (found,) = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert (found.certainty, found.since) == (Certainty.SEEN_OFFERING, NOW - 9e5)
    refused = replace(beat, who=None, outcome=Outcome.REFUSED, negotiated=None, first=NOW + 5, last=NOW + 9)
    seen.sighted = [refused]
    (found,) = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert (found.certainty, found.since) == (Certainty.SEEN_REFUSED, NOW + 9)
    # Once it comes through again, that is over; and what looks like two computers is about neither.
    seen.waiting = [Presence(old, NOW + 20, "10.0.0.1", beat.ja4, Version.TLS1_0, Version.TLS1_0, NOW + 20)]
    (found,) = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert found.certainty is Certainty.SEEN_OFFERING


def test_a_refusal_that_fits_two_computers_is_about_neither(at: Desk, seen: Seen) -> None:
    for name in ("a-1", "b-1"):
        one = at.activate(name).computer
        seen.waiting.append(Presence(one, NOW, "10.0.0.1", "ja4-TLSv1.2", Version.TLS1_2, Version.TLS1_2, NOW))
    refused = sighting(Version.TLS1_2, None, Outcome.REFUSED, "10.0.0.1")
    seen.sighted = [replace(refused, point=Point.HEARTBEAT, first=NOW + 5, last=NOW + 9)]
    assert not any(part.refused for part in at.services.judgement.fleet().parts)


def test_a_computer_that_shared_no_suite_since_its_last_handshake_blocks(at: Desk, seen: Seen) -> None:
    one = at.activate("odd-1").computer
    seen.waiting = [Presence(one, NOW, "10.0.0.1", "ja4-TLSv1.2", Version.TLS1_2, Version.TLS1_2, NOW)]
    failed = sighting(Version.TLS1_2, None, Outcome.FAILED, "10.0.0.1")
    seen.sighted = [replace(failed, point=Point.HEARTBEAT, detail="no shared cipher", first=NOW + 5, last=NOW + 9)]
    (found,) = at.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    assert "shares no cipher suite" in found.reason


def test_programs_carry_their_user_agent_and_a_later_refusal(at: Desk, seen: Seen) -> None:
    came = replace(sighting(Version.TLS1_0), user_agent="curl/7.19.7", first=NOW - 500)
    later = replace(came, outcome=Outcome.REFUSED, negotiated=None, first=NOW + 5, last=NOW + 9)
    seen.sighted = [came, later]
    (found,) = at.services.judgement.preflight(ROOT, "TLSv1.2").affected
    assert (found.version, found.certainty, found.since) == ("curl/7.19.7", Certainty.SEEN_REFUSED, NOW - 500)


@pytest.mark.rule("R14")
def test_policies_with_floors_of_their_own_reach_the_judgement_with_those_that_inherit_them(at: Desk) -> None:
    policies = at.services.policies
    base = policies.list(ROOT)[0].name
    legacy = policies.create(ROOT, "Legacy", base, PolicyValues(relay_floor=Version.TLS1_0))
    heir = policies.create(ROOT, "Heir", legacy.name, PolicyValues())
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    at.services.computers.update(ROOT, relay, ComputerChange(policy=heir.name))
    (found,) = at.services.judgement.fleet().policies
    assert (found.name, found.relay, found.relays, found.listeners) == ("Legacy", Version.TLS1_0, 1, 0)
    assert any(one.kind == "policy" for one in at.services.judgement.preflight(ROOT, "TLSv1.2", "relay").noted)
