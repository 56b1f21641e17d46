"""A simulated peer against a stand-in manager: identity, messages, back-off, and the refusals it counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.testing.standin import StandIn, stand_in

from plimsoll.messages import Command, Kind, Policy
from plimsoll.messages.token import ActivationToken
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca, parse_manager
from plimsoll.testing.pipe import CERTIFICATE, REFUSED, PeerError
from plimsoll.tls.versions import Version


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.02)


async def agent(manager: StandIn, folder: Path, spec: PeerSpec) -> SimulatedAgent:
    """A peer that knows the CA, as `simulate` makes one."""
    ca = folder / "ca.pem"
    ca.write_bytes(await fetch_ca("127.0.0.1", manager.port, ActivationToken.parse(manager.token)))
    return SimulatedAgent(spec, folder / spec.name, ("127.0.0.1", manager.port), Contexts(ca))


@pytest.mark.parametrize(
    ("release", "negotiated"), [("9.6", "TLSv1"), ("10.0", "TLSv1.2"), ("11.3", "TLSv1.2"), ("12.0", "TLSv1.3")]
)
def test_activates_and_heartbeats_with_its_releases_version(tmp_path: Path, release: str, negotiated: str) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("host", release, address="127.9.0.1"))
            await peer.activate(manager.token)
            await peer.heartbeat()
            await peer.heartbeat()
            await peer.close()
            assert manager.activations["host"].inventory.version == release
            who, version, message = manager.heartbeats[0]
            assert (who, version) == ("host", negotiated)
            assert message.inventory is not None
            assert manager.heartbeats[1][2].inventory is None
            assert manager.heartbeats[1][2].sequence > message.sequence
            assert "127.9.0.1" in manager.addresses
            assert peer.log.resumed == 1
            assert peer.log.negotiated is Version(negotiated)

    asyncio.run(main())


def test_two_peers_on_one_context_keep_their_own_certificates(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            first = await agent(manager, tmp_path, PeerSpec("first", "11.0"))
            second = SimulatedAgent(
                PeerSpec("second", "11.0"), tmp_path / "second", ("127.0.0.1", manager.port), first._contexts
            )
            for peer in (first, second):
                await peer.activate(manager.token)
            await asyncio.gather(*(peer.heartbeat() for _ in range(5) for peer in (first, second)))
            for name in ("first", "second"):
                assert sum(who == name for who, _, _ in manager.heartbeats) == 5

    asyncio.run(main())


def test_the_token_is_not_sent_to_another_ca(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            with pytest.raises(PeerError) as caught:
                await fetch_ca("127.0.0.1", manager.port, ActivationToken("1", "s", "other"))
            assert caught.value.reason == CERTIFICATE
            assert not manager.activations

    asyncio.run(main())


def test_commands_are_carried_out_once_and_acknowledged_until_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("host", "12.0", events=True))
            manager.commands = [
                Command(id="c1", kind="apply-policy", policy=Policy(name="New", generation=7)),
                Command(id="c2", kind="renew-certificate"),
            ]
            await peer.activate(manager.token)
            await peer.heartbeat()
            await peer.heartbeat()
            await peer.heartbeat()
            await peer.close()
            assert peer.log.commands == 2
            assert peer.log.acks_stored == 2
            assert [ack.ok for ack in manager.heartbeats[1][2].acks] == [True, False]
            assert manager.heartbeats[1][2].policy_generation == 7
            assert peer.log.events_stored == 3
            assert json.loads((peer.home.path / "policy.json").read_text())["name"] == "New"

    asyncio.run(main())


def test_a_refused_peer_counts_it_and_comes_back_after_the_floor_was_lowered(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("old", "9.6", interval=0.05))
            task = asyncio.create_task(peer.run(manager.token))
            await until(lambda: peer.log.heartbeats)
            manager.set_floor(Version.TLS1_2)
            await until(lambda: peer.log.refused)
            beats = peer.log.heartbeats
            manager.set_floor(Version.TLS1_0)
            await until(lambda: peer.log.heartbeats > beats)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert set(peer.log.failures) == {REFUSED}

    asyncio.run(main())


def test_a_kept_connection_is_used_again_and_replaced_when_the_manager_closes_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("host", "12.0", keep_alive=True))
            await peer.activate(manager.token)
            await peer.heartbeat()
            manager.close_after_answer = True
            await peer.heartbeat()
            await peer.heartbeat()
            assert peer.log.heartbeats == 3
            await peer.close()

    asyncio.run(main())


def test_a_manager_that_says_no_is_a_failure_with_its_status(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("host", "12.0"))
            manager.status = 503
            with pytest.raises(PeerError, match="not now") as caught:
                await peer.activate(manager.token)
            assert caught.value.reason == "http 503"

    asyncio.run(main())


def test_a_closed_port_is_unreachable(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            peer = await agent(manager, tmp_path, PeerSpec("host", "12.0"))
        with pytest.raises(PeerError) as caught:
            await peer.activate(manager.token)
        assert caught.value.reason == "unreachable"

    asyncio.run(main())


def test_the_folder_is_an_agents_home(tmp_path: Path) -> None:
    async def main() -> None:
        async with stand_in(tmp_path) as manager:
            spec = PeerSpec("appliance", "9.5", kind=Kind.APPLIANCE, guards=("vm1", "vm2"), address="127.9.0.3")
            peer = await agent(manager, tmp_path, spec)
            await peer.activate(manager.token)
            await peer.close()

    asyncio.run(main())
    home = tmp_path / "appliance"
    state = json.loads((home / "agent.json").read_text())
    assert state["computer"] == "appliance"
    assert state["kind"] == "appliance"
    assert state["software"] == "9.5"
    assert state["guards"] == ["vm1", "vm2"]
    assert {path.name for path in home.iterdir()} >= {"key.pem", "cert.pem", "ca.pem", "policy.json", "spool.json"}
    assert (home / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("url", "expected"), [("dsm://m.example:4120/", ("m.example", 4120)), ("dsm://m.example", ("m.example", 4120))]
)
def test_a_managers_address_is_read(url: str, expected: tuple[str, int]) -> None:
    assert parse_manager(url) == expected


def test_another_scheme_is_an_error() -> None:
    with pytest.raises(ValueError, match="dsm://"):
        parse_manager("https://m.example:4120")
