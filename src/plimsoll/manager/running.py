"""The running manager: two gates, the local socket, the registry and the loops, put together and taken apart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from plimsoll import RELEASE
from plimsoll.manager.api.application import assembled, bounded
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.serve import HttpDoor
from plimsoll.manager.ca_keyring import Standing
from plimsoll.manager.following import Following
from plimsoll.manager.heartbeat.door import HeartbeatDoor
from plimsoll.manager.heartbeat.handout import Handout
from plimsoll.manager.heartbeat.relay_lists import RelayLists
from plimsoll.manager.home import Home
from plimsoll.manager.loops import LoopThread
from plimsoll.manager.metrics import Metrics
from plimsoll.manager.monitor import Monitor
from plimsoll.manager.node_link import NodeLink
from plimsoll.manager.notify.forwarder import Forwarder
from plimsoll.manager.outbound import Caller, Outbound
from plimsoll.manager.ports import SYSTEM, Conflict, Presence, Principal, ServiceError
from plimsoll.manager.readiness import Readiness
from plimsoll.manager.refusals import Refusals
from plimsoll.manager.registry import Registry
from plimsoll.manager.services import Services
from plimsoll.manager.services.computers import RegistryEntry
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import (
    CertificateChanged,
    Change,
    ComputersChanged,
    HeartbeatsWanted,
    RelayGroupsChanged,
    SoftwareChanged,
)
from plimsoll.manager.web import warming
from plimsoll.manager.work import software, steps
from plimsoll.messages import MAX_BODY
from plimsoll.net.board import FloorBoard
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.errors import BadIdentity
from plimsoll.net.gate import Connection, Gate
from plimsoll.net.http import HttpProtocol
from plimsoll.net.sightings import Outcome, Sighting, SightingLog
from plimsoll.net.tasks import Supervisor
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import Version, from_floor

log = logging.getLogger(__name__)

#: How long answers in flight may take at the end.
STOP_SECONDS = 5.0
#: Seconds between two looks at an upgrade, whose steps take minutes.
UPGRADE_TICK = 1.0
#: Seconds between two looks at what is due.
TASK_TICK = 1.0
#: Seconds between two looks whether the upstream bundle is due, after one that brought something.
UPSTREAM_TICK = 60.0
#: Seconds between two looks at a rotation of the CA; each asks some computers to renew.
CA_TICK = 1.0
#: Seconds between two looks whether a large fleet is to be looked at for the dashboard.
OVERVIEW_TICK = 1.0
#: Seconds between two tries to read what changed of computers, after the store was away.
FOLLOW_TICK = 1.0
#: Seconds between two looks whether the own certificates have come of age. Each manager has its own.
OWN_TICK = 1.0
_REFUSED = (Outcome.REFUSED, Outcome.REFUSED_AFTER)


class Running:
    """Made and used in the loop's thread; what other threads call says so."""

    def __init__(self, home: Home, clock: Callable[[], float] = time.time) -> None:
        self.home = home
        self.supervisor = Supervisor()
        self._clock = clock
        self._thread = LoopThread(asyncio.get_running_loop())
        self._board = FloorBoard(FloorSnapshot(generation=0, floors={}))
        self._sightings = SightingLog()
        self._registry = Registry()
        self._serves: tuple[object, dict[Point, dict[Version, str]]] = (None, {})
        self._started = clock()
        self._reloading: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self.services = Services(home.store, home, self._publish, self)
        self.services.ca.settling.into_use = self._follow_authorities
        self._refusals = Refusals(
            self._registry,
            self._board,
            self.services.events.record_later,
            clock,
            ours=self.services.sightings.is_own_scan,
            watch=self._saw_refusal,
        )
        self._relay_lists = RelayLists(self._registry, clock)
        self._handout = Handout(self, self._relay_lists)
        self._door = HeartbeatDoor(
            self.services,
            self._registry,
            home.installation,
            talked=self._refusals.talked,
            clock=clock,
            handout=self._handout,
        )
        self._monitor = Monitor(self.services, self._registry, self._sightings, clock)
        # Of `Caller`.
        self._issuing = self._wanted = ""
        caller = Caller(
            self._own_identity,
            str(home.ca_certificate),
            lambda: self._issuing,
            lambda: self._wanted,
            home.installation,
            self._address_for_agents,
        )
        self._outbound = Outbound(self.services, self._registry, self._door, self._board, caller, clock)
        self._door.acked = self._outbound.relay_soon
        self._following = Following(
            self.services.computers.entry,
            self.services.computers.registry,
            lambda entries: self._thread.post(partial(self._apply, entries)),
        )
        self._link = NodeLink(self.services, self, clock)
        self._readiness = Readiness(home.store.reach, lambda: home.store.away, lambda: self._link.unsure)
        self._metrics = Metrics()
        home.store.measured = self._metrics.stored
        self._door.measured = self._metrics.heartbeat
        self._door.turned_away = self._metrics.turned_away
        self._backend = Backend(self.services, home.installation, live=self, metrics=self._metrics)
        self._link.counted = partial(self.services.api_usage.exchange, self._backend.limits)
        app = assembled(self._backend)
        self._http, self._routes = HttpDoor(bounded(app, self._backend)), app.routes
        self._gates: dict[Point, Gate] = {}

    # Begin and end

    async def start(self) -> None:
        """Opens every port. Raises PortTaken, CannotListen or BadIdentity; `stop` cleans up after either outcome."""
        services, config = self.services, self.home.config
        self._backend.feed.follow(services.hub, self._thread.loop)
        services.hub.subscribe(self._heard)
        services.hub.subscribe(self._metrics.heard)
        # First of all: whatever another manager changes while this one reads is heard.
        await asyncio.to_thread(self._link.listen)
        # The floors are on the board before any port opens.
        await asyncio.to_thread(services.floors.start)
        await asyncio.to_thread(self._prepare_software)
        self._registry.load(await asyncio.to_thread(lambda: tuple(services.computers.registry())))
        # A restart must not hide who could not come in before it.
        self._refusals.remember(await asyncio.to_thread(services.events.open_problems))
        self._sightings.on_refusal.append(self._refusals.refused)
        self._gates = {
            Point.HEARTBEAT: self._gate(Point.HEARTBEAT, self._heartbeat_protocol, str(self.home.ca_certificate)),
            Point.GUI: self._gate(Point.GUI, self._http.protocol, None),
        }
        await asyncio.to_thread(services.ca.settle)
        await self._gates[Point.HEARTBEAT].start(config.listen_address, config.heartbeat_port)
        await self._gates[Point.GUI].start(config.listen_address, config.gui_port)
        await self._http.listen_unix(self.home.socket_path)
        self._monitor.started = self._clock()
        ports = self._gates[Point.GUI].port, self._gates[Point.HEARTBEAT].port
        in_force = services.ca.settling.in_force
        await asyncio.to_thread(services.nodes.begin, *ports, self.generation(), in_force)
        await asyncio.to_thread(services.api_usage.begin)
        await asyncio.to_thread(services.proof.recover)
        await asyncio.to_thread(self._link.start)
        only = services.nodes.only_here
        await asyncio.to_thread(self._look_what_is_served)
        await self._readiness.look()
        self._readiness.listening = True
        self.supervisor.start("readiness", self._readiness.look_forever())
        self.supervisor.start("flush", self._monitor.flush_forever())
        self.supervisor.start("tidying", self._monitor.tidy_forever())
        self.supervisor.start("silence", self._monitor.watch_forever())
        self.supervisor.start("exceptions", self._monitor.exceptions_forever())
        self.supervisor.start("software", software.run_forever(self.services, self._hand_out_anew))
        upstream = only("software", services.software_upstream.tick)
        self.supervisor.start("upstream", steps.run_forever(upstream, "upstream", UPSTREAM_TICK))
        self.supervisor.start("changes", steps.run_forever(only("changes", services.changes.tick), "change"))
        upgrades = only("upgrades", services.upgrades.tick)
        self.supervisor.start("upgrades", steps.run_forever(upgrades, "upgrade", UPGRADE_TICK))
        tasks = only("tasks", services.tasks.tick)
        self.supervisor.start("tasks", steps.run_forever(tasks, "scheduled task", TASK_TICK))
        self.supervisor.start("scans", steps.run_forever(services.scans.tick, "scan"))
        self.supervisor.start("ca", steps.run_forever(only("ca", services.ca.tick), "rotation of the CA", CA_TICK))
        self.supervisor.start("certificates", steps.run_forever(services.ca.follow, "certificates", OWN_TICK))
        self.supervisor.start("computers", steps.run_forever(self._following.again, "computers", FOLLOW_TICK))
        self.supervisor.start("nodes", self._link.look_forever())
        self.supervisor.start("overview", steps.run_forever(services.overview.tick, "overview", OVERVIEW_TICK))
        self.supervisor.start("outbound", self._outbound.run_forever())
        self.supervisor.start("notifications", Forwarder(services).run_forever())
        # Last: nobody who starts it waits for that.
        self._warming = self._thread.loop.create_task(warming.warm_up(self._routes), name="warming")

    async def stop(self) -> None:
        """Stops accepting, finishes answers, stores what was seen. The home stays open."""
        self._readiness.listening = False
        self._backend.feed.stop()
        if self._warming is not None:
            self._warming.cancel()
        self._http.close_unix()
        await asyncio.gather(
            *(gate.stop(STOP_SECONDS) for gate in self._gates.values()), self._http.finish(STOP_SECONDS)
        )
        await self.supervisor.stop()
        await asyncio.to_thread(self._stop_scanning)
        self._outbound.close()
        await asyncio.to_thread(self._door.close)
        await self._monitor.flush()
        # Last: what was seen until now is stored by then, and nothing here does its works any more.
        await asyncio.to_thread(self._link.stop)

    def _stop_scanning(self) -> None:
        try:
            self.services.scans.close()
        except ServiceError as error:
            log.error("the scan under way is shown as interrupted by the next start: %s", error.message)

    def ready_line(self) -> str:
        host = self.home.config.listen_address
        ports = f"GUI and REST on {host}:{self._gates[Point.GUI].port}"
        return f"ready: Plimsoll {RELEASE}, {ports}, heartbeats on {host}:{self._gates[Point.HEARTBEAT].port}"

    def reload_soon(self) -> None:
        """SIGHUP: as POST /api/manager/reload, with the outcome in the log."""
        if self._reloading is None or self._reloading.done():
            self._reloading = self._thread.loop.create_task(asyncio.to_thread(self._reload), name="reload")

    def _reload(self) -> None:
        try:
            result = self.services.floors.reload(SYSTEM)
            self.reload_certificates()
        except ServiceError as error:
            log.error("reload: %s", error.message)
            return
        moved = ", ".join(f"{one.point.value} {one.before} to {one.after}" for one in result.change.changed)
        log.info("reloaded; floors: %s", moved or "unchanged")

    def _gate(self, point: Point, protocol: Callable[[Connection], asyncio.Protocol], client_ca: str | None) -> Gate:
        alpn = ("http/1.1",)
        contexts = ServerContexts(self._identities(point), client_ca=client_ca, alpn=alpn)
        return Gate(
            point,
            contexts,
            self._board,
            self._sightings,
            protocol,
            trusted_proxies=self.home.config.trusted_proxies,
            identify=self._registry.identify,
            clock=self._clock,
        )

    def _heartbeat_protocol(self, connection: Connection) -> HttpProtocol:
        return HttpProtocol(self._door, connection, max_body=MAX_BODY)

    # Certificates

    def _identities(self, point: Point) -> list[ServerIdentity]:
        return [ServerIdentity(cert, key) for cert, key in self.services.certificates.identities(point.value)]

    def _address_for_agents(self, local: str) -> str:
        """Where an agent finds 4120: by the public name, else at the address of ours that it was called from."""
        host = self.home.config.public_name or local
        return f"dsm://{f'[{host}]' if ':' in host else host}:{self._gates[Point.HEARTBEAT].port}/"

    def _own_identity(self) -> ServerIdentity:
        return self._identities(Point.HEARTBEAT)[0]

    def reload_certificates(self) -> None:
        """From any thread. Raises Conflict where they cannot be served; then the old ones still are."""
        try:
            for point, gate in self._gates.items():
                identities = self._identities(point)
                self._thread.run(partial(gate.contexts.reload, identities))
        except BadIdentity as error:
            raise Conflict(f"{error}; the certificates that were served before still are") from None
        self._serves = (None, {})

    def _follow_authorities(self, standing: Standing) -> None:
        """From a service's thread: gates, calls and heartbeats go by the CAs that are trusted now."""
        fingerprints = standing.fingerprints
        authorities = [one.certificate_pem for one in standing.trusted]

        def follow() -> None:
            self._issuing = standing.issuing.certificate_pem
            # Before the first switch there are no others.
            self._wanted = standing.issuing.fingerprint if standing.crosses else ""
            self._door.trust(fingerprints, authorities)
            for gate in self._gates.values():
                gate.contexts.trust(standing.bundle)

        self._thread.run(follow)
        self.reload_certificates()

    # Floors

    def _publish(self, snapshot: FloorSnapshot) -> None:
        """From a service's thread: returns when every gate decides by the new snapshot."""
        self._thread.run(lambda: self._board.publish(snapshot))

    def serves(self) -> Mapping[Point, Mapping[Version, str]]:
        """From any thread but the loop's: a handshake in memory per version and identity, once for each state."""
        state = (self._board.snapshot, *(gate.contexts.identities for gate in self._gates.values()))
        known_for, served = self._serves
        if known_for != state:
            served = {point: gate.contexts.serves() for point, gate in self._gates.items()}
            self._serves = (state, served)
        return served

    def _look_what_is_served(self) -> None:
        """Says what the local OpenSSL will not serve although the floor admits it."""
        for point, served in self.serves().items():
            missing = [v.value for v in from_floor(self._board.snapshot.floor(point)) if v not in served]
            if missing:
                text = f"the {point.value} port admits {', '.join(missing)}, but the local OpenSSL does not serve it"
                log.warning("%s", text)
                self.services.events.record_later([NewEvent(120, "warning", f"{text}.")])

    # Software

    def _prepare_software(self) -> None:
        """Before a port opens: what a crash left is gone, and there is a root that new agents can begin with."""
        if self.services.nodes.holds("software"):
            self.services.software.tidy()
        self.services.capability_table.apply()
        self.services.software_metadata.tend()
        self._hand_out_anew()

    def _hand_out_anew(self) -> None:
        """From a service's thread: heartbeats take home what counts now."""
        trust = self.services.release_keys.chain()
        parents = self.services.policies.relay_group_parents()
        root = self.services.software_metadata.root_or_none()

        def put() -> None:
            self._handout.put(trust, root)
            self._relay_lists.parents = parents

        self._thread.post(put)

    def metadata(self, name: str) -> Path | None:
        return self.services.software_metadata.file(name)

    def package(self, sha256: str) -> Path | None:
        return self.services.software.path_of(sha256)

    # What services take: the Observed of `manager.ports`, called in their threads

    def presence(self) -> Iterable[Presence]:
        return self._thread.run(lambda: list(self._registry.take_presence()))

    def sightings(self) -> Iterable[Sighting]:
        return self._thread.run(self._drain)

    def _drain(self) -> list[Sighting]:
        drained = self._sightings.drain()
        self._metrics.sighted(drained)
        for sighting in drained:
            if sighting.outcome in _REFUSED:
                self._refusals.counted(sighting)
        return drained

    # What services tell, in their threads

    def _heard(self, change: Change) -> None:
        if isinstance(change, ComputersChanged):
            self._following.changed(change.computers)
        elif isinstance(change, HeartbeatsWanted):
            self._thread.post(partial(self._outbound.call_now, change.computers))
        elif isinstance(change, CertificateChanged):
            self._serves = (None, {})
        elif isinstance(change, SoftwareChanged | RelayGroupsChanged):
            self._hand_out_anew()

    def _apply(self, entries: Mapping[str, RegistryEntry | None]) -> None:
        for computer, entry in entries.items():
            self._registry.apply(computer, entry)
        self._outbound.soon(entries)

    # Other managers on the same database

    def generation(self) -> int:
        return self._board.snapshot.generation

    def everyone(self) -> tuple[str, ...]:
        known = self._thread.run(lambda: list(self._registry.by_id))
        return tuple(dict.fromkeys([*known, *self.services.computers.ids()]))

    def seen_elsewhere(self, seen: Sequence[Presence]) -> None:
        """From a thread."""

        def take() -> None:
            for known in self._registry.seen_elsewhere(seen):
                self._refusals.talked(known, self._clock())

        self._thread.run(take)

    def _saw_refusal(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        self.services.changes.saw_refusal(sighting, computers)
        self._link.refused(sighting, computers)

    # What the API asks of a running manager, from its threads

    def visit(self, principal: Principal, address: str, port: int, code: str | None) -> str:
        return self._outbound.visit(principal, address, port, code)

    def problems(self) -> Mapping[str, str]:
        return self._thread.run(
            lambda: {known.id: known.problem for known in self._registry.by_id.values() if known.problem}
        )

    def queues(self) -> Mapping[str, int]:
        gate = self._gates.get(Point.HEARTBEAT)
        return {
            "handshakes": 0 if gate is None else gate.pending,
            "activation": self._door.waiting,
            "store": self.home.store.waiting,
            "presence": len(self._registry.dirty),
            "sightings": len(self._sightings),
        }

    def missing(self) -> Sequence[str]:
        return self._readiness.missing()

    def status(self) -> dict[str, Any]:
        known = list(self._registry.by_id.values())
        return {
            "state": "running",
            "started": self._started,
            "generation": self._board.snapshot.generation,
            "current": not self._link.unsure,
            "ports": {point.value: gate.port for point, gate in self._gates.items()},
            "connections": {point.value: len(gate.connections) for point, gate in self._gates.items()},
            "computers": {"known": len(known), "online": sum(one.online for one in known)},
        }
