"""Lists of computers for people: filters, pages, what waits; the same done to many; one computer judged by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, principal

from plimsoll.fleet.findings import Finding
from plimsoll.manager.ports import BadInput, Forbidden, NotFound, Presence, Role
from plimsoll.manager.services import Services
from plimsoll.manager.services.computer_filter import ComputerFilter
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.hub import Change, HeartbeatsWanted
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.manager.store import computers as table
from plimsoll.messages import Direction, Kind
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def found(at: Desk, **wanted: str) -> list[str]:
    page = at.services.computer_search.page(ROOT, ComputerFilter(**wanted))
    assert page.total == len(page.computers) == len(at.services.computer_search.ids(ROOT, ComputerFilter(**wanted)))
    exported = at.services.computer_search.export(ROOT, ComputerFilter(**wanted))
    assert [one.id for one in exported] == [one.id for one in page.computers]
    return [one.hostname for one in page.computers]


def showed(at: Desk, computer: str, version: Version, address: str = "127.0.0.9") -> None:
    shown = Presence(computer, at.services.events._core.clock(), address, "t12", version, version, 1000.0)
    at.services.computers.apply_presence([shown])


def test_each_filter_narrows_and_all_hold_together(at: Desk) -> None:
    old = at.activate("till-1", version="9.6.2").computer
    relay = at.activate("relay-1", kind=Kind.RELAY, address="127.0.0.8").computer
    web = at.activate("Web-1").computer
    showed(at, old, Version.TLS1_0)
    showed(at, relay, Version.TLS1_3)
    group = at.services.groups.create(ROOT, "Berlin").id
    east = at.services.policies.create_relay_group(ROOT, "East").id
    policy = at.services.policies.create(ROOT, "Web servers").id
    change = ComputerChange(group_id=group, policy_id=policy, relay_group_id=east)
    assert at.services.computer_bulk.change(ROOT, [web], change) == 1
    everybody = ["relay-1", "till-1", "Web-1"]
    assert found(at) == everybody
    for wanted, names in (
        ({"q": "TILL"}, ["till-1"]),
        ({"q": "127.0 relay"}, ["relay-1"]),
        ({"kind": "relay"}, ["relay-1"]),
        ({"state": "active"}, everybody),
        ({"state": "offline"}, ["Web-1"]),
        ({"state": "online", "kind": "agent"}, ["till-1"]),
        ({"online": "no"}, ["Web-1"]),
        ({"version": "9.6.2"}, ["till-1"]),
        ({"version": ">=10"}, ["relay-1", "Web-1"]),
        ({"offered": "TLSv1"}, ["till-1"]),
        ({"offered": "<TLSv1.2"}, ["till-1"]),
        ({"offered": "never"}, ["Web-1"]),
        ({"relaygroup": str(east)}, ["Web-1"]),
        ({"relaygroup": "none"}, []),
        ({"group": str(group)}, ["Web-1"]),
        ({"policy": str(policy), "group": "none"}, []),
        ({"sort": "number"}, ["till-1", "relay-1", "Web-1"]),
    ):
        assert found(at, **wanted) == names, wanted
    assert set(found(at, sort="last-seen")[:2]) == {"till-1", "relay-1"}


def test_a_value_that_is_none_is_refused_with_those_that_are(at: Desk) -> None:
    for wanted in (
        {"kind": "cow"},
        {"state": "x"},
        {"online": "perhaps"},
        {"version": "<x"},
        {"offered": "SSLv9"},
        {"group": "x"},
        {"policy": "1" * 40},
        {"sort": "colour"},
    ):
        with pytest.raises(BadInput, match="nothing was searched"):
            at.services.computer_search.page(ROOT, ComputerFilter(**wanted))
        with pytest.raises(BadInput):
            at.services.computer_search.export(ROOT, ComputerFilter(**wanted))
    with pytest.raises(BadInput):
        ComputerFilter.of({"q": "x" * 1000})
    with pytest.raises(BadInput, match="first page"):
        at.services.computer_search.page(ROOT, after="x")
    assert ComputerFilter.of({"q": " a ", "other": "b", "kind": ""}).query() == {"q": "a"}


def test_pages_lead_through_all_in_each_order(at: Desk) -> None:
    for number in range(7):
        at.activate(f"h{number}")
    for sort in ("name", "number", "last-seen"):
        seen: list[str] = []
        after = ""
        while True:
            page = at.services.computer_search.page(ROOT, ComputerFilter(sort=sort), after, rows=3)
            seen += [one.hostname for one in page.computers]
            after = page.after
            if not after:
                break
        assert sorted(seen) == [f"h{number}" for number in range(7)]


@pytest.mark.rule("R14")
def test_who_waits_for_send_policy_is_found_as_it_is_shown(at: Desk) -> None:
    for number in range(3):
        at.activate(f"h{number}")
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    own = at.activate("own").computer
    services = at.services

    def waiting() -> list[str]:
        names = found(at, pending="1")
        shown = [one.hostname for one in services.computers.list(ROOT) if one.policy_pending]
        assert names == sorted(shown)
        # On a page that does not hold them all they are counted another way.
        assert services.computer_search.page(ROOT, ComputerFilter(pending="1"), rows=1).total == len(shown)
        narrowed = ComputerFilter(pending="1", kind="agent")
        agents = [name for name in names if not name.startswith("relay")]
        assert services.computer_search.page(ROOT, narrowed, rows=1).total == len(agents)
        return names

    assert waiting() == []
    services.floors.set(ROOT, "TLSv1", "relay")
    assert waiting() == ["relay-1"]
    services.floors.set(ROOT, "TLSv1.1", "agent")
    assert waiting() == ["h0", "h1", "h2", "own", "relay-1"]
    some = [one.id for one in services.computers.list(ROOT) if one.hostname in ("h0", "relay-1")]
    assert services.computer_bulk.send_policy(ROOT, some) == 2
    assert waiting() == ["h1", "h2", "own"]
    base = services.policies.list(ROOT)[0].id
    services.computer_bulk.send_policy(ROOT, [one.id for one in services.computers.list(ROOT)])
    assert waiting() == []
    services.policies.update(ROOT, base, PolicyValues(auto_send=False))
    services.computers.update(ROOT, own, ComputerChange(own=PolicyValues(heartbeat_seconds=30)))
    assert waiting() == ["own"]
    services.policies.update(ROOT, base, PolicyValues(heartbeat_seconds=50))
    assert waiting() == ["h0", "h1", "h2", "own", "relay-1"]
    assert services.computer_bulk.send_policy(ROOT, [relay]) == 1
    assert waiting() == ["h0", "h1", "h2", "own"]


def test_many_are_given_a_policy_in_one_go_and_the_trail_says_what_they_had(at: Desk) -> None:
    ids = [at.activate(f"h{number}").computer for number in range(3)]
    services = at.services
    policy = services.policies.create(ROOT, "Web servers", values=PolicyValues(heartbeat_seconds=77)).id
    group = services.groups.create(ROOT, "Berlin").id
    assert services.computer_bulk.change(ROOT, [*ids, ids[0]], ComputerChange(policy_id=policy)) == 3
    assert services.computer_bulk.change(ROOT, ids, ComputerChange(policy_id=policy)) == 0
    assert services.computer_bulk.change(ROOT, ids[:2], ComputerChange(group_id=group)) == 2
    entries = [one for one in services.access.audit(ROOT) if one.action == "computers.update"]
    assert [(one.target, one.before, one.after) for one in entries] == [
        ("2 computers", {"group_id": {"none": [1, 2]}}, {"group_id": group}),
        ("3 computers", {"policy_id": {"1": [1, 2, 3]}}, {"policy_id": policy}),
    ]
    # The settings go by themselves, the floors wait (R14).
    entry = services.computers.entry(ids[0])
    assert entry is not None
    assert entry.commands[-1].policy is not None
    assert entry.commands[-1].policy.heartbeat_seconds == 77
    for change in (ComputerChange(display_name="all the same"), ComputerChange()):
        with pytest.raises(BadInput, match="nothing was changed"):
            services.computer_bulk.change(ROOT, ids, change)
    with pytest.raises(NotFound, match="nothing was changed"):
        services.computer_bulk.change(ROOT, ids, ComputerChange(group_id=99))
    assert services.computer_bulk.change(ROOT, ids, ComputerChange(group_id=0)) == 2


def test_a_heartbeat_is_asked_of_those_that_listen(at: Desk) -> None:
    services = at.services
    caller, listener = at.activate("caller").computer, at.activate("listener").computer
    base = services.policies.list(ROOT)[0].id
    services.policies.update(ROOT, base, PolicyValues(direction=Direction.BIDIRECTIONAL))
    services.computers.update(ROOT, caller, ComputerChange(own=PolicyValues(direction=Direction.AGENT_INITIATED)))
    at.home.store.write(lambda c: table.change(c, listener, listen_port=4118))
    told: list[Change] = []
    services.hub.subscribe(told.append)
    result = services.computer_bulk.heartbeat_now(ROOT, [caller, listener])
    assert (result.called, result.waits) == (("listener",), ("caller",))
    assert told == [HeartbeatsWanted((listener,))]
    assert services.computer_bulk.can_be_called(ROOT, listener)
    assert not services.computer_bulk.can_be_called(ROOT, caller)
    assert services.access.audit(ROOT, limit=1)[0].action == "computers.heartbeat"
    with pytest.raises(BadInput, match="narrow the list"):
        services.computer_bulk.heartbeat_now(ROOT, [str(number) for number in range(501)])


def test_many_are_revoked_and_deactivated(at: Desk) -> None:
    ids = [at.activate(f"h{number}").computer for number in range(3)]
    services = at.services
    assert services.computer_bulk.revoke(ROOT, ids[:2], "stolen") == 2
    assert services.computer_bulk.revoke(ROOT, ids[:2]) == 0
    assert found(at, state="revoked") == ["h0", "h1"]
    assert services.computer_bulk.delete(ROOT, [ids[0], "gone", ids[2]]) == 2
    assert found(at) == ["h1"]
    auditor = principal(Role.AUDITOR)
    for act in (services.computer_bulk.revoke, services.computer_bulk.delete, services.computer_bulk.send_policy):
        with pytest.raises(Forbidden):
            act(auditor, [ids[1]])


def lasting(finding: Finding) -> Finding:
    """Without the end that is proposed for an exception, which moves on with the clock between two judgements."""
    return replace(finding, ways=tuple(replace(way, until=None) for way in finding.ways))


@pytest.mark.rule("R12")
def test_one_computer_is_judged_as_the_fleet_would_judge_it(at: Desk) -> None:
    services = at.services
    old = at.activate("till-1", version="9.6.2").computer
    relay = at.activate("relay-1", version="9.5.0", kind=Kind.RELAY, address="127.0.0.8").computer
    at.activate("web-1", address="127.0.0.7")
    showed(at, old, Version.TLS1_0)
    exception = services.exceptions.add(
        ROOT, point="heartbeat", floor="TLSv1", until=services.events._core.clock() + 86400, reason="soon", computer=old
    )
    assert exception.computer == old
    for to in (Version.TLS1_1, Version.TLS1_2, Version.TLS1_3):
        fleet = services.judgement.preflight(ROOT, to.value)
        blockers = {one.id: one for one in fleet.blockers}
        for computer in services.computers.list(ROOT):
            judged = services.computer_judgement.judge(ROOT, computer.id)
            verdict = next(one for one in judged.verdicts if one.target is to)
            assert verdict.blocks is (computer.id in blockers)
            if verdict.blocks:
                assert verdict.finding is not None
                assert lasting(verdict.finding) == lasting(blockers[computer.id])
    judged = services.computer_judgement.judge(ROOT, old)
    assert judged.capable is not None
    assert judged.capable.speaks_to is Version.TLS1_0
    assert judged.part is not None
    assert judged.part.offered is Version.TLS1_0
    heartbeat = next(one for one in judged.required if one.point is Point.HEARTBEAT)
    assert (heartbeat.floor, heartbeat.own) == (Version.TLS1_2, Version.TLS1_0)
    assert services.computer_judgement.judge(ROOT, relay).configured[Point.RELAY].origin == "version default"
    services.computers.revoke(ROOT, old)
    assert services.computer_judgement.judge(ROOT, old).verdicts == ()
    with pytest.raises(NotFound):
        services.computer_judgement.judge(ROOT, "nobody")


def test_who_was_refused_or_would_be_is_found(tmp_path: Path) -> None:
    with desk(tmp_path) as opened:
        seen = Seen()
        services = opened.services = Services(opened.home.store, opened.home, opened.published.append, seen)
        services.floors.set(ROOT, "TLSv1")
        refused, shadowed, back = (opened.activate(name).computer for name in ("refused", "shadowed", "back"))
        opened.activate("well")
        services.shadow.set(ROOT, "TLSv1.2", "heartbeat")
        seen.sighted = [
            beat(f"computer:{shadowed}", Version.TLS1_0, Outcome.ADMITTED, time.time() + 1),
            beat(f"computer:{refused}", Version.TLS1_0, Outcome.REFUSED_AFTER, time.time()),
            beat(f"computer:{back}", Version.TLS1_0, Outcome.REFUSED_AFTER, time.time() - 100),
        ]
        services.sightings.absorb()
        services.computers.apply_presence(
            [Presence(back, time.time(), "127.0.0.9", "t12", Version.TLS1_2, Version.TLS1_2, time.time())]
        )
        assert found(opened, refused="1") == ["refused", "shadowed"]


class Seen:
    def __init__(self) -> None:
        self.sighted: list[Sighting] = []

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        given, self.sighted = self.sighted, []
        return given


def beat(who: str, version: Version, outcome: Outcome, when: float) -> Sighting:
    return Sighting(
        point=Point.HEARTBEAT,
        address="127.0.0.9",
        ja4="t12",
        offered=version,
        versions=(version,),
        sni=None,
        outcome=outcome,
        negotiated=version,
        who=who,
        count=1,
        first=when,
        last=when,
    )
