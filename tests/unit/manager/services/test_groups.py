"""Computer groups, numbers that are never given twice, and values of a policy that are one computer's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.ports import BadInput, Conflict, NotFound
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.groups import GroupChange
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_groups_hold_groups_and_computers(at: Desk) -> None:
    groups = at.services.groups
    north = groups.create(ROOT, " North ", "the hall")
    racks = groups.create(ROOT, "Racks", parent_id=north.id)
    web = at.activate("web-1").computer
    at.services.computers.update(ROOT, web, ComputerChange(group_id=racks.id))
    shown = {one.name: (one.parent_id, one.computers, one.description) for one in groups.list(ROOT)}
    assert shown == {"North": (None, 0, "the hall"), "Racks": (north.id, 1, "")}
    moved = groups.update(ROOT, racks.id, GroupChange(parent_id=0, name="Cellar"))
    assert (moved.parent_id, moved.name) == (None, "Cellar")
    at.services.computers.update(ROOT, web, ComputerChange(group_id=0))
    assert at.services.computers.get(ROOT, web).group_id is None
    groups.delete(ROOT, racks.id)
    again = groups.create(ROOT, "Cellar")
    assert again.id > racks.id, "an id is never given twice"


def test_what_no_group_can_be_changes_nothing(at: Desk) -> None:
    groups = at.services.groups
    above = groups.create(ROOT, "Above")
    below = groups.create(ROOT, "Below", parent_id=above.id)
    before = groups.list(ROOT)
    for wrong, change in (
        (Conflict, GroupChange(parent_id=below.id)),
        (Conflict, GroupChange(parent_id=above.id)),
        (NotFound, GroupChange(parent_id=999)),
        (BadInput, GroupChange(name="  ")),
    ):
        with pytest.raises(wrong, match="nothing was changed"):
            groups.update(ROOT, above.id, change)
    with pytest.raises(Conflict, match="already"):
        groups.create(ROOT, "Below", parent_id=above.id)
    with pytest.raises(Conflict, match="still holds the group Below"):
        groups.delete(ROOT, above.id)
    at.services.computers.update(ROOT, at.activate("web-1").computer, ComputerChange(group_id=below.id))
    with pytest.raises(Conflict, match="still holds 1 computers"):
        groups.delete(ROOT, below.id)
    with pytest.raises(NotFound):
        groups.get(ROOT, 999)
    assert [(one.id, one.name, one.parent_id) for one in groups.list(ROOT)] == [
        (one.id, one.name, one.parent_id) for one in before
    ]


def test_a_number_is_a_computers_own_for_ever(at: Desk) -> None:
    first, second = at.activate("a").computer, at.activate("b").computer
    computers = at.services.computers
    numbers = [computers.get(ROOT, one).number for one in (first, second)]
    assert numbers == [1, 2]
    assert computers.get(ROOT, "2").id == second
    assert computers.locate(ROOT, "1") == first
    computers.delete(ROOT, "2")
    third = computers.get(ROOT, at.activate("c").computer)
    assert third.number == 3
    with pytest.raises(NotFound):
        computers.get(ROOT, "2")
    with pytest.raises(NotFound):
        computers.get(ROOT, "9" * 40)


def test_policies_and_relay_groups_never_take_an_id_again(at: Desk) -> None:
    policies = at.services.policies
    made = policies.create(ROOT, "Gone")
    policies.delete(ROOT, made.id)
    assert policies.create(ROOT, "New").id > made.id
    group = policies.create_relay_group(ROOT, "gone")
    policies.delete_relay_group(ROOT, group.id)
    assert policies.create_relay_group(ROOT, "new").id > group.id


def test_a_computers_own_values_go_before_its_policys(at: Desk) -> None:
    web, other = at.activate("web-1").computer, at.activate("web-2").computer
    own = PolicyValues(heartbeat_seconds=30, direction=Direction.BIDIRECTIONAL)
    view = at.services.computers.update(ROOT, web, ComputerChange(own=own))
    assert (view.values.heartbeat_seconds, view.values.missed_heartbeats) == (30, 2)
    assert view.own == own
    entry = at.services.computers.entry(web)
    assert entry is not None
    (command,) = entry.commands
    assert command.policy is not None
    assert (command.policy.heartbeat_seconds, command.policy.direction) == (30, Direction.BIDIRECTIONAL)
    assert not view.policy_pending
    # It listens on 4118 now, which a judgement of that point must see.
    points = {part.id: part.points for part in at.services.judgement.fleet().parts}
    assert Point.AGENT in points[web]
    assert Point.AGENT not in points[other]
    at.services.policies.update(ROOT, view.policy_id, PolicyValues(heartbeat_seconds=900, missed_heartbeats=5))
    view = at.services.computers.get(ROOT, web)
    assert (view.values.heartbeat_seconds, view.values.missed_heartbeats) == (30, 5)
    back = at.services.computers.update(ROOT, web, ComputerChange(inherit=("heartbeat_seconds", "direction")))
    assert (back.values.heartbeat_seconds, back.own) == (900, PolicyValues())
    with pytest.raises(BadInput, match="1 to 86400"):
        at.services.computers.update(ROOT, web, ComputerChange(own=PolicyValues(heartbeat_seconds=0)))


@pytest.mark.rule("R14")
def test_a_floor_is_never_one_computers_own(at: Desk) -> None:
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    with pytest.raises(BadInput, match="relay_floor is its policy's to say"):
        at.services.computers.update(ROOT, relay, ComputerChange(own=PolicyValues(relay_floor=Version.TLS1_0)))
    with pytest.raises(BadInput):
        at.services.computers.update(ROOT, relay, ComputerChange(inherit=("agent_floor",)))


def test_a_policy_gets_another_parent_but_no_circle(at: Desk) -> None:
    policies = at.services.policies
    quick = policies.create(ROOT, "Quick", values=PolicyValues(heartbeat_seconds=10))
    db = policies.create(ROOT, "Databases", description="all of them")
    assert (db.parent_id, db.description, db.effective.heartbeat_seconds) == (1, "all of them", 600)
    db = policies.update(ROOT, db.id, PolicyValues(), parent=quick.id, description="moved")
    assert (db.parent, db.description, db.effective.heartbeat_seconds) == ("Quick", "moved", 10)
    with pytest.raises(Conflict, match="inherits from Quick itself"):
        policies.update(ROOT, quick.id, PolicyValues(), parent="Databases")
    with pytest.raises(Conflict, match="no parent"):
        policies.update(ROOT, 1, PolicyValues(), parent="Quick")
    with pytest.raises(NotFound):
        policies.update(ROOT, db.id, PolicyValues(), parent=999)


@pytest.mark.rule("R12")
def test_a_parent_with_a_higher_floor_is_a_raise(at: Desk) -> None:
    at.services.floors.set(ROOT, "TLSv1")
    policies = at.services.policies
    strict = policies.create(ROOT, "Strict", values=PolicyValues(agent_floor=Version.TLS1_2))
    old = policies.create(ROOT, "Old")
    computer = at.activate("old-1", "9.6.2").computer
    own = PolicyValues(direction=Direction.BIDIRECTIONAL)
    at.services.computers.update(ROOT, computer, ComputerChange(policy_id=old.id, own=own))
    with pytest.raises(Conflict, match="would cut off"):
        policies.update(ROOT, old.id, PolicyValues(), parent=strict.id)
    assert policies.get(ROOT, old.id).parent == "Base"
