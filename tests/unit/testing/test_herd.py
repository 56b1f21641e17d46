"""A herd against a stand-in: real handshakes with each agent's own certificate, faults, and what is counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.support.process import eventually
from tests.unit.testing.standin import StandIn, stand_in

from plimsoll.messages import Command, Policy, fingerprint
from plimsoll.testing.certificates import TestAuthority, key_pem
from plimsoll.testing.faults import Fault, FaultKind
from plimsoll.testing.fleet import Fleet, FleetHead, FleetWriter
from plimsoll.testing.herd import Herd, HerdPlan
from plimsoll.testing.herd_run import run_herd
from plimsoll.testing.tally import Tally

BASE = Policy(name="Base", generation=1, heartbeat_seconds=1)


def make_fleet(folder: Path, authority: TestAuthority, count: int) -> Path:
    with FleetWriter(folder) as writer:
        for number in range(count):
            leaf = authority.leaf("agent", f"id-{number}")
            writer.add([leaf.chain.decode() + key_pem(leaf.key).decode()])
        ca = authority.pem.decode()
        writer.finish(FleetHead(authority.installation, ca, ["0" * 64], BASE, "12.0.0", "herd"))
    return folder


def plan(manager: StandIn, fleet: Path, **changes: Any) -> HerdPlan:
    values: dict[str, Any] = {"manager": f"dsm://127.0.0.1:{manager.port}/", "folder": str(fleet), "seconds": 1.5}
    return HerdPlan(**(values | {"spread": 0.5} | changes))


def test_a_fleet_is_read_as_it_was_written(tmp_path: Path) -> None:
    authority = TestAuthority()
    fleet = Fleet(make_fleet(tmp_path / "fleet", authority, 3))
    assert len(fleet) == 3
    assert fleet.head.policy == BASE
    texts = {bytes(fleet.identity(number)) for number in range(3)}
    assert len(texts) == 3
    assert all(text.count(b"BEGIN CERTIFICATE") == 2 and b"PRIVATE KEY" in text for text in texts)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "fleet").iterdir()} == {0}
    with pytest.raises(ValueError, match="is not empty"):
        FleetWriter(tmp_path / "fleet")


@pytest.mark.parametrize("name", ["fleet.json", "identities.idx", "identities.pem"])
def test_half_a_fleet_is_none(tmp_path: Path, name: str) -> None:
    folder = make_fleet(tmp_path / "fleet", TestAuthority(), 2)
    (folder / name).write_bytes((folder / name).read_bytes()[:-8])
    with pytest.raises(ValueError, match="holds no whole fleet"):
        Fleet(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match="holds no fleet"):
        Fleet(folder)


@pytest.mark.parametrize(
    "changes", [{"agents": -1}, {"seconds": 0}, {"sockets": 0}, {"interval": 0.0}, {"faults": [{"kind": "x"}]}]
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        HerdPlan(**({"manager": "dsm://h:1", "folder": "f", "seconds": 1.0} | changes))  # type: ignore[arg-type]  # a test's own keywords


def herd(tmp_path: Path, count: int, setting: Any = lambda manager: None, **changes: Any) -> tuple[StandIn, Tally]:
    """What the stand-in saw of so many agents, and what they counted."""

    async def main() -> tuple[StandIn, Tally]:
        async with stand_in(tmp_path) as manager:
            fleet = make_fleet(tmp_path / "fleet", manager.authority, count)
            setting(manager)
            return manager, await Herd(plan(manager, fleet, **changes)).run()

    return asyncio.run(main())


def test_each_agent_is_itself_and_obeys_the_interval(tmp_path: Path) -> None:
    def settings(manager: StandIn) -> None:
        manager.next_seconds = 0.4

    manager, tally = herd(tmp_path, 12, settings, seconds=3.0, warm_up=True)
    seen = Counter(who for who, _, _ in manager.heartbeats)
    assert set(seen) == {f"id-{number}" for number in range(12)}
    assert len(manager.addresses) == 12
    assert (tally.agents, tally.heard, tally.lost, tally.silent, tally.failures) == (12, 12, 0, 0, {})
    # The one of each that came before the clock ran is not counted, and left a session.
    assert tally.answered == tally.sent == len(manager.heartbeats) - 12
    assert tally.resumed == tally.handshakes == tally.answered
    assert tally.latency.milliseconds()["p50"] > 0
    assert sum(second.answered for second in tally.seconds.values()) == tally.answered
    beats = [beat for who, _, beat in manager.heartbeats if who == "id-3"]
    assert [beat.sequence for beat in beats] == sorted({beat.sequence for beat in beats})
    assert {beat.policy_fingerprint for beat in beats} == {fingerprint(BASE)}


def test_a_warm_up_is_told_and_forgotten(tmp_path: Path) -> None:
    told: list[tuple[bool, int]] = []

    async def main() -> Tally:
        async with stand_in(tmp_path) as manager:
            fleet = make_fleet(tmp_path / "fleet", manager.authority, 3)
            wanted = plan(manager, fleet, seconds=1.0, spread=30.0, warm_up=True)
            return await Herd(wanted).run(lambda tally: told.append((tally.warming, tally.answered)))

    tally = asyncio.run(main())
    assert told[0][0]
    assert (False, 0) in told
    assert not tally.warming
    # A change of state is told once, in that order.
    assert [warming for warming, _ in told] == sorted((warming for warming, _ in told), reverse=True)


def test_without_resumption_each_handshake_is_a_full_one(tmp_path: Path) -> None:
    _, tally = herd(tmp_path, 6, resume=False, interval=0.3)
    assert tally.resumed == 0
    assert tally.handshakes == tally.answered > 6


def test_kept_connections_need_no_handshake(tmp_path: Path) -> None:
    _, tally = herd(tmp_path, 6, keep_alive=True, interval=0.3, sockets=6)
    assert tally.handshakes == 6
    assert tally.kept == tally.answered - 6 > 0


def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    def settings(manager: StandIn) -> None:
        manager.status, manager.retry_after = 503, 30

    manager, tally = herd(tmp_path, 8, settings, seconds=2.0)
    assert tally.shed == tally.sent == 8
    assert tally.failures == {"http 503 busy": 8}
    assert (tally.answered, tally.heard, tally.lost) == (0, 0, 0)
    assert not manager.heartbeats


def test_a_policy_that_is_sent_is_taken_and_acknowledged(tmp_path: Path) -> None:
    policy = Policy(name="Other", generation=2)

    def settings(manager: StandIn) -> None:
        manager.commands = [Command(id="c1", kind="apply-policy", policy=policy)]

    manager, _ = herd(tmp_path, 1, settings, seconds=2.5)
    acks = [ack for _, _, beat in manager.heartbeats for ack in beat.acks]
    assert [(ack.command, ack.ok) for ack in acks] == [("c1", True)]
    assert manager.heartbeats[-1][2].policy_fingerprint == fingerprint(policy)


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.RESET])
def test_what_the_script_broke_is_not_counted_as_lost(tmp_path: Path, kind: FaultKind) -> None:
    manager, tally = herd(tmp_path, 8, faults=[Fault(0.0, 60.0, kind).as_data()], seconds=1.0)
    assert tally.injected == {kind.value: tally.sent}
    assert (tally.lost, tally.answered, tally.failures) == (0, 0, {})
    assert not manager.heartbeats


def test_a_delay_is_no_latency_and_a_skew_shows(tmp_path: Path) -> None:
    faults = [Fault(0.0, 60.0, FaultKind.DELAY, 1.0, 0.8), Fault(0.0, 60.0, FaultKind.SKEW, 1.0, 5000.0)]
    manager, tally = herd(tmp_path, 4, faults=[fault.as_data() for fault in faults], seconds=1.0)
    assert tally.injected == {"delay": tally.sent}
    assert tally.answered == tally.sent == len(manager.heartbeats)
    assert min(beat.time for _, _, beat in manager.heartbeats) > time.time() + 4000


def test_half_open_connections_stay_while_the_agents_go_on(tmp_path: Path) -> None:
    _, tally = herd(tmp_path, 5, faults=[Fault(0.0, 60.0, FaultKind.HALF_OPEN).as_data()], interval=0.4)
    assert tally.injected["half-open"] == tally.sent == tally.answered


def test_a_manager_of_another_fleet_gets_nothing(tmp_path: Path) -> None:
    async def main() -> tuple[StandIn, Tally]:
        async with stand_in(tmp_path) as manager:
            fleet = make_fleet(tmp_path / "fleet", TestAuthority(), 2)
            return manager, await Herd(plan(manager, fleet, seconds=1.0)).run()

    manager, tally = asyncio.run(main())
    assert not manager.heartbeats
    assert set(tally.failures) == {"handshake: certificate"}
    assert tally.lost == 0


def test_several_processes_share_the_agents_and_stop_when_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            fleet = make_fleet(tmp_path / "fleet", manager.authority, 9)
            stop, told = asyncio.Event(), []
            wanted = plan(manager, fleet, seconds=600.0, interval=0.5)
            task = asyncio.create_task(run_herd(wanted, 2, lambda tally, _: told.append(tally.answered), stop))
            await asyncio.to_thread(
                eventually, lambda: len({who for who, _, _ in manager.heartbeats}) == 9 and any(told), "all came"
            )
            stop.set()
            report = await task
            assert report.processes == 2
            assert (report.tally.agents, report.tally.heard) == (9, 9)
            assert report.tally.answered == len(manager.heartbeats)

    asyncio.run(main())


def test_a_process_that_cannot_begin_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no fleet"):
        asyncio.run(run_herd(HerdPlan(manager="dsm://h:1", folder=str(tmp_path), seconds=1.0)))
