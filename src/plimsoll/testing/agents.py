"""One simulated agent, relay or appliance of any release: real TLS, real messages, little else.

It activates itself, brings heartbeats, carries out and acknowledges commands, and comes back with back-off. What it
keeps in its folder is an agent's home, so that a real agent of a newer release can take the identity over.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from plimsoll.messages import (
    ACTIVATE,
    HEARTBEAT,
    Ack,
    Activation,
    ActivationRequest,
    AgentEvent,
    Assignment,
    Command,
    Heartbeat,
    HeartbeatReply,
    Inventory,
    Kind,
    Policy,
    Problem,
    fingerprint,
)
from plimsoll.messages.token import ActivationToken
from plimsoll.net.identity import identity_of
from plimsoll.testing.caps import client_context, newest_version, oldest_version, speaks
from plimsoll.testing.certificates import certificate_request, key_pem, new_key, public_key_hash
from plimsoll.testing.home import PeerHome
from plimsoll.testing.http import Answer, HttpPipe
from plimsoll.testing.pipe import CERTIFICATE, REFUSED, TLS, Credentials, PeerError, TlsPipe
from plimsoll.testing.relay import SimulatedRelay
from plimsoll.testing.upgrading import Ending, SimulatedUpgrade
from plimsoll.tls.versions import Version

#: Its capability number (`messages`): it takes no CAs over, and is not upgraded.
UNDERSTANDS = 3
#: A peer that cannot reach its manager waits this long at first, and at most so many intervals.
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """What is simulated. `address` is its own in 127.0.0.0/8; `interval` overrides what the manager sets.

    With an `ending` it obeys orders to upgrade, and they end so. `relay_group` is where its activation puts it.
    `suites` is OpenSSL's cipher string of what it offers up to TLS 1.2, None for what its release does.
    """

    name: str
    version: str
    kind: Kind = Kind.AGENT
    address: str | None = None
    guards: tuple[str, ...] = ()
    relay_port: int = 4122
    listen_port: int = 4118
    interval: float | None = None
    keep_alive: bool = False
    events: bool = False
    newest: Version | None = None
    ending: Ending | None = None
    relay_group: str = ""
    suites: str | None = None

    @property
    def range(self) -> tuple[Version, Version]:
        """The oldest and the newest version that it speaks. `newest` overrides what its release can do."""
        newest = self.newest or newest_version(self.version)
        return min(oldest_version(self.version), newest), newest


@dataclass(slots=True)
class PeerLog:
    """What one peer saw. `refused_by` are the points' names; `latencies` are seconds of whole heartbeats."""

    activated: bool = False
    heartbeats: int = 0
    resumed: int = 0
    commands: int = 0
    acks_stored: int = 0
    events_stored: int = 0
    stored_event: int = 0
    refused: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    negotiated: Version | None = None
    last_success: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def failed(self, error: PeerError) -> None:
        self.failures[error.reason] = self.failures.get(error.reason, 0) + 1
        self.refused += error.reason == REFUSED
        self.last_error = str(error)


class Contexts:
    """The client contexts of a simulated fleet: one per range of versions and suites, shared by all who speak it."""

    def __init__(self, ca: Path) -> None:
        self._ca = ca
        self._cache: dict[tuple[Version, Version, str | None, bool], ssl.SSLContext] = {}

    def of(self, versions: tuple[Version, Version], *, known: bool, suites: str | None = None) -> ssl.SSLContext:
        """For that range. Who is not `known` yet gets a context that no peer ever put its certificate on."""
        key = (*versions, suites, known)
        if key not in self._cache:
            self._cache[key] = client_context(str(self._ca), oldest=versions[0], newest=versions[1], suites=suites)
        return self._cache[key]


def parse_manager(url: str) -> tuple[str, int]:
    """Host and port of ``dsm://host:port/``; the port may be left out."""
    if not url.startswith("dsm://"):
        raise ValueError(f"not a manager's address: {url!r}; expected dsm://host:port/")
    host, _, port = url[len("dsm://") :].rstrip("/").rpartition(":")
    return (host.strip("[]"), int(port)) if host else (port, 4120)


