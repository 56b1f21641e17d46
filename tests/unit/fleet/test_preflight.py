"""Who would be cut off by a raise (R12), case by case."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from plimsoll.fleet.capabilities import CapabilityTable, table
from plimsoll.fleet.parts import Database, Fleet, Part, PolicyFloor, Program, RelayFloor
from plimsoll.fleet.preflight import Certainty, Finding, Preflight, judge
from plimsoll.fleet.verdicts import Verdict, judge_part
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import FLOORS, Version

TLS1, TLS1_1, TLS1_2, TLS1_3 = FLOORS
ALL = frozenset(Point)
DAY = 1_793_620_800.0  # 2026-11-02 12:00 UTC
MEETS = frozenset({Point.HEARTBEAT, Point.RELAY})


def agent(version: str | None = "9.6", **more: Any) -> Part:
    values = {"id": "1", "kind": "agent", "name": "web-1", "address": "10.0.0.1", "last_seen": DAY, **more}
    return Part(version=version, **values)


def relay(version: str | None = "12.0", **more: Any) -> Part:
    return agent(version, **{"kind": "relay", "name": "relay-1", **more})


def manager(version: str | None = "12.0") -> Part:
    return Part("0", "manager", "manager", version)


def check(*parts: Part, to: Version = TLS1_2, points: frozenset[Point] = ALL) -> Preflight:
    return judge(Fleet.of(parts), to, points)


def only(preflight: Preflight) -> Finding:
    """The one blocker; everything else must be empty."""
    assert len(preflight.blockers) == 1
    assert not preflight.affected
    assert not preflight.noted
    return preflight.blockers[0]


@pytest.mark.rule("R12")
def test_an_old_agent_blocks_by_name_with_reason_evidence_and_remedy() -> None:
    found = only(check(agent("9.6")))
    assert (found.id, found.who, found.kind, found.version, found.address) == ("1", "web-1", "agent", "9.6", "10.0.0.1")
    assert found.last_seen == DAY
    assert found.reason == "agent 9.6 speaks at most TLSv1"
    assert found.certainty is Certainty.TABLED
    assert found.evidence.startswith("the capability table: ")
    assert found.remedy == "upgrade the agent to 10.0 or newer"
    assert found.point is Point.HEARTBEAT


@pytest.mark.rule("R12")
@pytest.mark.parametrize("version", ["10.0", "11.3", "12.0.0.563"])
def test_a_seen_10_0_agent_is_clear_at_1_2(version: str) -> None:
    found = check(agent(version))
    assert (found.is_clear, found.clear, found.judged) == (True, 1, 1)
    assert not found.noted


@pytest.mark.rule("R3")
@pytest.mark.rule("R12")
@pytest.mark.parametrize(("version", "blocks"), [("10.0", True), ("11.3", True), ("12.0", False)])
def test_10_0_to_11_x_count_as_up_to_1_2_unless_seen_offering_more(version: str, blocks: bool) -> None:
    assert check(agent(version), to=TLS1_3).blocked is blocks
    seen = check(agent(version, offered=TLS1_3, negotiated=TLS1_3, observed_at=DAY), to=TLS1_3)
    assert not seen.blocked
    assert len(seen.noted) == blocks
    if blocks:
        assert only(check(agent(version), to=TLS1_3)).remedy == "upgrade the agent to 12.0 or newer"


@pytest.mark.rule("R12")
def test_observed_beats_tabled_upwards_and_the_line_says_why() -> None:
    found = check(agent("9.6", offered=TLS1_2, negotiated=TLS1_2, observed_at=DAY))
    assert not found.blocked
    assert found.clear == 1
    note = found.noted[0]
    assert note.certainty is Certainty.SEEN_OFFERING
    assert "9.6 counts as TLSv1 at most, but was seen offering TLSv1.2" in note.reason
    assert (
        note.evidence == "its own handshake offered up to TLSv1.2 and settled on TLSv1.2, on 2026-11-02 at 12:00:00 UTC"
    )
    assert note.since == DAY


@pytest.mark.rule("R12")
def test_observed_beats_tabled_downwards() -> None:
    found = only(check(agent("12.0", offered=TLS1, negotiated=TLS1, observed_at=DAY)))
    assert found.certainty is Certainty.SEEN_OFFERING
    assert found.reason == "it offers at most TLSv1"
    assert "its version should be able to" in found.remedy


@pytest.mark.rule("R12")
def test_an_offer_is_not_a_handshake() -> None:
    seen = agent("12.0", offered=TLS1_3, negotiated=TLS1_2, observed_at=DAY)
    assert not check(seen).blocked
    assert only(check(seen, to=TLS1_3)).reason == "it offers TLSv1.3, but its handshake settled on TLSv1.2"


@pytest.mark.rule("R12")
def test_a_refused_hello_without_a_certificate_warns_and_never_blocks() -> None:
    found = check(agent("12.0", refused=TLS1, refused_at=DAY))
    assert not found.blocked
    assert found.noted[0].certainty is Certainty.SEEN_REFUSED
    assert "never blocks" in found.noted[0].reason


@pytest.mark.rule("R12")
def test_a_refusal_makes_the_tables_word_surer() -> None:
    found = only(check(agent("9.6", refused=TLS1, refused_at=DAY)))
    assert found.certainty is Certainty.SEEN_REFUSED
    assert found.evidence == "a hello like its own offering up to TLSv1 was refused on 2026-11-02 at 12:00:00 UTC"
    assert found.since == DAY


@pytest.mark.rule("R12")
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (agent("12.0", last_seen=None), "unknown: it has never been seen here"),
        (agent(None, last_seen=None), "unknown: it has never been seen here"),
        (agent(None), "unknown: its version is not known"),
        (agent("newest"), "unknown: its version 'newest' is not known"),
    ],
)
def test_what_nobody_knows_blocks_as_unknown(part: Part, reason: str) -> None:
    found = only(check(part))
    assert found.reason.startswith(reason)
    assert found.certainty is Certainty.NEVER_SEEN
    assert found.evidence == "no handshake of its own on record"
    assert "heartbeat" in found.remedy


def test_an_unknown_version_that_was_seen_offering_enough_is_noted() -> None:
    found = check(agent(None, offered=TLS1_2, observed_at=DAY))
    assert not found.blocked
    assert "its version is not known, but it was seen" in found.noted[0].reason


@pytest.mark.rule("R12")
@pytest.mark.parametrize("offered", [None, TLS1_2])
def test_a_peer_that_shares_no_suite_blocks(offered: Version | None) -> None:
    found = only(check(agent("12.0", offered=offered, observed_at=DAY, suites_shared=False)))
    assert "shares no cipher suite" in found.reason
    assert "ECDHE" in found.remedy


@pytest.mark.rule("R12")
@pytest.mark.rule("R16")
def test_an_appliance_counts_by_its_embedded_agent() -> None:
    found = only(check(agent("9.5", kind="appliance")))
    assert found.reason == "appliance with embedded agent 9.5 speaks at most TLSv1"
    assert found.remedy == "upgrade the appliance's embedded agent to 10.0 or newer"
    assert not check(agent("10.0", kind="appliance")).blocked


@pytest.mark.rule("R12")
@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("version", "blocks"),
    [
        ("9.6", True),
        ("10.0", True),
        ("10.0 Update 7", True),
        ("10.0.0-3367", True),
        ("10.0 Update 8", False),
        ("11.0", False),
    ],
)
def test_a_relay_must_be_able_to_enforce_for_its_own_4122(version: str, blocks: bool) -> None:
    assert check(relay(version), points=frozenset({Point.RELAY})).blocked is blocks


@pytest.mark.rule("R12")
def test_a_relay_that_cannot_enforce_may_still_call_the_manager() -> None:
    assert not check(relay("10.0"), points=frozenset({Point.HEARTBEAT, Point.GUI})).blocked
    found = only(check(relay("10.0")))
    assert found.points == (Point.RELAY,)
    assert found.reason == "relay 10.0 speaks TLSv1.2, but cannot enforce it; its update level is not known"
    assert found.remedy == "upgrade the relay to 10.0 Update 8 or newer, before the agents"


@pytest.mark.rule("R12")
def test_a_relay_that_was_seen_enforcing_can_enforce() -> None:
    found = check(relay("10.0", relay=RelayFloor(observed=TLS1_2, observed_at=DAY)))
    assert not found.blocked
    assert "a handshake showed that it does" in found.noted[0].reason


def test_a_relay_of_unknown_version_that_speaks_1_2_may_not_be_able_to_enforce() -> None:
    found = check(relay(None, offered=TLS1_2, observed_at=DAY))
    assert found.blockers[0].points == (Point.RELAY,)
    assert "whether it can enforce" in found.blockers[0].reason


@pytest.mark.rule("R12")
@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("version", "blocks"),
    [("9.6", True), ("10.0", True), ("10.0.3366", True), ("10.0.3367", False), ("10.0 Update 8", False), (None, True)],
)
def test_the_manager_must_be_able_to_enforce(version: str | None, blocks: bool) -> None:
    assert check(manager(version)).blocked is blocks


@pytest.mark.rule("R12")
def test_one_finding_a_part_names_every_point_where_it_is_cut_off() -> None:
    found = only(check(agent("9.6", points=MEETS)))
    assert found.points == (Point.HEARTBEAT, Point.RELAY)
    assert only(check(agent("9.6", points=MEETS), points=frozenset({Point.RELAY}))).points == (Point.RELAY,)


@pytest.mark.rule("R12")
def test_a_point_that_a_part_does_not_meet_does_not_concern_it() -> None:
    found = check(agent("9.6"), points=frozenset({Point.GUI, Point.RELAY, Point.AGENT}))
    assert (found.blocked, found.judged) == (False, 0)


@pytest.mark.rule("R11")
@pytest.mark.rule("R12")
def test_an_agent_on_4118_is_held_to_the_heartbeat_floor_too() -> None:
    """4120's floor also governs the manager's calls."""
    called = agent("9.6", points=frozenset({Point.AGENT}))
    assert only(check(called, points=frozenset({Point.HEARTBEAT}))).points == (Point.HEARTBEAT,)
    assert only(check(called, points=frozenset({Point.AGENT}))).points == (Point.AGENT,)
    assert not check(manager(), agent("10.0", points=frozenset({Point.AGENT}))).blocked


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("database", "blocks"),
    [
        (Database("sqlserver", encrypted=True, speaks=TLS1), True),
        (Database("sqlserver", encrypted=True, speaks=None), True),
        (Database("sqlserver", encrypted=True, speaks=TLS1_2), False),
        (Database("sqlserver", encrypted=False, speaks=TLS1), False),
        (Database("oracle", encrypted=True, speaks=TLS1), False),
        (Database("postgresql", encrypted=True), False),
        (Database("sqlite"), False),
        (None, False),
    ],
)
@pytest.mark.parametrize("target", [TLS1_2, TLS1_3])
def test_only_an_encrypted_sql_server_without_1_2_blocks(
    database: Database | None, blocks: bool, target: Version
) -> None:
    part = Part("db", "database", "database", database=database)
    assert check(part, to=target).blocked is blocks
    assert not check(part, to=TLS1_1).blocked


def old_client(**more: Any) -> Program:
    values: dict[str, Any] = {"offered": TLS1, "observed_at": DAY, "address": "10.9.0.1", **more}
    return Program("p1", "python-requests", **values)


@pytest.mark.rule("R12")
def test_programs_are_affected_by_name_and_never_block() -> None:
    programs = [old_client(api_key="inventory"), Program("p2", "browser", offered=TLS1_3, observed_at=DAY)]
    found = judge(Fleet.of(programs=programs), TLS1_2, ALL)
    assert not found.blocked
    assert not found.is_clear
    assert (found.clear, found.judged) == (1, 2)
    (affected,) = found.affected
    assert (affected.who, affected.kind, affected.point) == ("inventory", "program", Point.GUI)
    assert affected.reason == "it offers at most TLSv1"
    assert affected.certainty is Certainty.SEEN_OFFERING
    assert "TLSv1.2" in affected.remedy


def test_a_refused_program_is_affected_and_one_never_read_is_noted() -> None:
    refused = old_client(refused_at=DAY)
    found = judge(Fleet.of(programs=[refused, Program("p3", "silent")]), TLS1_2, ALL)
    assert found.affected[0].certainty is Certainty.SEEN_REFUSED
    assert "was refused on 2026-11-02" in found.affected[0].evidence
    assert found.noted[0].who == "silent"
    assert found.noted[0].certainty is Certainty.NEVER_SEEN


def test_a_program_that_shares_no_suite_is_affected() -> None:
    found = judge(Fleet.of(programs=[old_client(offered=TLS1_2, suites_shared=False)]), TLS1_2, ALL)
    assert "shares no cipher suite" in found.affected[0].reason


@pytest.mark.rule("R12")
def test_programs_elsewhere_are_not_concerned() -> None:
    found = judge(Fleet.of(programs=[old_client()]), TLS1_2, {Point.HEARTBEAT})
    assert found.judged == 0


def exception(point: Point = Point.HEARTBEAT, floor: Version = TLS1) -> Rule:
    return Rule(point, floor, source=ipaddress.ip_network("10.0.0.1"), until=DAY, reason="line 4 moves in spring")


@pytest.mark.rule("R12")
def test_an_exception_lets_a_part_pass_and_says_until_when() -> None:
    found = check(agent("9.6", exceptions=(exception(),)))
    assert not found.blocked
    assert (
        "kept by an exception that ends on 2026-11-02 at 12:00:00 UTC (line 4 moves in spring)" in found.noted[0].reason
    )


def test_an_exception_holds_for_its_point_and_version_and_for_known_parts_only() -> None:
    assert check(agent("9.6", points=MEETS, exceptions=(exception(),))).blockers[0].points == (Point.RELAY,)
    assert check(agent("9.6", exceptions=(exception(floor=TLS1_1),))).blocked
    assert check(agent(None, exceptions=(exception(),))).blocked
    assert check(relay("9.6", exceptions=(exception(), exception(Point.RELAY)))).blockers[0].points == (Point.RELAY,)
    excused = judge(Fleet.of(programs=[old_client(exceptions=(exception(Point.GUI),))]), TLS1_2, ALL)
    assert excused.is_clear
    assert excused.noted


def test_an_exception_never_excuses_a_relay_from_enforcing() -> None:
    called = relay("10.0", exceptions=(exception(floor=TLS1_2),))
    assert check(called).blocked
    assert check(called, to=TLS1_3).blocked


@pytest.mark.rule("R12")
@pytest.mark.parametrize("held", [TLS1_2, TLS1_3])
def test_lowering_has_no_blockers(held: Version) -> None:
    floors = dict.fromkeys(Point, held)
    found = judge(Fleet.of([agent("9.6"), agent(None, id="2")], [old_client()]), TLS1_2, ALL, floors)
    assert found.is_clear
    assert found.judged == 0


@pytest.mark.rule("R12")
def test_the_lowest_floor_cuts_nobody_off() -> None:
    assert check(agent("9.6"), agent(None, id="2", last_seen=None), to=TLS1).is_clear


def test_only_points_that_are_raised_are_judged() -> None:
    floors = {Point.HEARTBEAT: TLS1_2, Point.GUI: TLS1, Point.RELAY: TLS1_2, Point.AGENT: TLS1_2}
    found = judge(Fleet.of([agent("9.6")], [old_client()]), TLS1_2, ALL, floors)
    assert not found.blocked
    assert [one.who for one in found.affected] == ["python-requests"]


PLATFORMS = """
[[platform]]
name = "Old System"
match = ["oldsystem"]
newest = "9.6"
source = "a list"
date = "2018"
"""


@pytest.mark.rule("R3")
def test_a_platform_without_a_newer_agent_says_exception_or_retire() -> None:
    known = CapabilityTable(table().rows, table().builds, CapabilityTable.parse(SHIPPED, PLATFORMS).platforms)
    old, unknown = agent("9.6", platform="OldSystem 5.2"), agent("9.6", id="2", platform="Linux-6.1")
    first, second = judge(Fleet.of([old, unknown]), TLS1_2, ALL, table=known).blockers
    assert first.remedy == (
        "no agent newer than 9.6 exists for Old System (a list, 2018): "
        "give it an exception with an end date, or retire it"
    )
    assert second.remedy == "upgrade the agent to 10.0 or newer"


SHIPPED = "\n".join(
    f'[[row]]\ncomponent = "{one}"\nfrom = "0.0"\nlowest = "TLSv1"\nhighest = "TLSv1.2"\n'
    'enforces = false\nsource = "s"\ndate = "d"\n'
    for one in ("manager", "relay", "agent", "appliance")
)


def test_where_no_release_is_able_the_remedy_does_not_promise_an_upgrade() -> None:
    found = judge(Fleet.of([agent("10.0")]), TLS1_3, ALL, table=CapabilityTable.parse(SHIPPED))
    assert "no release of the agent" in found.blockers[0].remedy


@pytest.mark.rule("R12")
def test_the_json_has_the_agreed_top_level() -> None:
    fleet = Fleet.of([agent("9.6"), agent("9.6", id="2", name="seen", offered=TLS1_2)], [old_client()])
    data = judge(fleet, TLS1_2, {Point.GUI, Point.HEARTBEAT}).as_json()
    assert set(data) == {"to", "points", "clear", "blockers", "affected", "noted", "judged"}
    assert (data["to"], data["points"], data["clear"], data["judged"]) == ("TLSv1.2", ["heartbeat", "gui"], False, 3)
    assert data["blockers"][0]["certainty"] == "tabled"
    assert data["blockers"][0]["point"] == "heartbeat"
    assert [one["who"] for one in data["affected"]] == ["python-requests"]
    assert [one["who"] for one in data["noted"]] == ["seen"]


@pytest.mark.rule("R1")
def test_kinds_are_listed_in_the_order_of_upgrading() -> None:
    parts = [
        agent("9.5", kind="appliance", name="a"),
        agent("9.6", name="B"),
        agent("9.6", id="9", name="a"),
        relay("9.6"),
        Part("db", "database", "db", database=Database("sqlserver", True)),
        manager("9.6"),
    ]
    found = [(one.kind, one.who) for one in check(*parts).blockers]
    assert [kind for kind, _ in found] == ["manager", "database", "relay", "agent", "agent", "appliance"]
    assert found[3:5] == [("agent", "a"), ("agent", "B")]


def test_parts_that_look_alike_are_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def counting(*given: Any) -> Verdict:
        judged.append(given[0].id)
        return judge_part(*given)

    monkeypatch.setattr("plimsoll.fleet.preflight.judge_part", counting)
    found = check(*[agent("9.6" if n % 3 else "12.0", id=str(n), name=f"host-{n}") for n in range(3000)])
    assert len(found.blockers) == 2000
    assert len(judged) == 2


@pytest.mark.rule("R12")
def test_what_can_be_done_is_said_with_a_version_a_date_and_a_point() -> None:
    fleet = Fleet((agent("9.6"), relay("10.0", id="2"), agent(None, id="3", last_seen=None)), at=DAY)
    old, slow, unknown = sorted(judge(fleet, TLS1_2, {Point.HEARTBEAT, Point.RELAY}).blockers, key=lambda one: one.id)
    assert [(way.do, way.to) for way in old.ways] == [("upgrade", "10.0"), ("exception", None), ("retire", None)]
    assert (old.ways[1].points, old.ways[1].until) == ((Point.HEARTBEAT,), DAY + 90 * 86400)
    assert [(way.do, way.to) for way in slow.ways] == [("upgrade", "10.0 Update 8")]
    assert [way.do for way in unknown.ways] == ["look", "exception", "retire"]
    assert old.as_json()["ways"][1] == {
        "do": "exception", "to": None, "until": DAY + 90 * 86400, "points": ["heartbeat"]
    }  # fmt: skip


def test_an_exception_is_proposed_only_where_the_managers_own_gates_stand() -> None:
    listening = judge(Fleet((agent("9.6", points=frozenset({Point.AGENT})),)), TLS1_2, {Point.AGENT}).blockers
    assert [way.do for one in listening for way in one.ways] == ["upgrade", "retire"]
    program = Program("p", "old", "10.0.0.9", offered=TLS1, user_agent="curl/7.19", since=DAY - 500, observed_at=DAY)
    (affected,) = judge(Fleet((), (program,), at=DAY), TLS1_2, {Point.GUI}).affected
    assert [way.do for way in affected.ways] == ["upgrade", "exception", "retire"]
    assert (affected.since, affected.last_seen, affected.version) == (DAY - 500, DAY, "curl/7.19")


def test_a_refusal_after_its_last_handshake_says_that_the_agent_was_seen_refused() -> None:
    part = agent("9.6", offered=TLS1, negotiated=TLS1, observed_at=DAY - 900, refused=TLS1, refused_at=DAY)
    found = only(check(part))
    assert (found.certainty, found.since) == (Certainty.SEEN_REFUSED, DAY)
    assert "was refused on 2026-11-02" in found.evidence


@pytest.mark.rule("R14")
def test_a_policy_with_a_floor_of_its_own_is_noted_where_the_raise_does_not_reach() -> None:
    own = PolicyFloor("Legacy", relay=TLS1, agent=TLS1_3, relays=2, listeners=9)
    unused = PolicyFloor("Empty", relay=TLS1, agent=TLS1)
    found = judge(Fleet(policies=(own, unused)), TLS1_2, ALL)
    (note,) = found.noted
    assert (note.who, note.kind, note.point, note.certainty) == (
        "Legacy", "policy", Point.RELAY, Certainty.CONFIGURED
    )  # fmt: skip
    assert "TLSv1, for 2 relays" in note.reason
    assert found.is_clear
    assert not judge(Fleet(policies=(own,)), TLS1_2, {Point.HEARTBEAT}).noted


@pytest.mark.rule("R17")
def test_a_relay_whose_handshake_shows_less_than_it_should_hold_is_noted() -> None:
    part = relay(
        "12.0", offered=TLS1_3, observed_at=DAY, relay=RelayFloor(sent=TLS1_2, acknowledged=True, observed=TLS1)
    )
    (note,) = check(part).noted
    assert "should hold TLSv1.2 (policy), but a handshake with its port shows TLSv1" in note.reason
    assert not check(relay("12.0", offered=TLS1_3, relay=RelayFloor(sent=TLS1_2, observed=TLS1_2))).noted
