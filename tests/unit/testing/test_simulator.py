"""The fleet simulator: what it draws, and a small fleet through a floor that is raised."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.testing.standin import stand_in

from plimsoll.messages import Kind
from plimsoll.messages.token import ActivationToken
from plimsoll.testing.caps import newest_version
from plimsoll.testing.simulator import Progress, SimulationPlan, addresses, draw, percentiles, simulate
from plimsoll.tls.versions import Version

TOKEN = str(ActivationToken("1", "secret", "hash"))


def plan(**changes: object) -> SimulationPlan:
    return SimulationPlan(**{"manager": "dsm://127.0.0.1:4120/", "token": TOKEN, "agents": 10, **changes})  # type: ignore[arg-type]  # a test's own keywords


def test_addresses_are_each_peers_own() -> None:
    drawn = [address for address, _ in zip(addresses(1), range(20_000), strict=False)]
    assert len(set(drawn)) == len(drawn)
    assert all(address.split(".")[3] not in {"0", "255"} for address in drawn)
    assert "127.0.0.1" not in drawn


def test_the_same_seed_draws_the_same_fleet() -> None:
    assert draw(plan(agents=50, old=20)) == draw(plan(agents=50, old=20))
    assert draw(plan(agents=50, old=20)) != draw(plan(agents=50, old=20, seed=2))


def test_old_agents_and_relays_are_as_many_as_asked() -> None:
    peers = draw(plan(agents=50, old=20, relays=3, relay_version="11.0"))
    assert sum(newest_version(peer.version) is Version.TLS1_0 for peer in peers) == 20
    assert [peer.version for peer in peers if peer.kind is Kind.RELAY] == ["11.0"] * 3
    assert len({peer.name for peer in peers}) == 53


@pytest.mark.parametrize("changes", [{"old": 11}, {"agents": -1}, {"manager": "https://x"}, {"token": "x"}])
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"agents|dsm://|token"):
        plan(**changes)


def test_percentiles() -> None:
    assert percentiles([]) == {}
    assert percentiles([n / 1000 for n in range(1, 101)]) == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "max": 100.0}


def test_a_small_fleet_through_a_raise(tmp_path: Path) -> None:
    seen: list[Progress] = []

    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            task = asyncio.create_task(
                simulate(
                    plan(
                        manager=f"dsm://127.0.0.1:{manager.port}/",
                        token=manager.token,
                        agents=20,
                        old=5,
                        seconds=4.0,
                        interval=0.5,
                        start_over=0.5,
                    ),
                    progress=seen.append,
                )
            )
            await asyncio.sleep(2.2)
            manager.set_floor(Version.TLS1_2)
            report = await task
            assert report.activated == 20
            assert set(report.refused) == {f"sim-old{n:05d}" for n in range(5)}
            # A handshake that was under way at the raise ends after it, where no alert can say why.
            assert {"refused by floor"} <= report.failures.keys() <= {"refused by floor", "tls"}
            assert report.negotiated["TLSv1"] == 5
            assert report.latency["p50"] > 0
            assert len({address for address in manager.addresses if address != "127.0.0.1"}) == 20
            assert report.as_json()["heartbeats"] == report.heartbeats >= 40

    asyncio.run(main())
    assert seen[-1].peers == 20


def test_a_manager_with_another_ca_ends_the_simulation(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            with pytest.raises(Exception, match="CA that the token names"):
                await simulate(plan(manager=f"dsm://127.0.0.1:{manager.port}/", seconds=1.0))

    asyncio.run(main())
