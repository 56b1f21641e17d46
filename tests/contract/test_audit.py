"""The audit chain on every backend: whatever is done to it behind the manager's back is found and named."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from plimsoll.manager.ports import NotFound
from plimsoll.manager.store import Connection, Store, audit, facts, tables


def add(connection: Connection, number: float, **more: object) -> None:
    values = {"who": "user:anna", "via": "rest", "address": "10.0.0.9", "action": "floors.set", "target": "gui"}
    audit.append(connection, **{"time": number, "before": None, "after": {"floor": "TLSv1.2"}, **values, **more})


def filled(store: Store, count: int = 9) -> audit.Verified:
    for number in range(1, count + 1):
        store.write(lambda c, n=number: add(c, float(n)))  # type: ignore[misc]  # a default binds the number
    found = store.read(audit.verify)
    assert found.ok, found.faults
    return found


def behind_its_back(store: Store, *statements: sa.Executable) -> list[str]:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    store.write(work)
    found = store.read(audit.verify)
    assert found.ok is (found.found == 0)
    return [fault.text for fault in found.faults]


TABLE = tables.audit
ONE = TABLE.c.id == 4


def test_the_chain_is_whole_and_says_since_when(store: Store) -> None:
    found = filled(store)
    assert (found.entries, found.head and found.head.entry) == (9, 9)
    assert found.anchor
    assert (found.anchor.time, found.anchor.entry) == (1.0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"who": "user:bert"},
        {"time": 4.5},
        {"after": {"floor": "TLSv1"}},
        {"before": {"floor": "TLSv1.2"}},
        {"action": "floors.sat"},
        {"target": "heartbeat"},
        {"address": ""},
        {"via": "socket"},
        {"hash": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_entry_is_named(store: Store, change: dict[str, object]) -> None:
    filled(store)
    texts = behind_its_back(store, sa.update(TABLE).where(ONE).values(**change))
    assert texts[0].startswith("entry 4 was changed")


def test_removed_entries_are_named(store: Store) -> None:
    filled(store)
    texts = behind_its_back(store, sa.delete(TABLE).where(TABLE.c.id.in_([4, 5])))
    assert texts == ["entries 4 to 5 were removed: entry 6 does not follow"]


def test_what_was_removed_from_either_end_is_named(store: Store) -> None:
    filled(store)
    texts = behind_its_back(store, sa.delete(TABLE).where(TABLE.c.id.in_([1, 9])))
    assert texts == ["entry 1 was removed: entry 2 does not follow", "entry 9 was removed from the end"]


def test_all_of_it_removed_is_found(store: Store) -> None:
    filled(store)
    assert behind_its_back(store, sa.delete(TABLE)) == ["entries 1 to 9 were removed from the end"]
    texts = behind_its_back(store, sa.delete(tables.facts))
    assert len(texts) == 2


def test_an_entry_inserted_in_the_place_of_another_is_found(store: Store) -> None:
    """Also where its own hash fits: the next one does not follow it."""
    filled(store)
    fourth = next(row for row in store.read(lambda c: audit.entries(c, 10, None)) if row.id == 4)
    values = {"id": 4, "time": 4.0, "who": "user:eve", "via": "rest", "address": "", "action": "x", "target": ""}
    values |= {"before": None, "after": None}
    digest = audit.digest_of(fourth.previous, values)
    texts = behind_its_back(store, sa.update(TABLE).where(ONE).values(**values, hash=digest))
    assert texts == ["entry 5 does not follow entry 4: one of the two was put in"]


def test_entries_appended_by_hand_are_found(store: Store) -> None:
    found = filled(store)
    assert found.head
    values = {"id": 10, "time": 10.0, "who": "user:eve", "via": "rest", "address": "", "action": "x", "target": ""}
    values |= {"before": None, "after": None}
    row = {**values, "previous": found.head.hash, "hash": audit.digest_of(found.head.hash, values)}
    assert behind_its_back(store, sa.insert(TABLE).values(**row)) == ["entry 10 was inserted at the end"]
    early = {**row, "id": -1}
    assert "entry -1 stands before the beginning of the chain: it was inserted" in behind_its_back(
        store, sa.insert(TABLE).values(**early)
    )


def test_a_chain_made_anew_does_not_have_what_was_signed(store: Store) -> None:
    before = filled(store)
    assert before.head
    known = (before.head.entry, before.head.hash)
    assert store.read(lambda c: audit.verify(c, known)).ok
    behind_its_back(
        store, sa.delete(TABLE), sa.delete(tables.facts).where(tables.facts.c.name.in_([audit.ANCHOR, audit.HEAD]))
    )
    for _ in range(4):
        store.write(lambda c: add(c, 1.0, who="user:eve"))
    assert store.read(audit.verify).ok
    (fault,) = store.read(lambda c: audit.verify(c, known)).faults
    assert fault.text == "entry 9, which was signed, is missing"
    for _ in range(6):
        store.write(lambda c: add(c, 1.0, who="user:eve"))
    (fault,) = store.read(lambda c: audit.verify(c, known)).faults
    assert fault.text == "entry 9 is not the one that was signed: the chain was made anew"


def test_pruning_leaves_an_anchor(store: Store) -> None:
    before = filled(store)
    assert store.write(lambda c: audit.prune(c, 5.0, 99.0)) == 4
    found = store.read(audit.verify)
    assert (found.ok, found.entries) == (True, 5)
    assert found.anchor
    assert (found.anchor.entry, found.anchor.why) == (4, "entries up to 4 were pruned")
    assert before.head
    known = (9, before.head.hash)
    assert store.read(lambda c: audit.verify(c, known)).ok
    assert store.write(lambda c: audit.prune(c, 1e9, 99.0)) == 4
    assert store.read(audit.verify).entries == 1
    store.write(lambda c: add(c, 10.0))
    assert store.read(audit.verify).ok
    assert behind_its_back(store, sa.delete(TABLE).where(TABLE.c.id == 9))


def test_what_a_transaction_took_back_leaves_no_gap(store: Store) -> None:
    filled(store, 2)

    def work(connection: Connection) -> None:
        add(connection, 3.0)
        raise NotFound("half way")

    with pytest.raises(NotFound):
        store.write(work)
    assert isinstance(store.enqueue(work).exception(10), NotFound)
    store.write(lambda c: add(c, 4.0))
    found = store.read(audit.verify)
    assert (found.ok, found.entries) == (True, 3)


def test_writers_at_once_make_one_chain(store: Store) -> None:
    def run() -> None:
        for number in range(10):
            store.write(lambda c, n=number: add(c, float(n)))  # type: ignore[misc]  # a default binds the number

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.read(audit.verify)
    assert (found.ok, found.entries) == (True, 40)


def test_without_its_head_the_trail_goes_on_and_says_so(store: Store) -> None:
    filled(store, 3)
    store.write(lambda c: facts.drop(c, audit.HEAD))
    store.write(lambda c: add(c, 4.0))
    texts = [fault.text for fault in store.read(audit.verify).faults]
    assert texts == ["entry 4 does not follow entry 3: one of the two was put in"]
