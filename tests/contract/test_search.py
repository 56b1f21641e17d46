"""A search in memory and the same as SQL: two ways to one answer, in every backend."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from plimsoll.manager import search
from plimsoll.manager.search import OPS, Compare, IsNull, Kind, OneOf, Search, Within
from plimsoll.manager.store import Connection, Store, computer_fields, computers, policies, tables
from plimsoll.manager.store.computers import ComputerRecord
from plimsoll.tls.versions import Version

NAMES = ("web-1", "WEB-2", "100%", "a_b", "axb", "back\\slash", "ÉCOLE", "école", "")
VERSIONS = ("9.6.2", "10.0 Update 8", "12.0.0.563", "12.0.0", "", "nightly")


def made(number: int) -> ComputerRecord:
    return ComputerRecord(
        id=f"{number:032x}",
        kind=("agent", "relay", "appliance")[number % 3],
        hostname=NAMES[number % len(NAMES)],
        version=VERSIONS[number % len(VERSIONS)],
        platform="Linux",
        address="10.0.0.1",
        policy_id=1,
        fingerprint=f"fp{number}",
        last_seen=None if number % 5 == 0 else 1000.0 + number + number % 7 / 1000,
        state=("active", "active", "approval", "revoked")[number % 4],
        online=number % 2 == 0,
        listen_port=None if number % 3 else 4118 + number % 4,
        negotiated=(None, Version.TLS1_0, Version.TLS1_3)[number % 3],
    )


def shown(one: ComputerRecord) -> dict[str, Any]:
    """What REST would show of the fields that are searched below."""
    status = "error"
    if one.state not in ("active", "revoked"):
        status = "warning"
    elif one.state == "active":
        status = "inactive" if one.last_seen is None else "active" if one.online else "error"
    return {
        "ID": one.number,
        "hostName": one.hostname,
        "agentVersion": one.version or "0.0.0.0",
        "lastAgentCommunication": None if one.last_seen is None else int(one.last_seen * 1000),
        "listenPort": one.listen_port,
        "kind": one.kind,
        "online": one.online,
        "computerStatus": {"agentStatus": status},
        "tls": {"negotiated": None if one.negotiated is None else one.negotiated.value},
        "assetImportanceID": None,
    }


@pytest.fixture
def store(store: Store) -> Store:
    """With sixty computers."""

    def work(connection: Connection) -> None:
        policies.add_policy(connection, name="Base", generation=1)
        for number in range(60):
            computers.add(connection, made(number))

    store.write(work)
    return store


text = st.one_of(
    st.sampled_from(NAMES),
    st.text("webWEB-12%_\\éÉ", max_size=6),
    st.sampled_from(("%", "web%", "_eb-1", "%\\%", "\\")),
)
same = st.sampled_from(("equal", "not-equal"))
versions = st.sampled_from(("9.6", "10.0 Update 8", "12.0.0", "12.0.0.563", "0.0.0.0", "99.0"))
status = st.sampled_from(("computerStatus/agentStatus", "computerStatus.agentStatus"))
moment = st.none() | st.integers(1_000_000, 1_060_000)
nullable = st.sampled_from(("lastAgentCommunication", "listenPort", "tls.negotiated", "assetImportanceID"))


def choice(field: st.SearchStrategy[str], values: Any) -> st.SearchStrategy[Compare]:
    return st.builds(Compare, field, st.just(Kind.CHOICE), same, st.sampled_from(values))


def compared(field: str, kind: Kind, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Compare]:
    return st.builds(Compare, st.just(field), st.just(kind), st.sampled_from(OPS), values)


criteria = st.one_of(
    st.builds(Compare, st.just("hostName"), st.just(Kind.STRING), same, text, st.booleans()),
    compared("ID", Kind.ID, st.integers(-1, 62)),
    compared("listenPort", Kind.NUMERIC, st.integers(4117, 4123)),
    compared("agentVersion", Kind.VERSION, versions),
    st.builds(Compare, st.just("online"), st.just(Kind.BOOLEAN), same, st.booleans()),
    choice(st.just("kind"), ("agent", "relay", "appliance")),
    choice(status, computer_fields.STATUSES),
    choice(st.just("tls.negotiated"), [version.value for version in Version]),
    st.builds(Within, st.just("lastAgentCommunication"), moment, moment, st.booleans(), st.booleans()),
    st.builds(IsNull, nullable, st.booleans()),
    st.builds(OneOf, st.just("kind"), st.lists(st.sampled_from(("agent", "relay")), max_size=2).map(tuple)),
)


def test_memory_and_the_database_answer_alike(store: Store) -> None:
    everyone = [shown(one) for one in store.read(computers.find)]

    @settings(max_examples=250, deadline=None)
    @given(chosen=st.lists(criteria, max_size=3), limit=st.integers(1, 70))
    def check(chosen: list[Any], limit: int) -> None:
        asked = Search(tuple(chosen), limit)
        expected = [one["ID"] for one in search.page(everyone, computer_fields.FIELDS, asked)]
        assert [one.record.number for one in store.read(lambda c: computer_fields.find(c, asked))] == expected

    check()


def test_paging_by_id_sees_everyone_once(store: Store) -> None:
    seen: list[int] = []
    while True:
        after = Compare("ID", Kind.ID, "greater-than", seen[-1] if seen else 0)
        asked = Search((after,), 7)
        page = [one.record.number for one in store.read(partial(computer_fields.find, search=asked))]
        if not page:
            break
        seen += page
    assert seen == sorted(set(seen))
    assert len(seen) == 60


SEVENTH = f"{7:032x}"


def everyone_by(store: Store, order: Any) -> list[int]:
    seen: list[int] = []
    at: Any = None
    while True:
        asked = Search(limit=7, order=order, after=at)
        page = store.read(partial(computer_fields.find, search=asked))
        if not page:
            return seen
        seen += [one.record.number for one in page]
        at = computer_fields.place(asked, page[-1])


def test_paging_by_name_and_by_the_time_of_the_last_heartbeat_sees_everyone_once(store: Store) -> None:
    known = {one.number: one for one in store.read(computers.find)}
    by_name = everyone_by(store, "name")
    assert by_name == sorted(known, key=lambda one: (computers.sort_name(known[one].display), one))
    by_time = everyone_by(store, "last-seen")
    assert by_time == sorted(known, key=lambda one: (-(known[one].last_seen or 0.0), one))


def test_words_are_found_in_names_addresses_versions_and_platforms(store: Store) -> None:
    def found(*words: str, **more: Any) -> list[int]:
        asked = Search(words=words, **more)
        numbers = [one.record.number for one in store.read(partial(computer_fields.find, search=asked))]
        assert store.read(partial(computer_fields.count, search=asked)) == len(numbers)
        assert len(store.read(partial(computer_fields.ids, search=asked))) == len(numbers)
        return numbers

    store.write(
        lambda c: computers.change(c, SEVENTH, display_name="Till 100%_a", address="10.9.8.7", platform="rhel-7")
    )
    assert found("till") == found("TILL", "10.9.8", "rhel") == found("100%_") == [8]
    assert found("till", "elsewhere") == found("1_0%") == []
    assert found("till", order="name") == found("till", order="last-seen") == [8]
    chosen = OneOf("ID", (3, 8, 9))
    assert found(criteria=(chosen,)) == [3, 8, 9]
    assert found("till", criteria=(chosen,)) == [8]
    assert found(criteria=(OneOf("ID", ()),)) == []


def test_a_computer_is_sorted_by_what_it_is_called_now(store: Store) -> None:
    def sorted_as(identifier: str) -> str:
        query = select(tables.computers.c.sort_name).where(tables.computers.c.id == identifier)
        return str(store.read(lambda c: c.scalar(query)))

    for values, name in (
        ({"hostname": "Web-1"}, "web-1"),
        ({"display_name": "Ä Till"}, "Ä till"),
        ({"hostname": "other"}, "Ä till"),
        ({"display_name": ""}, "other"),
        ({"hostname": ""}, SEVENTH),
        ({"display_name": "X" * 300}, "x" * 200),
    ):
        store.write(lambda c, v=values: computers.change(c, SEVENTH, **v))  # type: ignore[misc]  # a default binds it
        record = store.read(lambda c: computers.get(c, SEVENTH))
        assert record is not None
        assert sorted_as(SEVENTH) == computers.sort_name(record.display) == name
