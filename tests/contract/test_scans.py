"""Scans and their endpoints in every backend of the store."""

from __future__ import annotations

from dataclasses import replace

from plimsoll.manager.store import Connection, Store, scans
from plimsoll.manager.store.scans import EndpointRecord, ScanRecord

NEW = ScanRecord(0, 1.0, "user:a", "rest", "the fleet", scans.QUEUED, {"fleet": True}, [{"name": "a"}], 3)


def filled(store: Store) -> int:
    def work(connection: Connection) -> int:
        made = scans.add(connection, NEW)
        rows = [EndpointRecord(made, n, f"10.0.0.{n}", 443, "smtp", "x.test", "relay", "c1", "C1") for n in range(3)]
        scans.add_endpoints(connection, rows)
        return made

    return store.write(work)


def test_a_scan_moves_only_from_where_it_is(store: Store) -> None:
    made = filled(store)
    assert store.read(lambda c: scans.get(c, made)) == replace(NEW, id=made)
    assert store.write(lambda c: scans.move(c, made, scans.QUEUED, state=scans.RUNNING, node="a", started=2.0))
    assert not store.write(lambda c: scans.move(c, made, scans.QUEUED, state=scans.RUNNING, node="b"))
    assert not store.write(lambda c: scans.move(c, made, scans.RUNNING, "b", state=scans.DONE))
    assert [one.node for one in store.read(lambda c: scans.in_state(c, scans.RUNNING))] == ["a"]
    assert store.read(lambda c: scans.count(c, scans.QUEUED)) == 0
    assert store.read(scans.ended) == ()
    assert store.write(lambda c: scans.move(c, made, scans.RUNNING, "a", state=scans.DONE))
    assert store.read(scans.ended) == ((made, 3),)


def test_reports_come_back_as_they_were(store: Store) -> None:
    made = filled(store)
    line = '{"subject":"caf\u00e9 \\u0000"}'.encode()
    verdicts = {"p": {"verdict": "holds", "reasons": []}}
    store.write(
        lambda c: scans.saw(c, made, 1, line, state="complete", accepted=["TLSv1.2"], letter="A", verdicts=verdicts)
    )
    assert store.read(lambda c: scans.reports(c, made, -1, 10)) == [(1, line)]
    assert store.read(lambda c: scans.report_at(c, made, 1)) == line
    assert store.read(lambda c: scans.report_at(c, made, 0)) is None
    found = store.read(lambda c: scans.endpoints(c, made, 0, 10))
    assert [(one.position, one.state, one.accepted) for one in found] == [(1, "complete", ["TLSv1.2"]), (2, "", [])]
    assert found[0].verdicts == verdicts
    store.write(lambda c: scans.remove(c, made))
    assert store.read(lambda c: scans.find(c, 10)) == ()
    assert store.read(lambda c: scans.endpoints(c, made, -1, 10)) == ()
