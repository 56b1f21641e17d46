"""SIGKILL and a full disk: what was acknowledged is there afterwards, and a floor is never unknown."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.disk import Disk, small_disk
from tests.support.manager import HOST, Manager
from tests.support.store import store_of
from tests.support.tools import s_client, s_client_early

from plimsoll.messages.token import ActivationToken
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca
from plimsoll.testing.pipe import PeerError


@pytest.fixture
def crashed(tmp_path: Path) -> Iterator[Manager]:
    """A manager that the test starts, kills and starts again."""
    made = Manager(tmp_path / "home")
    try:
        yield made.start()
    finally:
        made.close()


async def until_all(peers: list[SimulatedAgent], check: Callable[[SimulatedAgent], object]) -> None:
    async with asyncio.timeout(60):
        while not all(check(peer) for peer in peers):
            await asyncio.sleep(0.05)


def event_texts(peer: SimulatedAgent, last: int) -> list[str]:
    """What the peer's events up to that sequence number say."""
    return [f"event {sequence} of {peer.spec.name}" for sequence in range(peer.first_event + 1, last + 1)]


async def through_a_kill(manager: Manager, folder: Path) -> None:
    """Peers report an event with every heartbeat; the manager is killed under them, started again, and they go on."""
    ca, token = folder / "ca.pem", manager.new_token(8)
    ca.write_bytes(await fetch_ca(HOST, manager.heartbeat_port, ActivationToken.parse(token)))
    contexts = Contexts(ca)
    specs = [
        PeerSpec(f"peer-{n}", "12.0", address=f"127.34.0.{n}", interval=0.05, keep_alive=True, events=True)
        for n in range(1, 9)
    ]
    where = (HOST, manager.heartbeat_port)
    peers = [SimulatedAgent(spec, folder / spec.name, where, contexts) for spec in specs]
    tasks = [asyncio.create_task(peer.run(token)) for peer in peers]
    try:
        await until_all(peers, lambda peer: peer.log.heartbeats > 5)
        await asyncio.to_thread(manager.kill)
        acknowledged = [text for peer in peers for text in event_texts(peer, peer.log.stored_event)]
        assert len(acknowledged) >= 5 * len(peers)
        # Looked at in the file as the kill left it, before a start could mend anything.
        assert set(acknowledged) <= set(stored_texts(manager))

        await asyncio.to_thread(manager.start)
        before = {peer.spec.name: peer.log.heartbeats for peer in peers}
        await until_all(peers, lambda peer: peer.log.heartbeats > before[peer.spec.name] + 2)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    stored = stored_texts(manager)
    for peer in peers:
        assert [stored[text] for text in event_texts(peer, peer.log.stored_event) if stored[text] != 1] == []


def stored_texts(manager: Manager) -> Counter[str]:
    with store_of(manager.home) as store:
        found = store.execute("select description from events where number = 5000")
        return Counter(text[text.index("event ") :] for (text,) in found)


def test_what_a_heartbeat_was_told_is_stored_survives_a_kill(crashed: Manager, tmp_path: Path) -> None:
    asyncio.run(through_a_kill(crashed, tmp_path))
    assert set(crashed.computers()) == {f"peer-{n}" for n in range(1, 9)}


def change_until_killed(manager: Manager, seconds: float) -> set[str]:
    """Changes the floor as fast as it goes until the manager is killed; the floors that may be in force now."""
    acknowledged, wanted = "TLSv1.2", "TLSv1.2"
    assert manager.process is not None
    killer = threading.Timer(seconds, manager.process.kill)
    killer.start()
    with contextlib.suppress(httpx.HTTPError):
        while True:
            wanted = "TLSv1" if acknowledged == "TLSv1.2" else "TLSv1.2"
            manager.set_minimum(wanted)
            acknowledged = wanted
    killer.join()
    manager.kill()
    return {acknowledged, wanted}


