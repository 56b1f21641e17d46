"""Who is told at once that the database is away, and when it counts as away: looks and clock are the test's."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.support.process import eventually

from plimsoll.manager.store.circuit import HANG_SECONDS, Away, Circuit


class World:
    """`outcome` is what a look finds. While `answers` is not set, looks wait for it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.outcome: Away | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.began = threading.Semaphore(0)
        self.looks = 0
        self.ended = threading.Event()
        self.circuit = Circuit(self._reach, self.ended.set, lambda: self.now)

    def _reach(self) -> None:
        self.began.release()
        assert self.answers.wait(30)
        self.looks += 1
        if self.outcome is not None:
            raise self.outcome

    def use(self) -> None:
        with self.circuit.operation():
            pass

    def until_looked(self) -> None:
        looks = self.looks
        eventually(lambda: self.looks > looks, "it is looked")


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.answers.set()
    made.circuit.close()


def test_after_one_that_found_nobody_all_are_told_so_until_a_look_finds_it_back(world: World) -> None:
    world.use()
    world.outcome = Away("refused")
    world.circuit.lost("broke")
    for _ in range(20):
        with pytest.raises(Away, match="broke"):
            world.use()
    world.outcome = None
    world.use()
    assert world.circuit.cause is None
    assert not world.ended.is_set()


def test_one_that_was_only_started_again_is_found_by_whoever_comes_first(world: World) -> None:
    world.use()
    world.circuit.lost("broke")
    world.use()
    assert world.looks == 1


def test_nobody_waits_for_a_look_that_takes_long(world: World) -> None:
    world.use()
    world.answers.clear()
    world.circuit.lost("broke")
    assert world.began.acquire(timeout=30)
    world.now += 1.0
    for _ in range(50):
        with pytest.raises(Away):
            world.use()
    assert world.looks == 0
    world.answers.set()
    eventually(lambda: world.circuit.cause is None, "it is found back")
    world.use()


def test_an_operation_that_takes_long_is_left_alone_where_the_database_answers(world: World) -> None:
    with world.circuit.operation():
        for _ in range(2):
            world.now += HANG_SECONDS + 1
            world.until_looked()
            world.use()
    assert not world.ended.is_set()


def test_what_takes_long_where_somebody_refuses_is_not_ended(world: World) -> None:
    world.outcome = Away("too many connections")
    with world.circuit.operation():
        world.now += HANG_SECONDS + 1
        world.until_looked()
        world.now += HANG_SECONDS + 1
        world.until_looked()
        world.use()
    assert not world.ended.is_set()


def test_what_hangs_where_nobody_answers_is_ended_and_nobody_else_begins(world: World) -> None:
    world.outcome = Away("no answer", silent=True)
    with world.circuit.operation():
        world.now += HANG_SECONDS + 1
        assert world.ended.wait(30)
        with pytest.raises(Away, match="no answer"):
            world.use()
        assert world.circuit.cause == "no answer"
    world.outcome = None
    world.use()


def test_an_operation_that_was_under_way_and_comes_through_is_as_good_as_a_look(world: World) -> None:
    world.answers.clear()
    with world.circuit.operation():
        world.circuit.lost("no further connection")
        world.now += 1.0
        assert world.began.acquire(timeout=30)
        world.now += 1.0
        with pytest.raises(Away):
            world.use()
    world.use()
    assert world.looks == 0


def test_nothing_is_looked_at_while_all_goes_well(world: World) -> None:
    for _ in range(100):
        world.use()
    assert not world.began.acquire(timeout=0.0)
