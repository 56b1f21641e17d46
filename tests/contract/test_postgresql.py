"""What only a database on a server can do to its manager: go away, come back, be somebody else's, speak TLS."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.contract.backends import connected
from tests.support import postgres
from tests.support.process import eventually
from tests.support.way import Way

from plimsoll.manager import database
from plimsoll.manager.ports import Conflict, Unavailable
from plimsoll.manager.store import Connection, Store, circuit, facts
from plimsoll.testing.certificates import TestAuthority, key_pem


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """One that these tests stop and start."""
    with postgres.server({"ssl": "off"}) as made:
        yield made


@pytest.fixture
def name(server: postgres.Server) -> Iterator[str]:
    server.start()
    made = postgres.new_database(server)
    yield made
    server.start()
    postgres.drop(server, made)


@pytest.fixture
def store(server: postgres.Server, name: str) -> Iterator[Store]:
    opened = connected(server, name)
    opened.migrate()
    yield opened
    opened.close()


def put(store: Store, value: str) -> None:
    store.write(lambda c: facts.put(c, "a", value))


def got(store: Store) -> str | None:
    return store.read(lambda c: facts.get(c, "a"))


def backend(connection: Connection) -> int:
    return int(connection.exec_driver_sql("select pg_backend_pid()").scalar_one())


# Away and back


def test_the_call_after_a_restart_works(server: postgres.Server, store: Store) -> None:
    put(store, "1")
    for _ in range(2):
        server.stop()
        server.start()
        assert got(store) == "1"
        server.stop()
        server.start()
        put(store, "1")
        server.stop()
        server.start()
        store.enqueue(lambda c: facts.put(c, "b", "2")).result(10)


def test_a_server_that_is_away_is_said_once_and_without_its_name(
    server: postgres.Server, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "1")
    server.stop()
    with caplog.at_level(logging.INFO, "plimsoll.manager.store.postgresql"):
        for call in (got, partial(put, value="2")):
            with pytest.raises(Unavailable, match="cannot be reached; nothing was kept") as caught:
                call(store)
            assert str(server.folder) not in caught.value.message
            assert str(server.folder) in caught.value.cause
        waiting = [store.enqueue(lambda c: facts.put(c, "a", "3")) for _ in range(20)]
        assert all(isinstance(future.exception(10), Unavailable) for future in waiting)
        server.start()
        assert got(store) == "1"
        put(store, "4")
    said = [record.getMessage() for record in caplog.records]
    assert [text.partition(": ")[0].split()[-3:] for text in said] == [
        ["cannot", "be", "reached"],
        ["is", "reached", "again"],
    ]
    assert got(store) == "4"


def test_a_connection_that_breaks_half_way_keeps_nothing(server: postgres.Server, store: Store) -> None:
    def work(connection: Connection) -> None:
        facts.put(connection, "a", "half")
        server.do(f"select pg_terminate_backend({backend(connection)})")
        facts.put(connection, "b", "half")

    with pytest.raises(Unavailable, match="nothing was kept"):
        store.write(work)
    assert got(store) is None


def test_a_connection_that_breaks_at_the_commit_leaves_it_open(server: postgres.Server, store: Store) -> None:
    def work(connection: Connection) -> None:
        facts.put(connection, "a", "1")
        server.do(f"select pg_terminate_backend({backend(connection)})")

    with pytest.raises(Unavailable, match="it was kept, or it was not"):
        store.write(work)
    assert isinstance(store.enqueue(work).exception(10), Unavailable)
    put(store, "2")
    assert got(store) == "2"


def test_who_waits_behind_one_that_is_not_answered_does_not_ask_again(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(50)
        deaf.settimeout(0.2)
        address = database.parse(
            f"postgresql://a@127.0.0.1:{deaf.getsockname()[1]}/x?connect_timeout=2&sslmode=disable"
        )
        assert address is not None
        store = Store.connect(address)
        told: list[str] = []

        def ask() -> None:
            try:
                put(store, "1")
            except Unavailable as error:
                told.append(error.message)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked = 0
        with contextlib.suppress(TimeoutError):
            while True:
                deaf.accept()[0].close()
                asked += 1
    assert len(told) == 8
    assert asked <= 3, "one for whoever came first, one look beside it while it hung, one after it gave up"
    store.close()


@pytest.fixture
def way(server: postgres.Server, name: str) -> Iterator[tuple[Way, Store]]:
    """A store whose way to the server can be cut."""
    with Way(server.port) as made:
        address = database.parse(f"postgresql://{postgres.USER}@{postgres.HOST}:{made.port}/{name}?connect_timeout=2")
        assert address is not None
        opened = Store.connect(replace(address, password=postgres.PASSWORD))
        opened.migrate()
        yield made, opened
        opened.close()


def test_who_hangs_when_the_way_is_cut_is_told_and_who_comes_then_is_told_at_once(
    way: tuple[Way, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "HANG_SECONDS", 0.3)
    cuttable, store = way
    put(store, "1")
    with cuttable.cut():
        # Many more than there are connections: some hang in a statement, some wait for one, some for their turn.
        told: list[Unavailable] = []
        threads = [
            threading.Thread(target=_tries, args=(store, call, told))
            for call in (got, partial(put, value="2"))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        waiting = [store.enqueue(lambda c: facts.put(c, "a", "3")) for _ in range(20)]
        for thread in threads:
            thread.join()
        assert len(told) == len(threads), "each has an answer while the way is cut still, and long before the kernel"
        assert all(isinstance(future.exception(30), Unavailable) for future in waiting)
        assert store.away
        for _ in range(100):
            with pytest.raises(Unavailable, match="cannot be reached; nothing was kept"):
                got(store)
    eventually(lambda: not store.away, "it is found back, and nobody asked")
    assert got(store) == "1"
    put(store, "4")
    assert got(store) == "4"


def _tries(store: Store, call: Callable[[Store], object], told: list[Unavailable]) -> None:
    try:
        call(store)
    except Unavailable as error:
        told.append(error)


def test_a_commit_whose_answer_does_not_come_may_have_been_kept(
    way: tuple[Way, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "HANG_SECONDS", 0.3)
    cuttable, store = way
    with contextlib.ExitStack() as stack:

        def work(connection: Connection) -> None:
            facts.put(connection, "a", "1")
            stack.enter_context(cuttable.cut())

        with pytest.raises(Unavailable, match="it was kept, or it was not"):
            store.write(work)
    assert got(store) in (None, "1")


def test_a_database_that_is_slow_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "HANG_SECONDS", 0.1)
    monkeypatch.setattr(circuit, "LOOK_SECONDS", 0.05)
    asked = threading.Event()
    holding = threading.Event()

    def hold(connection: Connection) -> None:
        connection.exec_driver_sql("lock table facts")
        holding.set()
        assert asked.wait(30)
        connection.exec_driver_sql("select pg_sleep(0.5)")

    writer = threading.Thread(target=store.write, args=(hold,))
    writer.start()
    assert holding.wait(30)
    looks: list[str] = []
    look = store.database._look  # type: ignore[attr-defined]  # of this kind of database

    def looked() -> None:
        look()
        looks.append("it answers")

    monkeypatch.setattr(store.database._circuit, "_reach", looked)  # type: ignore[attr-defined]
    eventually(lambda: len(looks) >= 2, "it is looked while the writer holds everything")
    asked.set()
    writer.join()
    assert got(store) is None
    assert not store.away


def test_a_server_that_takes_no_further_connections_serves_those_that_it_has() -> None:
    with postgres.server({"max_connections": "6", "superuser_reserved_connections": "3"}) as small:
        store = connected(small, postgres.new_database(small))
        store.migrate()
        others = connected(small, "postgres")
        with contextlib.ExitStack() as held:
            for _ in range(2):
                held.enter_context(others.database.reading())
            with pytest.raises(Unavailable):
                store.read(lambda _: store.read(lambda _: None))
            for _ in range(20):
                put(store, "1")
                assert got(store) == "1"
        store.close()
        others.close()


def test_a_standby_is_said_and_the_next_connection_may_be_to_the_primary(
    server: postgres.Server, store: Store, name: str
) -> None:
    server.do(f"alter database {name} set default_transaction_read_only = on")
    fresh = connected(server, name)
    with pytest.raises(Unavailable, match="can only be read"):
        put(fresh, "1")
    server.do(f"alter database {name} reset default_transaction_read_only")
    put(fresh, "2")
    assert got(fresh) == got(store) == "2"
    fresh.close()


def test_what_was_acknowledged_is_there_after_a_crash_of_the_server(server: postgres.Server, store: Store) -> None:
    futures = [store.enqueue(partial(facts.put, name=f"n{n}", value="1")) for n in range(40)]
    for future in futures:
        future.result(10)
    server.stop(signal.SIGQUIT)
    server.start()
    assert store.read(lambda c: [facts.get(c, f"n{n}") for n in range(40)]) == ["1"] * 40


def test_whoever_turned_durability_off_gets_it_back(server: postgres.Server, name: str) -> None:
    server.do(f"alter database {name} set synchronous_commit = off")
    store = connected(server, name)
    assert store.read(lambda c: c.exec_driver_sql("show synchronous_commit").scalar_one()) == "on"
    assert store.database.link is not None
    assert "fsync is off" in store.database.link.risk
    store.close()


# Whose


def test_a_database_serves_one_manager_and_whoever_comes_second_is_told_who(
    server: postgres.Server, store: Store, name: str
) -> None:
    store.claim()
    store.claim()
    other = connected(server, name)
    with pytest.raises(Conflict, match=r"plimsoll manager on .*, process \d+"):
        other.claim()
    store.close()
    other.claim()
    other.close()


def test_the_claim_is_taken_again_after_a_restart(server: postgres.Server, store: Store, name: str) -> None:
    store.claim()
    server.stop()
    server.start()
    put(store, "1")
    other = connected(server, name)
    with pytest.raises(Conflict):
        other.claim()
    server.stop()
    server.start()
    other.claim()
    with pytest.raises(Unavailable, match="another manager"):
        put(store, "2")
    with pytest.raises(Unavailable, match="another manager"):
        got(store)
    other.close()
    put(store, "3")
    assert got(store) == "3"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (("create table lunch (x int)",), "is not empty: its schema public has lunch"),
        (("create sequence a", "create table b ()", "create view c as select 1", "create table d ()"),
         "a, b, c and 1 more"),
        (("drop schema public",), "no schema that plimsoll may make tables in"),
        (("alter schema public owner to postgres",), "plimsoll may not make tables in the schema public"),
    ],
)  # fmt: skip
def test_where_an_installation_cannot_begin(
    server: postgres.Server, name: str, make: tuple[str, ...], words: str
) -> None:
    store = connected(server, name)
    store.must_be_fresh()
    server.do(*make, database=name)
    with pytest.raises(Conflict, match=words):
        store.must_be_fresh()
    store.close()


def test_another_encoding_is_refused(server: postgres.Server) -> None:
    name = postgres.new_database(
        server, more=("encoding 'SQL_ASCII'", "locale_provider libc", "lc_collate 'C'", "lc_ctype 'C'")
    )
    store = connected(server, name)
    with pytest.raises(Conflict, match="encoded in SQL_ASCII"):
        store.must_be_fresh()
    store.close()


def test_an_extension_s_tables_are_nobody_s(server: postgres.Server, name: str) -> None:
    server.do("create extension pg_stat_statements", database=name)
    store = connected(server, name)
    store.must_be_fresh()
    store.close()


# What protects the way


@pytest.mark.rule("R4")
def test_the_connection_says_itself_what_encrypts_it(tmp_path: Path) -> None:
    with postgres.server() as server:
        name = postgres.new_database(server)
        authority = TestAuthority()
        leaf = authority.leaf("database", "db", hosts=["127.0.0.1"])
        other = authority.leaf("database", "db", hosts=["db.example.test"])
        root = tmp_path / "root.pem"
        root.write_bytes(authority.pem)

        def link(query: str) -> tuple[str, str, str]:
            address = database.parse(server.tcp_url(name, query))
            assert address is not None
            store = Store.connect(address, passfile=password)
            try:
                store.read(lambda c: None)
                assert store.database.link is not None
                shown = store.database.link
                return shown.protection, shown.cipher, shown.checked
            finally:
                store.close()

        password = tmp_path / "pass"
        address = database.parse(server.tcp_url(name))
        assert address is not None
        password.write_text(address.passfile_line(postgres.PASSWORD))
        password.chmod(0o600)
        assert link("") == ("", "", "nothing")
        with pytest.raises(Unavailable) as caught:
            link("sslmode=require")
        assert "does not support SSL" in caught.value.cause
        server.stop()
        server.write("server.crt", leaf.chain.decode())
        server.write("server.key", key_pem(leaf.key).decode())
        server.settings |= {"ssl": "on"}
        server.start()
        assert link("sslmode=disable") == ("", "", "nothing")
        suite = "TLS_AES_256_GCM_SHA384"
        assert link("") == ("TLSv1.3", suite, "nothing")
        assert link("sslmode=require") == ("TLSv1.3", suite, "nothing")
        assert link(f"sslmode=require&sslrootcert={root}") == ("TLSv1.3", suite, "certificate")
        assert link(f"sslmode=verify-ca&sslrootcert={root}") == ("TLSv1.3", suite, "certificate")
        assert link(f"sslmode=verify-full&sslrootcert={root}") == ("TLSv1.3", suite, "certificate and name")
        server.stop()
        server.settings |= {"ssl_max_protocol_version": "TLSv1.2"}
        server.start()
        assert link("sslmode=require")[0] == "TLSv1.2"
        server.stop()
        server.write("server.crt", other.chain.decode())
        server.write("server.key", key_pem(other.key).decode())
        server.start()
        assert link(f"sslmode=verify-ca&sslrootcert={root}")[2] == "certificate"
        with pytest.raises(Unavailable) as caught:
            link(f"sslmode=verify-full&sslrootcert={root}")
        assert 'does not match host name "127.0.0.1"' in caught.value.cause
        root.write_bytes(TestAuthority().pem)
        with pytest.raises(Unavailable) as caught:
            link(f"sslmode=verify-full&sslrootcert={root}")
        assert "certificate verify failed" in caught.value.cause