async def fetch_ca(host: str, port: int, token: ActivationToken, address: str | None = None) -> bytes:
    """The manager's CA in PEM, checked against the hash in the token; nothing secret has been said by then.

    It is asked for with TLS 1.2 or newer, which every floor of a manager admits, whatever the peer will speak.
    """
    pipe = await TlsPipe.open(host, port, client_context(None), local_address=address)
    try:
        # CPython 3.11 has the presented chain on the inner object only; 3.13 made it public under the same name.
        chain = pipe.tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # see the line above
    finally:
        await pipe.close()
    for certificate in reversed(chain or []):
        pem: str = certificate.public_bytes()
        parsed = x509.load_pem_x509_certificate(pem.encode())
        if public_key_hash(parsed) == token.ca_hash:
            return parsed.public_bytes(Encoding.PEM)
    raise PeerError(CERTIFICATE, "the manager does not show the CA that the token names; the token was not sent")


class SimulatedAgent:
    """One peer. `run` activates it where needed and brings heartbeats until it is cancelled."""

    def __init__(
        self,
        spec: PeerSpec,
        home: Path,
        manager: tuple[str, int],
        contexts: Contexts,
        *,
        seed: int = 0,
        gate: asyncio.Semaphore | None = None,
        on_heartbeat: Callable[[SimulatedAgent], None] | None = None,
    ) -> None:
        self.spec = spec
        self.home = PeerHome(home)
        self.log = PeerLog()
        self.policy: Policy | None = None
        self.relay: SimulatedRelay | None = None
        self.last_relay_floor: Version | None = None
        self._manager = manager
        self._contexts = contexts
        self._random = random.Random(f"{seed}/{spec.name}")
        # How many peers of one process may shake hands at once: beyond that they only wait for each other.
        self._gate = gate or asyncio.Semaphore(1000)
        self._on_heartbeat = on_heartbeat
        self._session: ssl.SSLSession | None = None
        self._http: HttpPipe | None = None
        self._acks: list[Ack] = []
        self._events: list[AgentEvent] = []
        self.first_event = self._event_sequence = int(time.time())
        self._sequence = 0
        self._say_inventory = True
        self._newest = spec.newest
        self._wake = asyncio.Event()
        self.upgrade = None if spec.ending is None else SimulatedUpgrade(self, spec.ending)
        self.next_seconds = 10.0

    @property
    def credentials(self) -> Credentials | None:
        return Credentials(self.home.cert, self.home.key) if self.home.activated else None

    def inventory(self) -> Inventory:
        """What this peer says of itself. A release before 10.0 says nothing of the versions it speaks."""
        old = self.spec.range[1] < Version.TLS1_2
        return Inventory(
            hostname=self.spec.name,
            version=self.spec.version,
            kind=self.spec.kind,
            platform="Simulated Linux",
            architecture="x86_64",
            tls_library="simulated OpenSSL 1.0" if old else ssl.OPENSSL_VERSION,
            speaks=[] if old else speaks(self.spec.version),
            boot_id=f"boot-{self.spec.name}",
            relay_port=self.spec.relay_port if self.spec.kind is Kind.RELAY else None,
            guards=list(self.spec.guards),
            upgradable=self.upgrade is not None,
            kept=[] if self.upgrade is None else self.upgrade.kept,
        )

    async def activate(self, token: str) -> None:
        """Asks for an identity and stores it as an agent's home. Raises PeerError where that fails."""
        key = new_key()
        request = ActivationRequest(
            capability=UNDERSTANDS,
            csr=certificate_request(key, self.spec.name),
            inventory=self.inventory(),
            token=token,
            assign=Assignment(relay_group=self.spec.relay_group) if self.spec.relay_group else None,
        )
        async with self._gate:
            http = await self._open(known=False)
            try:
                answer = await http.request("POST", ACTIVATE, msgspec.json.encode(request))
            finally:
                await http.pipe.close()
        _check(answer)
        activation = msgspec.json.decode(answer.body, type=Activation)
        self.home.save(activation, key_pem(key), self.spec, self._manager)
        self.policy = activation.policy
        self.log.activated = True
        if self.upgrade is not None:
            self.upgrade.hear(activation.software)

    async def heartbeat(self) -> HeartbeatReply:
        """One heartbeat: brings what is due, carries out what comes back. Raises PeerError where that fails."""
        if self.policy is None:
            self.policy = self.home.load_policy()
        message = self._message()
        async with self._gate:
            # Waiting for the other peers of this process is our own doing, and no latency of the manager's.
            started = time.monotonic()
            answer = await self._exchange(msgspec.json.encode(message))
            latency = time.monotonic() - started
        _check(answer)
        reply = msgspec.json.decode(answer.body, type=HeartbeatReply)
        self._take(message, reply)
        self.log.heartbeats += 1
        self.log.last_success = time.time()
        self.log.latencies.append(latency)
        if self._on_heartbeat is not None:
            self._on_heartbeat(self)
        return reply

    async def run(self, token: str | None = None) -> None:
        """Lives until it is cancelled: activation where there is no identity yet, then heartbeats with back-off."""
        wait = _FIRST_WAIT
        try:
            while True:
                try:
                    if not self.home.activated and token is not None:
                        await self.activate(token)
                    if self.spec.kind is Kind.RELAY and self.relay is None:
                        await self._listen()
                    await self.heartbeat()
                    if self.upgrade is not None:
                        await self.upgrade.go_on()
                except PeerError as error:
                    self.log.failed(error)
                    self._drop()
                    await asyncio.sleep(wait * self._random.uniform(0.75, 1.25))
                    wait = min(wait * 2, self.spec.interval or _LONGEST_WAIT, _LONGEST_WAIT)
                else:
                    wait = _FIRST_WAIT
                    await self._rest(self._pause())
        finally:
            await self.close()

    def wake(self) -> None:
        """The next heartbeat goes out at once."""
        self._wake.set()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def become(self, version: str, newest: Version | None = None) -> None:
        """Another release runs from now on, with a TLS library that speaks `newest` at most; it says who it is."""
        self._drop()
        self._session = None
        self.spec = replace(self.spec, version=version, newest=newest or self._newest)
        self._say_inventory = True

    def acknowledge(self, ack: Ack) -> None:
        """It is said with the next heartbeat, and with each one after until it is stored."""
        self._acks.append(ack)

    async def greet(self, newest: Version | None = None) -> None:
        """A handshake with the manager and nothing more. Raises PeerError where it is refused."""
        versions = self.spec.range if newest is None else (min(self.spec.range[0], newest), newest)
        async with self._gate:
            http = await self._open(known=True, versions=versions)
            await http.pipe.close()

    async def ask(self, host: str, port: int, role: str) -> HttpPipe:
        """A connection of this peer's own to a relay or manager of its installation. Raises PeerError."""
        pipe = await TlsPipe.open(
            host,
            port,
            self._contexts.of(self.spec.range, known=True),
            credentials=self.credentials,
            local_address=self.spec.address,
        )
        identity = identity_of(pipe.tls)
        if identity is None or identity.role != role:
            pipe.abort()
            raise PeerError(CERTIFICATE, f"whoever answers at {host}:{port} is no {role}; nothing was taken")
        return HttpPipe(pipe, host)

    @property
    def manager(self) -> tuple[str, int]:
        """Host and port of its manager."""
        return self._manager

    async def close(self) -> None:
        """Closes what is open, the connection to the manager and a relay's port, and stores what is not reported."""
        if self.upgrade is not None:
            await self.upgrade.close()
        if self.home.activated:
            self.home.save_spool(self._sequence, self._event_sequence, self._acks, self._events)
        if self._http is not None:
            await self._http.pipe.close()
            self._http = None
        if self.relay is not None:
            self.last_relay_floor = self.relay.floor
            await self.relay.stop()
            self.relay = None

    def note_event(self, number: int, text: str) -> None:
        """Puts an event of the host into the next heartbeat, and into each one after until it is stored."""
        self._event_sequence += 1
        self._events.append(AgentEvent(sequence=self._event_sequence, number=number, time=time.time(), text=text))

    async def _listen(self) -> None:
        self.relay = SimulatedRelay(self.home, self.spec.version, self.spec.address or "127.0.0.1")
        await self.relay.start(self.spec.relay_port)

    def _pause(self) -> float:
        interval = self.spec.interval if self.spec.interval is not None else self.next_seconds
        return max(0.05, interval * self._random.uniform(0.9, 1.1))

    def _message(self) -> Heartbeat:
        self._sequence = max(self._sequence + 1, int(time.time()))
        if self.spec.events:
            self.note_event(5000, f"event {self._event_sequence + 1} of {self.spec.name}")
        return Heartbeat(
            capability=UNDERSTANDS,
            sequence=self._sequence,
            time=time.time(),
            inventory=self.inventory() if self._say_inventory else None,
            policy_fingerprint=fingerprint(self.policy) if self.policy is not None else "",
            policy_generation=self.policy.generation if self.policy is not None else 0,
            acks=list(self._acks),
            events=list(self._events),
            relay=self.relay.report() if self.relay is not None else None,
            upgrade=None if self.upgrade is None else self.upgrade.report,
            software=None if self.upgrade is None else self.upgrade.holds,
        )

    async def _exchange(self, body: bytes) -> Answer:
        """The request over the connection that is still open, or over a new one."""
        if self._http is not None:
            try:
                return await self._ask(self._http, body)
            except PeerError:
                self._drop()  # an idle connection may be closed at any time: once more on a new one
        http = await self._open(known=True)
        try:
            answer = await self._ask(http, body)
        except BaseException:
            http.pipe.abort()
            raise
        if self.spec.keep_alive and not answer.closing:
            self._http = http
        else:
            await http.pipe.close()
        return answer

    async def _ask(self, http: HttpPipe, body: bytes) -> Answer:
        answer = await http.request("POST", HEARTBEAT, body)
        self._session = http.pipe.tls.session
        return answer

    async def _open(self, *, known: bool, versions: tuple[Version, Version] | None = None) -> HttpPipe:
        host, port = self._manager
        pipe = await TlsPipe.open(
            host,
            port,
            self._contexts.of(versions or self.spec.range, known=known, suites=self.spec.suites),
            credentials=self.credentials if known else None,
            local_address=self.spec.address,
            session=self._session if known and versions is None else None,
        )
        identity = identity_of(pipe.tls)
        if known and (identity is None or identity.role != "manager"):
            pipe.abort()
            raise PeerError(CERTIFICATE, "whoever answers there is no manager; nothing was sent")
        name = pipe.tls.version() or ""
        self.log.negotiated = next((v for v in Version if v.value == name), None)
        self.log.resumed += bool(pipe.tls.session_reused)
        return HttpPipe(pipe, host)

    def _drop(self) -> None:
        if self._http is not None:
            self._http.pipe.abort()
            self._http = None

    def _take(self, sent: Heartbeat, reply: HeartbeatReply) -> None:
        stored = set(reply.stored_acks)
        self.log.acks_stored += len(stored)
        self._acks = [ack for ack in self._acks if ack.command not in stored]
        kept = [event for event in self._events if event.sequence > reply.stored_event]
        self.log.events_stored += len(self._events) - len(kept)
        self._events = kept
        self.log.stored_event = max(self.log.stored_event, reply.stored_event)
        self._say_inventory = reply.send_inventory
        self.next_seconds = reply.next_seconds
        if self.upgrade is not None:
            self.upgrade.hear(reply.software)
            self.upgrade.replied({command.id for command in reply.commands}, sent.upgrade)
        known = {ack.command for ack in self._acks} | {ack.command for ack in sent.acks}
        for command in reply.commands:
            if command.id not in known:
                self._obey(command)

    def _obey(self, command: Command) -> None:
        if self.upgrade is not None and self.upgrade.command == command.id:
            return  # it is repeated until it is acknowledged
        self.log.commands += 1
        if command.kind == "apply-policy" and command.policy is not None:
            self.policy = command.policy
            self.home.save_policy(command.policy)
            if self.relay is not None:
                self.relay.apply(command.policy)
            self._acks.append(Ack(command=command.id, ok=True))
        elif command.kind == "upgrade" and command.upgrade is not None and self.upgrade is not None:
            self.upgrade.ordered(command.id, command.upgrade)
            return
        else:
            self._acks.append(Ack(command=command.id, ok=False, text=f"{command.kind} is not simulated"))
        self.next_seconds = 0.1


def _check(answer: Answer) -> None:
    if answer.status == 200:
        return
    try:
        text = msgspec.json.decode(answer.body, type=Problem).message
    except msgspec.MsgspecError:
        text = answer.body[:200].decode("utf-8", "replace")
    raise PeerError(f"http {answer.status}" if answer.status else TLS, text)
