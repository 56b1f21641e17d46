"""Rotations of the CA, and how far computers are, in every backend of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plimsoll.fleet.ca_rotation import Fact
from plimsoll.manager.store import Connection, Store, access, ca, computers, policies
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store.access import TokenRecord
from plimsoll.manager.store.ca import LogRecord, RotationRecord, StaleError
from plimsoll.manager.store.commands import CommandRecord
from plimsoll.manager.store.computers import ComputerRecord

NEW = RotationRecord(
    0, 1.0, "user:a", "a", "rest", ca.ANNOUNCE, 1.0, 0.0, "aa", "bb", "PEM", "PEM", None, {"soak": 1.0}, {}, "begins"
)


def filled(store: Store) -> None:
    """Six computers: c0 offline, c4 revoked, c5 waits for visits."""

    def work(connection: Connection) -> None:
        policy = policies.add_policy(connection, name="Base", generation=1)
        for number in range(6):
            name = f"c{number}"
            made = ComputerRecord(name, "agent", name, "12.0.0", "Linux", "10.0.0.1", policy, f"fp-{name}")
            made.online, made.capability, made.ca_trusts = number != 0, 4, "aa" if number == 1 else "aa,bb"
            made.display_name = "Zoe" if number == 0 else ""
            if number == 4:
                made.state = "revoked"
            if number == 5:
                made.own_direction = "manager-initiated"
            computers.add(connection, made)

    store.write(work)


def test_the_newest_rotation_counts_and_a_step_on_an_older_state_keeps_nothing(store: Store) -> None:
    assert store.read(ca.newest) is None
    first = store.write(lambda c: ca.add(c, NEW))
    found = store.read(ca.newest)
    assert found == replace(NEW, id=first) == store.read(ca.under_way)
    assert found is not None
    store.write(lambda c: ca.save(c, found, state=ca.SWITCH, switched=5.0))
    with pytest.raises(StaleError):
        store.write(lambda c: ca.save(c, found, state=ca.BACK))
    store.write(lambda c: ca.log(c, first, LogRecord(2.0, "switch", "entered", "text", "manager")))
    assert [one.what for one in store.read(lambda c: ca.logs(c, first, 10))] == ["entered"]
    now = store.read(ca.newest)
    assert now is not None
    assert (now.state, now.switched, now.version) == ("switch", 5.0, 1)
    store.write(lambda c: ca.save(c, now, state=ca.RETIRED, ended=9.0))
    assert store.read(ca.under_way) is None
    second = store.write(lambda c: ca.add(c, NEW))
    newest = store.read(ca.newest)
    assert newest is not None
    assert newest.id == second > first


def test_how_far_computers_are(store: Store) -> None:
    filled(store)
    store.write(lambda c: ca.name_issuer(c, "aa"))
    counts = store.read(ca.counts)
    assert counts == {
        Fact(False, 4, "aa,bb", "aa"): 1,
        Fact(True, 4, "aa", "aa"): 1,
        Fact(True, 4, "aa,bb", "aa"): 3,
    }
    store.write(lambda c: computers.change(c, "c2", ca_issuer="bb", ca_shown="bb"))
    # Who has an issuer keeps it.
    store.write(lambda c: ca.name_issuer(c, "cc"))
    assert [one.name for one in store.read(lambda c: ca.without(c, trusts="aa,bb"))] == ["c1"]
    assert [one.name for one in store.read(lambda c: ca.without(c, shown="bb"))] == ["Zoe", "c1", "c3", "c5"] or [
        one.name for one in store.read(lambda c: ca.without(c, shown="bb"))
    ] == ["c1", "c3", "c5", "Zoe"]
    assert len(store.read(lambda c: ca.without(c, shown="bb", limit=2))) == 2
    page = store.read(lambda c: ca.members(c, limit=2))
    assert [one.id for one in page] == ["c0", "c1"]
    assert [one.id for one in store.read(lambda c: ca.members(c, after="c1"))] == ["c2", "c3", "c5"]
    assert page[1].fact == Fact(True, 4, "aa", "aa")


def test_who_is_asked_to_renew(store: Store) -> None:
    filled(store)
    store.write(lambda c: ca.name_issuer(c, "aa"))

    def to_ask(before: float = 0.0, visited: tuple[int, ...] = (), limit: int = 10) -> tuple[str, ...]:
        return store.read(lambda c: ca.to_ask(c, "bb", before, visited, limit))

    assert to_ask() == ("c1", "c2", "c3")
    assert to_ask(limit=1) == ("c1",)
    policy = store.read(lambda c: policies.all_policies(c)[0].id)
    assert to_ask(visited=(policy,)) == ()
    body = {"id": "k1", "kind": ca.RENEW}
    store.write(lambda c: command_table.add_commands(c, [CommandRecord("k1", "c1", ca.RENEW, body, 100.0)]))
    assert to_ask(before=200.0) == ("c2", "c3"), "it waits still"
    store.write(lambda c: command_table.finish_command(c, "k1", 110.0, False, "no"))
    assert to_ask(before=50.0) == ("c2", "c3"), "it was asked a moment ago"
    assert to_ask(before=200.0) == ("c1", "c2", "c3")
    store.write(lambda c: command_table.add_commands(c, [CommandRecord("k2", "c2", ca.RENEW, body, 100.0)]))
    assert store.write(ca.drop_requests) == ("c2",)
    assert store.write(ca.drop_requests) == ()


def test_who_is_left_behind_is_revoked(store: Store) -> None:
    filled(store)
    store.write(lambda c: ca.name_issuer(c, "aa"))
    for name in ("c1", "c2", "c3", "c5"):
        store.write(lambda c, n=name: computers.change(c, n, ca_shown="bb"))  # type: ignore[misc]  # defaults bind them
    assert store.write(lambda c: ca.leave_behind(c, "bb")) == (("c0", "Zoe"),)
    gone = store.read(lambda c: computers.get(c, "c0"))
    assert gone is not None
    assert (gone.state, gone.online) == ("revoked", False)
    assert store.write(lambda c: ca.leave_behind(c, "bb")) == ()


def test_tokens_that_end_with_the_old_ca(store: Store) -> None:
    def work(connection: Connection) -> None:
        for name, created, expires, left in (
            ("a", 1.0, 99.0, None),
            ("b", 1.0, 99.0, 0),
            ("c", 1.0, 5.0, 1),
            ("d", 9.0, 99.0, 1),
            ("e", 2.0, 99.0, 3),
        ):
            access.add_token(
                connection,
                TokenRecord(
                    id=name, secret_hash="x", expires=expires, uses_left=left, uses=left, kind=None, created=created,
                    who="user:a",
                ),
            )  # fmt: skip

    store.write(work)
    assert store.read(lambda c: ca.tokens_before(c, 9.0, 10.0)) == 2
