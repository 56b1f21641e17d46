"""What every backend of the store must do."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select
from tests.contract.backends import Backend

from plimsoll.manager.ports import NotFound, Unavailable
from plimsoll.manager.store import (
    Connection,
    Store,
    computers,
    events,
    facts,
    migrate,
    policies,
    rules,
    sightings,
)
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.sightings import SightingRecord, Wanted
from plimsoll.manager.store.tables import metadata, sighting_counts
from plimsoll.tls.versions import Version


def computer(name: str, policy: int) -> ComputerRecord:
    return ComputerRecord(name, "agent", name, "12.0.0", "Linux", "10.0.0.1", policy, f"fp-{name}")


def test_the_migrations_lead_to_the_tables(store: Store) -> None:
    assert store.revision == migrate.HEAD
    assert store.read(lambda c: migrate.differences(c, metadata)) == []


def test_a_write_is_whole_or_not_at_all(store: Store) -> None:
    def work(connection: Connection) -> None:
        facts.put(connection, "a", "1")
        raise NotFound("half way")

    with pytest.raises(NotFound):
        store.write(work)
    assert store.read(lambda c: facts.get(c, "a")) is None


def test_writers_take_turns(store: Store) -> None:
    def add() -> None:
        for _ in range(20):
            store.write(lambda c: facts.put(c, "n", str(facts.counter(c, "n") + 1)))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(lambda c: facts.counter(c, "n")) == 80


def test_a_group_commit_keeps_the_good_ones(store: Store) -> None:
    def bad(connection: Connection) -> None:
        facts.put(connection, "bad", "1")
        raise ZeroDivisionError

    def put(name: str) -> None:
        waiting.append(store.enqueue(lambda c: facts.put(c, name, "1")))

    waiting: list = []
    put("first")
    failing = store.enqueue(bad)
    for number in range(300):
        put(f"n{number}")
    for future in waiting:
        assert future.result(10) is None
    assert isinstance(failing.exception(10), ZeroDivisionError)
    assert store.read(lambda c: facts.get(c, "bad")) is None
    assert store.read(lambda c: facts.get(c, "n299")) == "1"


def test_what_was_acknowledged_is_there_after_reopening(store: Store, backend: Backend) -> None:
    store.enqueue(lambda c: facts.put(c, "kept", "1")).result(10)
    other = backend.open()
    try:
        assert other.read(lambda c: facts.get(c, "kept")) == "1"
    finally:
        other.close()


def test_closing_commits_what_waits_and_takes_no_more(store: Store) -> None:
    waiting = [store.enqueue(partial(facts.put, name=f"w{n}", value="1")) for n in range(50)]
    store.close()
    assert all(future.done() and future.exception() is None for future in waiting)
    with pytest.raises(Unavailable, match="stopping"):
        store.enqueue(lambda c: None)


def test_a_full_disk_is_said_and_the_store_recovers(store: Store, backend: Backend) -> None:
    big = random.Random(1).randbytes(200_000).hex()  # what cannot be packed
    put = partial(facts.put, name="big", value=big)
    with backend.full(store):
        with pytest.raises(Unavailable, match="disk is full") as caught:
            store.write(put)
        assert caught.value.retry_after > 0
        waiting = [store.enqueue(lambda c: facts.put(c, "small", "1")), store.enqueue(put)]
        for future in waiting:
            assert isinstance(future.exception(10), Unavailable)
        assert store.read(lambda c: facts.get(c, "big")) is None
    store.enqueue(put).result(10)
    store.write(lambda c: facts.put(c, "small", "1"))
    assert store.read(lambda c: facts.get(c, "big")) == big


def test_a_store_that_another_process_holds_is_busy_for_a_while(store: Store, backend: Backend) -> None:
    other = backend.open()
    holds, done = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        holds.set()
        done.wait(30)

    holder = threading.Thread(target=other.write, args=[hold])
    holder.start()
    assert holds.wait(10)
    try:
        with pytest.raises(Unavailable, match="busy"):
            store.write(lambda c: facts.put(c, "a", "1"))
        assert isinstance(store.enqueue(lambda c: facts.put(c, "a", "1")).exception(10), Unavailable)
        assert store.read(lambda c: facts.get(c, "a")) is None
    finally:
        done.set()
        holder.join()
        other.close()
    store.write(lambda c: facts.put(c, "a", "1"))


def test_a_migration_that_fails_leaves_the_former_schema(backend: Backend) -> None:
    store = backend.open()
    try:
        store.migrate(migrate.FIRST)
        store.write(lambda c: c.exec_driver_sql("create table rules (x integer)"))
        with pytest.raises(Unavailable):
            store.migrate()
        assert store.revision == migrate.FIRST
        store.write(lambda c: c.exec_driver_sql("drop table rules"))
        store.migrate()
        assert store.revision == migrate.HEAD
    finally:
        store.close()


def test_counters_rise_with_the_clock_and_without_it(store: Store) -> None:
    seen = [store.write(partial(facts.advance, name="g", now=now)) for now in (1000.9, 1000.0, 5.0, 2000.0)]
    assert seen == [1000, 1001, 1002, 2000]


def test_presence_of_many_in_one_statement(store: Store) -> None:
    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        for number in range(1200):
            computers.add(connection, computer(f"c{number:04}", policy))
        rows = [{"computer": f"c{n:04}", "last_seen": float(n), "offered": Version.TLS1_3} for n in range(1200)]
        computers.change_many(connection, rows)
        computers.set_online(connection, [f"c{n:04}" for n in range(1100)], True)

    store.write(work)
    found = store.read(computers.find)
    assert len(found) == 1200
    assert found[7].last_seen == 7.0
    assert found[7].offered is Version.TLS1_3
    assert sum(one.online for one in found) == 1100
    some = store.read(lambda c: computers.find(c, ids=[f"c{n:04}" for n in range(0, 1200, 2)]))
    assert [one.id for one in some] == [f"c{n:04}" for n in range(0, 1200, 2)]
    assert [one.id for one in store.read(lambda c: computers.find(c, after="c0003", limit=2))] == ["c0004", "c0005"]


def test_a_computer_comes_back_as_it_was_stored(store: Store) -> None:
    def work(connection: Connection) -> ComputerRecord | None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        computers.add(connection, computer("a", policy))
        columns = {"guards": ["x"], "relay_floor_kept": Version.TLS1_0, "policy_given": {"name": "Base"}}
        computers.change(connection, "a", **columns)
        return computers.get(connection, "a")

    found = store.write(work)
    assert found is not None
    assert (found.guards, found.relay_floor_kept, found.policy_given) == (["x"], Version.TLS1_0, {"name": "Base"})
    assert store.read(lambda c: computers.by_fingerprint(c, "fp-a")) == found
    assert store.read(lambda c: computers.by_fingerprint(c, "other")) is None


def test_commands_and_rules_go_with_their_computer_and_events_stay(store: Store) -> None:
    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        computers.add(connection, computer("a", policy))
        command_table.add_commands(connection, [command_table.CommandRecord("k", "a", "apply-policy", {}, 1.0)])
        rule = rules.RuleRecord(0, "heartbeat", Version.TLS1_0, None, "a", 9.0, "old", "user:x", 1.0)
        rules.add(connection, rule)
        events.add(connection, time=1.0, number=704, level="info", description="d", computer="a")
        assert rules.addresses(connection) == (("10.0.0.1", "a"),)
        computers.remove(connection, "a")

    store.write(work)
    assert store.read(command_table.waiting) == ()
    assert store.read(rules.in_force) == ()
    assert len(store.read(lambda c: events.find(c, after=0, limit=9))) == 1


def test_events_newest_page_and_what_came_later(store: Store) -> None:
    def work(connection: Connection) -> None:
        for number in range(10):
            events.add(connection, time=1.0, number=number, level="info", description="d")

    store.write(work)
    assert [e.number for e in store.read(lambda c: events.find(c, after=None, limit=3))] == [7, 8, 9]
    assert [e.number for e in store.read(lambda c: events.find(c, after=2, limit=3))] == [2, 3, 4]


def sighting(last: float, count: int = 1, who: str = "", offered: Version = Version.TLS1_0) -> SightingRecord:
    return SightingRecord(
        "gui", "10.0.0.5", "j", "admitted", "TLSv1", who, offered, ["TLSv1"], "", count, last - 5, last, ""
    )


def test_sightings_that_are_alike_share_an_hour(store: Store) -> None:
    store.write(lambda c: sightings.add(c, [sighting(100.0, 2), sighting(7300.0)]))
    store.write(lambda c: sightings.add(c, [sighting(50.0, 3), sighting(200.0, who="apikey:2")]))
    found = store.read(lambda c: sightings.find(c, Wanted(), 10))
    assert [(one.who, one.count, one.first, one.last) for one in found] == [
        ("", 6, 45.0, 7300.0),
        ("apikey:2", 1, 195.0, 200.0),
    ]
    later = store.read(lambda c: sightings.find(c, Wanted(since=7200.0), 10))
    assert [(one.who, one.count) for one in later] == [("", 1)]
    programs = store.read(lambda c: sightings.programs(c, "gui", 150.0, but="scan:own"))
    assert [(row.who, row.last) for row in programs] == [("", 7300.0), ("apikey:2", 200.0)]


def test_what_was_taken_back_is_not_there(store: Store) -> None:
    store.write(lambda c: sightings.add(c, [sighting(100.0)]))
    store.write(lambda c: sightings.add(c, [sighting(101.0, -1), sighting(101.0, who="user:a")]))
    assert [one.who for one in store.read(lambda c: sightings.find(c, Wanted(), 10))] == ["user:a"]
    assert [row.who for row in store.read(lambda c: sightings.programs(c, "gui", 0.0, but=""))] == ["user:a"]
    assert [one.who for one in store.read(lambda c: sightings.peers(c, Wanted(), 10))] == ["user:a"]


def _counts(store: Store) -> list[tuple[int, int, int]]:
    query = select(sighting_counts.c.start, sighting_counts.c.hours, sighting_counts.c["count"])
    return [tuple(row) for row in store.read(lambda c: c.execute(query.order_by(sighting_counts.c.start)).all())]


def test_hours_become_days_and_days_are_forgotten(store: Store) -> None:
    hours = [(hour + 0.5) * sightings.HOUR for hour in (1, 2, 23, 24, 49)]
    store.write(lambda c: sightings.add(c, [sighting(at, 2) for at in hours]))
    first, last = store.read(lambda c: sightings.piece_after(c, None, 10)) or (0, 0)
    assert store.read(lambda c: sightings.piece_after(c, last, 10)) is None
    assert store.write(lambda c: sightings.roll_up(c, first, last, 48)) == 4
    assert _counts(store) == [(0, 24, 6), (24, 24, 2), (49, 1, 2)]
    # One that comes late joins the day at the next turn, and a turn without work changes nothing.
    store.write(lambda c: sightings.add(c, [sighting(hours[0])]))
    assert store.write(lambda c: sightings.roll_up(c, first, last, 48)) == 1
    assert store.write(lambda c: sightings.roll_up(c, first, last, 48)) == 0
    assert _counts(store) == [(0, 24, 7), (24, 24, 2), (49, 1, 2)]
    assert store.write(lambda c: sightings.forget(c, first, last, 24.0 * sightings.HOUR)) == 0
    assert _counts(store) == [(24, 24, 2), (49, 1, 2)]
    assert store.write(lambda c: sightings.forget(c, first, last, 50.0 * sightings.HOUR)) == 1
    assert _counts(store) == []
    assert store.read(sightings.rows) == 0


def test_a_full_table_counts_new_strangers_together_and_names_apart(store: Store) -> None:
    store.write(lambda c: sightings.add(c, [sighting(100.0)]))
    strangers = [replace(sighting(100.0), address=f"10.9.0.{number}") for number in range(5)]
    store.write(lambda c: sightings.add(c, [sighting(101.0), *strangers, sighting(102.0, who="user:a")], full=True))
    found = {(one.who, one.address, one.ja4): one.count for one in store.read(lambda c: sightings.find(c, Wanted(), 9))}
    assert found == {("", "10.0.0.5", "j"): 2, ("", "", "many-TLSv1"): 5, ("user:a", "10.0.0.5", "j"): 1}


def test_a_peer_is_the_newest_of_what_it_showed(store: Store) -> None:
    low = sighting(100.0, who="computer:a")
    high = replace(low, ja4="k", offered=Version.TLS1_3, negotiated="TLSv1.2", address="10.0.0.6", last=300.0)
    refused = replace(low, outcome="refused", negotiated="", offered=Version.TLS1_1, last=200.0)
    other = replace(sighting(50.0), address="10.0.0.7", user_agent="curl/7.19")
    store.write(lambda c: sightings.add(c, [low, high, refused, other, replace(other, user_agent="", last=60.0)]))
    a, b = store.read(lambda c: sightings.peers(c, Wanted(), 10))
    assert (a.who, a.offered, a.negotiated, a.refused) == ("computer:a", Version.TLS1_3, "TLSv1.2", Version.TLS1_1)
    assert (a.count, a.admitted, a.refusals, a.first, a.last) == (3, 2, 1, 95.0, 300.0)
    assert (b.who, b.address, b.refused, b.user_agent, b.count) == ("", "10.0.0.7", None, "curl/7.19", 2)
    prints = store.read(lambda c: sightings.fingerprints(c, [a, b]))
    assert prints == {("gui", "computer:a", ""): {"j", "k"}, ("gui", "", "10.0.0.7"): {"j"}}


def test_sightings_are_found_by_every_filter(store: Store) -> None:
    one = sighting(100.0, who="apikey:1")
    two = replace(sighting(200.0), point="heartbeat", outcome="refused", negotiated="", offered=Version.TLS1_1)
    three = replace(sighting(300.0), address="10.0.0.9", offered=Version.TLS1_3)
    store.write(lambda c: sightings.add(c, [one, two, three]))

    def last(wanted: Wanted) -> set[float]:
        return {found.last for found in store.read(lambda c: sightings.find(c, wanted, 10))}

    assert last(Wanted(point="heartbeat")) == last(Wanted(outcomes=sightings.REFUSED)) == {200.0}
    assert last(Wanted(names=["apikey:1"])) == {100.0}
    assert last(Wanted(names=[], address="10.0.0.9")) == {300.0}
    assert last(Wanted(names=["apikey:1"], hellos=[("10.0.0.5", "j")])) == {100.0, 200.0}
    assert last(Wanted(offering=[Version.TLS1_0, Version.TLS1_1], since=150.0)) == {200.0}
    assert store.read(lambda c: sightings.offering_since(c, ["apikey:1"])) == {("apikey:1", Version.TLS1_0): 95.0}
    failed = replace(two, outcome="failed", last=400.0)
    store.write(lambda c: sightings.add(c, [failed, replace(failed, ja4="k", detail="no shared cipher", last=500.0)]))
    found = store.read(lambda c: sightings.refusals(c, "heartbeat", 0.0, but="x"))
    assert [(row.outcome, row.last_) for row in found] == [("refused", 200.0), ("failed", 500.0)]
    assert not store.read(lambda c: sightings.refusals(c, "gui", 0.0, but="x"))


def test_columns_of_many_computers_come_in_order_with_their_versions(store: Store) -> None:
    def work(connection: Connection) -> list[tuple[object, ...]]:
        base = policies.add_policy(connection, name="Base", generation=1)
        for number in reversed(range(1203)):
            one = computer(f"c{number:04}", base)
            one.offered = None if number % 2 else Version.TLS1_3
            computers.add(connection, one)
        return [tuple(row) for row in computers.select_columns(connection, "id", "offered")]

    rows = store.write(work)
    assert [row[0] for row in rows] == [f"c{number:04}" for number in range(1203)]
    assert {row[1] for row in rows[::2]} == {Version.TLS1_3}
    assert {row[1] for row in rows[1::2]} == {None}
