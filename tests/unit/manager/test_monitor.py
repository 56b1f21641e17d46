"""Who fell silent, and batches that survive a store that is down."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from tests.unit.manager.fakes import Alone, FakeConnection, FakeEvents, entry, identity

from plimsoll.manager.monitor import Monitor
from plimsoll.manager.ports import Unavailable
from plimsoll.manager.registry import Registry, patience
from plimsoll.manager.services import Services
from plimsoll.net.sightings import SightingLog


class FakeSightings:
    def __init__(self) -> None:
        self.absorbed = 0
        self.down = False

    def absorb(self) -> None:
        if self.down:
            raise Unavailable("the disk is full")
        self.absorbed += 1


class FakeComputers:
    def __init__(self) -> None:
        self.offline: list[str] = []
        self.moved: list[float] = []
        self.down = False

    def set_online(self, computers: list[str], online: bool) -> None:
        if self.down:
            raise Unavailable("the disk is full")
        assert not online
        self.offline += computers

    def clock_moved(self, by: float, since: float) -> None:
        if self.down:
            raise Unavailable("the disk is full")
        self.moved.append(by)


class Bench:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.jumped = 0.0
        self.registry = Registry()
        self.registry.load([entry("a"), entry("b")])
        self.nodes = Alone()
        self.events, self.sightings, self.computers = FakeEvents(), FakeSightings(), FakeComputers()
        self.monitor = Monitor(
            cast(Services, self),
            self.registry,
            SightingLog(),
            lambda: self.now,
            lambda: self.now - self.jumped,
        )
        for name in ("a", "b"):
            known = self.registry.by_id[name]
            self.registry.seen(known, self.now, FakeConnection(identity(name)).real())
            known.online = True

    def jump(self, seconds: float) -> None:
        self.now += seconds
        self.jumped += seconds

    def look(self) -> None:
        asyncio.run(self.monitor.look_for_silence())

    def flush(self) -> None:
        asyncio.run(self.monitor.flush())


@pytest.mark.rule("G4")
def test_the_silent_go_offline_once_with_the_reason_where_it_is_known() -> None:
    bench = Bench()
    bench.look()
    assert not bench.computers.offline
    bench.registry.by_id["b"].problem = "TLS: it offers TLSv1.0 at most"
    bench.now += patience(bench.registry.by_id["a"]) + 1
    bench.look()
    bench.look()
    assert sorted(bench.computers.offline) == ["a", "b"]
    assert bench.events.numbers == [730, 730]
    assert [("TLS" in event.description) for event in bench.events.told] == [False, True]


def test_a_store_that_is_down_leaves_them_to_be_looked_at_again() -> None:
    bench = Bench()
    bench.now += 1e6
    bench.computers.down = True
    bench.look()
    assert not bench.events.told
    bench.computers.down = False
    bench.look()
    assert len(bench.events.told) == 2


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_step_of_the_clock_makes_nobody_silent_and_hides_nobody(step: float) -> None:
    bench = Bench()
    half = patience(bench.registry.by_id["a"]) / 2
    bench.now += half
    bench.look()
    bench.jump(step)
    bench.computers.down = True
    bench.look()
    assert not bench.computers.moved, "a store that is down is asked again"
    bench.computers.down = False
    bench.look()
    assert bench.computers.moved == [step]
    assert bench.events.numbers == [734]
    assert not bench.computers.offline
    bench.now += half + 1
    bench.look()
    assert sorted(bench.computers.offline) == ["a", "b"], "their silence is as old as it was"
    assert bench.computers.moved == [step]


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_who_was_seen_after_the_step_and_before_the_look_keeps_its_time(step: float) -> None:
    bench = Bench()
    bench.now += 10
    bench.look()
    bench.jump(step)
    bench.now += 0.5
    known = bench.registry.by_id["a"]
    bench.registry.seen(known, bench.now, FakeConnection(identity("a")).real())
    bench.now += 0.5
    bench.look()
    assert bench.now - (known.last_seen or 0) == 0.5
    assert bench.now - (bench.registry.by_id["b"].last_seen or 0) == 11
    bench.look()
    assert not bench.computers.offline


def test_only_what_is_new_is_flushed_and_a_failure_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.flush()
    assert bench.sightings.absorbed == 1
    bench.sightings.down = True
    bench.flush()
    bench.flush()
    assert len(caplog.records) == 1
    list(bench.registry.take_presence())
    bench.sightings.down = False
    bench.flush()
    assert bench.sightings.absorbed == 1
