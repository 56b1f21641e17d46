"""Certificates of the CA that all managers are to have, in every backend of the store."""

from __future__ import annotations

from dataclasses import replace

from plimsoll.manager.store import Store, authorities
from plimsoll.manager.store.authorities import AuthorityRecord

FIRST = AuthorityRecord("aa" * 32, "hash-1", 1.0, "PEM", "sealed")


def test_a_key_has_several_certificates_and_goes_with_all_of_them(store: Store) -> None:
    renewed = AuthorityRecord("bb" * 32, "hash-1", 2.0, "PEM anew")
    other = AuthorityRecord("cc" * 32, "hash-2", 3.0, "PEM", "sealed")
    for one in (FIRST, renewed, other):
        store.write(lambda c, one=one: authorities.put(c, one))  # type: ignore[misc]  # a default holds it
    assert store.read(lambda c: authorities.get(c, "aa" * 32)) == FIRST
    assert store.read(lambda c: authorities.get(c, "dd" * 32)) is None
    assert store.read(lambda c: authorities.of_key(c, "hash-1")) == (renewed, FIRST)
    assert store.write(lambda c: authorities.drop_key(c, "hash-1")) == 2
    assert store.read(lambda c: authorities.get(c, "bb" * 32)) is None
    assert store.read(lambda c: authorities.get(c, "cc" * 32)) == other


def test_a_certificate_that_is_there_is_brought_up_to_date(store: Store) -> None:
    for one in (FIRST, replace(FIRST, sealed_key="under another secret")):
        store.write(lambda c, one=one: authorities.put(c, one))  # type: ignore[misc]  # a default holds it
    (found,) = store.read(lambda c: authorities.of_key(c, "hash-1"))
    assert found.sealed_key == "under another secret"
