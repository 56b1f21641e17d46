"""Simulated peers that obey an order to upgrade: what a manager hears of them, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.testing.standin import StandIn, stand_in
from tests.unit.testing.test_agents import agent, until

from plimsoll.messages import Ack, Command, UpgradeOrder
from plimsoll.testing import upgrading
from plimsoll.testing.agents import PeerSpec, SimulatedAgent
from plimsoll.testing.upgrading import Ending
from plimsoll.tls.versions import Version

ORDER = Command(id="u1", kind="upgrade", upgrade=UpgradeOrder(version="12.0.0", watch_seconds=1.0))


def acked(manager: StandIn) -> Ack | None:
    return next((ack for _, _, beat in manager.heartbeats for ack in beat.acks if ack.command == "u1"), None)


def reports(manager: StandIn) -> list[str]:
    said = [beat.upgrade.state for _, _, beat in manager.heartbeats if beat.upgrade is not None]
    return [one for at, one in enumerate(said) if at == 0 or said[at - 1] != one]


def play(folder: Path, ending: Ending, check: Callable[[StandIn, SimulatedAgent], object]) -> tuple[StandIn, str]:
    """An order, until that comes about. The manager, and the release that runs in the end."""

    async def main() -> tuple[StandIn, str]:
        async with stand_in(folder) as manager:
            manager.set_floor(Version.TLS1_2)
            manager.commands = [ORDER]
            peer = await agent(manager, folder, PeerSpec("host", "11.9.0", interval=0.05, ending=ending))
            task = asyncio.create_task(peer.run(manager.token))
            await until(lambda: check(manager, peer))
            beats = peer.log.heartbeats
            await until(lambda: peer.log.heartbeats > beats + 1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return manager, peer.spec.version

    return asyncio.run(main())


def test_it_says_that_it_switches_and_comes_back_as_the_new_release(tmp_path: Path) -> None:
    manager, version = play(tmp_path, Ending.GOOD, lambda manager, _: acked(manager))
    assert version == "12.0.0"
    assert acked(manager) == Ack(command="u1", ok=True, text="release 11.9.0 became 12.0.0")
    assert reports(manager)[-1] == "switching"
    said = [beat.inventory for _, _, beat in manager.heartbeats if beat.inventory is not None]
    assert [(one.version, one.upgradable, one.kept) for one in (said[0], said[-1])] == [
        ("11.9.0", True, []),
        ("12.0.0", True, ["11.9.0"]),
    ]
    assert {negotiated for _, negotiated, _ in manager.heartbeats} == {"TLSv1.2", "TLSv1.3"}


@pytest.mark.parametrize(
    ("ending", "code"),
    [(Ending.REFUSED, "probe-refused"), (Ending.CRASHES, "switched-back"), (Ending.DEAF, "switched-back")],
)
def test_who_fails_says_why_and_goes_on_with_the_former_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Ending, code: str
) -> None:
    monkeypatch.setattr(upgrading, "START_PAUSE", 0.05)
    manager, version = play(tmp_path, ending, lambda manager, _: acked(manager))
    ack = acked(manager)
    assert ack is not None
    assert (ack.ok, ack.code, version) == (False, code, "11.9.0")
    assert ("switching" in reports(manager)) == (ending is not Ending.REFUSED)


def test_an_order_that_is_taken_back_before_the_switch_is_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            manager.commands = [ORDER]
            peer = await agent(manager, tmp_path, PeerSpec("host", "11.9.0", ending=Ending.GOOD))
            await peer.activate(manager.token)
            await peer.heartbeat()
            upgrade = peer.upgrade
            assert upgrade is not None
            await until(lambda: upgrade.history[-1:] == ["switching"])
            manager.commands = []
            await peer.heartbeat()
            await upgrade.go_on()
            await peer.heartbeat()
            await peer.close()
            assert (upgrade.history[-1], peer.spec.version) == ("withdrawn", "11.9.0")
            assert acked(manager) is None

    asyncio.run(main())
