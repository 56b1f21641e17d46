"""Cipher profiles and offered suites in every database."""

from __future__ import annotations

from plimsoll.manager.store import Store, ciphers
from plimsoll.manager.store.ciphers import Offer, ProfileRecord


def test_a_profile_is_replaced_and_its_history_kept(store: Store) -> None:
    assert store.read(ciphers.read) == {}
    first = ProfileRecord(1.0, "gui", "intermediate", "strong", "user:anna", "rest", "10.0.0.1", reason="audit")
    second = ProfileRecord(2.0, "gui", "strong", "modern", "user:anna", forced=True, reason="x", named=["web-1"])
    third = ProfileRecord(3.0, "heartbeat", "intermediate", "legacy", "socket:uid 0")
    store.write(lambda c: ciphers.put(c, first))
    store.write(lambda c: ciphers.put(c, second))
    store.write(lambda c: ciphers.put(c, third))
    assert store.read(ciphers.read) == {"gui": "modern", "heartbeat": "legacy"}
    assert store.read(lambda c: ciphers.history(c, 10)) == (third, second, first)
    assert store.read(lambda c: ciphers.history(c, 1)) == (third,)


def test_offered_suites_are_kept_by_their_mark_and_bounded(store: Store) -> None:
    def add(*found: Offer, now: float, most: int = 10) -> None:
        store.write(lambda c: ciphers.add_offers(c, found, now, most))

    add(now=0.0)
    add(Offer("a", (1, 0xC02F), True), Offer("b", (2,), False), now=1.0)
    add(Offer("b", (2,), False), now=2.0)
    assert store.read(ciphers.offers) == {"a": frozenset({1, 0xC02F}), "b": frozenset({2})}
    add(Offer("c", (3,), False), Offer("d", (4,), False), now=3.0, most=3)
    assert set(store.read(ciphers.offers)) == {"a", "c", "d"}, "the oldest nameless one went, the named one stays"
    add(Offer("c", (3,), True), now=4.0)
    add(Offer("e", (5,), False), Offer("f", (6,), False), now=5.0, most=3)
    assert set(store.read(ciphers.offers)) == {"a", "c", "f"}, "c has a name since"
    assert store.write(lambda c: ciphers.forget_offers(c, 4.5)) == 2
    assert set(store.read(ciphers.offers)) == {"f"}
