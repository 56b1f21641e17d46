"""A stand-in for the manager's 4120: the real gate, just enough of the messages, and a record of what arrived."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography import x509

from plimsoll.messages import (
    ACTIVATE,
    CAPABILITY,
    Activation,
    ActivationRequest,
    Command,
    Heartbeat,
    HeartbeatReply,
    Kind,
    Policy,
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


@dataclass
class StandIn:
    """What a test looks at and what it sets: `commands` are handed out until they are acknowledged."""

    authority: TestAuthority
    board: FloorBoard
    port: int = 0
    activations: dict[str, ActivationRequest] = field(default_factory=dict)
    heartbeats: list[tuple[str, str, Heartbeat]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    commands: list[Command] = field(default_factory=list)
    status: int = 200
    next_seconds: float = 0.05
    close_after_answer: bool = False
    retry_after: int | None = None

    @property
    def token(self) -> str:
        return str(ActivationToken("1", "secret", self.authority.pin))

    def set_floor(self, floor: Version) -> None:
        self.board.publish(FloorSnapshot(self.board.snapshot.generation + 1, {Point.HEARTBEAT: floor}))

    def answer(self, request: Request) -> Response:
        self.addresses.add(request.connection.address)
        headers = {"connection": "close"} if self.close_after_answer else {}
        if self.status != 200:
            again = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
            return Response(self.status, b'{"message":"not now","reason":"busy"}', again)
        if request.path == ACTIVATE:
            return Response(body=self._activate(msgspec.json.decode(request.body, type=ActivationRequest)))
        message = msgspec.json.decode(request.body, type=Heartbeat)
        identity = request.connection.identity
        assert identity is not None
        self.heartbeats.append((identity.id, request.connection.version.value, message))
        acknowledged = [ack.command for ack in message.acks]
        self.commands = [command for command in self.commands if command.id not in acknowledged]
        reply = HeartbeatReply(
            capability=CAPABILITY,
            manager_time=0.0,
            next_seconds=self.next_seconds,
            commands=self.commands,
            stored_acks=acknowledged,
            stored_event=max((event.sequence for event in message.events), default=0),
        )
        return Response(body=msgspec.json.encode(reply), headers=headers)

    def _activate(self, request: ActivationRequest) -> bytes:
        name = request.inventory.hostname
        self.activations[name] = request
        csr = x509.load_pem_x509_csr(request.csr.encode())
        role = "relay" if request.inventory.kind is Kind.RELAY else "agent"
        # Only the public half is needed: the leaf is signed by the authority.
        leaf = self.authority.leaf(role, name, key=csr)  # type: ignore[arg-type]  # has public_key(), as a key has
        return msgspec.json.encode(
            Activation(
                capability=CAPABILITY,
                computer=name,
                installation=self.authority.installation,
                certificate=leaf.chain.decode(),
                ca=self.authority.pem.decode(),
                policy=Policy(name="Base", generation=1),
                manager_time=0.0,
            )
        )


@contextlib.asynccontextmanager
async def stand_in(folder: Path) -> AsyncIterator[StandIn]:
    """A stand-in that listens on a free port and admits TLS 1.0 and newer."""
    authority = TestAuthority()
    certificate, key = authority.leaf("manager", "m").write(folder, "manager")
    ca = folder / "manager-ca.pem"
    ca.write_bytes(authority.pem)
    board = FloorBoard(FloorSnapshot(1, {Point.HEARTBEAT: Version.TLS1_0}))
    made = StandIn(authority, board)
    gate = Gate(
        Point.HEARTBEAT,
        ServerContexts([ServerIdentity(str(certificate), str(key))], client_ca=str(ca)),
        board,
        SightingLog(),
        lambda connection: HttpProtocol(made.answer, connection),
    )
    await gate.start("127.0.0.1", 0)
    made.port = gate.port
    try:
        yield made
    finally:
        await gate.stop()
