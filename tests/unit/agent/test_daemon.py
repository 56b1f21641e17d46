"""The agent at work, against a manager in the same process, over real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.process import free_ports
from tests.unit.agent.fake_manager import FakeManager, manager, running, until

from plimsoll import RELEASE
from plimsoll.agent import activation, authorities
from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import Home
from plimsoll.agent.main import status
from plimsoll.agent.session import CLOCK, HEARTBEAT_FAILED, NO_CONTACT, STARTED, STOPPED
from plimsoll.agent.threads import in_thread
from plimsoll.messages import WAKE, Ack, Command, Direction, FloorOrigin, Kind, Policy
from plimsoll.messages.token import ActivationToken
from plimsoll.net.client import Link
from plimsoll.net.contexts import ServerIdentity
from plimsoll.net.errors import PortTaken
from plimsoll.net.identity import certificate_fingerprints
from plimsoll.net.probe import probe
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.versions import Version

Scenario = Callable[[FakeManager], Awaitable[None]]


def play(folder: Path, scenario: Scenario) -> None:
    async def work() -> None:
        async with manager(folder) as fake:
            await scenario(fake)

    asyncio.run(work())


def free_port() -> int:
    return free_ports(1)[0]


async def accepts(port: int, version: Version) -> bool:
    answers = await in_thread(probe, "127.0.0.1", port, [version], 10.0)
    return bool(answers[version].accepted)


def test_activation_makes_a_home_and_the_first_heartbeat_tells_what_the_host_is(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate(name="agent", display_name="the web server", kind=Kind.APPLIANCE, guards=["vm-1"])
        assert (home.key.stat().st_mode & 0o777, home.path.stat().st_mode & 0o777) == (0o600, 0o700)
        async with running(home) as said:
            assert said == ["ready computer=7 kind=appliance heartbeat=ok"]
            beat = fake.heartbeats[0]
            assert beat.inventory is not None
            assert (beat.inventory.version, beat.inventory.display_name) == (RELEASE, "the web server")
            assert (beat.inventory.kind, beat.inventory.guards) == (Kind.APPLIANCE, ["vm-1"])
            assert Version.TLS1_2 in beat.inventory.speaks
            assert [event.number for event in beat.events] == [STARTED]
            await until(lambda: len(fake.heartbeats) > 3)
            assert fake.heartbeats[-1].inventory is None
            told = status(home.path)
            assert told["running"]
            assert told["heartbeat"]["reason"] is None
            assert told["heartbeat"]["negotiated"] == "TLSv1.3"
        assert not status(home.path)["running"]
        assert set(fake.clients[1:]) == {"7"}
        assert [event.number for event in home.load_spool().events] == [STOPPED]

    play(tmp_path, scenario)


def test_the_token_is_not_sent_to_a_manager_with_another_ca(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        stranger = str(ActivationToken("7", "secret", "A" * 43))
        with pytest.raises(AgentError, match="the token was not sent"):
            await in_thread(activation.activate, tmp_path / "agent", fake.url, stranger)
        assert fake.clients == []
        assert not Home(tmp_path / "agent").activated

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("https://m:4119/", "", "expected dsm://HOST:4120"),
        ("dsm://127.0.0.1:1/", "nonsense", "not an activation token"),
        ("dsm://127.0.0.1:1/", "pt1.7.wrong.hash", "refused"),
    ],
)
def test_activation_errors_are_in_words(tmp_path: Path, url: str, token: str, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        activation.activate(tmp_path / "agent", url, token)


def test_a_used_up_token_is_said_and_an_activated_home_is_left_alone(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        wrong = str(ActivationToken("7", "other", fake.authority.pin))
        with pytest.raises(AgentError, match="the token is used up"):
            await in_thread(activation.activate, tmp_path / "agent", fake.url, wrong)
        home = await fake.activate()
        before = home.key.read_bytes()
        with pytest.raises(AgentError, match="activated already, as computer 7"):
            await fake.activate()
        assert home.key.read_bytes() == before

    play(tmp_path, scenario)


@pytest.mark.rule("R14")
def test_send_policy_reaches_a_relay_and_a_handshake_shows_its_floor(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        port = free_port()
        home = await fake.activate(relay=True, relay_port=port, listen_address="127.0.0.1")
        fake.policy = Policy(name="base", generation=2, relay_floor=Version.TLS1_0)
        async with running(home) as said:
            assert said == [f"ready computer=7 kind=relay heartbeat=ok 4122={port} floor=TLSv1.2"]
            assert fake.heartbeats[0].relay is not None
            assert fake.heartbeats[0].relay.origin is FloorOrigin.VERSION_DEFAULT
            assert not await accepts(port, Version.TLS1_0)
            fake.commands.append(Command(id="c1", kind="apply-policy", policy=fake.policy))
            await until(lambda: not fake.commands)
            assert await accepts(port, Version.TLS1_0)
            report = fake.heartbeats[-1].relay
            assert report is not None
            assert (report.floor, report.origin, report.policy_generation) == (
                Version.TLS1_0,
                FloorOrigin.POLICY,
                2,
            )
        async with running(home):
            assert await accepts(port, Version.TLS1_0), "a restart keeps it"
        assert status(home.path)["relay"]["floor"] == "TLSv1"

    play(tmp_path, scenario)


@pytest.mark.rule("R7")
def test_a_relay_of_an_earlier_release_keeps_its_floor_under_this_one(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        port = free_port()
        home = await fake.activate(relay=True, relay_port=port, listen_address="127.0.0.1")
        state = home.load_state()
        state.software = "11.0.5"
        home.save_state(state)
        (home.path / "relay.json").unlink()
        async with running(home):
            assert await accepts(port, Version.TLS1_0)
            report = fake.heartbeats[-1].relay
            assert report is not None
            assert report.origin is FloorOrigin.KEPT
        assert home.load_state().software == RELEASE
        async with running(home):
            assert await accepts(port, Version.TLS1_0)

    play(tmp_path, scenario)


def test_the_policys_direction_opens_and_closes_4118_and_its_floor_is_live(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        port = free_port()
        home = await fake.activate(listen_port=port, listen_address="127.0.0.1")

        async def send(generation: int, direction: Direction, floor: Version) -> None:
            policy = Policy(name="p", generation=generation, direction=direction, agent_floor=floor)
            fake.commands.append(Command(id=f"c{generation}", kind="apply-policy", policy=policy))
            await until(lambda: not fake.commands)

        def listening() -> int | None:
            said = [beat.inventory for beat in fake.heartbeats if beat.inventory]
            return said[-1].listen_port

        async with running(home):
            assert listening() is None
            await send(2, Direction.BIDIRECTIONAL, Version.TLS1_0)
            await until(lambda: listening() == port)
            assert await accepts(port, Version.TLS1_0)
            await send(3, Direction.BIDIRECTIONAL, Version.TLS1_2)
            assert not await accepts(port, Version.TLS1_0)
            assert await accepts(port, Version.TLS1_2)
            await send(4, Direction.AGENT_INITIATED, Version.TLS1_2)
            await until(lambda: listening() is None)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    play(tmp_path, scenario)


def test_an_agent_that_becomes_manager_initiated_says_so_before_it_falls_silent(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        port = free_port()
        home = await fake.activate(listen_port=port, listen_address="127.0.0.1")
        policy = Policy(name="p", generation=2, direction=Direction.MANAGER_INITIATED)
        fake.commands.append(Command(id="c1", kind="apply-policy", policy=policy))
        async with running(home):
            await until(lambda: not fake.commands)
            inventory = fake.heartbeats[-1].inventory
            assert inventory is not None
            assert inventory.listen_port == port
            told = len(fake.heartbeats)
            await asyncio.sleep(10 * fake.next_seconds)
            assert len(fake.heartbeats) <= told + 1
        spool = home.load_spool()
        spool.acks.append(Ack(command="c2", ok=True))
        home.save_spool(spool)
        async with running(home) as said:
            assert "heartbeat=ok" in said[0], "a kill before the acknowledgement does not lose it"
        async with running(home) as said:
            assert "heartbeat=waits for visits" in said[0]

    play(tmp_path, scenario)


@pytest.mark.rule("G4")
def test_a_floor_above_ours_is_named_as_the_reason_and_contact_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.agent.session.BACKOFF_FIRST", 0.2)

    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        fake.refusals.clear()
        link_minimum(monkeypatch)
        fake.floor(Version.TLS1_3)
        async with running(home) as said:
            assert said[0].endswith("heartbeat=refused-by-floor")
            assert "because of TLS" in status(home.path)["heartbeat"]["message"]
            fake.floor(Version.TLS1_2)
            await until(lambda: fake.heartbeats)
            events = fake.heartbeats[0].events
            assert [event.number for event in events] == [STARTED, NO_CONTACT]
            assert "alert 70" in events[1].text
            await until(lambda: status(home.path)["heartbeat"]["reason"] is None)

    play(tmp_path, scenario)


def link_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's TLS library speaks no TLS 1.3 from now on."""
    import ssl

    from plimsoll.net import client, contexts

    def capped(**options: object) -> ssl.SSLContext:
        context = contexts.client_context(**options)  # type: ignore[arg-type]  # passed on as they come
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(client, "client_context", capped)


