"""Exceptions, canaries and shadow floors in every backend of the store."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from plimsoll.manager.store import Connection, Store, computers, policies, rules, shadow
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.manager.store.rules import RuleRecord
from plimsoll.manager.store.shadow import DAY, ShadowRecord, WouldBeRecord
from plimsoll.tls.versions import Version


@pytest.fixture
def store(store: Store) -> Store:
    """With four computers."""

    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.2"), ("d", "")):
            computers.add(connection, ComputerRecord(name, "agent", name, "9.6", "", address, policy, f"fp-{name}"))

    store.write(work)
    return store


def put(connection: Connection, **changes: Any) -> int:
    values: dict[str, Any] = {"point": "heartbeat", "floor": Version.TLS1_0, "source": "10.9.0.0/24", "computer": None}
    values |= {"until": 50.0, "reason": "old press", "who": "user:x", "created": 1.0} | changes
    return rules.add(connection, RuleRecord(0, **values))


def test_an_exception_ends_once_and_stays_as_evidence(store: Store) -> None:
    first, second = store.write(lambda c: (put(c), put(c, source=None, computer="b")))
    assert [one.id for one in store.read(lambda c: rules.exceptions(c, 9, ended=False))] == [second, first]
    store.write(lambda c: rules.end(c, second, 71.0))
    store.write(lambda c: rules.end(c, second, 99.0))
    store.write(lambda c: rules.note_warned(c, first, 2))
    (left,) = store.read(rules.in_force)
    assert (left.id, left.warned, left.floor, left.kind) == (first, 2, Version.TLS1_0, rules.EXCEPTION)
    ended = store.read(lambda c: rules.get(c, second))
    assert ended is not None
    assert (ended.ended, ended.computer) == (71.0, "b")
    assert len(store.read(lambda c: rules.exceptions(c, 9, ended=True))) == 2
    assert store.read(rules.addresses) == (), "whoever's has ended opens no address"


def test_a_canary_is_its_owner_s_and_is_replaced_and_dropped_whole(store: Store) -> None:
    store.write(lambda c: rules.put_canary(c, "change 1", "heartbeat", Version.TLS1_2, ["a", "b"], "user:x", 5.0))
    store.write(lambda c: rules.put_canary(c, "change 2", "heartbeat", Version.TLS1_3, ["c"], "user:x", 5.0))
    store.write(lambda c: put(c, source=None, computer="a"))
    assert store.read(rules.canaries) == {"change 1": 2, "change 2": 1}
    assert store.read(rules.addresses) == (("10.0.0.1", "a"),), "a canary opens no address"
    store.write(lambda c: rules.put_canary(c, "change 1", "heartbeat", Version.TLS1_2, ["d"], "user:x", 6.0))
    assert store.read(rules.canaries) == {"change 1": 1, "change 2": 1}
    store.write(lambda c: rules.drop_canary(c, "change 1"))
    store.write(lambda c: rules.drop_canary(c, "change 1"))
    assert store.read(rules.canaries) == {"change 2": 1}
    assert len(store.read(lambda c: rules.exceptions(c, 9, ended=False))) == 1


def test_an_id_is_never_given_twice(store: Store) -> None:
    gone = store.write(lambda c: put(c, source=None, computer="a"))
    store.write(lambda c: computers.remove(c, "a"))
    assert store.write(put) > gone


def test_a_canary_of_many(store: Store) -> None:
    def work(connection: Connection) -> None:
        policy = policies.all_policies(connection)[0].id
        for number in range(1203):
            name = f"m{number}"
            computers.add(connection, ComputerRecord(name, "agent", name, "12", "", f"h{number}", policy, f"fp-{name}"))
        chosen = [f"m{number}" for number in range(1203)]
        rules.put_canary(connection, "x", "heartbeat", Version.TLS1_3, chosen, "user:x", 1.0)

    store.write(work)
    assert store.read(rules.canaries) == {"x": 1203}
    assert len(store.read(rules.in_force)) == 1203
    store.write(lambda c: rules.drop_canary(c, "x"))
    assert store.read(rules.in_force) == ()


def seen(last: float, count: int = 1, who: str = "computer:a", since: float = 0.0) -> WouldBeRecord:
    day, old = int(last // DAY), Version.TLS1_0
    return WouldBeRecord(
        day, "heartbeat", "TLSv1.2", who, "10.0.0.1", "j", since, old, old, count, last - 5, last
    )  # fmt: skip


def test_a_shadow_is_set_again_and_cleared(store: Store) -> None:
    for version, when in ((Version.TLS1_2, 1.0), (Version.TLS1_3, 2.5)):
        store.write(partial(shadow.put, shadow=ShadowRecord("gui", version, "user:x", when)))
    assert store.read(shadow.read) == {"gui": ShadowRecord("gui", Version.TLS1_3, "user:x", 2.5)}
    store.write(lambda c: shadow.drop(c, "gui"))
    store.write(lambda c: shadow.drop(c, "gui"))
    assert store.read(shadow.read) == {}


def test_would_be_refusals_are_counted_by_day(store: Store) -> None:
    batch = [seen(100.0, 2), seen(DAY + 10.0), seen(300.0, 9, who=""), seen(400.0, since=350.5)]
    store.write(lambda c: shadow.count(c, batch))
    store.write(lambda c: shadow.count(c, [seen(50.0, 3)]))
    store.write(lambda c: shadow.count(c, []))
    found = store.read(lambda c: shadow.report(c, 0.0, 99))
    assert [(one.day, one.who, one.since, one.count, one.first, one.last) for one in found] == [
        (1, "computer:a", 0.0, 1, DAY + 5.0, DAY + 10.0),
        (0, "", 0.0, 9, 295.0, 300.0),
        (0, "computer:a", 0.0, 5, 45.0, 100.0),
        (0, "computer:a", 350.5, 1, 395.0, 400.0),
    ]
    assert store.read(lambda c: [shadow.total(c, "heartbeat", since) for since in (0.0, 350.5, 1.0)]) == [15, 1, 0]
    newest = store.read(lambda c: shadow.last(c, "heartbeat"))
    assert newest is not None
    assert newest.last == DAY + 10.0
    assert store.read(lambda c: shadow.last(c, "heartbeat", since=DAY + 11.0)) is None
    assert store.read(lambda c: shadow.last(c, "gui")) is None
    assert store.write(lambda c: shadow.forget(c, DAY)) == 3
