"""Who talks to whom (R19): the guide's two pictures, and real fleets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plimsoll.fleet.parts import Database, Fleet, Part, Program, RelayFloor
from plimsoll.fleet.picture import (
    Link,
    digest,
    example,
    held_floor,
    lines,
    link_as_json,
    links,
    picture_text,
    rows,
)
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import FLOORS, Version

TLS1, _, TLS1_2, TLS1_3 = FLOORS
OPEN = dict.fromkeys(Point, TLS1)
HELD = dict.fromkeys(Point, TLS1_2)
MEETS = frozenset({Point.HEARTBEAT, Point.RELAY})


def told(drawn: list[Link]) -> list[tuple[str, str, str | None, str]]:
    return [(one.from_, one.to, one.version and one.version.value, one.state) for one in drawn]


@pytest.mark.rule("R19")
def test_the_first_picture_with_1_2_enforced() -> None:
    assert told(example(enforced=True)) == [
        ("relays", "manager", "TLSv1.2", "talks"),
        ("agents 10.0 and newer", "manager", "TLSv1.2", "talks"),
        ("agents before 10.0", "manager", None, "refused"),
        ("appliances", "manager", "TLSv1.2", "talks"),
        ("newer programs", "manager", "TLSv1.2", "talks"),
        ("older programs", "manager", None, "refused"),
        ("agents 10.0 and newer", "relays", "TLSv1.2", "talks"),
        ("agents before 10.0", "relays", None, "refused"),
        ("manager", "database", None, "talks"),
    ]


@pytest.mark.rule("R19")
def test_the_second_picture_without() -> None:
    drawn = example(enforced=False)
    assert all(one.state == "talks" for one in drawn)
    assert {(one.from_, str(one.version)) for one in drawn if one.point} == {
        ("relays", "TLSv1.2"),
        ("agents 10.0 and newer", "TLSv1.2"),
        ("agents before 10.0", "TLSv1"),
        ("appliances", "TLSv1.2"),
        ("newer programs", "TLSv1.2"),
        ("older programs", "TLSv1"),
    }


def agent(number: int, version: str | None, **more: Any) -> Part:
    return Part(str(number), "agent", f"host-{number}", version, points=MEETS, **more)


@pytest.mark.rule("R2")
@pytest.mark.rule("R19")
@pytest.mark.parametrize(
    ("part", "manager", "version"),
    [
        (agent(1, "12.0"), "12.0", TLS1_3),
        (agent(1, "12.0"), "11.1", TLS1_2),
        (agent(1, "10.0"), "12.0", TLS1_2),
        (agent(1, "9.6"), "12.0", TLS1),
        (agent(1, "12.0"), "9.6", TLS1),
        (agent(1, "9.6", offered=TLS1_2, negotiated=TLS1_2), "12.0", TLS1_2),
        (agent(1, "12.0", offered=TLS1_3, negotiated=TLS1_2), "12.0", TLS1_2),
    ],
)
def test_two_settle_on_the_newest_that_both_support(part: Part, manager: str, version: Version) -> None:
    drawn = links(Fleet.of([Part("0", "manager", "manager", manager), part]), OPEN)
    assert [one.version for one in drawn if one.point is Point.HEARTBEAT] == [version]
    assert drawn[0].basis == ("seen" if part.offered else "tabled")


@pytest.mark.rule("R19")
def test_members_of_a_group_that_settle_differently_have_a_line_each_with_names() -> None:
    parts = [agent(number, "12.0") for number in range(5)] + [agent(9, "10.0"), agent(7, "9.6"), agent(8, None)]
    drawn = [one for one in links(Fleet.of(parts), HELD) if one.point is Point.HEARTBEAT]
    assert [(one.from_, one.version, one.state, one.count) for one in drawn] == [
        ("agents 10.0 and newer", TLS1_3, "talks", 5),
        ("agents 10.0 and newer", TLS1_2, "talks", 1),
        ("agents before 10.0", None, "refused", 1),
        ("agents of unknown version", None, "unknown", 1),
    ]
    assert drawn[0].members == ("host-0", "host-1", "host-2")
    assert drawn[2].reason == "speaks at most TLSv1, the floor is TLSv1.2"


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("version", "known", "floor"),
    [
        ("11.0", None, TLS1),
        ("11.1", None, TLS1_2),
        ("11.1", RelayFloor(sent=TLS1), TLS1),
        ("12.0", RelayFloor(kept=TLS1), TLS1),
        ("12.0", RelayFloor(sent=TLS1_2, reported=TLS1), TLS1),
        ("12.0", RelayFloor(sent=TLS1_2, reported=TLS1_2, observed=TLS1), TLS1),
    ],
)
def test_a_relay_is_drawn_with_the_floor_that_was_seen_else_said_else_concluded(
    version: str, known: RelayFloor | None, floor: Version
) -> None:
    assert held_floor(Part("1", "relay", "relay", version, relay=known)) is floor


@pytest.mark.rule("R14")
@pytest.mark.rule("R19")
def test_relays_keep_their_floor_until_the_policy_is_sent() -> None:
    parts = [
        Part("1", "relay", "r1", "12.0", relay=RelayFloor(sent=TLS1), relay_group="north"),
        Part("2", "relay", "r2", "12.0", relay=RelayFloor(sent=TLS1_2), relay_group="south"),
        agent(3, "9.6", relay_group="north"),
        agent(4, "9.6", relay_group="south"),
        agent(5, "9.6"),
    ]
    drawn = [one for one in links(Fleet.of(parts), HELD) if one.point is Point.RELAY]
    assert [(one.to, one.state, one.count) for one in drawn] == [
        ("relays that hold TLSv1", "talks", 2),
        ("relays that hold TLSv1.2", "refused", 2),
    ]


def test_calls_to_4118_are_turned_and_held_to_the_heartbeat_floor() -> None:
    called = frozenset({Point.AGENT})
    parts = [Part("1", "agent", "old", "9.6", points=called), Part("2", "agent", "new", "12.0", points=called)]
    assert told(links(Fleet.of(parts), OPEN | {Point.HEARTBEAT: TLS1_2})) == [
        ("manager", "agents 10.0 and newer", "TLSv1.3", "talks"),
        ("manager", "agents before 10.0", None, "refused"),
    ]
    held = links(
        Fleet.of([Part("2", "agent", "new", "12.0", points=called, offered=TLS1_2)]), OPEN | {Point.AGENT: TLS1_3}
    )
    assert told(held) == [("manager", "agents 10.0 and newer", None, "refused")]


def test_a_floor_above_what_is_served_refuses() -> None:
    drawn = links(Fleet.of([Part("0", "manager", "manager", "11.1"), agent(1, "12.0")]), dict.fromkeys(Point, TLS1_3))
    assert drawn[0].state == "refused"
    assert drawn[0].reason == "TLSv1.2 is the newest that is served there, the floor is TLSv1.3"


def test_an_exception_keeps_its_line() -> None:
    rule = Rule(Point.HEARTBEAT, TLS1, computer="1", until=2e9)
    drawn = links(Fleet.of([agent(1, "9.6", exceptions=(rule,)), agent(2, "9.6")]), HELD)
    assert [(one.version, one.state, one.members) for one in drawn] == [
        (TLS1, "talks", ("host-1",)),
        (None, "refused", ("host-2",)),
    ]


@pytest.mark.parametrize(
    ("database", "said"),
    [
        (Database("sqlserver", encrypted=True, speaks=TLS1_2), ("TLSv1.2", "TLS")),
        (Database("oracle", encrypted=True), ("–", "Oracle's native encryption")),
        (Database("postgresql"), ("–", "not encrypted")),
    ],
)
def test_the_database_connection(database: Database, said: tuple[str, str]) -> None:
    drawn = links(Fleet.of([Part("db", "database", "db", database=database)]), HELD)
    assert rows(drawn) == [("manager", "database", "", *said)]
    assert not links(Fleet.of([Part("db", "database", "db", database=Database("sqlite"))]), HELD)


def test_programs_that_were_never_read_are_unknown() -> None:
    drawn = links(Fleet.of(programs=[Program("1", "x")]), HELD)
    assert told(drawn) == [("programs that were not read", "manager", None, "unknown")]
    assert drawn[0].basis == "unknown"


@pytest.mark.rule("R19")
def test_text_rows_and_json() -> None:
    drawn = example(enforced=True)
    text = picture_text(drawn, "With TLS 1.2 enforced", {Point.HEARTBEAT: 14120})
    assert text.startswith("With TLS 1.2 enforced\n\nmanager, 14120 heartbeat\n  relays (1)")
    assert "  agents before 10.0 (1)     ──✗  –        refused: speaks at most TLSv1, the floor is TLSv1.2\n" in text
    assert "relays, 4122 relay\n" in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert rows(drawn)[2][3:] == ("–", "refused: speaks at most TLSv1, the floor is TLSv1.2")
    assert link_as_json(drawn[0]) == {
        "from": "relays",
        "to": "manager",
        "point": "heartbeat",
        "version": "TLSv1.2",
        "state": "talks",
        "reason": "",
        "basis": "tabled",
        "count": 1,
        "members": ["relay"],
    }
    called = [Part("1", "agent", "x", "12.0", points=frozenset({Point.AGENT}))]
    assert "computers, 4118 agent\n  manager to agents 10.0 and newer (1)  ──▶  TLSv1.3\n" in picture_text(
        links(Fleet.of(called), HELD)
    )


@pytest.mark.rule("R19")
def test_a_group_of_which_some_were_seen_and_some_are_tabled_is_one_line_that_says_so() -> None:
    parts = (agent(1, "11.3.1", offered=TLS1_2, negotiated=TLS1_2), agent(2, "11.3.1"), agent(3, "11.3.1"))
    drawn = [one for one in links(Fleet(parts), HELD) if one.point is Point.HEARTBEAT]
    assert [(one.from_, one.version, one.basis, one.count, one.reason) for one in drawn] == [
        ("agents 10.0 and newer", TLS1_2, "tabled", 3, "2 of 3 by the table, not seen yet")
    ]
    old = (agent(1, "9.6", offered=TLS1, negotiated=TLS1), agent(2, "9.6"))
    (refused,) = (one for one in links(Fleet(old), HELD) if one.point is Point.HEARTBEAT)
    assert refused.reason == "speaks at most TLSv1, the floor is TLSv1.2; 1 of 2 by the table, not seen yet"


@pytest.mark.rule("R19")
def test_a_computer_that_two_relays_serve_alike_is_counted_once() -> None:
    relays = tuple(
        Part(name, "relay", name, version, points=MEETS, relay=RelayFloor(sent=TLS1_2, observed=TLS1_2))
        for name, version in (("relay-1", "11.3.1"), ("relay-2", "12.0.0"))
    )
    drawn = links(Fleet((*relays, agent(1, "11.3.1"), agent(2, "11.3.1"))), HELD)
    (served,) = (one for one in drawn if one.to.startswith("relays"))
    assert (served.count, served.members) == (2, ("host-1", "host-2"))


@pytest.mark.rule("R19")
def test_an_exception_is_marked_with_the_floor_that_it_is_from() -> None:
    rule = Rule(Point.HEARTBEAT, TLS1, computer="1", until=2e9)
    drawn = links(Fleet.of([agent(1, "9.6", exceptions=(rule,)), agent(2, "10.0", exceptions=(rule,))]), HELD)
    at_manager = [one for one in drawn if one.point is Point.HEARTBEAT]
    assert [(one.excepted, one.reason) for one in at_manager] == [
        (False, ""),
        (True, "by an exception from the floor TLSv1.2"),
    ]


@pytest.mark.rule("R19")
def test_one_digest_draws_every_floor_and_says_who_is_behind_each_line() -> None:
    parts = [replace(agent(each, "9.6"), number=each) for each in range(1, 6)] + [agent(9, "10.0")]
    seen = digest(Fleet.of(parts, [Program("p", "old script", offered=TLS1)]))
    for floors in (OPEN, HELD):
        assert [line.link for line in lines(seen, floors)] == links(
            Fleet.of(parts, [Program("p", "old script", offered=TLS1)]), floors
        )
    refused = [line for line in lines(seen, HELD) if line.link.state == "refused"]
    assert [sorted(number for crowd in line.crowds for number in crowd.numbers) for line in refused] == [
        [1, 2, 3, 4, 5],
        [],
    ]
    assert [program.name for line in refused for crowd in line.crowds for program in crowd.programs] == ["old script"]
    assert sum(crowd.count for crowd in seen.of("agents before 10.0")) == 5
