"""A manager for the agent's tests: a real gate on a free port, a real CA, and answers that a test chooses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from cryptography import x509

from plimsoll.agent import activation
from plimsoll.agent.daemon import Daemon
from plimsoll.agent.home import Home
from plimsoll.agent.threads import in_thread
from plimsoll.messages import (
    ACTIVATE,
    CAPABILITY,
    HEARTBEAT,
    RENEW,
    Activation,
    ActivationRequest,
    Command,
    Heartbeat,
    HeartbeatReply,
    Message,
    Policy,
    Problem,
    Renewal,
    RenewalRequest,
)
from plimsoll.messages.token import ActivationToken
from plimsoll.net.board import FloorBoard
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.gate import Gate
from plimsoll.net.http import HttpProtocol, Request, Response
from plimsoll.net.sightings import SightingLog
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import Version

T = TypeVar("T")


class FakeManager:
    """Signs what it is asked to, keeps what it was told, and says what `script` holds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = TestAuthority()
        self.policy = Policy(name="base", generation=1)
        self.commands: list[Command] = []
        self.heartbeats: list[Heartbeat] = []
        self.activations: list[ActivationRequest] = []
        self.clients: list[str | None] = []
        self.renewals: list[RenewalRequest] = []
        self.refusals: deque[Response] = deque()
        self.next_seconds = 0.05
        self.store = True
        self.days_left = 89
        self.clock_offset = 0.0
        (folder / "ca.pem").write_bytes(self.authority.pem)
        cert, key = self.authority.leaf("manager", "1").write(folder, "manager")
        contexts = ServerContexts([ServerIdentity(str(cert), str(key))], client_ca=str(folder / "ca.pem"))
        self.board = FloorBoard(FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_2}))
        self.gate = Gate(Point.HEARTBEAT, contexts, self.board, SightingLog(), lambda c: HttpProtocol(self.answer, c))

    @property
    def url(self) -> str:
        return f"dsm://127.0.0.1:{self.gate.port}/"

    @property
    def token(self) -> str:
        return str(ActivationToken("7", "secret", self.authority.pin))

    def floor(self, version: Version) -> None:
        self.board.publish(FloorSnapshot(self.board.snapshot.generation + 1, {Point.HEARTBEAT: version}))

    def refuse(self, status: int, reason: str, message: str = "no", retry_after: float | None = None) -> None:
        """The next request gets this answer."""
        problem = Problem(message=message, reason=reason, retry_after=retry_after)
        self.refusals.append(Response(status=status, body=msgspec.json.encode(problem)))

    def answer(self, request: Request) -> Response:
        self.clients.append(request.connection.identity.id if request.connection.identity else None)
        if self.refusals:
            return self.refusals.popleft()
        if request.path == ACTIVATE:
            return self._activate(msgspec.json.decode(request.body, type=ActivationRequest))
        if request.path == RENEW:
            asked = msgspec.json.decode(request.body, type=RenewalRequest)
            self.renewals.append(asked)
            return _said(Renewal(certificate=self.sign(asked.csr, "7"), ca=self.authority.pem.decode()))
        assert request.path == HEARTBEAT
        return _said(self.digest(msgspec.json.decode(request.body, type=Heartbeat)))

    def digest(self, beat: Heartbeat) -> HeartbeatReply:
        self.heartbeats.append(beat)
        acked = {ack.command for ack in beat.acks} if self.store else set()
        self.commands = [command for command in self.commands if command.id not in acked]
        return HeartbeatReply(
            capability=CAPABILITY,
            manager_time=time.time() + self.clock_offset,
            next_seconds=self.next_seconds,
            commands=list(self.commands),
            stored_acks=sorted(acked),
            stored_event=beat.events[-1].sequence if beat.events and self.store else 0,
        )

    def sign(self, csr: str, computer: str, role: str = "agent") -> str:
        # A request has a public key as a private key has; the authority needs no more.
        key = cast(Any, x509.load_pem_x509_csr(csr.encode()))
        leaf = self.authority.leaf(role, computer, key=key, age_days=1, valid_days=self.days_left + 1)
        return leaf.chain.decode()

    def _activate(self, asked: ActivationRequest) -> Response:
        if asked.token != self.token:
            return Response(status=403, body=msgspec.json.encode(Problem(message="the token is used up")))
        self.heartbeats.clear()
        self.activations.append(asked)
        made = Activation(
            capability=CAPABILITY,
            computer="7",
            installation=self.authority.installation,
            certificate=self.sign(asked.csr, "7", asked.inventory.kind.value.replace("appliance", "agent")),
            ca=self.authority.pem.decode(),
            policy=self.policy,
            manager_time=time.time(),
        )
        return _said(made)

    async def activate(self, name: str = "agent", **options: Any) -> Home:
        """An activated home."""
        path = self.folder / name
        await in_thread(lambda: activation.activate(path, self.url, self.token, **options))
        return Home(path)


def _said(message: Message) -> Response:
    return Response(body=msgspec.json.encode(message))


@asynccontextmanager
async def manager(folder: Path) -> AsyncIterator[FakeManager]:
    """A fake manager that listens."""
    made = FakeManager(folder)
    await made.gate.start("127.0.0.1", 0)
    try:
        yield made
    finally:
        await made.gate.stop()


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[list[str]]:
    """An agent at work after its first attempt; yields the lines that it said."""
    said: list[str] = []
    with home.lock():
        daemon = Daemon(home, said.append)
        task = asyncio.create_task(daemon.run())
        try:
            await until(lambda: said or task.done())
            if not task.done():
                yield said
        finally:
            daemon.stop()
            await task


async def until(check: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true value of `check`."""
    async with asyncio.timeout(seconds):
        while not (value := check()):
            await asyncio.sleep(0.01)
    return value
