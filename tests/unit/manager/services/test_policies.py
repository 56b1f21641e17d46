from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.ports import BadInput, Blocked, Conflict, NotFound
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_what_is_not_set_is_inherited(at: Desk) -> None:
    policies = at.services.policies
    servers = policies.create(ROOT, "Servers", values=PolicyValues(heartbeat_seconds=120))
    db = policies.create(ROOT, "Databases", "Servers", PolicyValues(direction=Direction.BIDIRECTIONAL))
    assert db.effective.heartbeat_seconds == 120
    assert db.effective.relay_floor is Version.TLS1_2
    assert db.own == PolicyValues(direction=Direction.BIDIRECTIONAL)
    policies.update(ROOT, servers.id, PolicyValues(heartbeat_seconds=90, relay_floor=Version.TLS1_0))
    db = policies.get(ROOT, db.id)
    assert (db.effective.heartbeat_seconds, db.effective.relay_floor) == (90, Version.TLS1_0)
    assert db.generation == policies.get(ROOT, servers.id).generation
    back = policies.update(ROOT, servers.id, PolicyValues(), inherit=("relay_floor",))
    assert back.effective.relay_floor is Version.TLS1_2
    renamed = policies.update(ROOT, db.id, PolicyValues(), name="DBs")
    assert (renamed.name, renamed.parent) == ("DBs", "Servers")


def test_a_sub_policys_floor_stands_beside_the_point_and_in_the_history(at: Desk) -> None:
    at.services.policies.create(ROOT, "Old relays", values=PolicyValues(relay_floor=Version.TLS1_0))
    shown = {view.point: view.overrides for view in at.services.floors.show(ROOT).floors}
    assert shown[Point.RELAY] == (("Old relays", Version.TLS1_0),)
    assert shown[Point.AGENT] == ()
    policy = at.services.policies.list(ROOT)[1]
    at.services.policies.update(ROOT, policy.id, PolicyValues(relay_floor=Version.TLS1_1), reason="step one")
    newest = at.services.floors.history(ROOT)[0]
    assert (newest.policy, newest.point, newest.after, newest.reason) == (
        "Old relays",
        Point.RELAY,
        Version.TLS1_1,
        "step one",
    )


