"""Floors, rules and the snapshot that every gate decides from.

A **floor** is the lowest version that an enforcement **point** accepts. A rule moves the floor of one source or one
computer at one point, down (an exception, always with an end) or up (a canary). A snapshot is immutable: a new floor
is a new snapshot, in force for the next hello.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from plimsoll.tls.versions import Version

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Point(enum.Enum):
    """Where a floor is enforced (R5, R11)."""

    HEARTBEAT = "heartbeat"
    GUI = "gui"
    RELAY = "relay"
    AGENT = "agent"

    @property
    def default_port(self) -> int:
        """The reference's port for this point (R5)."""
        return DEFAULT_PORTS[self]


DEFAULT_PORTS: Mapping[Point, int] = {Point.AGENT: 4118, Point.GUI: 4119, Point.HEARTBEAT: 4120, Point.RELAY: 4122}


@dataclass(frozen=True, slots=True)
class Rule:
    """Another floor for one source network or one computer at one point.

    Exactly one of `source` and `computer` is set. `until` is seconds since the epoch; a rule that lowers must have
    one, so that no exception lasts for ever. A rule moves a floor one way: an exception only ever lowers it, one that
    `raises` (a canary) only ever raises it, whatever the point's floor comes to be.
    """

    point: Point
    floor: Version
    source: Network | None = None
    computer: str | None = None
    until: float | None = None
    reason: str = ""
    raises: bool = False

    def __post_init__(self) -> None:
        if (self.source is None) == (self.computer is None):
            raise ValueError("a rule names either a source network or a computer")

    def active(self, now: float) -> bool:
        return self.until is None or now < self.until

    def covers(self, address: str) -> bool:
        if self.source is None:
            return False
        ip = ipaddress.ip_address(address)
        return ip.version == self.source.version and ip in self.source


@dataclass(frozen=True, slots=True)
class FloorSnapshot:
    """The floors and rules in force, with the generation that every node reports.

    `known_addresses` maps an address to the computers last seen there: a computer's rule pre-admits those addresses,
    and after the handshake the certificate must match.
    """

    generation: int
    floors: Mapping[Point, Version]
    rules: tuple[Rule, ...] = ()
    known_addresses: Mapping[str, Collection[str]] = field(default_factory=dict)

    def floor(self, point: Point) -> Version:
        """The point's floor for whom no rule names. A point that is missing holds TLS 1.2 (R6)."""
        return self.floors.get(point, Version.TLS1_2)

    def admits_from(self, point: Point, address: str, now: float) -> Version:
        """The lowest version that a hello from this address may offer: nobody has a name yet.

        The lowest of the point's floor and every active rule that could apply. Rules that raise apply here only by
        source, since a computer's name is not known before its certificate.
        """
        floor = self.floor(point)
        if not self.rules:
            return floor
        computers = self.known_addresses.get(address, ())
        return self._with_rules(point, address, computers, now, floor, before_certificate=True)

    def floor_for(self, point: Point, address: str, computer: str | None, now: float) -> Version:
        """The floor for this source and computer, once the certificate (or its absence) is known."""
        floor = self.floor(point)
        if not self.rules:
            return floor
        computers = () if computer is None else (computer,)
        return self._with_rules(point, address, computers, now, floor, before_certificate=False)

    def _with_rules(
        self,
        point: Point,
        address: str,
        computers: Collection[str],
        now: float,
        floor: Version,
        before_certificate: bool,
    ) -> Version:
        lowered: Version | None = None
        raised: Version | None = None
        for rule in self.rules:
            if rule.point is not point or not rule.active(now):
                continue
            by_source = rule.covers(address)
            if not by_source and (rule.computer is None or rule.computer not in computers):
                continue
            if not rule.raises:
                if rule.floor < floor:
                    lowered = rule.floor if lowered is None else min(lowered, rule.floor)
            elif rule.floor > floor and (by_source or not before_certificate):
                raised = rule.floor if raised is None else max(raised, rule.floor)
        if lowered is not None:
            return lowered
        return floor if raised is None else raised

    def lowest(self, point: Point, now: float) -> Version:
        """The lowest version that any rule admits at the point: the minimum of its TLS context."""
        return min(
            [self.floor(point), *(rule.floor for rule in self.rules if rule.point is point and rule.active(now))]
        )
