"""What a proof says of a fleet that a test made up, its key, and what is in scope (R10, R17)."""

from __future__ import annotations

import base64
import json
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.homes import ROOT, Desk, desk, principal
from tests.support.store import dump_of

from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Role, Unavailable
from plimsoll.manager.sealing import KEY_FILE
from plimsoll.manager.services.nodes import NodesService
from plimsoll.manager.services.proof import ProofService
from plimsoll.manager.services.proving import NOT_PROVED, PROVED, VIOLATED, Place, Proved, overall
from plimsoll.manager.store import proofs as table
from plimsoll.manager.store.proof_tables import proof_pieces
from plimsoll.messages import Kind
from plimsoll.scan.proofs import check, load_public, write
from plimsoll.scan.report import Control, EndpointReport, Outcome, State, SuiteReport, Target, VersionReport
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def report(*accepted: Version) -> EndpointReport:
    suites = (SuiteReport(0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),)
    versions = {
        version: VersionReport(version, Outcome.ACCEPTED, (), suites, True)
        if version in accepted
        else VersionReport(version, Outcome.REFUSED, ("alert 70",))
        for version in Version
    }
    return EndpointReport(Target("127.0.0.1", 4120), State.COMPLETE, "full", versions=versions, control=Control(True))


def seen(place: Place, verdict: str, *accepted: Version) -> Proved:
    return Proved(place, verdict, (verdict,), report(*accepted) if accepted else None)


def prove(at: Desk, *found: Proved) -> None:
    at.services.proving.prove = lambda **_: found  # type: ignore[method-assign]


HEARTBEAT = Place(Point.HEARTBEAT, "manager", "127.0.0.1", 4120, Version.TLS1_2)


def test_a_bundle_says_what_is_asked_for_and_verifies_with_the_manager_s_key(at: Desk, tmp_path: Path) -> None:
    at.services.floors.set_minimum(ROOT, "TLSv1")
    at.services.floors.set_minimum(ROOT, "TLSv1.2", True, "the audit")
    at.services.exceptions.add(
        ROOT, point="gui", floor="TLSv1", until=time.time() + 50,
        reason="a script", source="10.0.0.7",
    )  # fmt: skip
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2), seen(replace(HEARTBEAT, name="r1"), NOT_PROVED))
    made = at.services.proof.build(ROOT)
    assert (made.verdict, made.content["counts"]) == (NOT_PROVED, {"proved": 1, "violated": 0, "not proved": 1})
    write(tmp_path / "bundle", made.files)
    ((identifier, pem, used),) = at.services.proof.keys(ROOT)
    assert used
    found = check(tmp_path / "bundle", load_public(pem.encode()))
    assert (found.faults, found.key_id) == ((), identifier)
    floors = {one["point"]: one for one in found.content["floors"]}
    assert (floors["heartbeat"]["floor"], floors["heartbeat"]["reason"]) == ("TLSv1.2", "the audit")
    assert found.content["exceptions"][0]["for"] == "10.0.0.7/32"
    assert found.content["audit"]["whole"]
    assert found.content["audit"]["entry"] > 1
    assert "the audit" in made.files["proof.html"].decode()
    assert at.services.access.audit(ROOT, 1)[0].action == "proof.build"


def test_the_key_is_for_its_owner_alone_and_an_old_one_is_kept_for_what_it_signed(at: Desk, tmp_path: Path) -> None:
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    old = at.services.proof.build(ROOT)
    path = at.home.path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "PRIVATE" not in "\n".join(dump_of(at.home.store))
    assert "PRIVATE" not in json.dumps([data.decode() for data in old.files.values()])
    new = at.services.proof.rotate(ROOT)
    keys = at.services.proof.keys(ROOT)
    assert [(one[0], one[2]) for one in keys] == [(new, True), (old.key, False)]
    write(tmp_path / "old", old.files)
    assert check(tmp_path / "old", load_public(keys[1][1].encode())).whole
    assert at.services.proof.build(ROOT).key == new
    with pytest.raises(Forbidden):
        at.services.proof.rotate(principal(Role.OPERATOR))
    (sealed,) = (one.sealed for one in at.home.store.read(table.keys) if one.sealed)
    assert len([one for one in at.home.store.read(table.keys) if not one.sealed]) == 1, "of the old one half is gone"
    assert "PRIVATE" in at.home.sealer.open(sealed, f"the key {new} of proofs")
    path.write_text(base64.b64encode(bytes(32)).decode())
    with pytest.raises(Unavailable, match="nothing was signed"):
        at.services.proof.build(ROOT)


