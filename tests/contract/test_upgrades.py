"""Upgrades and their computers in every backend of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plimsoll.manager.store import Connection, Store, computers, policies, upgrades
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.upgrades import HostRecord, LogRecord, StaleError, UpgradeRecord

NEW = UpgradeRecord(0, 1.0, "user:a", "a", "rest", "12.1.0", "running", 0, 1.0, 0.0, {"waves": []}, {}, "begins")


def filled(store: Store) -> int:
    """Five computers, c0 and c4 offline, in two waves."""

    def work(connection: Connection) -> int:
        policy = policies.add_policy(connection, name="Base", generation=1)
        for number in range(5):
            name = f"c{number}"
            kind = "relay" if number == 3 else "agent"
            made = ComputerRecord(name, kind, name, "12.0.0", "Linux", "10.0.0.1", policy, f"fp-{name}")
            made.online = number not in (0, 4)
            computers.add(connection, made)
        made_id = upgrades.add(connection, NEW)
        upgrades.add_hosts(
            connection,
            [HostRecord(made_id, f"c{n}", f"C{n}", n // 3, upgrades.WAITING, "12.0.0", "12.1.0") for n in range(5)],
        )
        return made_id

    return store.write(work)


def test_a_step_on_an_older_state_keeps_nothing(store: Store) -> None:
    made = store.write(lambda c: upgrades.add(c, NEW))
    found = store.read(lambda c: upgrades.get(c, made))
    assert found == replace(NEW, id=made)
    assert store.read(upgrades.under_way) == found
    assert found is not None
    store.write(lambda c: upgrades.save(c, found, state="paused"))
    with pytest.raises(StaleError):
        store.write(lambda c: upgrades.save(c, found, state="running"))
    store.write(lambda c: upgrades.log(c, made, LogRecord(2.0, "relays", "entered", "text", "manager")))
    assert [one.what for one in store.read(lambda c: upgrades.logs(c, made, 10))] == ["entered"]
    now = store.read(lambda c: upgrades.get(c, made))
    assert now is not None
    assert (now.state, now.version) == ("paused", 1)
    store.write(lambda c: upgrades.save(c, now, state="done"))
    assert store.read(upgrades.under_way) is None
    assert [one.id for one in store.read(lambda c: upgrades.find(c, 5))] == [made]


def test_computers_move_through_their_states(store: Store) -> None:
    made = filled(store)
    assert [one.computer for one in store.read(lambda c: upgrades.next_waiting(c, made, 0, 10))] == ["c1", "c2", "c0"]
    store.write(lambda c: upgrades.order(c, made, {"c0": "k0", "c1": "k1", "c2": "k2"}, 5.0))
    found = store.read(lambda c: upgrades.by_command(c, "k1"))
    assert found is not None
    assert (found.computer, found.state, found.since) == ("c1", upgrades.ORDERED, 5.0)
    assert store.read(lambda c: upgrades.by_command(c, "k9")) is None
    assert store.read(lambda c: upgrades.in_flight(c, made)) == 2
    store.write(lambda c: upgrades.move(c, found, upgrades.FAILED, 6.0, "no room", "disk-full"))
    assert store.read(lambda c: upgrades.counts(c, made)) == {
        0: {upgrades.ORDERED: 2, upgrades.FAILED: 1},
        1: {upgrades.WAITING: 2},
    }
    assert store.read(lambda c: upgrades.present(c, made, 0, (upgrades.ORDERED,))) == (1, 1)
    assert store.read(lambda c: upgrades.offline(c, made, 0, (upgrades.ORDERED,))) == ("C0",)
    assert store.read(lambda c: upgrades.bad(c, made, 0, 0.0)) == {upgrades.FAILED: ("C1",)}
    assert store.read(lambda c: upgrades.bad(c, made, 1, 6.0)) == {upgrades.FAILED: ("C1",)}
    assert store.read(lambda c: upgrades.bad(c, made, 1, 6.5)) == {}
    pages = store.read(lambda c: upgrades.hosts(c, made, states=(upgrades.ORDERED,), after="c0", limit=1))
    assert [one.computer for one in pages] == ["c2"]


def test_many_move_at_once_by_state_time_and_wave(store: Store) -> None:
    made = filled(store)
    store.write(lambda c: upgrades.order(c, made, {"c0": "k0"}, 5.0))
    store.write(lambda c: upgrades.order(c, made, {"c1": "k1"}, 7.0))

    def late(before: float) -> tuple[str, ...]:
        return store.write(
            lambda c: upgrades.move_all(c, made, (upgrades.ORDERED,), upgrades.LOST, 9.0, before=before, detail="late")
        )

    assert late(5.0) == ()
    assert late(6.0) == ("c0",)
    back = store.write(lambda c: upgrades.move_all(c, made, (upgrades.WAITING,), upgrades.LEFT, 9.0, wave=1))
    assert back == ("c3", "c4")
    some = store.write(lambda c: upgrades.move_all(c, made, (upgrades.LEFT,), upgrades.WAITING, 9.0, ids=["c4", "c1"]))
    assert some == ("c4",)
    store.write(lambda c: upgrades.order(c, made, {"c1": "k1"}, 7.0))
    store.write(lambda c: upgrades.restart_clocks(c, made, 99.0))
    (c1,) = store.read(lambda c: upgrades.hosts(c, made, states=(upgrades.ORDERED,)))
    assert c1.since == 7.0, "an order that nobody has taken home has no clock"


def test_who_waits_below_relays_of_a_group(store: Store) -> None:
    made = filled(store)
    group = store.write(lambda c: policies.add_group(c, "North", None))
    store.write(lambda c: computers.change(c, "c2", relay_group_id=group))
    assert store.read(lambda c: upgrades.waiting_below(c, made, 0, {group})) == (("c2", "C2", group),)
    assert store.read(lambda c: upgrades.waiting_below(c, made, 0, {group + 1})) == ()
    store.write(lambda c: upgrades.order(c, made, {"c2": "k2"}, 5.0))
    assert store.read(lambda c: upgrades.waiting_below(c, made, 0, {group})) == ()
    assert [(one.id, str(one.version), one.online) for one in store.read(upgrades.relays)] == [("c3", "12.0.0", True)]
