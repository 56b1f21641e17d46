"""Whether a manager is ready: from memory, by what it last found."""

from __future__ import annotations

import asyncio

from plimsoll.manager.ports import Unavailable
from plimsoll.manager.readiness import AWAY_SECONDS, Readiness


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.away = False
        self.known = False
        self.unsure = False
        self.asked = 0
        self.ready = Readiness(self.reach, lambda: self.known, lambda: self.unsure, lambda: self.now)

    def reach(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("away")

    def look(self) -> None:
        asyncio.run(self.ready.look())


def test_what_is_missing_is_named() -> None:
    world = World()
    assert world.ready.missing() == ("store", "ports")
    world.look()
    world.ready.listening = True
    assert world.ready.missing() == ()
    world.unsure = True
    assert world.ready.missing() == ("floors",)


def test_a_store_that_is_away_for_a_moment_is_no_news() -> None:
    world = World()
    world.look()
    world.ready.listening = world.away = True
    world.now += AWAY_SECONDS
    world.look()
    assert world.ready.missing() == ()
    world.now += 1.0
    assert world.ready.missing() == ("store",)
    world.away = False
    world.look()
    assert world.ready.missing() == ()


def test_a_store_that_is_known_to_be_away_is_missed_at_once() -> None:
    world = World()
    world.look()
    world.ready.listening = world.known = True
    assert world.ready.missing() == ("store",)
    world.known = False
    assert world.ready.missing() == ()


def test_asking_does_not_ask_the_store() -> None:
    world = World()
    world.look()
    for _ in range(1000):
        world.ready.missing()
    assert world.asked == 1
