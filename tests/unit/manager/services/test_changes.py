"""Staged changes over a real store, with a clock and a fleet of the test's own; `tick` is what the manager calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support.change_world import START, World
from tests.support.homes import DATABASES, ROOT, USUAL, desk, principal

from plimsoll.manager.ports import BadInput, Blocked, Conflict, Forbidden, NotFound, Principal, Role
from plimsoll.manager.services.changes import ChangeView, StartRequest
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import Kind
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: What runs in every database each time: one of each way that a change goes. The rest does with the long forms.
EVERYWHERE = {
    "test_a_healthy_fleet_goes_up_stage_by_stage_to_a_proof",
    "test_a_canary_that_is_refused_takes_it_all_back_and_is_named",
    "test_the_shadow_finds_whom_no_table_knew",
    "test_policies_with_a_floor_of_their_own_go_up_and_back",
    "test_what_somebody_else_moved_meanwhile_stays",
    "test_lowering_is_one_command",
    "test_one_at_a_time_by_name",
    "test_a_start_time_and_a_second_person",
    "test_a_pause_holds_it_and_still_watches",
    "test_a_restart_goes_on_with_the_time_that_was_stored",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" in metafunc.fixturenames:
        marks = () if metafunc.function.__name__ in EVERYWHERE else (pytest.mark.deep,)
        kinds = [pytest.param(kind, marks=() if kind == USUAL else marks) for kind in DATABASES]
        metafunc.parametrize("world", kinds, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with desk(tmp_path, kind=request.param) as at:
        made = World(at)
        made.services.policies.update(ROOT, 1, PolicyValues(heartbeat_seconds=1))
        made.services.floors.set_minimum(ROOT, "TLSv1")
        yield made


def start(world: World, to: str = "TLSv1.2", **more: Any) -> ChangeView:
    given: dict[str, Any] = {"soak": 5.0, "canary": "2"} | more
    return world.services.changes.start(ROOT, StartRequest(**({"to": to} | given)))


@pytest.mark.rule("G2")
def test_a_healthy_fleet_goes_up_stage_by_stage_to_a_proof(world: World) -> None:
    for number in range(6):
        world.join(f"c{number}")
    for name in ("r1", "r2"):
        world.join(name, kind=Kind.RELAY)
    started = start(world)
    assert started.stages == (
        "preflight", "shadow", "relay canary", "relays", "agents", "heartbeat canary", "heartbeat", "gui", "proof",
    )  # fmt: skip
    world.until("shadow")
    assert {view.shadow for view in world.services.shadow.show(ROOT)} == {Version.TLS1_2}
    world.until("relay canary")
    assert world.floors() == {"heartbeat": "TLSv1", "gui": "TLSv1", "relay": "TLSv1.2", "agent": "TLSv1"}
    world.run(6)
    assert world.change().stage == "relay canary", "the relay has not shown its floor"
    for name in ("r1", "r2"):
        world.relay_takes_home(name)
    world.until("relays")
    for name in ("r1", "r2"):
        world.relay_takes_home(name)
    world.until("agents")
    world.until("heartbeat canary")
    assert len(world.change().canary) == 2
    assert world.at.published[-1].floor(Point.HEARTBEAT) is Version.TLS1_0
    held = world.change().canary[0]
    assert world.at.published[-1].floor_for(Point.HEARTBEAT, "10.0.0.9", held, world.now) is Version.TLS1_2
    world.until("heartbeat")
    assert world.floors()["heartbeat"] == "TLSv1.2"
    assert world.floors()["gui"] == "TLSv1", "4119 has a stage of its own"
    assert world.at.published[-1].rules == ()
    world.until("gui")
    assert set(world.floors().values()) == {"TLSv1.2"}
    world.until("proof")
    world.run(1)
    done = world.change()
    assert (done.state, done.proof is not None and done.proof["verdict"]) == ("done", "proved")
    assert {view.shadow for view in world.services.shadow.show(ROOT)} == {None}
    assert world.services.floors.history(ROOT, 1)[0].cause == "change"
    assert world.services.changes.tick() is False
    back = world.services.changes.back(ROOT, done.id)
    assert back.state == "taken back"
    assert set(world.floors().values()) == {"TLSv1"}
    with pytest.raises(Conflict):
        world.services.changes.back(ROOT, done.id)


@pytest.mark.rule("G2")
def test_a_canary_that_is_refused_takes_it_all_back_and_is_named(world: World) -> None:
    for number in range(6):
        world.join(f"c{number}")
    world.join("old", Version.TLS1_0, "9.6.2")
    with pytest.raises(Blocked) as blocked:
        start(world)
    assert [finding.who for finding in blocked.value.preflight.blockers] == ["old"]
    with pytest.raises(BadInput, match="reason"):
        start(world, force=True)
    start(world, force=True, reason="to see")
    before = world.floors()
    world.until("heartbeat canary")
    world.run(1)
    found = world.change()
    assert found.state == "taken back"
    assert "old" in found.text
    assert "refused by what was raised" in found.text
    assert world.floors() == before
    assert world.at.published[-1].rules == ()
    (event, *_) = [one for one in world.services.events.list(ROOT) if one.number == 1963]
    assert event.extra["named"] == ["old"]
    assert [entry.cause for entry in world.services.floors.history(ROOT, 2)] == ["back", "back"]


def test_a_force_reaches_no_further_than_the_names_that_were_shown(world: World) -> None:
    world.join("new")
    world.join("old", Version.TLS1_0, "9.6.2")
    (shown,) = world.services.judgement.preflight(ROOT, "TLSv1.2").blockers
    world.join("older", Version.TLS1_0, "9.5.3")
    with pytest.raises(Blocked, match=r"older would be cut off too, and stood in no list"):
        start(world, force=True, reason="to see", seen={shown.id})
    with pytest.raises(Blocked, match="Look at the names again"):
        start(world, seen=frozenset())
    with pytest.raises(NotFound):
        world.services.changes.get(ROOT)
    both = {finding.id for finding in world.services.judgement.preflight(ROOT, "TLSv1.2").blockers}
    assert start(world, force=True, reason="to see", seen=both).state == "running"


def test_a_plan_says_what_a_start_would_do_and_does_nothing(world: World) -> None:
    world.join("c")
    for name in ("r1", "r2"):
        world.join(name, kind=Kind.RELAY)
    world.services.floors.set(ROOT, "TLSv1.2", "gui", force=True, reason="first")
    request = StartRequest("TLSv1.2", soak=5.0, canary="2")
    plan = world.services.changes.plan(ROOT, request)
    assert (plan.points, plan.relays, plan.quiet) == ((Point.HEARTBEAT, Point.RELAY, Point.AGENT), 2, "")
    assert plan.floors[Point.GUI] is Version.TLS1_2
    started = world.services.changes.start(ROOT, request)
    assert started.stages == tuple(stage.value for stage in plan.plan.stages)
    assert f"change {started.id}" in world.services.changes.plan(ROOT, StartRequest("TLSv1.3")).quiet
    with pytest.raises(BadInput):
        world.services.changes.plan(ROOT, StartRequest("TLSv1.2", canary="none"))
    standing = world.services.changes.standing(ROOT)
    assert (standing.floors, standing.own) == (plan.floors, {Point.RELAY: (), Point.AGENT: ()})
    assert "policy:Base" in standing.canaries


def test_nmap_from_a_managed_host_and_hosts_that_die_take_nothing_back(world: World) -> None:
    for number in range(8):
        world.join(f"c{number}")
    start(world, points=("heartbeat",))
    world.until("heartbeat")
    stranger = Sighting(
        Point.HEARTBEAT, "10.0.0.9", Version.TLS1_0, (Version.TLS1_0,), "ja4-nmap", None, Outcome.REFUSED, None, None,
        1, world.now, world.now,
    )  # fmt: skip
    world.services.changes.saw_refusal(stranger, [])
    for name in ("c0", "c1", "c2"):
        world.silent.add(name)
    world.services.computers.set_online([world.computers[name] for name in sorted(world.silent)], False)
    world.run(8)
    assert world.change().state == "done"


def test_a_refusal_that_may_be_one_of_several_is_a_breach_once_a_heartbeat_of_theirs_is_missing(world: World) -> None:
    for number in range(8):
        world.join(f"c{number}")
    start(world, points=("heartbeat",), soak=3.0)
    world.until("heartbeat")
    world.silent.add("c1")
    world.refuse("c0", "c1", version=Version.TLS1_0)
    world.run(6)
    assert world.change().state == "running"
    assert "to be heard after a refusal" in world.change().text, "its soak is over, and it waits for c1"
    world.run(4)
    assert world.change().state == "taken back"
    assert "c1" in world.change().text
    assert "c0" not in world.change().text, "it was heard since"


def test_a_refusal_that_was_nobodys_is_forgotten_once_all_of_them_were_heard(world: World) -> None:
    for number in range(8):
        world.join(f"c{number}")
    start(world, points=("heartbeat",), soak=3.0)
    world.until("heartbeat")
    world.refuse("c0", "c1", version=Version.TLS1_0)
    world.run(2)
    world.silent.add("c1")
    world.services.computers.set_online([world.computers["c1"]], False)
    world.run(20)
    assert world.change().state == "done"


def test_silence_of_many_waits_for_a_person_with_the_evidence_and_goes_on_without_blaming_them_again(
    world: World,
) -> None:
    for number in range(12):
        world.join(f"c{number:02}")
    start(world, points=("heartbeat",), soak=5.0)
    world.until("heartbeat")
    stranger = Sighting(
        Point.HEARTBEAT, "10.0.0.9", Version.TLS1_0, (Version.TLS1_0,), "ja4-nmap", None, Outcome.REFUSED, None, None,
        1, world.now + 1, world.now + 1,
    )  # fmt: skip
    world.services.changes.saw_refusal(stranger, [])
    world.silent = {f"c{number:02}" for number in range(6)}
    world.services.computers.set_online([world.computers[name] for name in sorted(world.silent)], False)
    world.run(2)
    found = world.change()
    assert (found.state, found.text.split(":")[0]) == ("halted", "silent for another reason")
    (figure,) = [one for one in found.figures if one["rule"] == "silent for another reason"]
    assert len(figure["evidence"]) == 6
    assert "a hello was refused there that is not like its own" in figure["evidence"][0]
    assert any("last heard" in entry.text for entry in found.log if entry.what == "halted")
    world.services.changes.resume(ROOT, found.id)
    world.run(12)
    assert world.change().state == "done"


def test_a_heartbeat_rate_that_falls_halts_it_before_anybody_counts_as_offline(world: World) -> None:
    for number in range(20):
        world.join(f"c{number:02}")
    start(world, points=("heartbeat",), soak=30.0)
    world.until("heartbeat")
    world.silent = {f"c{number:02}" for number in range(6)}
    world.run(5)
    found = world.change()
    assert found.state == "halted"
    assert found.text.startswith("the heartbeat rate fell: 14 of 20")


def test_a_canary_that_is_gone_is_waited_for_and_then_a_person_is_asked(world: World) -> None:
    for number in range(8):
        world.join(f"c{number}")
    start(world, points=("heartbeat",), soak=3.0)
    world.until("heartbeat canary")
    names = {identifier: name for name, identifier in world.computers.items()}
    world.silent = {names[one] for one in world.change().canary}
    world.services.computers.set_online(list(world.change().canary), False)
    world.run(8)
    assert world.change().state == "running"
    assert "still online: 0 of 2" in world.change().text
    world.run(12)
    assert (world.change().state, world.change().stage) == ("halted", "heartbeat canary")


def test_a_refusal_of_what_was_refused_before_is_no_breach(world: World) -> None:
    world.services.floors.set(ROOT, "TLSv1.1", "heartbeat")
    for number in range(3):
        world.join(f"c{number}")
    start(world, points=("heartbeat",))
    world.until("heartbeat")
    world.refuse("c0", version=Version.TLS1_0)
    world.run(7)
    assert world.change().state == "done"


def test_the_shadow_finds_whom_no_table_knew(world: World) -> None:
    for number in range(3):
        world.join(f"c{number}")
    start(world)
    world.until("shadow")
    world.versions["c1"] = Version.TLS1_0
    world.run(2)
    found = world.change()
    assert (found.state, found.stage) == ("halted", "shadow")
    assert "c1" in found.text
    assert world.floors()["heartbeat"] == "TLSv1"
    world.versions["c1"] = Version.TLS1_2
    assert world.services.changes.resume(ROOT, found.id).state == "running"
    world.run(3)
    assert world.change().state == "running"
    assert world.services.changes.abort(ROOT, found.id).state == "aborted"
    assert {view.shadow for view in world.services.shadow.show(ROOT)} == {None}


def test_relays_that_stay_away_halt_it(world: World) -> None:
    for name in ("r1", "r2"):
        world.join(name, kind=Kind.RELAY)
    start(world, points=("relay",))
    world.until("relay canary")
    world.run(8)
    assert world.change().state == "running"
    world.run(8)
    assert world.change().state == "halted"
    assert world.change().text.endswith("r1") or world.change().text.endswith("r2")
    (halted,) = [entry for entry in world.change().log if entry.what == "halted"]
    assert "has not acknowledged its policy" in halted.text
    aborted = world.services.changes.abort(ROOT, world.change().id)
    assert aborted.state == "aborted"
    assert "sent again to 1 computer" in aborted.text
    assert world.floors()["relay"] == "TLSv1"


def test_policies_with_a_floor_of_their_own_go_up_and_back(world: World) -> None:
    world.services.policies.create(ROOT, "Old site", values=PolicyValues(relay_floor=Version.TLS1_0))
    world.join("r1", kind=Kind.RELAY)
    start(world, points=("relay",))
    world.until("relays")

    def own() -> Version | None:
        (one,) = [view for view in world.services.policies.list(ROOT) if view.name == "Old site"]
        return one.own.relay_floor

    assert own() is Version.TLS1_2
    world.services.changes.abort(ROOT, world.change().id)
    assert own() is Version.TLS1_0


def test_what_somebody_else_moved_meanwhile_stays(world: World) -> None:
    world.join("c0")
    start(world, points=("heartbeat",))
    world.until("heartbeat")
    with pytest.raises(Conflict, match="under way"):
        world.services.floors.set(ROOT, "TLSv1.1")
    with pytest.raises(Conflict, match="under way"):
        world.services.policies.update(ROOT, 1, PolicyValues(relay_floor=Version.TLS1_3))
    world.run(7)
    world.services.floors.set(ROOT, "TLSv1.3", "heartbeat", True, "a step further")
    world.services.changes.back(ROOT, world.change().id)
    assert world.floors()["heartbeat"] == "TLSv1.3"


def test_lowering_is_one_command(world: World) -> None:
    world.services.floors.set_minimum(ROOT, "TLSv1.2")
    world.join("c0")
    world.join("r1", kind=Kind.RELAY)
    made = start(world, "TLSv1")
    assert (made.direction, made.stages[1]) == ("lower", "gui")
    world.run(8)
    assert world.change().state == "done"
    assert set(world.floors().values()) == {"TLSv1"}
    world.services.changes.back(ROOT, made.id)
    assert set(world.floors().values()) == {"TLSv1.2"}


def test_a_file_with_its_own_list_gets_it_back(world: World) -> None:
    text = world.at.home.config_path.read_text()
    world.at.home.config_path.write_text(
        text.replace("protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3", "protocols=TLSv1,TLSv1.2")
    )
    world.services.floors.reload(ROOT)
    world.join("c0")
    start(world, points=("heartbeat", "gui"))
    world.until("gui")
    world.services.changes.abort(ROOT, world.change().id)
    assert world.at.home.protocols_in_file() == "TLSv1,TLSv1.2"


def test_one_at_a_time_by_name(world: World) -> None:
    world.join("c0")
    first = start(world)
    with pytest.raises(Conflict, match=f"change {first.id} to TLSv1.2"):
        start(world, "TLSv1.3")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"to": "TLSv1"}, "is the floor already"),
        ({"to": "1.2"}, "TLSv1.2"),
        ({"points": ()}, "which points"),
        ({"points": ("4120",)}, "unknown point"),
        ({"soak": 0.0}, "soak"),
        ({"canary": "0"}, "a canary is"),
        ({"canary": "x%"}, "a canary is"),
        ({"canary": "101%"}, "a canary is"),
        ({"at": START - 5}, "in the past"),
        ({"freeze": ("8-18",)}, "freeze hours"),
    ],
)
def test_bad_input_starts_nothing(world: World, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        start(world, **more)
    assert world.services.changes.list(ROOT) == ()


def test_a_canary_group_must_be_there(world: World) -> None:
    for canary in ("group:nowhere", "policy:nowhere"):
        with pytest.raises(NotFound):
            start(world, canary=canary)
    assert world.services.changes.list(ROOT) == ()
    with pytest.raises(NotFound, match="no change yet"):
        world.change()


def test_who_would_lock_himself_out_is_told(world: World) -> None:
    old = Principal("user", "anna", Role.ADMINISTRATOR, "rest", "10.0.0.1", Version.TLS1_0)
    with pytest.raises(Forbidden, match="own connection"):
        world.services.changes.start(old, StartRequest("TLSv1.2"))
    with pytest.raises(Forbidden):
        world.services.changes.start(principal(Role.AUDITOR), StartRequest("TLSv1.2"))


def program(version: Version, who: str | None, now: float, outcome: Outcome = Outcome.ADMITTED) -> Sighting:
    negotiated = version if outcome is Outcome.ADMITTED else None
    return Sighting(
        Point.GUI, "10.0.7.7", version, (version,), "ja4-script", None, outcome, negotiated, who, 1, now, now
    )


@pytest.mark.rule("R12")
def test_programs_are_accepted_by_name_or_nothing_starts(world: World) -> None:
    world.join("c0")
    world.sighted.append(program(Version.TLS1_0, "user:report", world.now))
    with pytest.raises(Blocked, match="report") as refused:
        start(world)
    assert not refused.value.preflight.blockers
    made = start(world, accept_affected=True)
    assert made.options["named"]["affected"] == ["report"]
    (entry, *_) = [one for one in world.services.access.audit(ROOT, 5) if one.action == "changes.start"]
    assert entry.after["named"]["affected"] == ["report"]
    world.until("gui")
    world.services.changes.saw_refusal(program(Version.TLS1_0, None, world.now, Outcome.REFUSED), [])
    world.run(7)
    assert world.change().state == "done", "it was accepted"


def test_a_program_that_nobody_accepted_takes_4119_back(world: World) -> None:
    world.join("c0")
    start(world, points=("gui",))
    world.until("gui")
    world.sighted.append(program(Version.TLS1_0, "user:report", world.now - 100))
    world.services.sightings.absorb()
    world.services.changes.saw_refusal(program(Version.TLS1_0, None, world.now, Outcome.REFUSED), [])
    world.run(1)
    assert world.change().state == "taken back"
    assert "report" in world.change().text
    assert world.floors()["gui"] == "TLSv1"


def test_a_start_time_and_a_second_person(world: World) -> None:
    world.join("c0")
    made = start(world, at=START + 100, approval=True)
    assert made.state == "awaiting approval"
    with pytest.raises(Forbidden, match="second person"):
        world.services.changes.approve(ROOT, made.id)
    other = principal(Role.ADMINISTRATOR, "berta")
    approved = world.services.changes.approve(other, made.id)
    assert (approved.state, approved.approved_by) == ("scheduled", "user:berta")
    with pytest.raises(Conflict):
        world.services.changes.approve(other, made.id)
    world.run(90)
    assert world.change().stage == "preflight"
    assert world.change().state == "scheduled"
    world.run(20)
    assert world.change().state == "running"


@pytest.mark.parametrize(("later", "state"), [(3000.0, "running"), (90_000.0, "halted")])
def test_a_start_time_that_was_missed_by_far_waits_for_a_person(world: World, later: float, state: str) -> None:
    """The manager was down, or its clock jumped: whether the middle of a working day will do is not ours to say."""
    world.join("c0")
    made = start(world, at=START + 100)
    world.now += later
    world.run(1)
    assert world.change().state == state
    if state == "halted":
        assert "start time" in world.change().text
        assert world.services.changes.resume(ROOT, made.id).state == "running"
        world.run(2)
        assert world.change().stage == "shadow"


def test_an_approval_that_comes_after_the_start_time_is_refused(world: World) -> None:
    world.join("c0")
    made = start(world, at=START + 100, approval=True)
    world.now += 200
    with pytest.raises(Conflict, match="has passed"):
        world.services.changes.approve(principal(Role.ADMINISTRATOR, "berta"), made.id)
    assert world.services.changes.abort(ROOT, made.id).state == "aborted"


def test_a_blocker_that_came_after_the_start_halts_it(world: World) -> None:
    world.join("c0")
    start(world, at=START + 10)
    world.join("old", Version.TLS1_0, "9.6.2")
    world.run(15)
    assert (world.change().state, world.change().stage) == ("halted", "preflight")
    assert "old" in world.change().text


def test_notices_go_to_whom_it_concerns(world: World) -> None:
    world.join("old", Version.TLS1_0, "9.6.2")
    start(world, force=True, reason="x", at=START + 1000)
    (notice,) = [one for one in world.services.events.list(ROOT) if one.number == 1965]
    assert notice.target == "old"
    assert notice.computer == world.computers["old"]


def test_freeze_hours_hold_the_next_stage(world: World) -> None:
    world.join("c0")
    local = datetime.fromtimestamp(world.now, ZoneInfo("Asia/Kolkata"))
    later = local + timedelta(minutes=30)
    window = f"{local:%H:%M}-{later:%H:%M} Asia/Kolkata"
    start(world, freeze=(window,))
    world.run(20)
    assert world.change().stage == "preflight"
    assert "Asia/Kolkata" in world.change().text
    world.run(1800, step=10)
    assert world.change().stage != "preflight"


def test_a_pause_holds_it_and_still_watches(world: World) -> None:
    for number in range(3):
        world.join(f"c{number}")
    start(world, points=("heartbeat",))
    world.until("heartbeat")
    number = world.change().id
    assert world.services.changes.pause(ROOT, number).state == "paused"
    world.run(20)
    assert (world.change().state, world.change().stage) == ("paused", "heartbeat")
    with pytest.raises(Conflict):
        world.services.changes.pause(ROOT, number)
    world.refuse("c0", version=Version.TLS1_0)
    world.run(1)
    assert world.change().state == "taken back"
    with pytest.raises(Conflict):
        world.services.changes.resume(ROOT, number)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_jumps_begins_the_soak_anew(world: World, jump: float) -> None:
    world.join("c0")
    start(world, points=("heartbeat",), soak=10.0)
    world.until("shadow")
    world.run(8)
    world.now += jump
    world.run(4)
    assert world.change().stage == "shadow"
    assert any(entry.what == "clock" for entry in world.change().log)
    world.run(12)
    assert world.change().stage != "shadow"


def test_a_restart_goes_on_with_the_time_that_was_stored(world: World) -> None:
    world.join("c0")
    start(world, points=("heartbeat",), soak=20.0)
    world.until("shadow")
    world.run(12)
    soaked = world.change().soaked
    assert soaked >= 8
    world.bring_up()
    world.run(12)
    assert world.change().stage == "heartbeat canary"


def test_a_proof_that_is_open_is_said(world: World) -> None:
    world.join("c0")
    world.verdict = "not proved"
    start(world, points=("gui",))
    world.run(20)
    assert world.change().state == "done"
    assert "not proved: heartbeat of manager" in world.change().text


def test_a_fleet_that_flaps_does_not_take_it_back(world: World) -> None:
    for number in range(20):
        world.join(f"c{number:02}")
    start(world, points=("heartbeat",), soak=8.0)
    for round_number in range(80):
        if world.change().state != "running":
            break
        world.silent = {f"c{(round_number + n) % 20:02}" for n in range(3)}
        gone = [world.computers[name] for name in world.silent]
        world.services.computers.set_online(gone, False)
        world.run(1)
    assert world.change().state == "done"


def test_a_wave_follows_a_wave_of_relays(world: World) -> None:
    for number in range(8):
        world.join(f"r{number}", kind=Kind.RELAY)
    start(world, points=("relay",))
    waves: list[int] = []
    for _ in range(100):
        world.run(1)
        effects = world.effects()
        if effects is None:
            break
        sent = effects.get("sent", [])
        if not waves or waves[-1] != len(sent):
            waves.append(len(sent))
        for name, identifier in world.computers.items():
            if identifier in sent:
                world.relay_takes_home(name)
    assert [wave for wave in waves if wave] == [1, 3, 8]
    assert world.change().state == "done"
