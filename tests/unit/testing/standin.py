"""A stand-in for the manager's 4120: real TLS, just enough of the messages, and a record of what arrived."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
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
    Policy,
)
from plimsoll.messages.token import ActivationToken
from plimsoll.testing.certificates import TestAuthority

VERSIONS = {"TLSv1": ssl.TLSVersion.TLSv1, "TLSv1.2": ssl.TLSVersion.TLSv1_2}


@dataclass
class StandIn:
    """What a test looks at and what it sets: `commands` are handed out until they are acknowledged."""

    authority: TestAuthority
    context: ssl.SSLContext
    port: int = 0
    activations: dict[str, ActivationRequest] = field(default_factory=dict)
    heartbeats: list[tuple[str, str, Heartbeat]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    commands: list[Command] = field(default_factory=list)
    status: int = 200
    next_seconds: float = 0.05
    close_after_answer: bool = False

    @property
    def token(self) -> str:
        return str(ActivationToken("1", "secret", self.authority.pin))

    def set_floor(self, name: str) -> None:
        self.context.minimum_version = VERSIONS[name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length:"))
                body = await reader.readexactly(length)
                tls = writer.get_extra_info("ssl_object")
                answer = self._answer(head.split(" ")[1], body, tls, writer.get_extra_info("peername")[0])
                head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
                if self.close_after_answer:
                    break
        writer.close()

    def _answer(self, path: str, body: bytes, tls: ssl.SSLObject, address: str) -> bytes:
        self.addresses.add(address)
        if self.status != 200:
            return b'{"message":"not now"}'
        if path == ACTIVATE:
            return self._activate(msgspec.json.decode(body, type=ActivationRequest))
        message = msgspec.json.decode(body, type=Heartbeat)
        certificate = tls.getpeercert() or {}
        names = certificate["subjectAltName"]
        self.heartbeats.append((str(names[0][1]), str(tls.version()), message))
        acknowledged = [ack.command for ack in message.acks]
        self.commands = [command for command in self.commands if command.id not in acknowledged]
        return msgspec.json.encode(
            HeartbeatReply(
                capability=CAPABILITY,
                manager_time=0.0,
                next_seconds=self.next_seconds,
                commands=self.commands,
                stored_acks=acknowledged,
                stored_event=max((event.sequence for event in message.events), default=0),
            )
        )

    def _activate(self, request: ActivationRequest) -> bytes:
        name = request.inventory.hostname
        self.activations[name] = request
        csr = x509.load_pem_x509_csr(request.csr.encode())
        # Only the public half is needed: the leaf is signed by the authority.
        leaf = self.authority.leaf("agent", name, key=csr)  # type: ignore[arg-type]  # has public_key(), as a key has
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
    (folder / "manager-ca.pem").write_bytes(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(folder / "manager-ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    made = StandIn(authority, context)
    made.set_floor("TLSv1")
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)  # connections that the peers just closed are noticed before the loop ends