def check_floor_after_kill(manager: Manager, possible: set[str]) -> None:
    manager.start()
    shown = manager.get("/api/tls/floors")
    floors = {row["point"]: row["floor"] for row in shown["floors"]}
    assert set(floors.values()) <= possible
    assert len(set(floors.values())) == 1, floors
    assert shown["drift"] is None
    floor = floors["gui"]
    assert manager.dsm_c("ShowValue").stdout.strip() == floor
    listed = [line for line in manager.file.read_text().splitlines() if line.startswith("protocols")]
    assert bool(listed) is (floor == "TLSv1")
    for port in (manager.gui_port, manager.heartbeat_port):
        assert s_client_early(port).connected is (floor == "TLSv1")
        assert s_client(port, "-tls1_2").connected


def rounds_of_kills(manager: Manager, rounds: int) -> None:
    for _ in range(rounds):
        manager.set_minimum("TLSv1.2")
        check_floor_after_kill(manager, change_until_killed(manager, random.uniform(0.15, 0.6)))


def test_a_kill_in_a_floor_change_leaves_one_of_the_two(crashed: Manager) -> None:
    rounds_of_kills(crashed, 3)


@pytest.mark.deep
def test_many_kills_in_floor_changes(crashed: Manager) -> None:
    rounds_of_kills(crashed, 25)


async def writers(manager: Manager, folder: Path) -> tuple[SimulatedAgent, SimulatedAgent]:
    """Two activated peers after their first heartbeat: one will have news, the other none."""
    ca, token = folder / "ca.pem", manager.new_token(2)
    ca.write_bytes(await fetch_ca(HOST, manager.heartbeat_port, ActivationToken.parse(token)))
    contexts, where = Contexts(ca), (HOST, manager.heartbeat_port)
    busy = SimulatedAgent(PeerSpec("busy", "12.0", address="127.34.1.1"), folder / "busy", where, contexts)
    quiet = SimulatedAgent(PeerSpec("quiet", "12.0", address="127.34.1.2"), folder / "quiet", where, contexts)
    for peer in (busy, quiet):
        await peer.activate(token)
        await peer.heartbeat()
        await peer.heartbeat()
    return busy, quiet


async def heartbeat_until_refused(peer: SimulatedAgent) -> PeerError:
    """Reports events until the store takes no more; the first few may still find room in its log."""
    for number in range(200):
        peer.note_event(5000, f"event {number} of a full disk " + "x" * 1000)
        try:
            await peer.heartbeat()
        except PeerError as error:
            return error
    raise AssertionError("the store took everything although its disk is full")


def test_a_full_disk_is_said_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        manager = Manager(disk.home)
        try:
            manager.start()
            asyncio.run(over_a_full_disk(manager, disk, tmp_path))
        finally:
            manager.close()


async def over_a_full_disk(manager: Manager, disk: Disk, folder: Path) -> None:
    busy, quiet = await writers(manager, folder)
    assert manager.process is not None
    disk.fill(manager.process.pid)
    try:
        refused = await heartbeat_until_refused(busy)
        assert refused.reason == "http 503"
        assert "store" in refused.detail
        await quiet.heartbeat()  # presence alone needs no disk
        answer = await asyncio.to_thread(manager.client.post, "/api/tls/minimum", json={"floor": "TLSv1"})
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "disk" in answer.json()["message"]
        # The floor is what it was, by every way of asking.
        assert (await asyncio.to_thread(manager.dsm_c, "ShowValue")).stdout == "TLSv1.2\n"
        for port in (manager.gui_port, manager.heartbeat_port):
            assert (await asyncio.to_thread(s_client_early, port)).refused_by_version
    finally:
        disk.free(manager.process.pid)
    await until_taken(busy)
    await asyncio.to_thread(manager.set_minimum, "TLSv1")
    await asyncio.to_thread(manager.kill)
    await asyncio.to_thread(manager.start)
    assert set(manager.floors().values()) == {"TLSv1"}
    stored = stored_texts(manager)
    last = busy.log.stored_event
    assert last > busy.first_event
    assert sum(stored.values()) == len(stored) == last - busy.first_event


async def until_taken(peer: SimulatedAgent) -> None:
    """What waited on the peer's side is taken as soon as there is space again."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(PeerError):
                await peer.heartbeat()
                return
            await asyncio.sleep(0.2)
