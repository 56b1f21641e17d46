"""The manager itself, its events, and whom it tells of them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field

from plimsoll.manager.api.shapes.base import Guid, OneOf, Seconds, Shape, VersionName, Who

Level = Annotated[str, OneOf("info", "warning", "error")]


class Database(Shape):
    """What is not known, or means nothing of a file, is left out."""

    engine: Annotated[str, OneOf("sqlite", "postgresql")]
    address: NotRequired[str]
    state: Annotated[str, OneOf("reachable", "unreachable")]
    problem: NotRequired[str]
    server: NotRequired[str]
    connection: NotRequired[Annotated[str, OneOf("encrypted", "local", "not encrypted")]]
    protection: NotRequired[str]
    cipher: NotRequired[str]
    sslmode: NotRequired[Annotated[str, Field(description="libpq's, as it counted")]]
    encryptionAsked: NotRequired[Annotated[bool, Field(description="nothing goes on in clear text")]]
    checked: NotRequired[Annotated[str, OneOf("nothing", "certificate", "certificate and name", "Kerberos")]]
    advice: NotRequired[str]
    warning: NotRequired[str]


class CheckedDatabase(Shape):
    """A database of another kind, as it answered. `blocks` is true of an SQL Server whose TLS ends below 1.2."""

    address: str
    engine: Annotated[str, OneOf("sqlserver", "oracle")]
    time: Seconds
    encrypted: bool
    accepted: list[VersionName]
    blocks: bool
    text: str


class DatabaseReport(Database):
    """The manager's own database, and those of other kinds that were checked."""

    checkedDatabases: list[CheckedDatabase]


class Counted(Shape):
    known: int
    online: int


class Status(Shape):
    """Facts of the process; of a stopped manager only those of its home."""

    version: str
    installation: str
    state: Annotated[str, OneOf("running", "stopped")]
    started: NotRequired[Seconds]
    generation: NotRequired[int]
    current: NotRequired[bool]
    ports: NotRequired[dict[str, int]]
    connections: NotRequired[dict[str, int]]
    computers: NotRequired[Counted]
    database: Database


class Node(Shape):
    """A manager of the installation. `generation` is that of the floors in force there, `current` whether it is the
    stored one, `works` what it alone does at present.
    """

    ID: str
    name: str
    address: str
    release: str
    guiPort: int
    heartbeatPort: int
    started: Seconds
    seen: Seconds
    generation: int
    state: Annotated[str, OneOf("running", "stopped", "gone")]
    current: bool
    own: bool
    works: list[str]
    text: str


class Nodes(Shape):
    nodes: list[Node]


class Certificate(Shape):
    """A certificate that 4119 shows. `own` ones were set by an administrator; `chain` counts what is sent."""

    own: bool
    subject: str
    issuer: str
    names: list[str]
    key: str
    notBefore: Seconds
    notAfter: Seconds
    fingerprint: str
    chain: int


class Certificates(Shape):
    certificates: list[Certificate]


class CertificateRequest(Shape):
    csr: Annotated[str, Field(description="PEM (PKCS #10); its key stays with the manager")]


class Event(Shape):
    ID: int
    time: Seconds
    number: Annotated[int, Field(description="what happened, as a number that does not change between releases")]
    name: str
    level: Level
    description: str
    computer: Guid | None
    target: str
    origin: str
    extra: dict[str, Any]


class Events(Shape):
    events: list[Event]


class Target(Shape):
    """A syslog receiver or webhook. `waiting` counts events after the last that arrived."""

    ID: int
    name: str
    kind: Annotated[str, OneOf("syslog", "webhook")]
    settings: dict[str, Any]
    level: Level
    numbers: list[int]
    active: bool
    created: Seconds
    who: Who
    delivered: Seconds | None
    failingSince: Seconds | None
    problem: str
    waiting: int


class NewTarget(Target):
    secret: NotRequired[Annotated[str, Field(description="signs what a webhook gets; in this answer and nowhere else")]]


class Targets(Shape):
    notifications: list[Target]


class Tried(Shape):
    result: str
