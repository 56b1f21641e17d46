"""Changed computers reach the registry, also those that changed while the store was away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.unit.manager.fakes import entry

from plimsoll.manager.following import READ_ONE_BY_ONE, Following
from plimsoll.manager.ports import Unavailable
from plimsoll.manager.services.computers import RegistryEntry


class Bench:
    def __init__(self) -> None:
        self.known = {"a": entry("a"), "b": entry("b")}
        self.down = False
        self.posted: list[Mapping[str, RegistryEntry | None]] = []
        self.following = Following(self.one, self.everyone, self.posted.append)

    def one(self, computer: str) -> RegistryEntry | None:
        if self.down:
            raise Unavailable("the database cannot be reached")
        return self.known.get(computer)

    def everyone(self) -> list[RegistryEntry]:
        if self.down:
            raise Unavailable("the database cannot be reached")
        return list(self.known.values())


def test_what_changed_is_posted_and_what_is_gone_as_none() -> None:
    bench = Bench()
    bench.following.changed(("a", "z"))
    assert bench.posted == [{"a": bench.known["a"], "z": None}]
    assert not bench.following.again()
    assert len(bench.posted) == 1


def test_while_the_store_is_away_it_is_kept_said_once_and_read_later(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.down = True
    bench.following.changed(("a",))
    bench.following.changed(("b",))
    assert bench.following.again()
    assert len(caplog.records) == 1
    assert not bench.posted
    bench.down = False
    assert not bench.following.again()
    assert bench.posted == [bench.known]


def test_many_are_read_in_one_go() -> None:
    bench = Bench()
    many = [f"gone-{number}" for number in range(READ_ONE_BY_ONE)]
    bench.following.changed(["a", *many])
    assert bench.posted == [{"a": bench.known["a"]} | dict.fromkeys(many)]
