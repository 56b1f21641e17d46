"""What SQLite and PostgreSQL do differently of themselves, and must not here."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
import sqlalchemy as sa
from tests.contract.backends import Backend

from plimsoll.manager.ports import Unavailable
from plimsoll.manager.store import Connection, Store, audit, computers, events, facts, policies, sightings, tables
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.sightings import SightingRecord, Wanted
from plimsoll.tls.versions import Version

#: A time in the year 2128, which is a generation too.
FAR = 5_000_000_000


def test_every_column_is_of_a_type_that_means_the_same() -> None:
    dialect = sa.make_url("postgresql+psycopg://").get_dialect()()
    for table in tables.metadata.sorted_tables:
        for column in table.columns:
            on = column.type.compile(dialect=dialect)
            assert on not in ("TEXT", "INTEGER", "VARCHAR"), f"{table.name}.{column.name}: take TEXT or LONG of columns"


def test_the_migrations_made_them_so(store: Store) -> None:
    if store.database.kind == "sqlite":
        pytest.skip("SQLite compares bytes and has one width")
    wrong = store.read(
        lambda c: c.exec_driver_sql(
            "select table_name, column_name from information_schema.columns where table_schema = current_schema()"
            " and table_name <> 'alembic_version'"
            " and (data_type = 'integer' or (data_type = 'text' and collation_name is distinct from 'C'))"
        ).all()
    )
    assert wrong == [], "the migration takes TEXT or LONG of columns"


def test_texts_are_in_the_order_of_their_bytes(store: Store) -> None:
    names = ["_", "Z", "a", "B", "a-b", "ab", "a b", "ä", "10", "9"]

    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        for name in names:
            computers.add(connection, ComputerRecord(name, "agent", name, "12.0.0", "", "", policy, name))

    store.write(work)
    ordered = sorted(names, key=str.encode)
    assert [one.id for one in store.read(computers.find)] == ordered
    later = ordered[ordered.index("a b") + 1 :]
    assert [one.id for one in store.read(lambda c: computers.find(c, after="a b"))] == later
    assert store.read(lambda c: computers.named(c, "z")) == (("Z", "", ""),)


def test_numbers_outlive_2038(store: Store) -> None:
    assert store.write(partial(facts.advance, name=facts.POLICY_GENERATION, now=float(FAR))) == FAR

    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=FAR)
        computers.add(connection, ComputerRecord("a", "agent", "a", "12.0.0", "", "", policy, "f"))
        computers.change(connection, "a", last_sequence=FAR, policy_generation=FAR)
        for _ in range(3):
            record = SightingRecord("gui", "h", "j", "admitted", "", "", None, [], "", 2**31 - 1, 1.0, float(FAR), "")
            sightings.add(connection, [record])

    store.write(work)
    found = store.read(lambda c: computers.get(c, "a"))
    assert found is not None
    assert (found.last_sequence, found.policy_generation) == (FAR, FAR)
    assert [one.count for one in store.read(lambda c: sightings.peers(c, Wanted(), 9))] == [3 * (2**31 - 1)]


def test_what_a_stranger_sends_keeps_no_batch_from_being_stored(store: Store) -> None:
    good = SightingRecord("gui", "h", "j", "admitted", "", "", Version.TLS1_3, [], "good", 1, 1.0, 2.0, "")
    bad = SightingRecord("gui", "h", "k", "refused", "", "", None, [], "a\0b", 1, 1.0, 1.0, "x\0")
    store.write(lambda c: sightings.add(c, [good, bad]))
    first, second = store.read(lambda c: sightings.find(c, Wanted(), 9))
    assert (first.sni, second.sni[0], second.sni[-1]) == ("good", "a", "b")
    store.write(lambda c: events.add(c, time=1.0, number=1, level="info", description="a\0b", extra={"x": "\0"}))
    assert store.read(lambda c: events.find(c, after=None, limit=1))[0].extra == {"x": "\0"}


def test_the_audit_chain_holds_whatever_is_written_into_it(store: Store) -> None:
    values = {"who": "user:\0", "via": "rest", "address": "", "action": "a\0", "target": "t\0", "before": None}
    store.write(lambda c: audit.append(c, time=1.0, after={"x": ["\0", 1.5, {"z": 1, "a": None}, 2**40]}, **values))
    assert store.read(audit.verify).faults == ()


def test_who_reads_sees_one_state(store: Store, backend: Backend) -> None:
    store.write(lambda c: facts.put(c, "a", "1"))
    other = backend.open()

    def put_both(connection: Connection) -> None:
        facts.put(connection, "a", "2")
        facts.put(connection, "b", "2")

    def look(connection: Connection) -> tuple[str | None, str | None]:
        first = facts.get(connection, "a")
        writer = threading.Thread(target=other.write, args=[put_both])
        writer.start()
        writer.join(20)
        return first, facts.get(connection, "b")

    try:
        assert store.read(look) == ("1", None)
        assert store.read(lambda c: facts.get(c, "b")) == "2"
    finally:
        other.close()


def test_writers_of_two_processes_take_turns(store: Store, backend: Backend) -> None:
    """What a writer read is still so when it writes, although nothing was locked row by row."""
    other = backend.open()

    def count(connection: Connection) -> None:
        seen = len(policies.all_policies(connection))
        time.sleep(0.002)
        policies.add_policy(connection, name=f"p{seen}", generation=seen)

    def add(to: Store) -> None:
        for _ in range(10):
            while True:
                try:
                    to.write(count)
                    break
                except Unavailable:
                    continue

    threads = [threading.Thread(target=add, args=[to]) for to in (store, other, store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    found = store.read(policies.all_policies)
    assert [(one.name, one.generation) for one in found] == [(f"p{n}", n) for n in range(40)]


def test_ids_are_given_in_the_order_of_commits(store: Store, backend: Backend) -> None:
    """Whoever asks for events after an id must miss none."""
    other = backend.open()
    seen: list[int] = []

    def slowly(connection: Connection, seconds: float) -> None:
        events.add(connection, time=1.0, number=1, level="info", description="d")
        time.sleep(seconds)

    def add(to: Store, seconds: float) -> None:
        for _ in range(15):
            # Who found the other's turn too long was told so, and nothing of it was kept.
            while isinstance(to.enqueue(partial(slowly, seconds=seconds)).exception(20), Unavailable):
                pass

    threads = [threading.Thread(target=add, args=pair) for pair in ((store, 0.02), (other, 0.001))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while len(seen) < 30 and time.monotonic() < end:
        last = seen[-1] if seen else 0
        seen += [one.id for one in store.read(partial(events.find, after=last, limit=9))]
        time.sleep(0.005)
    for thread in threads:
        thread.join()
    other.close()
    assert len(seen) == 30
