"""Stand-ins around the heartbeat door: services that keep what they are given, connections without sockets."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, cast

from plimsoll.manager.ports import Forbidden, Unavailable
from plimsoll.manager.services.computers import Intake, IntakeResult, RegistryEntry
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import (
    CAPABILITY,
    Activation,
    ActivationRequest,
    Command,
    Kind,
    Policy,
    Renewal,
    RenewalRequest,
    fingerprint,
)
from plimsoll.net.gate import Connection
from plimsoll.net.identity import Identity
from plimsoll.tls.hello import ClientHello, encode_client_hello, peek_client_hello
from plimsoll.tls.versions import Version

INSTALLATION = "aaaa"


def hello(newest: Version = Version.TLS1_2, suites: tuple[int, ...] = (0xC02F, 0x002F)) -> ClientHello:
    """A hello of that version; other suites make another fingerprint."""
    wire = min(newest, Version.TLS1_2).wire
    found = peek_client_hello(encode_client_hello(legacy_version=wire, cipher_suites=suites))
    assert isinstance(found, ClientHello)
    return found


class Alone:
    """The nodes of an embedded store: this one does everything."""

    shared = False

    def holds(self, work: str) -> bool:
        return True


@dataclass
class FakeConnection:
    """What the door reads of a connection."""

    identity: Identity | None = None
    address: str = "127.0.0.9"
    version: Version = Version.TLS1_2
    hello: ClientHello = field(default_factory=hello)
    opened: float = 1.0
    who: str | None = None
    user_agent: str = ""
    suite: str = ""
    certificate_ends: float | None = None

    def real(self) -> Connection:
        return cast(Connection, self)


def policy(**changes: Any) -> Policy:
    return Policy(**{"name": "Base", "generation": 1, **changes})


def entry(name: str, **changes: Any) -> RegistryEntry:
    held = changes.pop("policy", None) or policy()
    made = RegistryEntry(
        id=name,
        kind=Kind.AGENT,
        hostname=f"host-{name}",
        version="12.0.0",
        state="active",
        fingerprints=(f"print-{name}",),
        policy=held,
        policy_fingerprint=fingerprint(held),
        acked_fingerprint=fingerprint(held),
        commands=(),
        address="",
        ja4="",
        last_seen=None,
        online=False,
        last_sequence=0,
        last_event_sequence=0,
        listen_port=None,
        relay_port=None,
        has_inventory=True,
        capability=CAPABILITY,
    )
    return replace(made, **changes)


def identity(name: str, role: str = "agent", installation: str = INSTALLATION) -> Identity:
    return Identity(installation, role, name, f"print-{name}")


class FakeEvents:
    def __init__(self) -> None:
        self.told: list[NewEvent] = []

    def record_later(self, events: list[NewEvent]) -> None:
        self.told.extend(events)

    @property
    def numbers(self) -> list[int]:
        return [event.number for event in self.told]


class FakeComputers:
    """Commits at once, unless `held` or `down`."""

    def __init__(self) -> None:
        self.intakes: list[Intake] = []
        self.entries: dict[str, RegistryEntry] = {}
        self.unknown: list[str] = []
        self.down = False
        self.hold = False
        self.waiting: list[tuple[Intake, Future[IntakeResult]]] = []

    def take_in(self, intake: Intake) -> Future[IntakeResult]:
        future: Future[IntakeResult] = Future()
        if self.down:
            future.set_exception(Unavailable("the store is full; nothing was kept", 7.0))
        elif self.hold:
            self.waiting.append((intake, future))
        else:
            self.commit(intake, future)
        return future

    def commit(self, intake: Intake, future: Future[IntakeResult]) -> None:
        self.intakes.append(intake)
        acks = tuple(ack.command for ack in intake.acks)
        last = max((event.sequence for event in intake.events), default=0)
        future.set_result(IntakeResult(acks, last, self.entries.get(intake.computer)))

    def entry(self, computer: str) -> RegistryEntry | None:
        return self.entries.get(computer)

    def note_unknown(
        self, computer: str, kind: Kind, print_: str, address: str, expires: float | None = None
    ) -> RegistryEntry:
        self.unknown.append(computer)
        if expires is not None:  # it got it after a backup
            return entry(computer, kind=kind, fingerprints=(print_,))
        return entry(computer, kind=kind, state="approval", fingerprints=(print_,))


class FakeActivation:
    def __init__(self) -> None:
        self.known_as: list[str | None] = []
        self.renewed: list[str | None] = []

    def activate(self, request: ActivationRequest, address: str, via: str, known_as: str | None = None) -> Activation:
        self.known_as.append(known_as)
        if request.token != "good":
            raise Forbidden("this token is used up; nothing was changed. Ask for another")
        return Activation(
            capability=CAPABILITY,
            computer="new",
            installation=INSTALLATION,
            certificate="cert",
            ca="ca",
            policy=policy(),
            manager_time=1.0,
        )

    def renew(self, request: RenewalRequest, address: str, computer: str | None = None) -> Renewal:
        self.renewed.append(computer)
        return Renewal(certificate="cert", ca="ca")


class FakeServices:
    def __init__(self) -> None:
        self.events = FakeEvents()
        self.computers = FakeComputers()
        self.activation = FakeActivation()
        self.nodes = Alone()


def command(name: str, generation: int = 2) -> Command:
    return Command(id=name, kind="apply-policy", policy=policy(generation=generation))
