"""The fleet as the judgement sees it: parts, programs, and what is known of each (R1).

All of it is plain data. A part is something of ours that an administrator can upgrade; a program is somebody else's
client of the manager's GUI port, which is listed as affected and never blocks (R12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from plimsoll.fleet.kinds import Observed
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import Version

PartKind = Literal["manager", "agent", "relay", "appliance", "database"]
Installation = Literal["new", "upgrade"]
Engine = Literal["sqlite", "postgresql", "sqlserver", "oracle"]

NO_POINTS: frozenset[Point] = frozenset()
HEARTBEAT_ONLY: frozenset[Point] = frozenset({Point.HEARTBEAT})


@dataclass(frozen=True, slots=True)
class RelayFloor:
    """What is known of a relay's own floor: sent, acknowledged, reported and observed are four statements (R17).

    `sent` is the floor in the policy last sent to it, None where none carried one. `kept` is what it held before an
    upgrade. `reported` is what it says of itself, `observed` what a handshake with its 4122 showed.
    """

    sent: Version | None = None
    sent_at: float | None = None
    acknowledged: bool = False
    kept: Version | None = None
    reported: Version | None = None
    reported_at: float | None = None
    observed: Version | None = None
    observed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """The manager's database connection (R4). `speaks` is the newest TLS version it supports, None where unknown.

    `ours` is False of one that was only checked: no connection of this manager leads there.
    """

    engine: Engine
    encrypted: bool = False
    speaks: Version | None = None
    ours: bool = True


# Not frozen, by intent: a frozen one takes three times as long to make, and one judgement makes 100,000.
# Nobody changes one.
@dataclass(slots=True)
class Part:
    """One part of the fleet.

    An appliance's `version` is that of its embedded agent (R3). `points` are those where the part meets a floor: an
    agent has HEARTBEAT where it calls the manager, AGENT where it listens on 4118, RELAY where it downloads from a
    relay; a relay has RELAY for its own 4122. `offered` is the newest version in its latest *authenticated* hello,
    `negotiated` what that handshake settled on; `refused` is the newest version of a refused hello that is attributed
    to it for certain, and later than that handshake. `exceptions` are the rules in force that name it.
    """

    id: str
    kind: PartKind
    name: str
    version: str | None = None
    address: str | None = None
    points: frozenset[Point] = HEARTBEAT_ONLY
    offered: Version | None = None
    negotiated: Version | None = None
    observed_at: float | None = None
    last_seen: float | None = None
    online: bool = False
    relay: RelayFloor | None = None
    suites_shared: bool | None = None
    refused: Version | None = None
    refused_at: float | None = None
    platform: str | None = None
    relay_group: str | None = None
    database: Database | None = None
    exceptions: tuple[Rule, ...] = ()
    #: Since when it is seen offering what it offers; None where nobody asked.
    since: float | None = None
    #: The fingerprint of that latest hello of its own.
    ja4: str = ""
    #: The computer's number, by which lists are made; 0 for what is no computer.
    number: int = 0

    @property
    def observed(self) -> Observed | None:
        """What was seen of it in a handshake of its own, or None."""
        if self.offered is None:
            return None
        return Observed(self.offered, self.negotiated, self.observed_at)

    @property
    def seen(self) -> bool:
        """Whether it ever showed itself here."""
        return self.last_seen is not None or self.observed_at is not None or self.offered is not None


@dataclass(frozen=True, slots=True)
class Program:
    """A third-party program: a browser, a REST or SOAP client, as it was sighted at a point."""

    id: str
    name: str
    address: str | None = None
    point: Point = Point.GUI
    offered: Version | None = None
    observed_at: float | None = None
    api_key: str | None = None
    user: str | None = None
    suites_shared: bool | None = None
    refused_at: float | None = None
    user_agent: str | None = None
    #: Since when it is seen offering that.
    since: float | None = None
    exceptions: tuple[Rule, ...] = ()
    ja4: str = ""

    @property
    def who(self) -> str:
        """The name to call it by: its API key or user where known, else its own name."""
        return self.api_key or self.user or self.name


@dataclass(frozen=True, slots=True)
class PolicyFloor:
    """A policy that sets floors of its own, so that a raise of the base policy does not reach who has it."""

    name: str
    relay: Version | None = None
    agent: Version | None = None
    relays: int = 0
    listeners: int = 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that a judgement looks at, as it was `at` that time.

    `installed_from` is the version that an upgrade started from, `policies` those with floors of their own.
    """

    parts: tuple[Part, ...] = ()
    programs: tuple[Program, ...] = ()
    installation: Installation = "new"
    installed_from: str | None = None
    policies: tuple[PolicyFloor, ...] = ()
    at: float | None = None

    @classmethod
    def of(
        cls, parts: Iterable[Part] = (), programs: Iterable[Program] = (), installation: Installation = "new"
    ) -> Fleet:
        return cls(tuple(parts), tuple(programs), installation)
