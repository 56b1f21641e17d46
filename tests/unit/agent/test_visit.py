"""4118: whom an agent obeys, and how a waiting one is activated by a manager's visit."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.agent.fake_manager import FakeManager, running, until
from tests.unit.agent.test_daemon import free_port, play

from plimsoll.agent import activation
from plimsoll.agent.activation import Activated
from plimsoll.agent.errors import AgentError
from plimsoll.agent.home import Home
from plimsoll.agent.threads import in_thread
from plimsoll.messages import (
    CAPABILITY,
    VISIT_BEGIN,
    VISIT_FINISH,
    VISIT_HEARTBEAT,
    VISIT_REPLY,
    WAKE,
    Activation,
    Command,
    Direction,
    Heartbeat,
    Message,
    Policy,
    Problem,
    VisitBegin,
    VisitOffer,
)
from plimsoll.messages.visit import new_visit_code, proves_visit, visit_proof
from plimsoll.net.contexts import client_context
from plimsoll.tls.versions import Version

VISITED = Policy(name="visited", generation=4, direction=Direction.MANAGER_INITIATED)


class Visitor:
    """A caller of 4118 with the certificate of some role."""

    def __init__(self, fake: FakeManager, port: int, role: str | None = "manager", installation: str | None = None):
        self.fake = fake
        self.port = port
        self.cert: str | None = None
        self.key: str | None = None
        if role is not None:
            leaf = fake.authority.leaf(role, "1", installation=installation)
            self.cert, self.key = map(str, leaf.write(fake.folder, f"visiting-{role}-{installation}"))

    def call(self, method: str, path: str, message: Message | None, ca: str | None) -> tuple[int, bytes, bytes]:
        context = client_context(ca=ca, cert=self.cert, key=self.key)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)
        try:
            connection.request(method, path, msgspec.json.encode(message) if message else None)
            answer = connection.getresponse()
            sock: Any = connection.sock
            shown = sock.getpeercert(True) if sock is not None else b""
            return answer.status, answer.read(), shown
        finally:
            connection.close()

    async def ask(self, method: str, path: str, message: Message | None = None) -> tuple[int, bytes]:
        return (await in_thread(self.call, method, path, message, str(self.fake.folder / "ca.pem")))[:2]

    async def first(self, path: str, message: Message | None) -> tuple[int, bytes, bytes]:
        """Before activation there is nothing to verify the agent with."""
        return await in_thread(self.call, "POST", path, message, None)

    async def activate(self, code: str | None, computer: str = "9") -> tuple[int, str]:
        """A whole visit, as a manager makes it; returns the last status and message."""
        ca = self.fake.authority.pem.decode()
        _, _, agent = await self.first("/", None)
        authority = ssl.PEM_cert_to_DER_cert(ca)
        begin = VisitBegin(capability=CAPABILITY, installation=self.fake.authority.installation, ca=ca)
        if code is not None:
            begin.proof = visit_proof(code, agent, authority, "manager")
        status, body, shown = await self.first(VISIT_BEGIN, begin)
        assert shown == agent
        if status != 200:
            return status, msgspec.json.decode(body, type=Problem).message
        offer = msgspec.json.decode(body, type=VisitOffer)
        if code is not None:
            assert proves_visit(offer.proof, code, agent, authority, "agent")
        done = Activation(
            capability=CAPABILITY,
            computer=computer,
            installation=self.fake.authority.installation,
            certificate=self.fake.sign(offer.csr, "9"),
            ca=ca,
            policy=VISITED,
            manager_time=time.time(),
        )
        status, body, _ = await self.first(VISIT_FINISH, done)
        return status, "" if status == 200 else msgspec.json.decode(body, type=Problem).message


class Waiting:
    """An agent that waits for a visit, in a thread as its process would be."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.port = free_port()
        self.home = Home(folder / "waiting")
        self.said: list[str] = []
        self._options = options
        self.task = asyncio.create_task(in_thread(self._wait))

    def _wait(self) -> Activated:
        return activation.activate_by_manager(
            self.home.path,
            self.port,
            announce=self.said.append,
            listen_address="127.0.0.1",
            **{"timeout": 30.0, **self._options},
        )

    async def ready(self) -> None:
        await until(lambda: self.task.done() or any(line.startswith("ready") for line in self.said))


@pytest.mark.parametrize("by", ["code", "key hash", "fingerprint"])
def test_a_waiting_agent_is_activated_by_a_visit_and_then_visited(tmp_path: Path, by: str) -> None:
    async def scenario(fake: FakeManager) -> None:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(fake.authority.pem.decode())).hexdigest()
        pin = {"code": None, "key hash": fake.authority.pin, "fingerprint": _with_colons(digest)}[by]
        waiting = Waiting(tmp_path, manager_fingerprint=pin)
        await waiting.ready()
        code = waiting.said[0].removeprefix("one-time code: ") if by == "code" else None
        visitor = Visitor(fake, waiting.port)
        assert await visitor.activate(code) == (200, "")
        assert (await waiting.task).computer == "9"
        assert not list(waiting.home.path.glob("bootstrap*"))
        async with running(waiting.home) as said:
            assert said == [f"ready computer=9 kind=agent heartbeat=waits for visits 4118={waiting.port}"]
            await visits_carry_policies(visitor, waiting.home)

    play(tmp_path, scenario)


