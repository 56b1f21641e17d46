"""The fleet in memory: who is who by certificate and by hello, and what waits for the store."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.manager.fakes import FakeConnection, command, entry, hello, identity, policy

from plimsoll.manager.registry import Registry, patience
from plimsoll.messages import Direction
from plimsoll.tls.ja4 import ja4_of_key
from plimsoll.tls.versions import Version

NOW = 1_000.0


def registry(*names: str) -> Registry:
    made = Registry()
    made.load(entry(name) for name in names)
    return made


def test_a_certificate_names_its_computer_while_it_is_good() -> None:
    known = registry("a", "b")
    assert known.identify(identity("a")) == "a"
    assert known.identify(identity("x")) is None
    known.apply("a", entry("a", state="revoked"))
    assert known.identify(identity("a")) is None
    known.apply("b", None)
    assert known.identify(identity("b")) is None
    assert "b" not in known.by_id


def test_a_renewed_certificate_replaces_the_former_when_the_store_says_so() -> None:
    known = registry("a")
    known.apply("a", entry("a", fingerprints=("new", "print-a")))
    assert set(known.by_fingerprint) == {"new", "print-a"}
    known.apply("a", entry("a", fingerprints=("new",)))
    assert set(known.by_fingerprint) == {"new"}


def test_presence_is_taken_once_and_carries_the_hello_of_its_connection() -> None:
    known = registry("a", "b")
    one = known.by_id["a"]
    known.seen(one, NOW, FakeConnection(identity("a")).real())
    taken = list(known.take_presence())
    assert [(p.computer, p.last_seen, p.address) for p in taken] == [("a", NOW, "127.0.0.9")]
    assert taken[0].offered is Version.TLS1_2
    assert taken[0].negotiated is Version.TLS1_2
    assert taken[0].ja4 == ja4_of_key(hello().fingerprint_key)
    assert not list(known.take_presence())


def test_what_was_seen_outlives_a_change_from_the_store() -> None:
    known = registry("a")
    one = known.by_id["a"]
    known.seen(one, NOW, FakeConnection(identity("a")).real())
    known.apply("a", entry("a", commands=(command("c1"),), last_seen=1.0))
    assert one.last_seen == NOW
    assert [waiting.id for waiting in one.entry.commands] == ["c1"]
    assert one.told == 1


def test_candidates_are_those_whose_last_hello_looked_so_from_there() -> None:
    known = registry("a", "b", "c")
    for name, address in (("a", "127.0.0.2"), ("b", "127.0.0.3"), ("c", "127.0.0.3")):
        known.seen(known.by_id[name], NOW, FakeConnection(identity(name), address=address).real())
    ja4 = ja4_of_key(hello().fingerprint_key)
    assert [one.id for one in known.candidates("127.0.0.2", ja4)] == ["a"]
    assert {one.id for one in known.candidates("127.0.0.3", ja4)} == {"b", "c"}
    assert not known.candidates("127.0.0.2", "another client on that host")
    # It moved: the old address is nobody's now.
    moved = FakeConnection(identity("a"), address="127.0.0.4", opened=2.0)
    known.seen(known.by_id["a"], NOW, moved.real())
    assert not known.candidates("127.0.0.2", ja4)
    assert known.candidates("127.0.0.4", ja4)
    known.drop("a")
    assert not known.candidates("127.0.0.4", ja4)


def test_a_restart_still_knows_hellos_from_the_store() -> None:
    known = Registry()
    known.load([entry("a", address="10.0.0.1", ja4="t12")])
    assert [one.id for one in known.candidates("10.0.0.1", "t12")] == ["a"]


def test_silence_counts_from_the_start_of_this_manager() -> None:
    known = registry("a")
    one = known.by_id["a"]
    one.online, one.last_seen = True, 10.0
    limit = patience(one)
    assert not known.silent(NOW, NOW)
    assert not known.silent(NOW + limit - 1, NOW)
    assert known.silent(NOW + limit + 1, NOW) == [one]
    one.entry = replace(one.entry, state="revoked")
    assert not known.silent(NOW + limit + 1, NOW)


def test_only_manager_initiated_computers_are_visited_and_only_relays_looked_at() -> None:
    known = Registry()
    mine = policy(direction=Direction.MANAGER_INITIATED)
    known.load(
        [
            entry("a", policy=mine, listen_port=4118, address="10.0.0.1"),
            entry("b", listen_port=4118, address="10.0.0.2"),
            entry("c", relay_port=4122, address="10.0.0.3"),
            entry("d", relay_port=4122, address="10.0.0.4", state="revoked"),
        ]
    )
    assert [one.id for one in known.visited()] == ["a"]
    assert [one.id for one in known.relays()] == ["c"]
