"""Exceptions: what is refused, what is in force at once, what ends by itself (G5, R16)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, principal, reopened

from plimsoll.manager.ports import BadInput, Conflict, Forbidden, NotFound, Presence, Role
from plimsoll.manager.services.exceptions import DAY, LONGEST, ExceptionView
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import Version

NOW = float(int(time.time()))


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    with desk(tmp_path, clock) as opened:
        yield opened


def add(at: Desk, **values: object) -> ExceptionView:
    given: dict = {"point": "heartbeat", "floor": "TLSv1", "until": NOW + DAY, "reason": "line 4 moves", **values}
    if "computer" not in given:
        given.setdefault("source", "10.0.0.7")
    return at.services.exceptions.add(ROOT, **given)


@pytest.mark.rule("G5")
def test_it_is_in_force_at_once_for_its_source_alone_and_ends_by_itself(at: Desk, clock: Clock) -> None:
    made = add(at)
    assert made.state == "in force"
    snapshot = at.published[-1]
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.7", NOW) is Version.TLS1_0
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.8", NOW) is Version.TLS1_2
    assert snapshot.admits_from(Point.GUI, "10.0.0.7", NOW) is Version.TLS1_2
    assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.7", NOW + DAY) is Version.TLS1_2, "before anybody looked"
    clock.now = NOW + DAY
    assert at.services.exceptions.look() == 1
    assert at.services.exceptions.list(ROOT) == ()
    (past,) = at.services.exceptions.list(ROOT, ended=True)
    assert (past.state, past.ended) == ("ended", NOW + DAY)
    assert at.published[-1].rules == ()
    numbers = [event.number for event in at.services.events.list(ROOT)]
    assert {1955, 1956} <= set(numbers)
    assert at.services.exceptions.look() == 0


@pytest.mark.rule("G5")
def test_a_computer_s_exception_admits_its_address_and_then_its_certificate(at: Desk) -> None:
    computer = at.activate("old", "9.6.2").computer
    at.services.computers.apply_presence(
        [Presence(computer, NOW, "10.9.9.9", "ja4", Version.TLS1_0, Version.TLS1_0, NOW)]
    )
    made = add(at, computer=computer)
    assert (made.name, made.source) == ("old", None)
    snapshot = at.published[-1]
    assert snapshot.admits_from(Point.HEARTBEAT, "10.9.9.9", NOW) is Version.TLS1_0
    assert snapshot.floor_for(Point.HEARTBEAT, "10.9.9.9", computer, NOW) is Version.TLS1_0
    assert snapshot.floor_for(Point.HEARTBEAT, "10.9.9.9", None, NOW) is Version.TLS1_2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"until": None}, "needs an end"),
        ({"until": NOW}, "in the past"),
        ({"until": NOW + LONGEST + 1}, "at most 400 days"),
        ({"reason": "  "}, "needs a reason"),
        ({"reason": None}, "needs a reason"),
        ({"reason": "x" * 501}, "500 characters"),
        ({"source": "10.0.0.7/24"}, "write 10.0.0.7/32 for it alone, or 10.0.0.0/24 for all"),
        ({"source": "10.0.0.0/15"}, "no exception but a floor"),
        ({"source": "2001:db8::/40"}, "no exception but a floor"),
        ({"source": "line 4"}, "no address and no network"),
        ({"source": None}, "either a source network or a computer"),
        ({"source": "10.0.0.7", "computer": "x"}, "either a source network or a computer"),
        ({"point": "relay"}, "relay holds one floor"),
        ({"point": "agent"}, "only managers call agents"),
        ({"point": "4120"}, "unknown point"),
        ({"floor": "TLS1"}, "TLSv1"),
        ({"source": None, "computer": "x", "point": "gui"}, "no certificate"),
    ],
)
def test_what_is_refused_changes_nothing(at: Desk, values: dict, words: str) -> None:
    published = len(at.published)
    with pytest.raises(BadInput, match=words.replace("(", r"\(")) as refused:
        add(at, **values)
    assert "othing was changed" in refused.value.message
    assert at.services.exceptions.list(ROOT, ended=True) == ()
    assert len(at.published) == published


def test_who_is_unknown_or_may_not(at: Desk) -> None:
    with pytest.raises(NotFound):
        add(at, computer="nobody")
    with pytest.raises(NotFound):
        at.services.exceptions.end(ROOT, 7)
    with pytest.raises(Forbidden):
        at.services.exceptions.add(
            principal(Role.AUDITOR), point="gui", floor="TLSv1", until=NOW + 1, reason="x", source="10.0.0.7"
        )


def test_ipv4_written_as_ipv6_is_ipv4(at: Desk) -> None:
    assert [add(at, source=text).source for text in ("::ffff:10.0.0.7", "::ffff:10.1.0.0/112")] == [
        "10.0.0.7/32",
        "10.1.0.0/16",
    ]
    assert at.published[-1].admits_from(Point.HEARTBEAT, "10.1.9.9", NOW) is Version.TLS1_0
    with pytest.raises(BadInput, match="no exception but a floor"):
        add(at, source="::ffff:10.0.0.0/104")


def test_a_trusted_proxy_is_not_covered(at: Desk) -> None:
    at.home.config = replace(at.home.config, trusted_proxies=("10.0.0.5",))
    with pytest.raises(BadInput, match="everybody behind it"):
        add(at, source="10.0.0.0/24")
    add(at, source="10.0.1.0/24")


def test_the_same_twice_is_a_conflict_and_an_end_makes_room(at: Desk) -> None:
    first = add(at)
    with pytest.raises(Conflict, match=f"exception {first.id}"):
        add(at)
    assert at.services.exceptions.end(ROOT, first.id).state == "ended"
    assert at.published[-1].admits_from(Point.HEARTBEAT, "10.0.0.7", NOW) is Version.TLS1_2
    with pytest.raises(Conflict, match="has ended"):
        at.services.exceptions.end(ROOT, first.id)
    add(at)


def test_one_at_a_floor_that_is_not_above_waits_and_never_raises(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1")
    made = add(at, floor="TLSv1.1")
    assert made.state == "waiting"
    assert at.published[-1].admits_from(Point.HEARTBEAT, "10.0.0.7", NOW) is Version.TLS1_0
    at.services.floors.set(ROOT, "TLSv1.2")
    assert at.published[-1].admits_from(Point.HEARTBEAT, "10.0.0.7", NOW) is Version.TLS1_1
    assert at.services.exceptions.in_force()[0].id == made.id


def test_the_end_is_told_before_it_comes_once_each(at: Desk, clock: Clock) -> None:
    add(at, until=NOW + 10 * DAY)

    def warnings() -> int:
        return sum(event.number == 1957 for event in at.services.events.list(ROOT))

    told = []
    for day in (0, 2, 3, 5, 8.5, 9, 9.5, 10):
        clock.now = NOW + day * DAY
        at.services.exceptions.look()
        told.append(warnings())
    assert told == [0, 0, 1, 1, 1, 2, 2, 2]


def test_one_that_is_short_is_not_warned_of_late(at: Desk, clock: Clock) -> None:
    add(at, until=NOW + 60)
    clock.now += 30
    at.services.exceptions.look()
    assert all(event.number != 1957 for event in at.services.events.list(ROOT))


@pytest.mark.rule("R12")
def test_a_preflight_notes_who_is_excused_and_blocks_it_again_afterwards(at: Desk, clock: Clock) -> None:
    computer = at.activate("old", "9.6.2").computer
    at.services.floors.set(ROOT, "TLSv1")
    blocked = at.services.judgement.preflight(ROOT, "TLSv1.2", "heartbeat")
    assert [finding.who for finding in blocked.blockers] == ["old"]
    add(at, computer=computer)
    excused = at.services.judgement.preflight(ROOT, "TLSv1.2", "heartbeat")
    assert (excused.blockers, [finding.who for finding in excused.noted]) == ((), ["old"])
    assert "exception" in excused.noted[0].reason
    clock.now += DAY
    assert at.services.judgement.preflight(ROOT, "TLSv1.2", "heartbeat").blockers


def test_of_two_changes_at_once_the_newer_is_published_last(at: Desk) -> None:
    """The first is held between reading and publishing. If the second did not wait, the exception would come back."""
    core = at.services.exceptions._core
    made = add(at)
    began, go = threading.Event(), threading.Event()
    seen: list[FloorSnapshot] = []

    def publish(snapshot: FloorSnapshot) -> None:
        if not seen:
            began.set()
            assert go.wait(10)
        seen.append(snapshot)

    core.publish = publish
    first = threading.Thread(target=core.publish_floors)
    first.start()
    assert began.wait(10)
    second = threading.Thread(target=at.services.exceptions.end, args=(ROOT, made.id))
    second.start()
    go.set()
    first.join(10)
    second.join(10)
    assert [len(one.rules) for one in seen] == [1, 0]


@pytest.mark.rule("G5")
def test_a_computer_that_is_gone_or_moved_opens_no_address_any_more(at: Desk) -> None:
    one, two = (at.activate(name, "9.6.2", address=f"10.7.0.{number}").computer for number, name in enumerate("ab"))
    for computer in (one, two):
        add(at, computer=computer)
    assert not at.services.exceptions.refresh()
    at.services.computers.delete(ROOT, one)
    at.services.computers.apply_presence([Presence(two, NOW, "10.9.9.9", "j", Version.TLS1_0, Version.TLS1_0, NOW)])
    assert at.services.exceptions.refresh()
    snapshot = at.published[-1]
    admitted = [snapshot.admits_from(Point.HEARTBEAT, ip, NOW) for ip in ("10.7.0.0", "10.7.0.1", "10.9.9.9")]
    assert admitted == [Version.TLS1_2, Version.TLS1_2, Version.TLS1_0]
    assert not at.services.exceptions.refresh()


def test_a_restart_keeps_what_is_in_force_and_what_has_ended(at: Desk, clock: Clock) -> None:
    add(at, until=NOW + 60)
    kept = add(at, source="10.0.0.8", until=NOW + DAY)
    path = at.home.path
    at.home.close()
    clock.now = NOW + 61
    with reopened(path, at.made, clock) as again:
        snapshot = again.published[-1]
        assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.8", clock.now) is Version.TLS1_0
        assert snapshot.admits_from(Point.HEARTBEAT, "10.0.0.7", clock.now) is Version.TLS1_2
        assert again.services.exceptions.look() == 1, "its time was up while nobody looked"
    clock.now = NOW
    with reopened(path, at.made, clock) as earlier:
        assert earlier.published[-1].admits_from(Point.HEARTBEAT, "10.0.0.7", NOW) is Version.TLS1_2, "it stays ended"
        assert [one.id for one in earlier.services.exceptions.list(ROOT)] == [kept.id]