def test_a_refusal_is_shown_and_retry_after_obeyed(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        fake.refuse(503, "store", "the store is full", retry_after=0.3)
        fake.refuse(403, "revoked", "this computer was revoked; activate it again", retry_after=0.1)
        fake.clock_offset = 1000.0
        async with running(home) as said:
            assert said[0].endswith("heartbeat=store")
            await until(lambda: len(fake.heartbeats) > 1)
        numbers = [event.number for beat in fake.heartbeats for event in beat.events]
        assert numbers == [STARTED, HEARTBEAT_FAILED, HEARTBEAT_FAILED, CLOCK]
        assert "was revoked" in fake.heartbeats[0].events[2].text

    play(tmp_path, scenario)


def test_nothing_is_lost_while_the_manager_stores_nothing(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        fake.store = False
        fake.commands.append(
            Command(id="c1", kind="apply-policy", policy=Policy(name="p", generation=2, heartbeat_seconds=60))
        )
        async with running(home):
            await until(lambda: len([beat for beat in fake.heartbeats if beat.acks]) > 1)
        assert [ack.command for ack in home.load_spool().acks] == ["c1"]
        fake.store = True
        async with running(home):
            await until(lambda: not fake.commands)
        assert home.load_spool().acks == []
        policy = home.load_policy()
        assert policy is not None
        assert policy.generation == 2

    play(tmp_path, scenario)


def test_a_certificate_is_renewed_in_time_and_by_order_while_ports_stay_open(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        port = free_port()
        fake.days_left = 1
        home = await fake.activate(relay=True, relay_port=port, listen_address="127.0.0.1")
        state = home.load_state()
        state.not_after = state.not_before + 86400 + 3600  # one day and an hour, a day of it gone
        home.save_state(state)
        first = home.cert.read_text()
        fake.days_left = 89
        async with running(home):
            await until(lambda: home.cert.read_text() != first)
            second = home.cert.read_text()
            assert fake.renewals[0].proof == ""
            fake.commands.append(Command(id="r1", kind="renew-certificate"))
            await until(lambda: not fake.commands)
            third = home.cert.read_text()
            assert third != second
            served = x509.load_pem_x509_certificate((await in_thread(served_by, port)).encode())
            assert served == x509.load_pem_x509_certificate(third.encode())
        assert set(fake.clients[1:]) == {"7"}

    play(tmp_path, scenario)


def served_by(port: int) -> str:
    import ssl

    return ssl.get_server_certificate(("127.0.0.1", port))


def test_an_expired_agent_comes_back_by_the_proof_of_its_old_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.agent.session.BACKOFF_FIRST", 0.1)

    async def scenario(fake: FakeManager) -> None:
        fake.days_left = -1  # valid for an instant, a day ago
        home = await fake.activate()
        old = home.cert.read_text()
        fake.days_left = 89
        fake.clients.clear()
        fake.refuse(403, "approval", "an administrator has to approve this computer")
        async with running(home) as said:
            assert said[0].endswith("heartbeat=approval")
            assert "has to approve" in status(home.path)["heartbeat"]["message"]
            await until(lambda: fake.heartbeats)
        (renewal,) = fake.renewals
        assert renewal.old_certificate == old
        assert renewal.proof
        assert fake.clients[:2] == [None, None]
        assert fake.clients[2] == "7"

    play(tmp_path, scenario)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


@pytest.mark.parametrize("days_left", [89, -1], ids=["its own is good", "its own has ended too"])
def test_an_agent_that_slept_past_the_end_of_the_ca_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days_left: int
) -> None:
    monkeypatch.setattr("plimsoll.agent.session.BACKOFF_FIRST", 0.1)

    async def scenario(fake: FakeManager) -> None:
        fake.days_left = days_left
        home = await fake.activate(listen_port=free_port(), listen_address="127.0.0.1")
        home.save_policy(Policy(name="p", generation=2, direction=Direction.BIDIRECTIONAL))
        fake.days_left = 89
        # What the manager shows is the renewed one.
        home.write("ca.pem", pem(fake.authority.again(-3650, -1)))
        fake.clients.clear()
        async with running(home) as said:
            assert "heartbeat=certificate-ended" in said[0]
            await until(lambda: fake.heartbeats)
            await until(lambda: 5321 in [event.number for beat in fake.heartbeats for event in beat.events])
            assert home.ca.read_bytes() == fake.authority.pem
            assert fake.heartbeats[-1].trusts == certificate_fingerprints(fake.authority.pem.decode())
            if days_left < 0:
                assert fake.renewals[0].proof, "and then by its old key"
                assert fake.clients[:2] == [None, "7"]
            else:
                assert set(fake.clients) == {"7"}
            # A manager that calls it is believed again as well.
            link = Link("127.0.0.1", home.load_state().listen_port, ca=str(home.ca), expect_role="agent",
                        cert=str(tmp_path / "manager.pem"), key=str(tmp_path / "manager.key"))  # fmt: skip
            assert (await in_thread(link.request, "POST", WAKE)).status == 200
            link.close()

    play(tmp_path, scenario)


@pytest.mark.parametrize("what", ["another key", "it has ended too", "it is no CA"])
def test_nobody_in_the_middle_gains_from_a_ca_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("plimsoll.agent.session.BACKOFF_FIRST", 0.1)

    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate()
        ended = pem(fake.authority.again(-3650, -1))
        leaf = (tmp_path / "manager.pem").read_bytes().replace(fake.authority.pem, b"")
        behind = {
            "another key": TestAuthority().pem,
            "it has ended too": pem(fake.authority.again(-3650, -0.5)),
            "it is no CA": pem(fake.authority.again(-1, 3650, ca=False)),
        }[what]
        (tmp_path / "manager.pem").write_bytes(leaf + behind)
        fake.gate.contexts.reload([ServerIdentity(str(tmp_path / "manager.pem"), str(tmp_path / "manager.key"))])
        home.write("ca.pem", ended)
        fake.clients.clear()
        attempts = len(looked)
        async with running(home) as said:
            assert "heartbeat=certificate-ended" in said[0]
            await until(lambda: len(looked) - attempts > 2)
            assert status(home.path)["heartbeat"]["reason"] == "certificate-ended"
        assert home.ca.read_bytes() == ended
        assert fake.clients == [], "nothing was said to it"

    looked: list[object] = []
    follow = authorities.follow

    def counted(*arguments: Any) -> None:
        looked.append(arguments)
        follow(*arguments)

    monkeypatch.setattr("plimsoll.agent.authorities.follow", counted)
    play(tmp_path, scenario)


def test_a_relay_whose_port_is_taken_does_not_say_ready(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        home = await fake.activate(relay=True, relay_port=fake.gate.port, listen_address="127.0.0.1")
        with pytest.raises(PortTaken, match=f"port {fake.gate.port}"):
            async with running(home):
                pass

    play(tmp_path, scenario)