async def visits_carry_policies(visitor: Visitor, home: Home) -> None:
    new = Policy(name="new", generation=5, direction=Direction.MANAGER_INITIATED, agent_floor=Version.TLS1_3)
    beat = await fetch(visitor)
    assert beat.inventory is not None
    assert beat.inventory.listen_port == visitor.port
    visitor.fake.commands.append(Command(id="c1", kind="apply-policy", policy=new))
    assert (await visitor.ask("POST", VISIT_REPLY, visitor.fake.digest(beat)))[0] == 200
    assert home.load_policy() == new
    beat = await fetch(visitor)
    assert [ack.command for ack in beat.acks] == ["c1"]
    assert (await visitor.ask("POST", VISIT_REPLY, visitor.fake.digest(beat)))[0] == 200
    assert (await fetch(visitor)).acks == []


async def fetch(visitor: Visitor) -> Heartbeat:
    status, body = await visitor.ask("GET", VISIT_HEARTBEAT)
    assert status == 200
    return msgspec.json.decode(body, type=Heartbeat)


def _with_colons(digest: str) -> str:
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2)).upper()


def test_visitors_without_the_code_or_with_another_ca_are_refused_and_the_right_one_still_comes(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        code = new_visit_code()
        waiting = Waiting(tmp_path, code=code)
        await waiting.ready()
        assert waiting.said == [f"ready waits for its manager on port {waiting.port}"]
        visitor = Visitor(fake, waiting.port)
        assert await visitor.activate(new_visit_code()) == (
            403,
            "the one-time code is not the one that this agent printed",
        )
        assert (await visitor.activate(None))[0] == 403
        assert (await visitor.first(VISIT_FINISH, VISITED))[0] == 400
        assert (await visitor.first(WAKE, None))[0] == 403
        status, message = await visitor.activate(code, computer="8")
        assert status == 400
        assert "for somebody else" in message
        assert not waiting.home.activated
        assert (await visitor.activate(code))[0] == 200
        await waiting.task
        assert waiting.home.load_state().managers == []

    play(tmp_path, scenario)


def test_a_fingerprint_of_another_manager_refuses_the_visit(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        waiting = Waiting(tmp_path, manager_fingerprint="A" * 43, timeout=3.0)
        await waiting.ready()
        assert (await Visitor(fake, waiting.port).activate(None))[0] == 403
        with pytest.raises(AgentError, match="no manager activated this computer within 3 s"):
            await waiting.task

    play(tmp_path, scenario)


def test_wrong_codes_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plimsoll.agent.visit.MAX_WRONG", 2)

    async def scenario(fake: FakeManager) -> None:
        code = new_visit_code()
        waiting = Waiting(tmp_path, code=code, timeout=3.0)
        await waiting.ready()
        visitor = Visitor(fake, waiting.port)
        for _ in range(2):
            await visitor.activate(new_visit_code())
        assert "too many wrong codes" in (await visitor.activate(code))[1]
        with pytest.raises(AgentError):
            await waiting.task

    play(tmp_path, scenario)


def test_a_code_that_is_none_is_said_before_anything_opens(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="not a one-time code"):
        activation.activate_by_manager(tmp_path / "home", free_port(), code="1234")


def test_4118_obeys_managers_of_its_own_installation_only(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        fake.policy = Policy(name="both", generation=1, direction=Direction.BIDIRECTIONAL)
        fake.next_seconds = 600.0
        port = free_port()
        home = await fake.activate(listen_port=port, listen_address="127.0.0.1")
        async with running(home):
            strangers = [Visitor(fake, port, role) for role in (None, "agent", "relay")]
            strangers.append(Visitor(fake, port, "manager", installation="other"))
            for stranger in strangers:
                for method, path in [("GET", VISIT_HEARTBEAT), ("POST", WAKE), ("POST", VISIT_BEGIN)]:
                    assert (await stranger.ask(method, path))[0] == 403
            obeyed = Visitor(fake, port)
            assert (await obeyed.ask("GET", "/elsewhere"))[0] == 404
            assert (await obeyed.ask("POST", VISIT_REPLY, VISITED))[0] == 400
            before = len(fake.heartbeats)
            assert (await obeyed.ask("POST", WAKE))[0] == 200
            await until(lambda: len(fake.heartbeats) > before)

    play(tmp_path, scenario)


def test_a_visit_can_renew_the_certificate_of_an_agent_that_cannot_call(tmp_path: Path) -> None:
    async def scenario(fake: FakeManager) -> None:
        waiting = Waiting(tmp_path, manager_fingerprint=fake.authority.pin)
        await waiting.ready()
        visitor = Visitor(fake, waiting.port)
        await visitor.activate(None)
        await waiting.task
        ca = fake.authority.pem.decode()
        async with running(waiting.home):
            old = waiting.home.cert.read_text()
            begin = VisitBegin(capability=CAPABILITY, installation=fake.authority.installation, ca=ca)
            status, body = await visitor.ask("POST", VISIT_BEGIN, begin)
            assert status == 200
            offer = msgspec.json.decode(body, type=VisitOffer)
            renewed = Activation(
                capability=CAPABILITY,
                computer="9",
                installation=fake.authority.installation,
                certificate=fake.sign(offer.csr, "9"),
                ca=ca,
                policy=VISITED,
                manager_time=time.time(),
            )
            assert (await visitor.ask("POST", VISIT_FINISH, renewed))[0] == 200
            assert waiting.home.cert.read_text() == renewed.certificate != old
            shown = (await in_thread(visitor.call, "POST", WAKE, None, str(waiting.home.ca)))[2]
            assert ssl.DER_cert_to_PEM_cert(shown).strip() in renewed.certificate
            assert (await visitor.ask("POST", VISIT_FINISH, renewed))[0] == 400

    play(tmp_path, scenario)
