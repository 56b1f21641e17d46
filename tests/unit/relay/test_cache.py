"""A relay's disk: bounded, the longest unused goes first, what is half is never handed out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plimsoll.relay import cache as module
from plimsoll.relay.cache import Cache, NoRoom


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(folder: Path, clock: Clock, limit: int = 100, reserve: int = 0) -> Cache:
    return Cache(folder, limit, reserve, clock)


def put(cache: Cache, name: str, size: int) -> None:
    cache.room(name, size)
    cache.incoming(name).write_bytes(bytes(size))
    cache.keep(name)


def test_the_longest_unused_goes_first(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    for name in ("a", "b", "c"):
        clock.now += 100
        put(cache, name, 30)
    clock.now += 100
    assert cache.package("a") is not None
    put(cache, "d", 30)
    assert [name for name in "abcd" if cache.package(name)] == ["a", "c", "d"]
    assert cache.used == 90


def test_a_restart_remembers_the_order(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    for name in ("a", "b", "c"):
        clock.now += 100
        put(cache, name, 30)
        os.utime(tmp_path / "packages" / name, (clock.now, clock.now))
    clock.now += 100
    cache.package("a")
    cache.incoming("half").write_bytes(b"half")
    again = made(tmp_path, clock)
    assert again.package("half") is None
    put(again, "d", 30)
    assert [name for name in "abcd" if again.package(name)] == ["a", "c", "d"]


def test_what_does_not_fit_evicts_nothing(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    put(cache, "a", 30)
    with pytest.raises(NoRoom, match="does not fit into the 100"):
        cache.room("b", 101)
    full = made(tmp_path, clock, reserve=1 << 60)
    with pytest.raises(NoRoom, match="must stay free"):
        full.room("b", 10)
    assert cache.package("a") is not None
    assert full.package("a") is not None


def test_what_is_coming_counts(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    cache.room("a", 60)
    with pytest.raises(NoRoom):
        cache.room("b", 60)
    cache.release("a")
    cache.room("b", 60)
    cache.room("b", 80)


def test_a_file_that_somebody_removed_is_missing(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    put(cache, "a", 30)
    (tmp_path / "packages" / "a").unlink()
    assert cache.package("a") is None
    assert cache.used == 0


def test_one_who_reads_an_evicted_file_reads_on(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    put(cache, "a", 60)
    path = cache.package("a")
    assert path is not None
    with path.open("rb") as reading:
        put(cache, "b", 60)
        assert cache.package("a") is None
        assert len(reading.read()) == 60


def test_leavings_are_forgotten_after_a_while(tmp_path: Path, clock: Clock) -> None:
    cache = made(tmp_path, clock)
    for path, age in ((cache.incoming("old"), module.FORGET_INCOMING), (cache.metadata("9.root.json"), 1.0)):
        path.write_bytes(b"x")
        os.utime(path, (clock.now - age - 1, clock.now - age - 1))
    made(tmp_path, clock)
    assert not cache.incoming("old").exists()
    assert cache.metadata("9.root.json").exists()
