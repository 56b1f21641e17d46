"""Software packages and statements of release keys in every backend of the store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError

from plimsoll.manager.store import Store, software
from plimsoll.manager.store.software import SoftwareRecord, StatementRecord

AGENT = SoftwareRecord(
    0, "agent", "12.1.0", "Debian_12", "x86_64", "agent.deb", 5 << 30, "ab" * 32, "agent/Debian_12/x86_64/12.1.0/a",
    "1234", "text", 7.0, "user:x",
)  # fmt: skip


def test_packages_are_found_by_number_target_and_digest(store: Store) -> None:
    first = store.write(lambda c: software.add(c, AGENT))
    second = store.write(lambda c: software.add(c, replace(AGENT, target="other", platform="Debian_13")))
    assert store.read(lambda c: software.get(c, first)) == replace(AGENT, id=first)
    assert store.read(lambda c: software.by_target(c, "other")) == store.read(software.everything)[1]
    assert store.read(software.digests) == {"ab" * 32}
    store.write(lambda c: software.remove(c, second))
    assert store.read(lambda c: software.by_target(c, "other")) is None
    third = store.write(lambda c: software.add(c, replace(AGENT, target="third")))
    assert third > second, "a number is never used twice"


def test_a_target_is_there_once(store: Store) -> None:
    store.write(lambda c: software.add(c, AGENT))
    with pytest.raises(IntegrityError):
        store.write(lambda c: software.add(c, AGENT))


def test_statements_keep_their_order(store: Store) -> None:
    two, one = StatementRecord(2, "second", 8.0, "x"), StatementRecord(1, "first", 7.0, "x")
    for statement in (two, one):
        store.write(partial(software.add_statement, statement=statement))
    assert store.read(software.statements) == (one, two)
