"""The decisions of a staged change: stages, health rules, what comes next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.fleet.changes import (
    Direction,
    Observation,
    Plan,
    Stage,
    Verb,
    choose_canary,
    decide,
    figures,
    stages_of,
)
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

EVERYWHERE = frozenset(Point)
RAISE = Plan(
    Version.TLS1_2, Direction.RAISE, stages_of(Direction.RAISE, EVERYWHERE, relays=True), soak=60, longest_heartbeat=10
)
HEALTHY = Observation(soaked=60, online=100, seen=100, online_before=100)


@pytest.mark.rule("R14")
def test_relays_come_before_the_ports_that_they_serve_and_the_proof_last() -> None:
    assert RAISE.stages == tuple(Stage)
    assert stages_of(Direction.RAISE, EVERYWHERE, relays=False).count(Stage.RELAY_CANARY) == 0
    assert stages_of(Direction.RAISE, {Point.GUI}, relays=True) == (
        Stage.PREFLIGHT, Stage.SHADOW, Stage.GUI, Stage.PROOF,
    )  # fmt: skip
    assert stages_of(Direction.RAISE, {Point.RELAY}, relays=True)[1] is Stage.RELAY_CANARY


@pytest.mark.rule("R16")
def test_lowering_goes_the_other_way_and_waits_for_nobody() -> None:
    stages = stages_of(Direction.LOWER, EVERYWHERE, relays=True)
    assert stages == (Stage.PREFLIGHT, Stage.GUI, Stage.HEARTBEAT, Stage.AGENTS, Stage.RELAYS, Stage.PROOF)
    down = Plan(Version.TLS1_0, Direction.LOWER, stages)
    for stage in stages[:-1]:
        assert decide(down, stage, Observation(refused=["a"], relays_open=["r"])).verb is Verb.NEXT


@pytest.mark.parametrize("stage", list(Stage)[1:-1])
def test_a_healthy_stage_passes_on_time_and_coverage_and_not_on_one_of_them(stage: Stage) -> None:
    assert decide(RAISE, stage, HEALTHY).verb is Verb.NEXT
    early = decide(RAISE, stage, replace(HEALTHY, soaked=59))
    assert (early.verb, early.text) == (Verb.WAIT, f"waits for soak: 59 s of {RAISE.soak_of(stage):.0f} s")
    unseen = decide(RAISE, stage, replace(HEALTHY, seen=94, unseen=["c1", "c2"]))
    assert unseen.verb is Verb.WAIT
    assert "94 of 100" in unseen.text
    assert decide(RAISE, stage, replace(HEALTHY, seen=95)).verb is Verb.NEXT
    assert decide(RAISE, stage, replace(HEALTHY, online=0, seen=0, online_before=0)).verb is Verb.NEXT
    late = decide(RAISE, stage, replace(HEALTHY, seen=94, unseen=["c1", "c2"], soaked=RAISE.patience_of(stage)))
    assert (late.verb, late.named) == (Verb.HALT, ("c1", "c2"))
    assert "c1, c2" in late.text


def test_every_rule_that_is_stated_has_a_figure_with_its_limit() -> None:
    """The page of the changes names each rule with its default; this is what status shows of them."""
    shown = {(one.rule, one.limit, one.breach) for stage in RAISE.stages[:-1] for one in figures(RAISE, stage, HEALTHY)}
    assert shown == {
        ("new blockers since the start", "none", "halts the change"),
        ("soak", "60 s", "waits"),
        ("seen in this stage", "at least 95 %", "waits, then halts"),
        ("would be refused, and not accepted", "none", "halts the change"),
        ("relays that have not shown their floor yet", "none", "waits, then halts"),
        ("refused by what was raised", "none", "takes the change back"),
        ("silent after a refusal that may be theirs", "none", "takes the change back"),
        ("to be heard after a refusal that may be theirs", "none", "waits"),
        ("silent for another reason", "at most 5", "halts the change"),
        ("heartbeat rate", "at least 0", "halts the change"),
        ("still online", "at least 50 %", "waits, then halts"),
        ("programs refused that nobody accepted", "none", "takes the change back"),
    }


def test_the_shadow_lasts_as_long_as_the_longest_heartbeat() -> None:
    slow = replace(RAISE, longest_heartbeat=600)
    assert slow.soak_of(Stage.SHADOW) == pytest.approx(660)
    assert slow.soak_of(Stage.RELAYS) == 60
    assert decide(slow, Stage.SHADOW, replace(HEALTHY, soaked=600)).verb is Verb.WAIT


@pytest.mark.rule("G2")
@pytest.mark.parametrize("stage", [Stage.RELAYS, Stage.AGENTS, Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT, Stage.GUI])
def test_one_refusal_takes_it_back_and_names_the_computer(stage: Stage) -> None:
    early = replace(HEALTHY, soaked=1)
    for seen in (replace(early, refused=["db-7"]), replace(early, silent_refused=["db-7"])):
        found = decide(RAISE, stage, seen)
        assert (found.verb, found.named) == (Verb.TAKE_BACK, ("db-7",))
        assert "db-7" in found.text
        assert found.rule


def test_silence_of_few_for_another_reason_takes_nothing_back_and_that_of_many_waits_for_a_person() -> None:
    few = replace(HEALTHY, silent=[f"c{number}" for number in range(5)])
    assert decide(RAISE, Stage.HEARTBEAT, few).verb is Verb.NEXT
    many = replace(few, silent=[*few.silent, "c6"])
    assert decide(RAISE, Stage.HEARTBEAT, many).verb is Verb.HALT
    assert decide(RAISE, Stage.HEARTBEAT, replace(many, online_before=2000, online=1900, seen=1900)).verb is Verb.NEXT


def test_a_canary_that_is_gone_teaches_nothing() -> None:
    """All five silent, which is few: the stage waits for them, and asks for a person when they stay away."""
    gone = replace(HEALTHY, online=0, seen=0, online_before=5, silent=[f"c{number}" for number in range(5)])
    assert decide(RAISE, Stage.HEARTBEAT_CANARY, gone).verb is Verb.WAIT
    late = decide(RAISE, Stage.HEARTBEAT_CANARY, replace(gone, soaked=RAISE.patience_of(Stage.HEARTBEAT_CANARY)))
    assert (late.verb, late.rule) == (Verb.HALT, "still online")
    assert "c4" in late.named
    back = replace(gone, online=3, seen=3, silent=gone.silent[:2])
    assert decide(RAISE, Stage.HEARTBEAT_CANARY, back).verb is Verb.NEXT


def test_a_heartbeat_rate_that_falls_waits_for_a_person() -> None:
    base = replace(HEALTHY, heard_before=1000, online=1000, seen=1000, online_before=1000)
    assert decide(RAISE, Stage.HEARTBEAT, replace(base, heard=900)).verb is Verb.NEXT
    found = decide(RAISE, Stage.HEARTBEAT, replace(base, heard=899, silent=["c1"]))
    assert (found.verb, found.rule) == (Verb.HALT, "heartbeat rate")
    assert "899 of 1000" in found.text
    assert decide(RAISE, Stage.HEARTBEAT, replace(base, heard=None)).verb is Verb.NEXT, "nobody looked that long"
    few = replace(HEALTHY, heard_before=6, online=6, seen=6, online_before=6)
    assert decide(RAISE, Stage.HEARTBEAT, replace(few, heard=1)).verb is Verb.NEXT, "five never matter"
    assert decide(RAISE, Stage.HEARTBEAT, replace(few, heard=0)).verb is Verb.HALT


def test_a_breach_that_takes_back_comes_before_one_that_halts() -> None:
    both = replace(HEALTHY, refused=["db-7"], silent=[f"c{number}" for number in range(50)], heard=0, heard_before=99)
    assert decide(RAISE, Stage.HEARTBEAT, both).verb is Verb.TAKE_BACK


def test_who_would_be_refused_by_the_shadow_halts_it_before_anybody_is() -> None:
    found = decide(RAISE, Stage.SHADOW, replace(HEALTHY, soaked=1, would_be=["old-1"]))
    assert (found.verb, found.named) == (Verb.HALT, ("old-1",))


def test_relays_that_do_not_take_their_floor_home_in_the_whole_soak_halt_it() -> None:
    waiting = replace(HEALTHY, relays_open=["north-1"])
    slow = replace(RAISE, relay_heartbeat=600)
    for stage in (Stage.RELAY_CANARY, Stage.RELAYS):
        early = decide(replace(RAISE, relay_heartbeat=10), stage, replace(waiting, soaked=59))
        assert (early.verb, "north-1" in early.text) == (Verb.WAIT, True)
        found = decide(replace(RAISE, relay_heartbeat=10), stage, replace(waiting, relay_evidence=["north-1: is off"]))
        assert (found.verb, found.named) == (Verb.HALT, ("north-1",))
        assert "north-1" in found.text
        assert [one.evidence for one in found.figures if one.rule == found.rule] == [("north-1: is off",)]
        assert decide(slow, stage, waiting).verb is Verb.WAIT, "they had no two heartbeats yet"
        assert decide(slow, stage, replace(waiting, soaked=1330)).verb is Verb.HALT


def test_a_blocker_that_is_new_halts_the_preflight() -> None:
    assert decide(RAISE, Stage.PREFLIGHT, Observation()).verb is Verb.NEXT
    assert decide(RAISE, Stage.PREFLIGHT, Observation(fresh_blockers=["new"])).verb is Verb.HALT


def test_no_stage_begins_in_freeze_hours_but_a_breach_is_taken_back_in_them() -> None:
    frozen = replace(HEALTHY, frozen="08:00-18:00")
    assert decide(RAISE, Stage.RELAYS, frozen).verb is Verb.WAIT
    assert decide(RAISE, Stage.RELAYS, replace(frozen, refused=["x"])).verb is Verb.TAKE_BACK
    assert decide(RAISE, Stage.GUI, frozen).verb is Verb.NEXT, "the proof moves nothing"


@given(
    st.builds(
        Observation,
        soaked=st.floats(0, 1e6),
        online=st.integers(0, 50),
        seen=st.integers(0, 50),
        online_before=st.integers(0, 50),
        refused=st.lists(st.text(max_size=3), max_size=3),
        silent_refused=st.lists(st.text(max_size=3), max_size=3),
        silent=st.lists(st.text(max_size=3), max_size=9),
        heard=st.none() | st.integers(0, 50),
        heard_before=st.integers(0, 50),
        would_be=st.lists(st.text(max_size=3), max_size=3),
        programs=st.lists(st.text(max_size=3), max_size=3),
        relays_open=st.lists(st.text(max_size=3), max_size=3),
    ),
    st.sampled_from(list(Stage)[:-1]),
)
def test_nothing_goes_on_with_a_figure_that_is_not_allowed(seen: Observation, stage: Stage) -> None:
    found = decide(RAISE, stage, seen)
    assert found.text
    assert found.figures == figures(RAISE, stage, seen)
    if found.verb is Verb.NEXT:
        assert all(figure.ok for figure in found.figures)
    if found.verb in (Verb.TAKE_BACK, Verb.HALT):
        assert found.rule in {figure.rule for figure in found.figures if not figure.ok}


def test_a_canary_has_one_of_every_kind_the_oldest_first() -> None:
    fleet: list[tuple[str, str, Version | None]] = [(f"n{number:03}", "12.0.0", Version.TLS1_3) for number in range(50)]
    fleet += [(f"m{number:03}", "10.0.0", Version.TLS1_2) for number in range(5)]
    fleet += [("old", "9.6.2", Version.TLS1_0), ("unknown", "9.5", None)]
    assert choose_canary(fleet, 3) == ("unknown", "old", "m000")
    chosen = choose_canary(fleet, 8)
    assert chosen == ("unknown", "old", "m000", "n000", "m001", "n001", "m002", "n002")
    assert choose_canary(list(reversed(fleet)), 8) == chosen
    assert len(choose_canary(fleet, 1000)) == len(fleet)
