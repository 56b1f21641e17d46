"""A simulated relay: it listens at its release's default, and only a policy that was sent moves it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.unit.testing.standin import stand_in
from tests.unit.testing.test_agents import agent, until

from plimsoll.messages import FLOOR_REPORT, Command, FloorOrigin, FloorReport, Kind, Policy
from plimsoll.testing.agents import PeerSpec
from plimsoll.testing.caps import client_context
from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import REFUSED, PeerError, TlsPipe
from plimsoll.testing.relay import SimulatedRelay
from plimsoll.tls.versions import Version


async def admits(port: int, version: Version, address: str = "127.9.1.1") -> bool:
    """Whether a client of that version gets in."""
    try:
        pipe = await TlsPipe.open(address, port, client_context(None, oldest=version, newest=version))
    except PeerError as error:
        assert error.reason == REFUSED
        return False
    await pipe.close()
    return True


@pytest.mark.rule("R17")
@pytest.mark.parametrize(
    ("release", "open_to_early"), [("10.0", True), ("11.0", True), ("11.1", False), ("12.0", False)]
)
def test_the_default_of_its_release_until_a_policy_is_sent(tmp_path: Path, release: str, open_to_early: bool) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            spec = PeerSpec("relay", release, kind=Kind.RELAY, address="127.9.1.1", relay_port=0, interval=0.05)
            peer = await agent(manager, tmp_path, spec)
            task = asyncio.create_task(peer.run(manager.token))
            await until(lambda: peer.log.heartbeats)
            assert peer.relay is not None
            port = peer.relay.port
            assert await admits(port, Version.TLS1_0) is open_to_early
            assert await admits(port, Version.TLS1_2)

            other = Version.TLS1_2 if open_to_early else Version.TLS1_0
            policy = Policy(name="Sent", generation=9, relay_floor=other)
            manager.commands = [Command(id="p", kind="apply-policy", policy=policy)]
            await until(lambda: peer.log.acks_stored)
            assert await admits(port, Version.TLS1_0) is not open_to_early
            await until(
                lambda: manager.heartbeats[-1][2].relay and manager.heartbeats[-1][2].relay.policy_generation == 9
            )

            # What was sent is kept over a restart.
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            again = SimulatedRelay(peer.home, release, "127.9.1.1")
            assert (again.floor, again.origin) == (other, FloorOrigin.POLICY)

    asyncio.run(main())


def test_it_answers_what_floor_it_holds(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            spec = PeerSpec("relay", "11.0", kind=Kind.RELAY, address="127.9.1.2", relay_port=0)
            peer = await agent(manager, tmp_path, spec)
            await peer.activate(manager.token)
            relay = SimulatedRelay(peer.home, "11.0", "127.9.1.2")
            await relay.start(0)
            http = HttpPipe(await TlsPipe.open("127.9.1.2", relay.port, client_context(None)))
            report = msgspec.json.decode((await http.request("GET", FLOOR_REPORT)).body, type=FloorReport)
            assert (report.floor, report.origin) == (Version.TLS1_0, FloorOrigin.VERSION_DEFAULT)
            assert (await http.request("GET", "/other")).status == 404
            await http.pipe.close()
            await relay.stop()

    asyncio.run(main())
