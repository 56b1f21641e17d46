"""Cipher profiles of 4120 and 4119: judged, stored with history, published, kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import OLD_HOMES, ROOT, Desk, desk, new_home, old_home, reopened
from tests.support.sightings import NOW, Seen, sighting

from plimsoll.manager.ports import BadInput, Blocked, Conflict, Forbidden, Presence, Principal, Role
from plimsoll.manager.services import Services
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.store import ciphers as table
from plimsoll.manager.upgrade import upgrade_home
from plimsoll.net.sightings import Sighting
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

STRONG, MODERN, INTERMEDIATE, LEGACY = CipherProfile
CBC, GCM = 0xC028, 0xC02F


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def at(tmp_path: Path, seen: Seen) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        opened.services = Services(opened.home.store, opened.home, opened.published.append, seen)
        yield opened


def mark_of(*suites: int) -> str:
    return f"t12i0200_{'-'.join(map(str, suites))}_x"


def beat(at: Desk, seen: Seen, name: str, version: str, *suites: int) -> str:
    """A computer that came with TLS 1.2 and these suites; its id."""
    computer = at.activate(name, version).computer
    seen.waiting.append(Presence(computer, NOW, "10.0.0.9", mark_of(*suites), Version.TLS1_2, Version.TLS1_2, NOW))
    seen.sighted.append(hello(f"computer:{computer}", Point.HEARTBEAT, *suites))
    return computer


def hello(who: str | None, point: Point, *suites: int) -> Sighting:
    known = sighting(Version.TLS1_2, who, address="10.0.0.9")
    return replace(known, point=point, ja4=mark_of(*suites), suites=suites)


def in_force(at: Desk) -> dict[str, str]:
    shown = {view.point: view.profile for view in at.services.ciphers.show(ROOT)}
    assert {point: at.published[-1].profile(point) for point in shown} == shown
    return {point.value: profile.value for point, profile in shown.items()}


def test_a_new_home_serves_intermediate_and_says_what_that_is(at: Desk) -> None:
    at.services.floors.start()
    assert in_force(at) == {"heartbeat": "intermediate", "gui": "intermediate"}
    for view in at.services.ciphers.show(ROOT):
        assert (view.served, view.missing) == (INTERMEDIATE.suites, ())
    assert at.services.ciphers.history(ROOT) == ()
    profiles = {view.point: view.profile for view in at.services.floors.show(ROOT).floors}
    assert profiles == {
        Point.HEARTBEAT: INTERMEDIATE,
        Point.GUI: INTERMEDIATE,
        Point.RELAY: None,
        Point.AGENT: None,
    }


def test_a_profile_is_set_with_its_history_audit_and_event(at: Desk) -> None:
    change = at.services.ciphers.set(ROOT, "strong", "gui", reason="the audit")
    assert [(one.point, one.before, one.after) for one in change.changed] == [(Point.GUI, INTERMEDIATE, STRONG)]
    assert change.generation == at.published[-1].generation
    assert in_force(at) == {"heartbeat": "intermediate", "gui": "strong"}
    (entry,) = at.services.ciphers.history(ROOT)
    assert (entry.point, entry.before, entry.after) == (Point.GUI, INTERMEDIATE, STRONG)
    assert (entry.reason, entry.forced, entry.who) == ("the audit", False, ROOT.who)
    (event,) = [one for one in at.services.events.list(ROOT) if one.number == event_numbers.CIPHERS_CHANGED]
    assert "cipher profile of gui went from intermediate to strong" in event.description
    assert any(row.action == "ciphers.set" for row in at.services.access.audit(ROOT))
    published = len(at.published)
    assert at.services.ciphers.set(ROOT, "strong", "gui").changed == ()
    assert len(at.published) == published
    both = at.services.ciphers.set(ROOT, "modern")
    assert [one.point for one in both.changed] == [Point.HEARTBEAT, Point.GUI]
    assert at.services.floors.set(ROOT, "TLSv1").changed, "and a floor leaves it alone"
    assert in_force(at) == {"heartbeat": "modern", "gui": "modern"}


@pytest.mark.rule("R12")
def test_a_computer_that_shares_no_suite_blocks_by_name_until_it_is_forced(at: Desk, seen: Seen) -> None:
    beat(at, seen, "old-1", "10.0", CBC)
    beat(at, seen, "web-1", "10.0", CBC, GCM)
    before = len(at.published)
    with pytest.raises(Blocked, match="would cut off old-1; nothing was changed") as refused:
        at.services.ciphers.set(ROOT, "strong")
    assert [finding.who for finding in refused.value.preflight.blockers] == ["old-1"]
    assert len(at.published) == before
    assert any(row.action == "ciphers.set.refused" for row in at.services.access.audit(ROOT))
    with pytest.raises(BadInput, match="only with a reason"):
        at.services.ciphers.set(ROOT, "strong", force=True)
    change = at.services.ciphers.set(ROOT, "strong", force=True, reason="it goes on Friday")
    assert change.preflight is not None
    assert change.preflight.blocked
    entry = at.services.ciphers.history(ROOT)[0]
    assert (entry.forced, entry.named, entry.reason) == (True, ("old-1",), "it goes on Friday")
    assert at.services.ciphers.set(ROOT, "intermediate").preflight is None, "wider is never judged"


@pytest.mark.rule("R12")
def test_a_program_is_affected_and_does_not_block(at: Desk, seen: Seen) -> None:
    key = at.services.api_keys.create(ROOT, "nightly report", "auditor")
    seen.sighted.append(hello(f"apikey:{key.view.id}", Point.GUI, CBC))
    found = at.services.ciphers.preflight(ROOT, "modern", "gui")
    assert [one.who for one in found.affected] == ["nightly report"]
    change = at.services.ciphers.set(ROOT, "modern", "gui")
    assert change.preflight == found
    assert at.services.ciphers.preflight(ROOT, "intermediate").is_clear


def test_unknown_says_unknown(at: Desk) -> None:
    at.activate("old-1", "10.0")
    at.activate("new-1", "12.0.0")
    found = at.services.ciphers.preflight(ROOT, "strong", "heartbeat")
    unknown = {one.who: one.reason for one in found.blockers}
    assert all(reason.startswith("unknown:") for reason in unknown.values())
    assert "old-1" in unknown


@pytest.mark.parametrize(
    ("profile", "point", "said"),
    [
        ("Strong", "all", "valid are strong, modern, intermediate, legacy"),
        ("strong", "4119", "valid are all, heartbeat, gui"),
        ("strong", "relay", "relays and agents serve the profile intermediate"),
        ("strong", "agent", "relays and agents serve the profile intermediate"),
    ],
)
def test_what_cannot_be_set_changes_nothing(at: Desk, profile: str, point: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        at.services.ciphers.set(ROOT, profile, point)
    with pytest.raises(BadInput, match=said):
        at.services.ciphers.preflight(ROOT, profile, point)
    assert at.services.ciphers.history(ROOT) == ()


def test_nobody_locks_himself_out(at: Desk) -> None:
    mine = Principal("user", "anna", Role.ADMINISTRATOR, "web", tls=Version.TLS1_2, suite="ECDHE-RSA-AES256-SHA384")
    with pytest.raises(Forbidden, match="ECDHE-RSA-AES256-SHA384 and would be refused under modern"):
        at.services.ciphers.set(mine, "modern", "gui")
    assert at.services.ciphers.set(mine, "modern", "heartbeat").changed
    assert at.services.ciphers.set(replace(mine, tls=Version.TLS1_3, suite="TLS_AES_256_GCM_SHA384"), "modern").changed


def test_no_stricter_profile_while_a_change_runs(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: object) -> None:
        raise Conflict("change 1 is under way")

    monkeypatch.setattr("plimsoll.manager.services.ciphers.check_no_change", refuse)
    with pytest.raises(Conflict, match="under way"):
        at.services.ciphers.set(ROOT, "strong")
    assert at.services.ciphers.set(ROOT, "legacy").changed, "a wider one cuts nobody off"


def test_certificates_of_one_kind_serve_half_of_a_profile(at: Desk, tmp_path: Path) -> None:
    paths = TestAuthority("x").leaf("manager", "m", hosts=["localhost"], rsa_bits=2048).write(tmp_path, "rsa")
    service = at.services.ciphers
    service._identities = lambda point: [(str(paths[0]), str(paths[1]))]
    view = service.show(ROOT)[0]
    assert {suite.openssl.split("-")[1] for suite in view.served} == {"RSA"}
    assert len(view.missing) == 5
    service._identities = lambda point: []
    with pytest.raises(Conflict, match="nothing was changed"):
        service.set(ROOT, "strong")


@pytest.mark.rule("R7")
def test_profiles_and_history_are_kept_over_a_restart(tmp_path: Path) -> None:
    path, made = new_home(tmp_path)
    with reopened(path, made) as first:
        first.services.ciphers.set(ROOT, "strong", "gui", reason="the audit")
    upgrade_home(path)
    with reopened(path, made) as second:
        assert in_force(second) == {"heartbeat": "intermediate", "gui": "strong"}
        assert [entry.reason for entry in second.services.ciphers.history(ROOT)] == ["the audit"]


@pytest.mark.rule("R7")
@pytest.mark.parametrize("name", OLD_HOMES)
def test_a_home_from_before_profiles_serves_what_it_served(name: str, tmp_path: Path) -> None:
    home = old_home(name, tmp_path)
    upgrade_home(home)
    _, made = new_home(tmp_path)
    with reopened(home, made) as opened:
        assert in_force(opened) == {"heartbeat": "intermediate", "gui": "intermediate"}


def test_offered_suites_are_stored_once_a_day_and_again_with_a_name(
    at: Desk, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[tuple[str, bool]]] = []
    store = table.add_offers

    def add(connection: object, found: list[table.Offer], now: float, most: int) -> None:
        written.append([(one.mark, one.named) for one in found])
        store(connection, found, now, most)  # type: ignore[arg-type]

    monkeypatch.setattr(table, "add_offers", add)
    for who in (None, None, "user:anna", None, "user:bob"):
        seen.sighted.append(hello(who, Point.GUI, CBC, GCM))
        at.services.sightings.absorb()
    mark = f"{CBC}-{GCM}"
    assert written == [[(mark, False)], [], [(mark, True)], [], []]
    assert at.home.store.read(table.offers) == {mark: frozenset({CBC, GCM})}
    at.services.sightings.tidy(force=True)
    seen.sighted.append(hello("user:anna", Point.GUI, CBC, GCM))
    at.services.sightings.absorb()
    assert written[-1] == [(mark, True)]
