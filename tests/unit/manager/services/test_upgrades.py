"""Upgrades in waves over a real store: order, bounds, halts, ways back, and what forbids one (R9, R20)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.support.homes import ROOT, desk, principal
from tests.support.upgrade_world import DIES_EARLY, FAILS, GOES_BACK, GOOD, LOST, SLOW, World

from plimsoll.fleet import upgrades as pure
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Role
from plimsoll.manager.services import events as numbers
from plimsoll.manager.services.changes import StartRequest as ChangeRequest
from plimsoll.manager.services.upgrades import StartRequest
from plimsoll.manager.store import upgrades as table
from plimsoll.messages import Kind, UpgradeReport


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with desk(tmp_path) as at:
        made = World(at)
        made.publish()
        yield made


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:02}" for number in range(count)]


def events(world: World, number: int) -> list[Any]:
    return [one for one in world.services.events.list(ROOT, limit=1000) if one.number == number]


# -- forwards


@pytest.mark.rule("R9")
def test_relays_go_first_wave_by_wave_and_appliances_with_the_agents(world: World) -> None:
    world.join("r1", "r2", kind=Kind.RELAY)
    world.join(*names("a", 8))
    world.join("guard", kind=Kind.APPLIANCE)
    began = world.start()
    assert (began.state, began.wave, began.text) == ("running", 1, "begins")
    waves = world.order_of_waves()
    assert [len(wave) for wave in waves] == [1, 1, 1, 4, 4]
    assert waves[0] | waves[1] == {"r1", "r2"}
    reached: dict[str, float] = {}

    def note() -> None:
        reached.update(
            {name: world.now for name, host in world.hosts.items() if host.version == "12.0.0" and name not in reached}
        )

    while world.upgrade().state == "running":
        world.run(1)
        note()
    done = world.upgrade()
    assert (done.state, done.text) == ("done", "done: all 11 upgraded")
    for earlier, later in pairwise(waves):
        assert max(reached[name] for name in earlier) + 5 <= min(reached[name] for name in later), "a wave soaks"
    assert world.record("guard").version == "12.0.0"
    assert {one.what for one in done.log} == {"started", "passed", "entered", "done"}
    assert len(events(world, numbers.UPGRADE_WAVE)) == 4
    (ended,) = events(world, numbers.UPGRADE_ENDED)
    assert (ended.level, ended.description) == ("info", "upgrade 1 to 12.0.0 is done: all 11 upgraded")
    assert not world.services.upgrades.tick()


def test_only_so_many_are_under_way_at_once(world: World) -> None:
    world.join(*names("a", 9))
    world.start(wave="100%", at_once=3)
    most = 0
    while world.upgrade().state == "running":
        world.run(1)
        states = list(world.states().values())
        most = max(most, sum(state in (table.ORDERED, table.WORKING, table.SWITCHING) for state in states))
    assert most == 3


@pytest.mark.rule("R20")
def test_computers_are_chosen_by_group_policy_and_name(world: World) -> None:
    world.join("a", "b", group="North")
    world.join("c", "d")
    world.services.policies.create(ROOT, "Servers")
    from plimsoll.manager.services.computers import ComputerChange

    world.services.computers.update(ROOT, world.hosts["c"].id, ComputerChange(policy="Servers"))
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"groups": ["North"]}, {"a", "b"}),
        ({"policies": ["Servers"]}, {"c"}),
        ({"computers": ["D", world.hosts["a"].id]}, {"a", "d"}),
        ({"groups": ["North"], "computers": ["d"]}, {"a", "b", "d"}),
    ]
    for options, chosen in cases:
        plan = world.services.upgrades.plan(ROOT, StartRequest(to="12.0.0", **options))
        assert sum(wave.size for wave in plan.waves) == len(chosen)
        world.start(**options)
        assert set(world.states()) == chosen
        world.services.upgrades.abort(ROOT, world.upgrade().id)
    for wrong in ("groups", "policies", "computers"):
        with pytest.raises(NotFound, match="nothing was started"):
            world.start(**{wrong: ["nobody"]})  # type: ignore[arg-type]


def test_the_newest_of_a_release_is_taken_and_each_system_gets_its_package(world: World) -> None:
    from plimsoll import RELEASE

    assert RELEASE == "12.0.0"
    world.publish("11.9.5", file="a.rpm")
    world.publish("11.9.4")
    world.publish("11.9.6", platform="Windows", file="a.msi")
    world.join("a", version="11.9.1")
    plan = world.services.upgrades.plan(ROOT, StartRequest(to="11.9.4"))
    assert (plan.target, plan.waves[0].size) == ("11.9.4", 1)
    with pytest.raises(BadInput, match=r"a: no package of 11\.9\.6 for Debian x86_64 was imported"):
        world.services.upgrades.plan(ROOT, StartRequest(to="11.9"))
    world.publish("11.9.6", file="plimsoll-agent_11.9.6.deb", platform="Debian_12")
    world.start(to="11.9")
    done = world.until(lambda one: one.state == "done")
    assert done.target == "11.9.6"
    assert world.record("a").version == "11.9.6"


# -- what forbids one


@pytest.mark.rule("R9")
def test_a_manager_that_is_older_refuses(world: World) -> None:
    world.publish("12.1.0")
    world.join("a")
    with pytest.raises(
        Conflict, match=r"this manager is release 12\.0\.0.*Upgrade the manager first, then the database"
    ):
        world.start(to="12.1")


@pytest.mark.rule("R20")
@pytest.mark.rule("R12")
def test_a_release_that_could_not_reach_its_manager_is_stopped_before_anything_else(world: World) -> None:
    world.join("old", version="9.5", upgradable=False)
    with pytest.raises(
        Conflict, match=r"agent 9\.6\.2 speaks TLSv1 at most.*4120 enforces TLSv1\.2.*nothing was started"
    ):
        world.start(to="9.6.2")
    world.services.floors.set_minimum(ROOT, "TLSv1")
    with pytest.raises(BadInput, match="old: cannot change its own release: upgrade it by hand or by its package"):
        world.start(to="9.6.2")


@pytest.mark.rule("R9")
def test_agents_before_their_relays_are_refused_by_name(world: World) -> None:
    world.join("relay-north", kind=Kind.RELAY, group="North")
    world.join("a", "b", group="North")
    world.join("c")
    said = r"would not be at 12\.0\.0: relay-north 11\.9\.0, from which a, b download"
    with pytest.raises(Conflict, match=said):
        world.start(computers=["a", "b", "c"])
    # Others may go, with the relay they may go, and without it once it is upgraded.
    world.start(computers=["c"])
    world.until(lambda one: one.state == "done")
    world.start(groups=["North"])
    world.until(lambda one: one.state == "done")
    assert {world.record(name).version for name in world.hosts} == {"12.0.0"}


@pytest.mark.rule("R9")
def test_a_relay_that_must_be_upgraded_by_hand_holds_its_agents(world: World) -> None:
    world.join("r", kind=Kind.RELAY, upgradable=False)
    world.join("a")
    with pytest.raises(Conflict, match="upgrade them first"):
        world.start()
    world.off("r")
    assert world.start().state == "running", "a relay that is offline serves nobody"


def test_who_cannot_be_upgraded_from_here_is_named(world: World) -> None:
    world.join("a", "there")
    world.join("by-hand", version="10.0", upgradable=False)
    world.hosts["there"].version = "12.0.0"
    world.beat("there", inventory=True)
    began = world.start()
    assert began.left == {pure.BY_PACKAGE: ["by-hand"]}
    assert began.options["there"] == 1
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: all 1 upgraded"
    with pytest.raises(BadInput, match=r"2 run 12\.0\.0 or newer already; by-hand: cannot change"):
        world.start()


def test_one_at_a_time_and_not_beside_a_change(world: World) -> None:
    world.join("a")
    world.start()
    with pytest.raises(Conflict, match=r"upgrade 1 to 12\.0\.0 is under way .*: one at a time"):
        world.start()
    with pytest.raises(Conflict, match=r"upgrade 1 to 12\.0\.0 is under way"):
        world.services.changes.start(ROOT, ChangeRequest("TLSv1.3", force=True, reason="x", accept_affected=True))
    with pytest.raises(Conflict, match=r"upgrade 1 to 12\.0\.0 is under way.*raised"):
        world.services.floors.set(ROOT, "TLSv1.3", "heartbeat", force=True, reason="x")
    world.services.floors.set(ROOT, "TLSv1", "heartbeat")
    world.services.upgrades.abort(ROOT, 1)
    world.services.changes.start(ROOT, ChangeRequest("TLSv1.2", accept_affected=True))
    with pytest.raises(Conflict, match=r"change 1 to TLSv1\.2 is under way"):
        world.start()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"to": "twelve"}, "unknown component version"),
        ({"wave": "10%,5%"}, "waves grow"),
        ({"soak": -1.0}, "a soak lasts from 0 s"),
        ({"watch": 0.0}, "the time to watch a new release lasts from 1 s"),
        ({"patience": 5.0}, "the patience with a computer lasts from 10 s"),
        ({"failed": 1.5}, "between 0% and 100%"),
        ({"at_once": 0}, "from 1 to 100000 computers"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(world: World, options: dict[str, Any], why: str) -> None:
    world.join("a")
    with pytest.raises(BadInput, match=why) as caught:
        world.start(**options)
    assert "nothing was started" in str(caught.value)
    assert world.services.upgrades.list(ROOT) == ()


def test_auditors_look_and_operators_act(world: World) -> None:
    world.join("a")
    with pytest.raises(Forbidden):
        world.services.upgrades.start(principal(Role.AUDITOR), StartRequest(to="12.0.0"))
    made = world.services.upgrades.start(principal(Role.OPERATOR, "olga"), StartRequest(to="12.0.0"))
    assert made.who == "user:olga"
    assert world.services.upgrades.get(principal(Role.AUDITOR)).id == made.id
    with pytest.raises(NotFound, match="there is no upgrade 9"):
        world.services.upgrades.get(ROOT, 9)


# -- halts


@pytest.mark.parametrize(
    ("script", "state", "why"),
    [(FAILS, table.FAILED, "why: disk-full"), (GOES_BACK, table.BACK, "why: switched-back")],
)
def test_too_many_failures_halt_the_wave_and_name_them(
    world: World, script: tuple[str, ...], state: str, why: str
) -> None:
    world.join(*names("a", 10))
    world.start(wave="50%,100%")
    bad = sorted(world.order_of_waves()[0])[:2]
    for name in bad:
        world.hosts[name].script = script
    halted = world.until(lambda one: one.state == "halted")
    failing = {one.name: (one.state, one.detail) for one in halted.failing}
    assert failing
    assert set(failing) <= set(bad)
    assert set(failing.values()) == {(state, why)}
    assert halted.wave == 1
    assert "allowed: at most 0" in halted.text
    (event,) = events(world, numbers.UPGRADE_HALTED)
    assert set(event.extra["named"]) == set(failing)
    assert events(world, numbers.UPGRADE_FAILED)[0].target in failing
    # Nobody of the next wave was touched, and nobody is.
    world.run(30)
    assert world.upgrade().state == "halted"
    second = world.order_of_waves()[1]
    assert {world.states()[name] for name in second} == {table.WAITING}
    assert {world.record(name).version for name in second} == {"11.9.0"}


def test_a_share_of_failures_is_no_reason_to_halt(world: World) -> None:
    world.join(*names("a", 10))
    world.hosts["a03"].script = FAILS
    world.start(wave="100%", failed=0.1)
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: 9 of 10 upgraded, 1 failed"
    assert [one.name for one in done.failing] == ["a03"]


def test_who_resumes_has_read_the_failures(world: World) -> None:
    world.join(*names("a", 6))
    world.hosts["a00"].script = GOES_BACK
    world.start(wave="50%,100%")
    world.until(lambda one: one.state == "halted")
    resumed = world.services.upgrades.resume(ROOT, 1)
    assert resumed.state == "running"
    done = world.until(lambda one: one.state != "running")
    assert (done.state, done.text) == ("done", "done: 5 of 6 upgraded, 1 back")
    with pytest.raises(Conflict, match="is done"):
        world.services.upgrades.resume(ROOT, 1)


@pytest.mark.rule("R9")
def test_agents_of_a_relay_that_failed_are_not_upgraded_before_it(world: World) -> None:
    world.join("r1", "r2", kind=Kind.RELAY, group="North")
    world.join("s", kind=Kind.RELAY, group="South")
    world.join("n1", "n2", group="North")
    world.join("s1", group="South")
    world.hosts["r1"].script = GOES_BACK
    world.start(wave="100%")
    world.until(lambda one: one.state == "halted")
    world.services.upgrades.resume(ROOT, 1)
    halted = world.until(lambda one: one.state == "halted")
    assert halted.wave == 2
    assert "their relays upgraded before them: n1 (relay r1 11.9.0), n2 (relay r1 11.9.0)" in halted.text
    assert world.states()["n1"] == table.WAITING
    # Whoever goes on leaves them out.
    world.services.upgrades.resume(ROOT, 1)
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: 3 of 6 upgraded, 1 back, 2 left out"
    assert world.record("n1").version == "11.9.0"
    assert {one.detail for one in done.failing if one.state == table.LEFT} == {
        "its relay r1 11.9.0 was not upgraded before it"
    }


# -- silence


def test_who_falls_silent_after_the_switch_is_a_failure(world: World) -> None:
    world.services.policies.update(ROOT, 1, _quick())
    world.join("a", "b")
    world.hosts["a"].script = LOST
    world.start(wave="100%")
    halted = world.until(lambda one: one.state == "halted")
    assert [(one.name, one.state, one.code) for one in halted.failing] == [("a", table.LOST, "silent")]
    # It comes back after all, with the new release: what it says itself counts.
    world.on("a", script=("done",))
    world.run(3)
    assert world.states() == {"a": table.DONE, "b": table.DONE}


def _quick() -> Any:
    from plimsoll.manager.services.policies import PolicyValues

    return PolicyValues(heartbeat_seconds=1)


def test_who_is_offline_for_another_reason_is_told_apart_and_not_waited_for(world: World) -> None:
    world.join("a", "b", "c")
    world.off("b")
    world.hosts["c"].script = DIES_EARLY
    world.start(wave="100%")
    world.run(6)
    figures = {one["rule"]: one for one in world.upgrade().figures}
    assert figures["offline for another reason"]["value"] == "b, c"
    assert figures[pure.FAILURES]["value"] == "none"
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: 1 of 3 upgraded, 2 left out"
    assert {one.detail for one in done.failing} == {"it was offline until the upgrade was over"}
    # Their orders are gone: nobody upgrades unwatched, weeks later.
    world.on("b", "c", script=GOOD)
    world.run(10)
    assert world.record("b").version == "11.9.0"


def test_who_comes_back_in_time_is_upgraded(world: World) -> None:
    world.join("a", "b", "c", "d")
    world.start(wave="50%,100%", soak=3.0)
    first = min(world.order_of_waves()[0])
    world.off(first)
    world.until(lambda one: one.wave == 2)
    world.run(1)
    world.on(first)
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: all 4 upgraded"


def test_who_falls_silent_once_it_is_done_breaks_the_soak(world: World) -> None:
    world.join("a", "b")
    world.start(wave="100%", soak=30.0)
    world.until(lambda one: one.waves[0].states.get("done") == 2)
    world.run(5)
    world.off("b")
    halted = world.until(lambda one: one.state == "halted")
    assert "silent since: b" in halted.text


def test_who_does_not_end_in_time_is_a_failure(world: World) -> None:
    world.join("a")
    world.hosts["a"].script = SLOW
    world.start(patience=20.0)
    halted = world.until(lambda one: one.state == "halted")
    assert [(one.name, one.code) for one in halted.failing] == [("a", "late")]
    assert "did not say in 20 s how it ended" in halted.failing[0].detail


def test_a_host_that_says_it_runs_something_else_is_not_upgraded(world: World) -> None:
    world.join("a")
    world.hosts["a"].script = ("downloading", "done")
    world.start()
    world.run(1)
    world.hosts["a"].goal = "11.9.9"
    halted = world.until(lambda one: one.state == "halted")
    assert [(one.code, one.detail) for one in halted.failing] == [
        ("other-release", "it says that it runs release 11.9.9")
    ]


def test_a_clock_that_jumps_blames_nobody(world: World) -> None:
    world.join("a", "b")
    world.hosts["a"].script = ("downloading", "switching", "switching", "switching", "switching", "done")
    world.start(wave="100%", soak=10.0)
    world.run(4)
    world.now += 86400.0
    world.run(3)
    done = world.until(lambda one: one.state != "running")
    assert (done.state, done.text) == ("done", "done: all 2 upgraded")


# -- people


def test_a_pause_takes_orders_back_and_a_resume_gives_them_again(world: World) -> None:
    world.join("a", "b", "c")
    world.hosts["a"].script = ("downloading", "switching", "switching", "switching", "switching", "done")
    world.hosts["b"].script = SLOW
    world.off("c")
    world.start(wave="100%")
    world.run(3)
    paused = world.services.upgrades.pause(ROOT, 1)
    assert paused.text == "paused by uid 0; 2 orders were taken back"
    # Who has switched already ends; the others are left as they were.
    world.run(10)
    assert world.states() == {"a": table.DONE, "b": table.WAITING, "c": table.WAITING}
    assert world.hosts["b"].order == ""
    with pytest.raises(Conflict, match="is paused"):
        world.services.upgrades.pause(ROOT, 1)
    world.hosts["b"].script = GOOD
    world.on("c")
    world.services.upgrades.resume(ROOT, 1)
    assert world.until(lambda one: one.state == "done").text == "done: all 3 upgraded"


def test_who_says_that_it_switches_after_its_order_was_taken_back_does_not_and_waits(world: World) -> None:
    """The two cross on the way: the answer to that heartbeat has no order any more, so the host stops."""
    world.join("a")
    world.hosts["a"].script = SLOW
    world.start(wave="100%")
    world.run(3)
    order = world.hosts["a"].order
    assert world.services.upgrades.pause(ROOT, 1).text.endswith("1 orders were taken back")
    for state, expected in (("switching", table.WAITING), ("watching", table.SWITCHING)):
        answer = world.report("a", UpgradeReport(command=order, state=state, version="12.0.0"))
        assert answer.entry is not None
        assert answer.entry.commands == ()
        assert world.states() == {"a": expected}


def test_an_abort_ends_it_and_keeps_what_was_done(world: World) -> None:
    world.join("a", "b", "c")
    world.hosts["b"].script = SLOW
    world.start(wave="60%,100%")
    world.run(6)
    aborted = world.services.upgrades.abort(ROOT, 1)
    assert aborted.text.startswith("aborted by uid 0; ")
    world.run(10)
    states = list(world.states().values())
    assert table.WAITING not in states
    assert not world.services.upgrades.tick()
    with pytest.raises(Conflict, match="plimsoll upgrade back 1"):
        world.services.upgrades.abort(ROOT, 1)


@pytest.mark.rule("R9")
def test_the_way_back_goes_to_what_each_computer_had_computers_first(world: World) -> None:
    world.join("r", kind=Kind.RELAY)
    world.join("a", "b")
    world.join("c", version="11.8.0")
    world.start(wave="100%")
    with pytest.raises(Conflict, match="is running; end it first"):
        world.services.upgrades.back(ROOT, 1)
    world.until(lambda one: one.state == "done")
    world.hosts["b"].kept = []
    world.beat("b", inventory=True)
    began = world.services.upgrades.back(ROOT, 1)
    assert (began.id, began.back_of) == (2, 1)
    assert [wave.label for wave in began.waves] == ["computers to 100 %", "relays to 100 %"]
    assert began.left == {"release 11.9.0 is not kept there any more": ["b"]}
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: all 3 upgraded"
    versions = {name: world.record(name).version for name in world.hosts}
    assert versions == {"r": "11.9.0", "a": "11.9.0", "b": "12.0.0", "c": "11.8.0"}
    with pytest.raises(Conflict, match=r"no computer of upgrade 1 can go back \(.*is at 11\.\d\.0 by now"):
        world.services.upgrades.back(ROOT, 1)


def test_a_way_back_that_would_cut_off_is_refused(world: World) -> None:
    world.publish("11.9.9")
    world.join("a", version="11.9.0")
    world.start(to="11.9.9")
    world.until(lambda one: one.state == "done")
    world.services.floors.set_minimum(ROOT, "TLSv1.3", force=True, reason="a test")
    with pytest.raises(Conflict, match=r"agent 11\.9\.0 speaks TLSv1\.2 at most and could not reach its manager"):
        world.services.upgrades.back(ROOT, 1)


# -- restarts


def test_a_new_manager_goes_on_where_the_old_one_was(world: World) -> None:
    world.join(*names("a", 6))
    world.start(wave="50%,100%", soak=10.0)
    world.until(lambda one: one.waves[0].states.get("done") == 3)
    world.run(6)
    soaked = world.upgrade().soaked
    assert soaked >= 4
    world.bring_up()
    world.run(1)
    assert world.upgrade().soaked >= soaked
    assert world.until(lambda one: one.state == "done").text == "done: all 6 upgraded"


def test_of_two_managers_one_takes_a_step(world: World) -> None:
    world.join("a")
    world.start()
    found = world.at.home.store.read(table.under_way)
    assert found is not None
    world.run(2)
    with pytest.raises(table.StaleError):
        world.at.home.store.write(lambda c: table.save(c, replace(found), state="done"))


def test_a_computer_that_is_deleted_meanwhile_is_left_out(world: World) -> None:
    world.join("a", "b", "c")
    world.start(wave="30%,100%")
    gone = next(iter(world.order_of_waves()[1]))
    world.services.computers.delete(ROOT, world.hosts[gone].id)
    del world.hosts[gone]
    done = world.until(lambda one: one.state == "done")
    assert done.text == "done: 2 of 3 upgraded, 1 left out"


def test_a_package_that_is_deleted_meanwhile_fails_those_who_need_it(world: World) -> None:
    world.join("a", "b")
    world.start(wave="50%,100%")
    (package,) = world.services.software.list(ROOT)
    world.until(lambda one: one.waves[0].states.get("done") == 1)
    world.services.software.delete(ROOT, package.id)
    halted = world.until(lambda one: one.state == "halted")
    assert [one.code for one in halted.failing] == ["no-package"]
