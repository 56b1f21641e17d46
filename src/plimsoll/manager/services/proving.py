"""What handshakes show at every point of the fleet, asked from outside by `scan` (R17, R18).

Rules of this file: whatever does not answer is *not proved*, never passed; what is required, what was sent and what a
handshake showed stay three different things.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import SYSTEM, ServiceError, internal
from plimsoll.manager.services import floor_state, policy_rules
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.exceptions import ExceptionView
from plimsoll.manager.services.nodes import GONE_SECONDS
from plimsoll.manager.store import Connection
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import nodes as node_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.messages import Kind
from plimsoll.scan.certificates import TrustStore
from plimsoll.scan.engine import scan_many
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import FULL, SWEEP, Options
from plimsoll.scan.profiles import floor_profile, judge
from plimsoll.scan.report import EndpointReport, Outcome, State, Target
from plimsoll.tls.cipher_profiles import DEFAULT, CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

PROVED, VIOLATED, NOT_PROVED = "proved", "violated", "not proved"
_WORDS = {Verdict.HOLDS: PROVED, Verdict.FAILS: VIOLATED, Verdict.NOT_PROVED: NOT_PROVED}
#: How long a source of ours counts as ours, in seconds: longer than any sweep of one fleet.
_REGISTERED = 600
_ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Place:
    """One port of the fleet, and the floor that it is asked to hold. `computer` is the id of whose it is.

    `profile` is the cipher profile that it is asked to keep to, None where a release decides that.
    """

    point: Point
    name: str
    address: str
    port: int
    asked: Version
    computer: str | None = None
    note: str = ""
    profile: CipherProfile | None = None


@dataclass(frozen=True, slots=True)
class Proved:
    """What handshakes showed of a place. `report` is None where there is no address to ask."""

    place: Place
    verdict: str
    reasons: tuple[str, ...]
    report: EndpointReport | None

    @property
    def accepted(self) -> tuple[Version, ...]:
        return self.report.accepted if self.report is not None else ()

    def as_json(self) -> dict[str, Any]:
        place, versions = self.place, {} if self.report is None else self.report.versions
        return {
            "point": place.point.value,
            "name": place.name,
            "computer": place.computer,
            "address": place.address,
            "port": place.port,
            "asked": place.asked.value,
            "ciphers": None if place.profile is None else place.profile.value,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "note": place.note,
            "accepted": [version.value for version in self.accepted],
            "versions": {
                version.value: {
                    "outcome": seen.outcome.value,
                    "evidence": list(seen.evidence),
                    "suites": [suite.name for suite in seen.suites],
                }
                for version, seen in sorted(versions.items())
            },
        }


def overall(found: Sequence[Proved]) -> str:
    """Proved where all are; violated where one is; else not proved."""
    verdicts = {one.verdict for one in found}
    if VIOLATED in verdicts:
        return VIOLATED
    return PROVED if verdicts == {PROVED} else NOT_PROVED


class ProvingService:
    """Finds the places and asks them. `register` tells whose the probes are, `excused` the exceptions in force."""

    def __init__(
        self,
        core: Core,
        register: Callable[[str, int], None],
        excused: Callable[[], Sequence[ExceptionView]],
    ) -> None:
        self._core = core
        self._register = register
        self._excused = excused

    @internal
    def places(self) -> tuple[Place, ...]:
        """The manager's own two ports and those of the others that run, each relay's 4122, the 4118 of each agent that
        listens; by name.
        """
        config = self._core.home.config
        own = "127.0.0.1" if config.listen_address in _ANY else config.listen_address

        def work(connection: Connection) -> tuple[Place, ...]:
            state = floor_state.read(connection)
            policies = policy_rules.resolve(policy_table.all_policies(connection))
            ciphers = floor_state.profiles(connection)
            ports = {Point.GUI: config.gui_port, Point.HEARTBEAT: config.heartbeat_port}
            ours = [
                Place(point, "manager", own, port, state.floor(point), profile=ciphers.get(point, DEFAULT))
                for point, port in ports.items()
            ]
            if self._core.store.database.shared:
                ours += _others(connection, self._core.home.node, state, ciphers)
            found: list[Place] = []
            for one in computer_table.find(connection):
                if one.state != "active":
                    continue
                policy = policies[one.policy_id]
                waits = "its policy was not sent yet" if policy_rules.floors_pending(one, policy) else ""
                if one.kind == Kind.RELAY.value:
                    port = one.relay_port or Point.RELAY.default_port
                    found.append(Place(Point.RELAY, one.display, one.address, port, policy.relay_floor, one.id, waits))
                if one.listen_port:
                    place = Place(
                        Point.AGENT, one.display, one.address, one.listen_port, policy.agent_floor, one.id, waits
                    )
                    found.append(place)
            found.sort(key=lambda place: (place.point is Point.AGENT, place.name.casefold(), place.port))
            return (*ours, *found)

        return self._core.store.read(work)

    @internal
    def prove(
        self,
        *,
        mode: str = SWEEP,
        thorough: Callable[[Place], bool] = lambda place: False,
        progress: Callable[[int, int], None] | None = None,
        timeout: float = 5.0,
    ) -> tuple[Proved, ...]:
        """One look at every place, in their order. Takes seconds; a place that is silent takes its time-out.

        Places that want a `thorough` look are asked for everything, with our own CA for the root to trust.
        """
        places = self.places()
        sources = {
            source for place in places if place.address and (source := source_towards(place.address, place.port))
        }
        for source in sources:
            try:
                self._register(source, _REGISTERED)
            except ServiceError:
                break  # listed as somebody's client then, which warns and harms nothing
        reports: dict[tuple[str, int], EndpointReport] = {}
        known = [place for place in places if place.address]
        whole = dict.fromkeys(Target(place.address, place.port) for place in known if thorough(place))
        targets = [
            target
            for target in dict.fromkeys(Target(place.address, place.port) for place in known)
            if target not in whole
        ]
        count = len(whole) + len(targets)

        def take(report: EndpointReport) -> None:
            reports[(report.target.host, report.target.port)] = report
            if progress is not None:
                progress(len(reports), count)

        options = Options(mode=mode, timeout=timeout, features=False, groups=False)
        scan_many(targets, options, take, total=len(targets))
        if whole:
            trust = TrustStore.of_file(self._core.home.ca_certificate)
            scan_many(list(whole), Options(mode=FULL, timeout=timeout, trust=trust), take, total=len(whole))
        excused = [view for view in self._excused() if view.source is not None]
        return tuple(_judge(place, reports.get((place.address, place.port)), sources, excused) for place in places)


def _others(
    connection: Connection, own: str, state: floor_state.FloorState, ciphers: Mapping[Point, CipherProfile]
) -> list[Place]:
    """The ports of further managers on the database, where each says that it is."""
    return [
        Place(point, f"manager {one.name}", one.address, port, state.floor(point), profile=ciphers.get(point, DEFAULT))
        for one in node_table.running(connection, GONE_SECONDS)
        if one.id != own
        for point, port in ((Point.GUI, one.gui_port), (Point.HEARTBEAT, one.heartbeat_port))
    ]


def own_scan(register: Callable[..., object]) -> Callable[[str, int], None]:
    """`sightings.register_prober` as the manager itself calls it."""

    def call(address: str, seconds: int) -> None:
        register(SYSTEM, address, seconds)

    return call


def _judge(place: Place, report: EndpointReport | None, sources: set[str], excused: Sequence[ExceptionView]) -> Proved:
    if report is None:
        return Proved(place, NOT_PROVED, ("its address is not known: it has not called yet",), None)
    if report.state in (State.UNREACHABLE, State.NOT_TLS):
        return Proved(place, NOT_PROVED, (f"{report.state.value}: {report.note}".removesuffix(": "),), report)
    judged = judge(report, floor_profile(place.asked))
    reasons = tuple(reason for finding in judged.failed + judged.open for reason in finding.reasons)
    verdict = _WORDS[judged.verdict]
    if verdict == VIOLATED:
        for view in excused:
            if view.point is place.point and any(_covers(view.source, source) for source in sources):
                said = f"exception {view.id} lets our own address in below the floor, so that this proves nothing"
                return Proved(place, NOT_PROVED, (said, *reasons), report)
    outside = _outside(place, report)
    if outside:
        said = (
            f"accepts {', '.join(outside)} at {Version.TLS1_2.label}, which the profile {place.profile} does not have"
        )
        return Proved(place, VIOLATED, (said, *reasons), report)
    if verdict == PROVED:
        refused = [
            version.label for version, seen in sorted(report.versions.items()) if seen.outcome is Outcome.REFUSED
        ]
        reasons = (f"accepts {', '.join(v.label for v in report.accepted)}; refuses {', '.join(refused)}",)
    return Proved(place, verdict, reasons, report)


def _outside(place: Place, report: EndpointReport) -> list[str]:
    """The suites that were seen accepted and are not of the place's profile. A sweep sees only the best one."""
    seen = report.versions.get(Version.TLS1_2)
    if place.profile is None or seen is None:
        return []
    allowed = {suite.number for suite in place.profile.suites}
    return [suite.name for suite in seen.suites if suite.code not in allowed]


def _covers(network: str | None, address: str) -> bool:
    import ipaddress

    if network is None:
        return False
    known, ip = ipaddress.ip_network(network), ipaddress.ip_address(address)
    return ip.version == known.version and ip in known


def source_towards(address: str, port: int) -> str:
    """The local address of connections to there, empty where there is no way. Sends nothing."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, port))
            return str(sock.getsockname()[0])
    except OSError:
        return ""
