"""Floors, rules and the snapshot that every gate decides from.

A **floor** is the lowest version that an enforcement **point** accepts. A rule moves the floor of one source or one
computer at one point, down (an exception, always with an end) or up (a canary). A snapshot is immutable: a new floor
is a new snapshot, in force for the next hello.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile
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


#: The IP version of a network, and how many bits of an address it leaves open.
_Length = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FloorSnapshot:
    """The floors and rules in force, with the generation that every node reports.

    `known_addresses` maps an address to the computers last seen there: a computer's rule pre-admits those addresses,
    and after the handshake the certificate must match. A `shadow` floor refuses nobody: it is counted who would be.
    `ciphers` are the cipher profiles that were set.
    """

    generation: int
    floors: Mapping[Point, Version]
    rules: tuple[Rule, ...] = ()
    known_addresses: Mapping[str, Collection[str]] = field(default_factory=dict)
    shadow: Mapping[Point, Version] = field(default_factory=dict)
    ciphers: Mapping[Point, CipherProfile] = field(default_factory=dict)
    #: The rules as a hello needs them: a canary may name thousands of computers, and every hello asks.
    _by_source: Mapping[Point, Mapping[_Length, Mapping[int, tuple[Rule, ...]]]] = field(
        init=False, repr=False, compare=False
    )
    _by_computer: Mapping[tuple[Point, str], tuple[Rule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_source: dict[Point, dict[_Length, dict[int, tuple[Rule, ...]]]] = {}
        by_computer: dict[tuple[Point, str], tuple[Rule, ...]] = {}
        for rule in self.rules:
            if rule.source is not None:
                length = rule.source.version, rule.source.max_prefixlen - rule.source.prefixlen
                same = by_source.setdefault(rule.point, {}).setdefault(length, {})
                number = int(rule.source.network_address) >> length[1]
                same[number] = (*same.get(number, ()), rule)
            elif rule.computer is not None:
                key = rule.point, rule.computer
                by_computer[key] = (*by_computer.get(key, ()), rule)
        object.__setattr__(self, "_by_source", by_source)
        object.__setattr__(self, "_by_computer", by_computer)

    def floor(self, point: Point) -> Version:
        """The point's floor for whom no rule names. A point that is missing holds TLS 1.2 (R6)."""
        return self.floors.get(point, Version.TLS1_2)

    def profile(self, point: Point) -> CipherProfile:
        """The suites that the point accepts at TLS 1.2; `intermediate` where none was set."""
        return self.ciphers.get(point, DEFAULT)

    def admits_from(self, point: Point, address: str, now: float) -> Version:
        """The lowest version that a hello from this address may offer: nobody has a name yet.

        The lowest of the point's floor and every active rule that could apply. Rules that raise apply here only by
        source, since a computer's name is not known before its certificate.
        """
        floor = self.floor(point)
        if not self.rules:
            return floor
        lowered, raised = _moves(self._sourced(point, address), now)
        for computer in self.known_addresses.get(address, ()):
            low, _ = _moves(self._by_computer.get((point, computer), ()), now)
            if low is not None and (lowered is None or low < lowered):
                lowered = low
        return _moved(floor, lowered, raised)

    def floor_for(self, point: Point, address: str, computer: str | None, now: float) -> Version:
        """The floor for this source and computer, once the certificate (or its absence) is known."""
        floor = self.floor(point)
        if not self.rules:
            return floor
        named = () if computer is None else self._by_computer.get((point, computer), ())
        lowered, raised = _moves((*self._sourced(point, address), *named), now)
        return _moved(floor, lowered, raised)

    def lowest(self, point: Point, now: float) -> Version:
        """The lowest version that any rule admits at the point: the minimum of its TLS context."""
        lowered = (rule.floor for rule in self.rules if rule.point is point and not rule.raises and rule.active(now))
        return min([self.floor(point), *lowered])

    def _sourced(self, point: Point, address: str) -> Collection[Rule]:
        lengths = self._by_source.get(point)
        if not lengths:
            return ()
        ip = ipaddress.ip_address(address)
        number = int(ip)
        found: list[Rule] = []
        for (version, rest), networks in lengths.items():
            if version == ip.version:
                found += networks.get(number >> rest, ())
        return found


def _moves(rules: Iterable[Rule], now: float) -> tuple[Version | None, Version | None]:
    """The lowest that exceptions admit, and the highest that canaries ask for."""
    lowered: Version | None = None
    raised: Version | None = None
    for rule in rules:
        if not rule.active(now):
            continue
        if rule.raises:
            raised = rule.floor if raised is None else max(raised, rule.floor)
        else:
            lowered = rule.floor if lowered is None else min(lowered, rule.floor)
    return lowered, raised


def _moved(floor: Version, lowered: Version | None, raised: Version | None) -> Version:
    """An exception wins over a canary, also one that waits for the floor to rise: it is not to be cut off before."""
    held = floor if raised is None else max(floor, raised)
    return held if lowered is None else min(held, lowered)
