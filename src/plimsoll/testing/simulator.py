"""A simulated fleet: thousands of real TLS clients in one process, each from an address of its own.

The manager under test sees what it would see of real agents: handshakes capped at their release's version, source
addresses in 127.0.0.0/8 that belong to one peer each, activations, heartbeats, acknowledgements, reconnects.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plimsoll.messages import Kind
from plimsoll.messages.token import ActivationToken
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca, parse_manager
from plimsoll.testing.caps import NEW_RELEASES, OLD_RELEASES, release
from plimsoll.testing.upgrading import Ending

#: Handshakes under way at once. More only lengthens everybody's wait on a machine of a few cores.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What to simulate: `agents` in all, `old` of them before 10.0, `relays` besides, for `seconds`.

    The same seed draws the same fleet. `interval` overrides the manager's heartbeat interval; without a `home` the
    peers' identities go when the simulation ends. `start_over` spreads the first contacts over that many seconds.

    With a `release` all agents that are not old run that one and obey orders to upgrade; those of `failing`, drawn
    among them, fail in the ways of `endings`, in turn. `relay_groups` are the groups that they join, in turn.
    """

    manager: str
    token: str
    agents: int
    old: int = 0
    seconds: float = 60.0
    relays: int = 0
    relay_version: str = "11.0"
    relay_port: int = 4122
    interval: float | None = None
    start_over: float | None = None
    keep_alive: bool = False
    events: bool = False
    seed: int = 1
    network: int = 1
    prefix: str = "sim"
    home: Path | None = None
    release: str = ""
    failing: int = 0
    endings: tuple[Ending, ...] = (Ending.REFUSED, Ending.CRASHES, Ending.DEAF)
    relay_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.agents < 0 or self.relays < 0 or not 0 <= self.old <= self.agents:
            raise ValueError("agents and relays are numbers from 0, and no more agents can be old than there are")
        if self.release:
            release(self.release)
        if self.failing and not (self.release and 0 < self.failing <= self.agents - self.old and self.endings):
            raise ValueError("as many can fail to upgrade as there are agents of the release that they have, no more")
        parse_manager(self.manager)
        ActivationToken.parse(self.token)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running simulation is."""

    elapsed: float
    activated: int
    heartbeats: int
    refused: int
    failures: int
    peers: int


@dataclass(slots=True)
class Report:
    """What a simulation saw. `refused` names the peers that the floor refused, with their releases.

    `releases` counts who ran what at the end, `packages` how many came from where; `not_upgraded` says who was ordered
    to upgrade and did not, and how it ended.
    """

    peers: int = 0
    activated: int = 0
    heartbeats: int = 0
    resumed: int = 0
    commands: int = 0
    acks_stored: int = 0
    events_stored: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    negotiated: dict[str, int] = field(default_factory=dict)
    relay_floors: dict[str, str] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    not_upgraded: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    names: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "names"}


def addresses(network: int) -> Iterator[str]:
    """Addresses in 127.0.0.0/8 for one peer each, from ``127.<network>.0.1`` on; none that ends in 0 or 255."""
    for second in range(max(network, 1), 255):
        for third in range(256):
            for last in range(1, 255):
                yield f"127.{second}.{third}.{last}"


def draw(plan: SimulationPlan) -> list[PeerSpec]:
    """The peers of a plan: the old agents, the newer ones, then the relays, with releases drawn by the seed."""
    rng = random.Random(plan.seed)
    free = addresses(plan.network)

    def peer(number: int, kind: str, version: str, role: Kind = Kind.AGENT, **more: Any) -> PeerSpec:
        return PeerSpec(
            **more,
            name=f"{plan.prefix}-{kind}{number:05d}",
            version=version,
            kind=role,
            address=next(free),
            relay_port=plan.relay_port,
            interval=plan.interval,
            keep_alive=plan.keep_alive,
            events=plan.events,
        )

    old = [peer(n, "old", rng.choice(OLD_RELEASES)) for n in range(plan.old)]
    count = plan.agents - plan.old
    failing = dict(zip(rng.sample(range(count), plan.failing), itertools.cycle(plan.endings), strict=False))

    def newer(number: int) -> PeerSpec:
        if not plan.release:
            return peer(number, "agent", rng.choice(NEW_RELEASES))
        group = plan.relay_groups[number % len(plan.relay_groups)] if plan.relay_groups else ""
        ending = failing.get(number, Ending.GOOD)
        return peer(number, "agent", plan.release, ending=ending, relay_group=group)

    new = [newer(number) for number in range(count)]
    relays = [peer(n, "relay", plan.relay_version, Kind.RELAY) for n in range(plan.relays)]
    return [*old, *new, *relays]


async def simulate(
    plan: SimulationPlan,
    *,
    progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Report:
    """Runs the plan, for its time or until `stop` is set.

    Raises PeerError where the manager cannot be reached at all or is not the token's.
    """
    host, port = parse_manager(plan.manager)
    with contextlib.ExitStack() as stack:
        if plan.home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plimsoll-sim-")))
        else:
            home = plan.home
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
        ca = home / "ca.pem"
        ca.write_bytes(await fetch_ca(host, port, ActivationToken.parse(plan.token)))
        contexts, gate = Contexts(ca), asyncio.Semaphore(_AT_ONCE)
        peers = [
            SimulatedAgent(spec, home / spec.name, (host, port), contexts, seed=plan.seed, gate=gate)
            for spec in draw(plan)
        ]
        started = time.monotonic()
        await _live(plan, peers, progress, stop or asyncio.Event())
        return _report(peers, time.monotonic() - started)


async def _live(
    plan: SimulationPlan,
    peers: Sequence[SimulatedAgent],
    progress: Callable[[Progress], None] | None,
    stop: asyncio.Event,
) -> None:
    spread = plan.start_over if plan.start_over is not None else min(plan.seconds / 4, len(peers) / 200)
    rng = random.Random(plan.seed)

    async def one(peer: SimulatedAgent) -> None:
        await asyncio.sleep(rng.uniform(0, spread))
        await peer.run(plan.token)

    tasks = [asyncio.create_task(one(peer), name=peer.spec.name) for peer in peers]
    stopped = asyncio.create_task(stop.wait(), name="stop")
    started = time.monotonic()
    try:
        while (left := plan.seconds - (time.monotonic() - started)) > 0 and not stop.is_set():
            waiting = [*tasks, stopped]
            done, _ = await asyncio.wait(waiting, timeout=min(1.0, left), return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # a peer lives until it is cancelled: anything else is a fault of ours, and is shown
            if progress is not None:
                progress(_progress(peers, time.monotonic() - started))
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)


def _progress(peers: Sequence[SimulatedAgent], elapsed: float) -> Progress:
    return Progress(
        elapsed=elapsed,
        activated=sum(peer.log.activated for peer in peers),
        heartbeats=sum(peer.log.heartbeats for peer in peers),
        refused=sum(peer.log.refused > 0 for peer in peers),
        failures=sum(sum(peer.log.failures.values()) for peer in peers),
        peers=len(peers),
    )


def _report(peers: Sequence[SimulatedAgent], seconds: float) -> Report:
    report = Report(peers=len(peers), seconds=round(seconds, 3), names=[peer.spec.name for peer in peers])
    latencies: list[float] = []
    for peer in peers:
        log = peer.log
        report.activated += log.activated
        report.heartbeats += log.heartbeats
        report.resumed += log.resumed
        report.commands += log.commands
        report.acks_stored += log.acks_stored
        report.events_stored += log.events_stored
        latencies += log.latencies
        if log.refused:
            report.refused[peer.spec.name] = peer.spec.version
        _add_upgrade(report, peer)
        for reason, count in log.failures.items():
            report.failures[reason] = report.failures.get(reason, 0) + count
        if log.heartbeats and log.negotiated is not None:
            name = log.negotiated.value
            report.negotiated[name] = report.negotiated.get(name, 0) + 1
        if peer.last_relay_floor is not None:
            report.relay_floors[peer.spec.name] = peer.last_relay_floor.value
    report.latency = percentiles(latencies)
    return report


def _add_upgrade(report: Report, peer: SimulatedAgent) -> None:
    upgrade = peer.upgrade
    if upgrade is None:
        return
    report.releases[peer.spec.version] = report.releases.get(peer.spec.version, 0) + 1
    for source in upgrade.sources:
        report.packages[source] = report.packages.get(source, 0) + 1
    if upgrade.history and upgrade.history[-1] != "done":
        report.not_upgraded[peer.spec.name] = upgrade.history[-1]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Milliseconds at 50, 95 and 99 per cent, and the longest; empty where nothing was measured."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    marks = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(1000 * ordered[min(last, int(share * len(ordered)))], 2) for name, share in marks.items()}
