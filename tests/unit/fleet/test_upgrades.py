"""Waves of an upgrade: their order, their bounds, and what forbids one (R9, R20)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.fleet import upgrades
from plimsoll.fleet.component import ComponentVersion
from plimsoll.fleet.upgrades import FAILURES, Candidate, Layer, Limits, Plan, Seen, Verb, Wave
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

V = ComponentVersion.parse
TARGET = V("12.1.0")
WAVE = Wave(Layer.COMPUTERS, 0.5, ())
PLAN = Plan(TARGET, (WAVE,), soak=60.0)


def host(
    name: str, kind: str = "agent", version: str = "12.0.0", group: int | None = None, **more: object
) -> Candidate:
    return replace(Candidate(name, name, kind, V(version), group, package="p"), **more)  # type: ignore[arg-type]


# -- bounds and decisions


@pytest.mark.parametrize(
    ("seen", "verb", "text"),
    [
        (Seen(size=10, waiting=10), Verb.WAIT, "0 of 10 upgraded; 10 wait for their turn"),
        (
            Seen(size=10, ordered=4, working=5, done=1),
            Verb.WAIT,
            "1 of 10 upgraded; 4 have not taken the order home, 5",
        ),
        (Seen(size=10, done=10), Verb.WAIT, "10 of 10 upgraded; watches them for 60 s"),
        (Seen(size=10, done=10, soaked=60), Verb.NEXT, "healthy"),
        (Seen(size=10, done=9, away=["a"], soaked=60), Verb.NEXT, "healthy"),
        (Seen(size=10, away=["a"] * 10), Verb.NEXT, "healthy"),
        (Seen(size=10, done=9, failed=["a"], soaked=60), Verb.HALT, "silent since: a; allowed: at most 0"),
        (Seen(size=10, done=9, back=["b"]), Verb.HALT, "silent since: b"),
        (Seen(size=10, done=9, lost=["c"]), Verb.HALT, "silent since: c"),
        (Seen(size=10, done=9, silent=["d"], soaked=59), Verb.HALT, "silent since: d"),
        (Seen(size=10, done=8, failed=["a"], accepted=1, soaked=60), Verb.NEXT, "healthy"),
        (Seen(size=10, done=8, failed=["a"], lost=["b"], accepted=1), Verb.HALT, "at most 0 beside 1 known"),
        (Seen(size=100, done=98, failed=["a", "b"], soaked=60), Verb.NEXT, "healthy"),
        (Seen(size=100, done=90, working=7, failed=["a", "b", "c"]), Verb.HALT, "a, b, c; allowed: at most 2"),
        (Seen(size=3, waiting=2, held={"a": "relay r"}), Verb.HALT, "their relays upgraded before them: a (relay r)"),
    ],
)
def test_what_comes_next_in_a_wave(seen: Seen, verb: Verb, text: str) -> None:
    decision = upgrades.decide(PLAN, WAVE, seen)
    assert (decision.verb, text in decision.text) == (verb, True), decision


def test_a_halt_names_whom_it_is_about() -> None:
    decision = upgrades.decide(PLAN, WAVE, Seen(size=10, failed=["a"], back=["b"], held={"c": "r"}))
    assert (decision.rule, decision.named) == (FAILURES, ("a", "b"))
    assert {figure.rule for figure in decision.figures if not figure.ok} >= {FAILURES}


@pytest.mark.parametrize(
    ("limits", "size", "allowed"),
    [
        (Limits(), 1, 0),
        (Limits(), 49, 0),
        (Limits(), 50, 1),
        (Limits(), 500, 10),
        (Limits(failed=0.0), 1000, 0),
        (Limits(failed=0.1, failed_few=3), 10, 3),
        (Limits(failed=1.0), 10, 10),
    ],
)
def test_how_many_may_fail(limits: Limits, size: int, allowed: int) -> None:
    assert limits.allowed(size) == allowed


# -- waves

NAMES = st.lists(st.integers(0, 10_000), unique=True, max_size=80)
KINDS = st.sampled_from(["agent", "appliance", "relay"])
GROUPS = st.sampled_from([None, 1, 2, 3])
SHARES = st.sampled_from([(1.0,), upgrades.SHARES, (0.5, 1.0), (0.001, 0.002, 0.003, 1.0)])


@st.composite
def fleets(draw: st.DrawFn) -> list[Candidate]:
    return [
        host(
            f"h{number:05}", draw(KINDS), draw(st.sampled_from(["11.0", "12.0.0"])), draw(GROUPS),
            online=draw(st.booleans()), platform=draw(st.sampled_from(["Debian", "RHEL"])),
        )
        for number in draw(NAMES)
    ]  # fmt: skip


@pytest.mark.rule("R9")
@given(fleets(), SHARES)
def test_everybody_has_one_turn_and_relays_theirs_first(fleet: list[Candidate], shares: tuple[float, ...]) -> None:
    parents = {1: None, 2: 1, 3: 2}
    waves = upgrades.waves_of(fleet, shares, parents)
    names = [name for wave in waves for name in wave.hosts]
    assert sorted(names) == sorted(one.id for one in fleet)
    assert all(wave.hosts for wave in waves)
    by_name = {one.id: one for one in fleet}
    layers = [wave.layer for wave in waves]
    assert layers == sorted(layers, key=[Layer.RELAYS, Layer.COMPUTERS].index)
    for earlier, later in pairwise(wave for wave in waves if wave.layer is Layer.RELAYS):
        assert max(_depth(by_name[name]) for name in earlier.hosts) <= min(
            _depth(by_name[name]) for name in later.hosts
        )
    for wave in waves:
        assert len({by_name[name].layer for name in wave.hosts}) == 1
        # Who is offline cannot be watched, and goes last.
        online = [by_name[name].online for name in wave.hosts]
        assert online == sorted(online, reverse=True)


def _depth(one: Candidate) -> int:
    return {None: 0, 1: 0, 2: 1, 3: 2}[one.group]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(0, []), (1, [1]), (2, [1, 1]), (10, [1, 4, 5]), (100, [1, 9, 40, 50]), (503, [6, 45, 201, 251])],
)
def test_the_sizes_of_waves(count: int, sizes: list[int]) -> None:
    waves = upgrades.waves_of([host(f"h{number:04}") for number in range(count)])
    assert [len(wave.hosts) for wave in waves] == sizes


def test_a_small_wave_has_one_of_every_kind_of_system() -> None:
    fleet = [host(f"d{n:02}", platform="Debian") for n in range(90)] + [
        host(f"r{n}", platform="RHEL") for n in range(10)
    ]
    first = upgrades.waves_of(fleet, (0.02, 1.0))[0]
    assert {name[0] for name in first.hosts} == {"d", "r"}


@pytest.mark.rule("R9")
def test_the_way_back_begins_with_the_computers() -> None:
    waves = upgrades.backwards([host("r", "relay"), host("a"), host("v", "appliance")])
    assert [(wave.layer, wave.hosts) for wave in waves] == [(Layer.COMPUTERS, ("a", "v")), (Layer.RELAYS, ("r",))]


@pytest.mark.parametrize(
    ("text", "shares"), [("1%,10%,50%,100%", upgrades.SHARES), ("100%", (1.0,)), (" 5 % , 100 ", (0.05, 1.0))]
)
def test_shares_as_people_write_them(text: str, shares: tuple[float, ...]) -> None:
    assert upgrades.parse_shares(text) == pytest.approx(shares)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no share"),
        ("half", "'half' is no share"),
        ("0%,100%", "no share of a fleet"),
        ("nan%,100%", "no share of a fleet"),
        ("10%,101%", "no share of a fleet"),
        ("10%,5%,100%", "5% does not come after 10%"),
        ("1%,50%", "the last wave is 100%, not 50%"),
    ],
)
def test_shares_that_are_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        upgrades.parse_shares(text)


# -- who


@pytest.mark.rule("R9")
def test_who_takes_part_and_who_is_left_with_the_reason() -> None:
    chosen = upgrades.choose(
        [
            host("a"),
            host("appliance", "appliance", "11.0"),
            host("there", version="12.1.0"),
            host("newer", version="12.2.0"),
            host("old", version="9.6.2", upgradable=False),
            host("strange", platform="Windows", architecture="i386", package=""),
            host("mute", version="12.0.0").__class__("mute", "mute", "agent", None),
        ],
        TARGET,
    )
    assert [one.name for one in chosen.hosts] == ["a", "appliance"]
    assert chosen.there == 2
    assert chosen.left == {
        upgrades.BY_PACKAGE: ("old",),
        "no package of 12.1.0 for Windows i386 was imported": ("strange",),
        upgrades.UNKNOWN_VERSION: ("mute",),
    }


@pytest.mark.parametrize(
    ("version", "target", "is_there"),
    [
        ("12.1.0", "12.1", True),
        ("12.1", "12.1.0", True),
        ("12.1.0-563", "12.1.0", True),
        ("12.1.0", "12.1.0-563", True),
        ("12.1.0-562", "12.1.0-563", False),
        ("12.1.0-564", "12.1.0-563", True),
        ("12.0.0", "12.1", False),
        ("12.1.1", "12.1.0", True),
        ("10.0", "10.0 Update 8", True),
        ("10.0 Update 7", "10.0 Update 8", False),
        ("9.6.2", "12.1", False),
    ],
)
def test_when_a_release_is_reached(version: str, target: str, is_there: bool) -> None:
    assert upgrades.reached(V(version), V(target)) is is_there


@given(st.lists(st.tuples(st.integers(8, 13), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=2))
def test_of_two_releases_one_is_reached(numbers: list[tuple[int, int, int]]) -> None:
    one, other = (V(".".join(map(str, parts))) for parts in numbers)
    assert upgrades.reached(one, other) or upgrades.reached(other, one)
    assert upgrades.is_release(str(one), other) is (one.key == other.key)
    assert not upgrades.is_release("nonsense", other)


# -- what forbids it


#: Group 2 lies below 1, and 3 below 2.
PARENTS = {1: None, 2: 1, 3: 2}


@pytest.mark.rule("R9")
@pytest.mark.parametrize(
    ("hosts", "relays", "late"),
    [
        ([host("a", group=1)], [host("r", "relay", "12.0.0", 1)], {"r 12.0.0": ("a",)}),
        ([host("a", group=1)], [host("r", "relay", "12.1.0", 1)], {}),
        ([host("a", group=1)], [host("r", "relay", "12.2.0", 1)], {}),
        ([host("a", group=1)], [host("r", "relay", "12.0.0", 2)], {}),
        # Without a group there is no relay to ask.
        ([host("a")], [host("r", "relay", "12.0.0"), host("s", "relay", "12.0.0", 1)], {}),
        ([host("v", "appliance", "11.0", 1)], [host("r", "relay", "12.0.0", 1)], {"r 12.0.0": ("v",)}),
        # One that is offline serves nobody; the next group above is asked.
        ([host("a", group=1)], [host("r", "relay", "12.0.0", 1, online=False)], {}),
        ([host("a", group=3)], [host("r", "relay", "12.0.0", 1)], {"r 12.0.0": ("a",)}),
        ([host("a", group=3)], [host("r", "relay", "12.0.0", 1), host("s", "relay", "12.1.0", 2)], {}),
        (
            [host("a", group=2)],
            [host("r", "relay", "12.0.0", 1), host("s", "relay", "12.1.0", 2, online=False)],
            {"r 12.0.0": ("a",)},
        ),
        ([host("r2", "relay", group=2)], [host("r1", "relay", "12.0.0", 1)], {"r1 12.0.0": ("r2",)}),
        ([host("r1", "relay", group=1)], [host("r1", "relay", "12.0.0", 1)], {}),
        ([host("a", group=1)], [host("along", "relay", "12.0.0", 1)], {}),
        (
            [host("b", group=1), host("a", group=1)],
            [host("r", "relay", "12.0.0", 1), host("s", "relay", "12.1.0", 1)],
            {"r 12.0.0": ("a", "b")},
        ),
    ],
)
def test_nobody_goes_before_the_relays_that_it_downloads_from(
    hosts: list[Candidate], relays: list[Candidate], late: dict[str, tuple[str, ...]]
) -> None:
    assert upgrades.late_relays(hosts, relays, TARGET, PARENTS, {"along"}) == late


def test_a_tree_of_groups_that_is_none_ends() -> None:
    relays = [host("r", "relay", "12.0.0", 9)]
    assert upgrades.late_relays([host("a", group=1)], relays, TARGET, {1: 2, 2: 1}) == {}


@pytest.mark.rule("R9")
def test_no_agent_is_newer_than_its_manager() -> None:
    assert upgrades.too_new_for(V("12.0.0"), TARGET)
    assert not upgrades.too_new_for(V("12.1.0"), TARGET)
    assert not upgrades.too_new_for(V("12.1.0"), V("12.1.0-563"))


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    ("kinds", "target", "heartbeat", "relay", "why"),
    [
        ({"agent"}, "9.6.2", Version.TLS1_2, Version.TLS1_2, "agent 9.6.2 speaks TLSv1 at most and could not reach"),
        ({"agent"}, "9.6.2", Version.TLS1_0, Version.TLS1_2, ""),
        ({"agent"}, "11.0", Version.TLS1_3, Version.TLS1_2, "agent 11.0 speaks TLSv1.2 at most"),
        ({"agent", "relay"}, "12.1.0", Version.TLS1_3, Version.TLS1_3, ""),
        ({"relay"}, "10.0", Version.TLS1_2, Version.TLS1_2, "relay 10.0 cannot enforce TLSv1.2"),
        ({"relay"}, "10.0", Version.TLS1_2, Version.TLS1_0, ""),
        (set(), "9.6.2", Version.TLS1_2, Version.TLS1_2, ""),
    ],
)
def test_a_release_that_could_not_reach_its_manager_is_named(
    kinds: set[str], target: str, heartbeat: Version, relay: Version, why: str
) -> None:
    said = upgrades.cut_off(kinds, V(target), {Point.HEARTBEAT: heartbeat, Point.RELAY: relay})
    assert bool(said) is bool(why)
    assert why in said
