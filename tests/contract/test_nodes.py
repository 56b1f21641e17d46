"""Who is there and who does what, on every kind of database; what managers that share one tell each other."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from tests.contract.backends import Backend
from tests.support.process import eventually

from plimsoll.manager.ports import Conflict
from plimsoll.manager.store import Store, nodes
from plimsoll.manager.store.nodes import NodeRecord

NODE = NodeRecord("a" * 32, "first", "192.0.2.1", "12.0.0", 4119, 4120, 0.0, 0.0, 7, nodes.RUNNING)


def test_a_node_is_known_lives_and_stops(store: Store) -> None:
    store.write(lambda c: nodes.put(c, NODE))
    store.write(lambda c: nodes.put(c, replace(NODE, gui_port=443)))
    (known,) = store.read(nodes.everyone)
    assert (known.name, known.gui_port, known.generation) == ("first", 443, 7)
    assert known.seen > 1e9
    assert store.write(lambda c: nodes.beat(c, NODE.id, 8, "")) is True
    assert store.write(lambda c: nodes.beat(c, "nobody", 8, "")) is False
    assert [one.generation for one in store.read(lambda c: nodes.running(c, 60))] == [8]
    store.write(lambda c: nodes.stop(c, NODE.id))
    assert store.read(lambda c: nodes.running(c, 60)) == ()
    assert store.write(lambda c: nodes.remove(c, NODE.id)) is True
    assert store.write(lambda c: nodes.remove(c, NODE.id)) is False


def test_a_work_is_one_nodes_until_its_time_is_up_or_it_stops(store: Store) -> None:
    def take(node: str, seconds: float = 60.0) -> bool:
        return store.write(lambda c: nodes.take_lease(c, "changes", node, seconds))

    assert take("a")
    assert take("a"), "it prolongs its own"
    assert not take("b")
    assert [(one.name, one.node) for one in store.read(nodes.all_leases)] == [("changes", "a")]
    store.write(lambda c: nodes.stop(c, "a"))
    assert take("b", -1.0)
    assert store.read(nodes.all_leases) == ()
    assert take("a"), "what has run out is anybody's"


def test_two_ask_at_once_and_one_gets_it(backend: Backend) -> None:
    first, second = backend.migrated(), backend.open()
    got: list[str] = []
    try:
        barrier = threading.Barrier(2)

        def ask(store: Store, node: str) -> None:
            barrier.wait(30)
            if store.write(lambda c: nodes.take_lease(c, "changes", node, 60.0)):
                got.append(node)

        threads = [threading.Thread(target=ask, args=pair) for pair in ((first, "a"), (second, "b"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        first.close()
        second.close()
    assert len(got) == 1


def test_what_one_says_the_other_hears_once_it_is_committed(backend: Backend) -> None:
    first, second = backend.migrated(), backend.open()
    if not first.database.shared:
        first.close()
        second.close()
        pytest.skip("an embedded database has one manager")
    heard: list[str | None] = []
    done = threading.Event()
    listener = threading.Thread(target=second.hear, args=("plimsoll_test", heard.append, done.is_set))
    listener.start()
    try:
        eventually(lambda: heard == [None], "it begins by looking at everything")
        first.write(lambda c: first.say(c, "plimsoll_test", "one"))

        def broken(connection: object) -> None:
            first.say(connection, "plimsoll_test", "two")  # type: ignore[arg-type]
            raise LookupError

        with pytest.raises(LookupError):
            first.write(broken)
        first.write(lambda c: first.say(c, "plimsoll_other", "elsewhere"))
        first.write(lambda c: first.say(c, "plimsoll_test", "three"))
        eventually(lambda: heard[-1] == "three", "it hears")
        assert heard == [None, "one", "three"]
    finally:
        done.set()
        listener.join(30)
        first.close()
        second.close()


def test_nodes_share_a_database_and_whoever_must_be_alone_does_not(backend: Backend) -> None:
    first, second = backend.migrated(), backend.open()
    try:
        if not first.database.shared:
            pytest.skip("the lock of the home is enough for a file")
        first.claim("a" * 32)
        with pytest.raises(Conflict, match="a copy of the other's"):
            second.claim("a" * 32)
        with pytest.raises(Conflict, match="all managers of the installation must be stopped"):
            second.claim()
        second.claim("b" * 32)
    finally:
        first.close()
        second.close()
