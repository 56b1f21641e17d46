"""The upgrader by itself: what becomes of an order that ends in a fault of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support import trees

from plimsoll.agent import upgrade
from plimsoll.agent.home import Home
from plimsoll.agent.launched import Launched
from plimsoll.agent.upgrade import Upgrader
from plimsoll.messages import UpgradeOrder


class Told:
    """What an upgrader reports."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, bool, str, str]] = []
        self.events: list[int] = []

    def finish(self, command: str, ok: bool, text: str = "", code: str = "") -> None:
        self.finished.append((command, ok, text, code))

    def record(self, number: int, text: str, now: float) -> None:
        self.events.append(number)

    def carried_out(self, command: str) -> bool:
        return any(name == command for name, *_ in self.finished)


def test_a_fault_of_ours_ends_the_order_and_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Launched, "alive", True)
    prefix = trees.install(tmp_path / "prefix", "11.9.0")
    told = Told()

    async def broken(order: UpgradeOrder, folder: Path) -> Path:
        raise RuntimeError("a fault")

    async def scenario() -> None:
        (tmp_path / "home").mkdir()
        home = Home(tmp_path / "home")
        over = asyncio.Event()
        made = Upgrader(home, Launched(prefix, "11.9.0", 1), told, broken, wake=over.set, stop=lambda: None)
        made.ordered("u1", UpgradeOrder(version="12.1.0", target="agent.tar.gz", sha256="00"))
        async with asyncio.timeout(10):
            while not told.finished:
                await over.wait()
                over.clear()
        assert made.report is None
        assert not (home.path / upgrade.FILE).exists()

    asyncio.run(scenario())
    assert [(command, ok, code) for command, ok, _, code in told.finished] == [("u1", False, upgrade.FAILED)]
    assert "a fault" in told.finished[0][2]
    assert told.events == [upgrade.NOT_UPGRADED]
    assert (prefix / "current").readlink().name == "11.9.0"