@pytest.mark.rule("R10")
def test_what_is_in_scope_has_a_section_judged_by_pci_dss(at: Desk) -> None:
    relay = at.activate("north", kind=Kind.RELAY).computer
    good = replace(HEARTBEAT, point=Point.RELAY, name="north", computer=relay, port=4122)
    bad = replace(good, point=Point.AGENT, port=4118)
    other = replace(HEARTBEAT, name="south", computer="x")
    prove(
        at, seen(good, PROVED, Version.TLS1_2), seen(bad, VIOLATED, Version.TLS1_0), seen(other, PROVED, Version.TLS1_2)
    )
    assert at.services.proof.build(ROOT).content["scope"]["places"] == []
    at.services.scope.mark(ROOT, computer=relay, note="cards")
    section = at.services.proof.build(ROOT).content["scope"]
    verdicts = {one["point"]: one for one in section["places"]}
    assert set(verdicts) == {"relay", "agent"}
    assert verdicts["agent"]["verdict"] == "does not hold"
    assert any("early TLS" in text for text in verdicts["agent"]["findings"])
    at.services.scope.mark(ROOT, point="heartbeat")
    assert {one["point"] for one in at.services.proof.build(ROOT).content["scope"]["places"]} == {
        "relay", "agent", "heartbeat",
    }  # fmt: skip
    assert [view.name or view.point for view in at.services.scope.marks(ROOT)] == ["north", "heartbeat"]
    with pytest.raises(Conflict):
        at.services.scope.mark(ROOT, point="heartbeat")
    plain = at.activate("plain").computer
    at.services.scope.mark(ROOT, computer=plain)
    section = at.services.proof.build(ROOT).content["scope"]
    assert [one["verdict"] for one in section["places"] if one["name"] == "plain"] == ["not proved"]
    at.services.scope.unmark(ROOT, computer=plain)
    at.services.exceptions.add(
        ROOT, point="heartbeat", floor="TLSv1", until=time.time() + 50, reason="old", source="10.0.0.7"
    )
    section = at.services.proof.build(ROOT).content["scope"]
    assert {one["verdict"] for one in section["places"] if one["point"] == "heartbeat"} == {"does not hold"}
    at.services.scope.unmark(ROOT, computer=relay)
    assert [view.point for view in at.services.scope.unmark(ROOT, point="heartbeat")] == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, BadInput),
        ({"point": "gui", "computer": "x"}, BadInput),
        ({"point": "4119"}, BadInput),
        ({"computer": "x"}, NotFound),
        ({"point": "gui", "note": "x" * 501}, BadInput),
    ],
)
def test_bad_marks_change_nothing(at: Desk, given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        at.services.scope.mark(ROOT, **given)
    with pytest.raises((NotFound, BadInput)):
        at.services.scope.unmark(ROOT, point="gui")
    assert at.services.scope.marks(ROOT) == ()


def test_an_unknown_change_proves_nothing(at: Desk) -> None:
    with pytest.raises(NotFound):
        at.services.proof.build(ROOT, 7)


@pytest.mark.rule("R17")
def test_places_are_the_manager_s_ports_relays_and_agents_that_listen(at: Desk) -> None:
    at.activate("north", kind=Kind.RELAY, address="10.0.0.8")
    at.activate("plain", address="10.0.0.9")
    places = at.services.proving.places()
    assert [(one.point, one.name) for one in places] == [
        (Point.GUI, "manager"), (Point.HEARTBEAT, "manager"), (Point.RELAY, "north"),
    ]  # fmt: skip


def test_one_that_is_open_leaves_all_open_and_one_violation_outweighs_it() -> None:
    good, silent, bad = (seen(HEARTBEAT, word) for word in (PROVED, NOT_PROVED, VIOLATED))
    assert overall([good]) == PROVED
    assert overall([good, silent]) == NOT_PROVED
    assert overall([good, silent, bad]) == VIOLATED
    assert overall([]) == NOT_PROVED


def test_the_first_key_is_one_key_for_all_who_ask_at_once(at: Desk) -> None:
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: at.services.proof.build(ROOT).key, range(8)))
    assert set(made) == {at.services.proof.keys(ROOT)[0][0]}


def test_a_proof_is_made_in_the_background_and_kept_to_download(at: Desk, tmp_path: Path) -> None:
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    assert at.services.proof.made(ROOT) == ()
    at.services.proof.begin(ROOT)
    at.services.proof.wait()
    assert at.services.proof.making(ROOT) is None
    (made,) = at.services.proof.made(ROOT)
    assert (made.verdict, made.counts["proved"], made.scope, made.change, made.by) == (PROVED, 1, None, None, ROOT.who)
    write(tmp_path / "out", at.services.proof.bundle(ROOT, made.id))
    assert check(tmp_path / "out", load_public(at.services.proof.keys(ROOT)[0][1].encode())).whole
    with pytest.raises(NotFound):
        at.services.proof.bundle(ROOT, "../signing.pem")
    with pytest.raises(NotFound):
        at.services.proof.begin(ROOT, 7)