@pytest.mark.rule("R12")
def test_a_raise_in_a_policy_is_judged_too(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1")
    at.activate("relay-1", kind=Kind.RELAY)
    at.activate("old-payroll", "9.6.2")
    base = at.services.policies.list(ROOT)[0]
    with pytest.raises(Blocked, match="old-payroll"):
        at.services.policies.update(ROOT, base.id, PolicyValues(relay_floor=Version.TLS1_2))
    assert at.services.policies.get(ROOT, base.id).effective.relay_floor is Version.TLS1_0
    raised = PolicyValues(relay_floor=Version.TLS1_2)
    at.services.policies.update(ROOT, base.id, raised, force=True, reason="agreed with payroll")
    newest = at.services.floors.history(ROOT)[0]
    assert newest.forced
    assert newest.named == ("old-payroll",)
    assert at.published[-1].floors[Point.RELAY] is Version.TLS1_2


@pytest.mark.rule("R12")
def test_a_forced_floor_of_a_policy_cuts_off_whom_one_saw_and_each_point_names_its_own(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1")
    at.activate("relay-1", kind=Kind.RELAY)
    at.activate("old-payroll", "9.6.2")
    base = at.services.policies.list(ROOT)[0]
    wanted = PolicyValues(relay_floor=Version.TLS1_2, agent_floor=Version.TLS1_3)
    asked = at.services.policies.floors_asked(ROOT, base.id, wanted)
    assert asked.raises == ((Version.TLS1_2, (Point.RELAY,)), (Version.TLS1_3, (Point.AGENT,)))
    shown = {
        finding.id
        for target, points in asked.raises
        for finding in at.services.judgement.preflight(ROOT, target.value, [p.value for p in points]).blockers
    }
    at.activate("old-archive", "9.6.2")
    with pytest.raises(Blocked, match=r"^old-archive would be cut off too, and stood in no list"):
        at.services.policies.update(ROOT, base.id, wanted, force=True, reason="agreed", seen=shown)
    assert at.services.policies.get(ROOT, base.id).effective.relay_floor is Version.TLS1_0
    everybody = {one.id for one in at.services.judgement.fleet().parts}
    at.services.policies.update(ROOT, base.id, wanted, force=True, reason="agreed", seen=everybody)
    named = {entry.point: (entry.forced, entry.named) for entry in at.services.floors.history(ROOT, 2)}
    # Nobody listens on 4118 there, so nobody is cut off by the agents' floor.
    assert named == {Point.RELAY: (True, ("old-archive", "old-payroll")), Point.AGENT: (False, ())}


def test_pending_counts_computers_whose_floor_waits(at: Desk) -> None:
    sub = at.services.policies.create(ROOT, "Sub")
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    other = at.activate("web-1").computer
    at.services.computers.update(ROOT, other, ComputerChange(policy="Sub"))
    at.services.floors.set(ROOT, "TLSv1.3", "agent")
    assert [policy.pending for policy in at.services.policies.list(ROOT)] == [1, 1]
    at.services.computers.send_policy(ROOT, computers=[other])
    assert at.services.policies.get(ROOT, sub.id).pending == 0
    at.services.computers.send_policy(ROOT, computers=[relay])
    assert [policy.pending for policy in at.services.policies.list(ROOT)] == [0, 0]


def test_what_a_policy_refuses(at: Desk) -> None:
    policies = at.services.policies
    base = policies.list(ROOT)[0]
    for values in (
        PolicyValues(heartbeat_seconds=0),
        PolicyValues(heartbeat_seconds=100_000),
        PolicyValues(missed_heartbeats=0),
    ):
        with pytest.raises(BadInput, match="nothing was changed"):
            policies.update(ROOT, base.id, values)
    with pytest.raises(BadInput, match="nothing to inherit"):
        policies.update(ROOT, base.id, PolicyValues(), inherit=("relay_floor",))
    sub = policies.create(ROOT, "Sub")
    with pytest.raises(BadInput, match="no 'colour'"):
        policies.update(ROOT, sub.id, PolicyValues(), inherit=("colour",))
    for attempt in (
        lambda: policies.create(ROOT, "Sub"),
        lambda: policies.update(ROOT, base.id, PolicyValues(), name="Root"),
        lambda: policies.update(ROOT, sub.id, PolicyValues(), name="Base"),
        lambda: policies.delete(ROOT, base.id),
    ):
        with pytest.raises(Conflict):
            attempt()
    with pytest.raises(BadInput, match="needs a name"):
        policies.create(ROOT, "  ")
    with pytest.raises(NotFound):
        policies.create(ROOT, "x", "nobody")
    with pytest.raises(NotFound):
        policies.get(ROOT, 99)


def test_policies_and_groups_in_use_stay(at: Desk) -> None:
    policies = at.services.policies
    sub = policies.create(ROOT, "Sub")
    below = policies.create(ROOT, "Below", "Sub")
    computer = at.activate("web-1").computer
    at.services.computers.update(ROOT, computer, ComputerChange(policy="Below"))
    with pytest.raises(Conflict, match="inherit from Sub"):
        policies.delete(ROOT, sub.id)
    with pytest.raises(Conflict, match="computers have"):
        policies.delete(ROOT, below.id)
    at.services.computers.update(ROOT, computer, ComputerChange(policy="Base"))
    policies.delete(ROOT, below.id)
    policies.delete(ROOT, sub.id)
    assert [policy.name for policy in policies.list(ROOT)] == ["Base"]


def test_relay_groups(at: Desk) -> None:
    policies = at.services.policies
    branch = policies.create_relay_group(ROOT, "Branch", "Default Relay Group")
    assert branch.parent == "Default Relay Group"
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    at.services.computers.update(ROOT, relay, ComputerChange(relay_group="Branch"))
    assert policies.relay_groups(ROOT)[1].relays == (relay,)
    for attempt in (
        lambda: policies.delete_relay_group(ROOT, branch.id),
        lambda: policies.delete_relay_group(ROOT, policies.relay_groups(ROOT)[0].id),
        lambda: policies.create_relay_group(ROOT, "Branch"),
    ):
        with pytest.raises(Conflict):
            attempt()
    with pytest.raises(NotFound):
        policies.create_relay_group(ROOT, "x", "nowhere")
    at.services.computers.update(ROOT, relay, ComputerChange(relay_group=""))
    policies.delete_relay_group(ROOT, branch.id)
    with pytest.raises(NotFound):
        policies.delete_relay_group(ROOT, branch.id)
