from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk

from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import Change, EventRecorded


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def test_events_are_numbered_named_and_told(at: Desk) -> None:
    heard: list[Change] = []
    at.services.hub.subscribe(heard.append)
    first, second = at.services.events.record(
        NewEvent(770, "warning", "db01 was refused: TLSv1", computer="c1", target="db01", extra={"tls": "TLSv1"}),
        NewEvent(731, "info", "db01 is back", time=5.0),
    )
    assert heard == [EventRecorded(first), EventRecorded(second)]
    assert (first.name, second.time) == ("Agent/Appliance Heartbeat Rejected", 5.0)
    assert at.services.events.list(ROOT)[-2:] == (first, second)
    assert at.services.events.list(ROOT, after=first.id) == (second,)
    assert at.services.events.list(ROOT, computer="c1") == (first,)


def test_problems_that_nothing_resolved_are_known_after_a_restart(at: Desk) -> None:
    def told(number: int, computer: str, when: float, problem: str = "TLS: it offers TLSv1.0 at most") -> NewEvent:
        return NewEvent(number, "warning", "d", computer=computer, time=when, extra={"problem": problem})

    now = time.time()
    long_ago = now - 40 * 86400
    at.services.events.record(
        told(742, "a", now - 9), told(743, "a", now - 8), told(742, "b", now - 7), told(743, "c", now - 6),
        told(742, "c", now - 5, "TLS: no suite"), told(742, "d", long_ago), told(730, "b", now - 4),
    )  # fmt: skip
    assert at.services.events.open_problems() == {
        "b": ("TLS: it offers TLSv1.0 at most", now - 7),
        "c": ("TLS: no suite", now - 5),
    }


def test_an_export_reads_in_pages(at: Desk) -> None:
    at.services.events.record(*(NewEvent(731, "info", f"e{n}") for n in range(1200)))
    exported = [*at.services.events.export(ROOT)]
    assert [e.description for e in exported] == [f"e{n}" for n in range(1200)]
    assert [e.id for e in at.services.events.export(ROOT, after=exported[-3].id)] == [e.id for e in exported[-2:]]


def test_events_that_the_store_cannot_take_wait_for_it(tmp_path: Path) -> None:
    with desk(tmp_path, kind="sqlite") as at:
        holder = sqlite3.connect(at.home.path / "plimsoll.db")
        with at.home.store.engine.connect() as connection:
            connection.exec_driver_sql("pragma busy_timeout=50")
        holder.execute("begin immediate")
        at.services.events.record_later([NewEvent(731, "info", "kept")])
        with pytest.raises(Exception, match="busy"):
            at.home.store.enqueue(lambda c: c.exec_driver_sql("delete from events")).result(20)
        holder.rollback()
        holder.close()
        at.services.events.record_later([NewEvent(731, "info", "later")])
        at.home.store.enqueue(lambda c: None).result(20)
        assert [e.description for e in at.services.events.list(ROOT)] == ["kept", "later"]