def test_a_proof_that_fails_says_why_and_only_the_newest_are_kept(at: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    monkeypatch.setattr("plimsoll.manager.services.proof_shelf.KEPT", 2)
    for _ in range(3):
        at.services.proof.begin(ROOT)
        at.services.proof.wait()
    kept = {one.id for one in at.services.proof.made(ROOT)}
    assert len(kept) == 2
    pieces = at.home.store.read(lambda c: set(c.execute(sa.select(proof_pieces.c.proof)).scalars()))
    assert pieces == kept
    (at.home.path / KEY_FILE).write_text(base64.b64encode(bytes(32)).decode())
    at.services.proof.begin(ROOT)
    at.services.proof.wait()
    failed = at.services.proof.making(ROOT)
    assert failed is not None
    assert "cannot be read" in failed.failed


@pytest.fixture
def two(at: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ProofService, ProofService, set[str]]]:
    """The proofs of this manager and of a further one, named b, and who of them is gone."""
    core, known = at.services.proof._core, at.services
    nodes = NodesService(core)
    nodes._id = "b" * 32
    gone: set[str] = set()
    for one in (nodes, known.nodes):
        monkeypatch.setattr(one, "lost", lambda connection, node: node in gone)
    other = ProofService(core, nodes, known.proving, known.exceptions, known.changes, known.audit)
    other._shelf._name = "b"
    yield known.proof, other, gone
    other.wait()


def test_a_proof_is_shown_and_kept_for_every_manager(
    at: Desk, two: tuple[ProofService, ProofService, set[str]], tmp_path: Path
) -> None:
    here, there, _ = two
    going = threading.Event()
    asked = threading.Event()

    def prove_slowly(**wanted: Any) -> tuple[Proved, ...]:
        wanted["progress"](3, 7)
        asked.set()
        going.wait(30)
        return (seen(HEARTBEAT, PROVED, Version.TLS1_2),)

    at.services.proving.prove = prove_slowly  # type: ignore[method-assign]
    there._shelf._nodes._shared = True
    there._shelf._told = -10.0
    there.begin(ROOT)
    assert asked.wait(30)
    making = here.making(ROOT)
    assert making is not None
    assert (making.at, making.failed) == ("b", "")
    with pytest.raises(Conflict, match="at the manager b"):
        here.begin(ROOT)
    going.set()
    there.wait()
    assert here.making(ROOT) is None
    assert here.made(ROOT) == there.made(ROOT)
    (made,) = here.made(ROOT)
    write(tmp_path / "out", here.bundle(ROOT, made.id))
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    new = here.rotate(ROOT)
    assert there.build(ROOT).key == new, "one key for all managers"


def test_a_proof_whose_manager_ended_is_told_as_broken_off(
    at: Desk, two: tuple[ProofService, ProofService, set[str]]
) -> None:
    here, there, gone = two
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2))
    there._shelf.begin("user:a", None, "one")
    there._shelf._told = -10.0
    there._shelf._nodes._shared = True
    there._shelf.progress(3, 7)
    making = here.making(ROOT)
    assert making is not None
    assert (making.done, making.of) == (3, 7)
    gone.add("b" * 32)
    broken = here.making(ROOT)
    assert broken is not None
    assert "the manager b ended" in broken.failed
    gone.clear()
    there._shelf._own = None
    there.recover()
    told = here.making(ROOT)
    assert told is not None
    assert "the manager b ended" in told.failed
    here.begin(ROOT)
    here.wait()
    assert here.making(ROOT) is None
    there._shelf.end()
    assert len(here.made(ROOT)) == 1


@pytest.mark.rule("R10")
def test_the_view_for_pci_dss_names_who_in_scope_accepts_early_tls(at: Desk) -> None:
    gui = Place(Point.GUI, "manager", "127.0.0.1", 4119, Version.TLS1_2)
    assert at.services.proof.pci(ROOT).proof is None
    at.services.scope.mark(ROOT, point="gui", note="cards")
    prove(at, seen(HEARTBEAT, PROVED, Version.TLS1_2), seen(gui, VIOLATED, Version.TLS1_0, Version.TLS1_2))
    at.services.proof.begin(ROOT)
    at.services.proof.wait()
    at.services.scope.mark(ROOT, point="relay")
    until = time.time() + 50
    for point in ("gui", "heartbeat"):
        at.services.exceptions.add(ROOT, point=point, floor="TLSv1", until=until, reason="a script", source="10.0.0.7")
    view = at.services.proof.pci(ROOT)
    (place,) = view.places
    assert (place.point, place.early, place.accepted) == ("gui", ("TLSv1",), ("TLSv1", "TLSv1.2"))
    assert place.evidence[0].startswith("TLSv1: ")
    assert [mark.point for mark in view.fresh] == ["relay"]
    assert [one.point for one in view.exceptions] == [Point.GUI], "4120 is not in scope"
    at.services.scope.unmark(ROOT, point="gui")
    assert at.services.proof.pci(ROOT).places == ()
