"""A staged change on a live manager with a simulated fleet: real handshakes, refusals, and a real way back (G1, G2)."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.manager import HOST, Manager, manager
from tests.support.tools import s_client

from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent
from plimsoll.testing.caps import client_context
from plimsoll.testing.simulator import addresses
from plimsoll.tls.versions import Version

pytestmark = pytest.mark.xdist_group("change")

OPEN = ("running", "paused", "halted", "scheduled")


class Fleet:
    """Agents in this process, each from its own address, and old programs at 4119."""

    def __init__(self, of: Manager, folder: Path, agents: int, old: int, interval: float) -> None:
        self.of = of
        self.folder = folder
        self.contexts = Contexts(of.ca)
        self.gate = asyncio.Semaphore(64)
        free = addresses(60)
        specs = [PeerSpec(f"old-{n:03}", "9.6.2", address=next(free), interval=interval) for n in range(old)]
        specs += [PeerSpec(f"c-{n:04}", "11.0", address=next(free), interval=interval) for n in range(agents - old)]
        self.peers = {spec.name: self._peer(spec) for spec in specs}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.retired: list[SimulatedAgent] = []
        self.spread = min(interval, 5.0)

    def _peer(self, spec: PeerSpec) -> SimulatedAgent:
        manager = (HOST, self.of.heartbeat_port)
        return SimulatedAgent(spec, self.folder / spec.name, manager, self.contexts, gate=self.gate)

    def start(self, token: str) -> None:
        for number, (name, peer) in enumerate(self.peers.items()):
            self.tasks[name] = asyncio.create_task(self._later(number, peer, token))

    async def _later(self, number: int, peer: SimulatedAgent, token: str) -> None:
        await asyncio.sleep(self.spread * number / len(self.peers))
        await peer.run(token)

    async def kill(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await asyncio.gather(*(self.tasks.pop(name) for name in names), return_exceptions=True)

    async def upgrade(self, *names: str) -> None:
        """The same identity, in the hands of a newer release."""
        await self.kill(*names)
        for name in names:
            self.retired.append(self.peers[name])
            peer = self.peers[name] = self._peer(replace(self.peers[name].spec, version="12.0"))
            self.tasks[name] = asyncio.create_task(peer.run())

    async def stop(self) -> None:
        await self.kill(*self.tasks)

    def refused(self) -> set[str]:
        return {peer.spec.name for peer in (*self.peers.values(), *self.retired) if peer.log.failures}


def old_program(of: Manager, key: str, source: str) -> int:
    """A request to 4119 by a client that knows TLS 1.0 only; its status, 0 where it is refused."""
    context = client_context(str(of.ca), oldest=Version.TLS1_0, newest=Version.TLS1_0)
    context.check_hostname = False
    connection = http.client.HTTPSConnection(HOST, of.gui_port, timeout=10, context=context, source_address=(source, 0))
    try:
        connection.request("GET", "/api/tls/minimum", headers={"api-secret-key": key})
        return connection.getresponse().status
    except (ssl.SSLError, OSError):
        return 0
    finally:
        connection.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path / "home") as made:
        yield made


async def until(state: str, of: Manager, seconds: float, *, stage: str = "") -> dict[str, Any]:
    """The change once it is in that state (and stage), or however it stands when the time is up or it is over."""
    end = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = await asyncio.to_thread(of.get, "/api/tls/changes/current")
        if found["state"] == state and (not stage or found["stage"] == stage):
            return found
        if time.monotonic() > end or found["state"] not in OPEN:
            raise AssertionError(f"expected {state} {stage}: {found['state']}, {found['stage']}: {found['text']}")
        await asyncio.sleep(0.2)


async def nmap_as(source: str, port: int) -> int:
    """nmap's cipher scan from a managed host's own address; how many TLS versions it lists."""
    command = [
        "nmap",
        "-Pn",
        "-n",
        "-sT",
        "-e",
        "lo",
        "-S",
        source,
        "--script",
        "+ssl-enum-ciphers",
        "-p",
        str(port),
        HOST,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return output.decode().count("TLSv1.")


def play(of: Manager, folder: Path, agents: int, old: int, programs: int, interval: float, soak: str) -> None:
    asyncio.run(_play(of, folder, agents, old, programs, interval, soak))


async def _play(of: Manager, folder: Path, agents: int, old: int, programs: int, interval: float, soak: str) -> None:
    def get(path: str, **query: Any) -> Any:
        return asyncio.to_thread(of.get, path, **query)

    def cli(*arguments: str) -> Any:
        return asyncio.to_thread(of.cli, *arguments)

    of.post("/api/policies/1", {"heartbeatSeconds": int(interval), "missedHeartbeats": 2})
    of.set_minimum("TLSv1")
    keys = [of.post("/api/apikeys", {"name": f"script-{n}", "role": "auditor"})["secretKey"] for n in range(programs)]
    fleet = Fleet(of, folder / "peers", agents, old, interval)
    fleet.start(of.new_token(agents + 1))
    try:
        await _everybody_came(of, agents, 60 + agents / 20)
        for number, key in enumerate(keys):
            assert await asyncio.to_thread(old_program, of, key, f"127.0.9.{number + 1}") == 200
        olds = {name for name in fleet.peers if name.startswith("old-")}

        judged = await get("/api/tls/preflight", to="TLSv1.2")
        assert {one["who"] for one in judged["blockers"]} == olds
        assert {one["who"] for one in judged["affected"]} == {f"script-{n}" for n in range(programs)}
        assert (await cli("change", "start", "--to", "TLSv1.2")).returncode == 3
        points = ["--points", "heartbeat"]

        # Forced, with the known old ones in the canary: the first of them that is refused takes it back.
        forced = await cli(
            "change",
            "start",
            "--to",
            "TLSv1.2",
            *points,
            "--soak",
            soak,
            "--canary",
            "5",
            "--force",
            "--reason",
            "a try",
        )
        assert forced.returncode == 0, forced.stderr
        taken = await until("taken back", of, 600)
        assert taken["stage"] == "heartbeat canary"
        assert len(taken["canary"]) == 5
        names = {one["hostGUID"]: one["hostName"] for one in (await get("/api/computers"))["computers"]}
        canary = {names[one] for one in taken["canary"]}
        events = (await get("/api/events", limit=1000))["events"]
        first = min(one["time"] for one in events if one["number"] == 770 and one["time"] >= taken["entered"] - 1)
        assert taken["ended"] - first <= 2.0, f"{taken['ended'] - first:.2f} s after the first refusal"
        assert any(name in taken["text"] for name in canary & olds)
        assert fleet.refused() <= canary & olds, "nobody outside the canary was ever refused"
        assert of.floors()["heartbeat"] == "TLSv1"
        assert s_client(of.heartbeat_port, "-tls1", "-cipher", "ALL:@SECLEVEL=0").connected

        # The old ones are upgraded. Hosts die and somebody scans from a managed address meanwhile: nothing comes of it.
        await fleet.upgrade(*sorted(olds))
        await asyncio.sleep(2 * interval)
        affected = await cli("change", "start", "--to", "TLSv1.2", "--soak", soak, "--canary", "5")
        assert affected.returncode == 5, affected.stdout + affected.stderr
        started = await cli("change", "start", "--to", "TLSv1.2", "--soak", soak, "--canary", "5", "--accept-affected")
        assert started.returncode == 0, started.stderr
        busy = await cli("change", "start", "--to", "TLSv1.3")
        assert "under way" in busy.stderr
        await until("running", of, 600, stage="heartbeat")
        dead = [f"c-{number:04}" for number in range(max(2, 3 * agents // 200))]
        await fleet.kill(*dead)
        source = fleet.peers["c-0050"].spec.address
        assert source is not None
        assert await nmap_as(source, of.heartbeat_port) >= 2
        done = await until("done", of, 900)
        assert done["proof"]["verdict"] == "proved", done["text"]
        assert set(of.floors().values()) == {"TLSv1.2"}
        assert all(of_old == 0 for of_old in [old_program(of, key, "127.0.9.1") for key in keys[:1]])
        compliant = {name: peer for name, peer in fleet.peers.items() if name not in olds}
        assert {name: peer.log.failures for name, peer in compliant.items() if peer.log.failures} == {}
        audit = (await get("/api/audit", limit=200))["audit"]
        (entry, *_) = [one for one in audit if one["action"] == "changes.start"]
        assert set(entry["after"]["named"]["affected"]) == {f"script-{n}" for n in range(programs)}
    finally:
        await fleet.stop()


async def _everybody_came(of: Manager, agents: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        found = (await asyncio.to_thread(of.get, "/api/computers"))["computers"]
        seen = sum(one["tls"]["negotiated"] is not None for one in found)
        if seen == agents:
            return
        assert time.monotonic() < end, f"{seen} of {agents} came"
        await asyncio.sleep(0.5)


@pytest.mark.rule("G1")
@pytest.mark.rule("G2")
@pytest.mark.rule("R12")
def test_a_raise_that_takes_itself_back_and_then_one_that_is_proved(running: Manager, tmp_path: Path) -> None:
    play(running, tmp_path, agents=80, old=4, programs=2, interval=1, soak="2s")


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_the_same_with_two_thousand(running: Manager, tmp_path: Path) -> None:
    play(running, tmp_path, agents=2000, old=40, programs=10, interval=10, soak="20s")
