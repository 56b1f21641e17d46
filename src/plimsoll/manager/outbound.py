"""The manager calls out: first visits and heartbeats of manager-initiated agents, wake-ups, looks at relays.

Rules of this file: the heartbeat port's floor and its exceptions also govern these calls (design §11); what blocks
runs in the threads of this file, what touches the registry in the loop's.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from plimsoll.manager.calls import Call, CallError
from plimsoll.manager.ports import BadInput, Conflict, Forbidden, Permission, Principal, ServiceError, require
from plimsoll.manager.registry import Known, Registry
from plimsoll.manager.services.computers import RelayObservation
from plimsoll.messages import (
    CAPABILITY,
    FLOOR_REPORT,
    VISIT_BEGIN,
    VISIT_FINISH,
    VISIT_HEARTBEAT,
    VISIT_REPLY,
    WAKE,
    Activation,
    Direction,
    FloorReport,
    Heartbeat,
    RenewalRequest,
    VisitBegin,
    VisitOffer,
)
from plimsoll.messages.visit import VisitCodeError, proves_visit, visit_proof
from plimsoll.net.probe import ProbeResult, probe
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version

if TYPE_CHECKING:
    from plimsoll.manager.heartbeat.door import HeartbeatDoor
    from plimsoll.manager.services import Services
    from plimsoll.net.board import FloorBoard
    from plimsoll.net.contexts import ServerIdentity

log = logging.getLogger(__name__)

#: Seconds between two looks at one relay's floor.
RELAY_SECONDS = 60.0
#: Seconds of a certificate's 90 days that are left when a visit renews it.
RENEW_BEFORE = 30 * 86400.0
#: Seconds until a computer is visited again that has something new to say after this visit.
SOON = 2.0
_TICK = 0.25
#: Seconds between two looks whether this manager is the one that calls, where several share a database.
_ASK = 1.0
_WORKERS = 12

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """What the manager shows when it calls: its certificate, the CAs it trusts, the certificate of the one that issues.

    `wanted` is the fingerprint of the CA that all are to have a certificate of, empty where that does not matter.

    `address` makes ``dsm://host:port`` for agents of the host that a call came from, where no public name is set.
    """

    identity: Callable[[], ServerIdentity]
    ca_path: str
    issuing: Callable[[], str]
    wanted: Callable[[], str]
    installation: str
    address: Callable[[str], str]


class Outbound:
    """Loops for the supervisor, and the visit that an administrator asks for."""

    def __init__(
        self,
        services: Services,
        registry: Registry,
        door: HeartbeatDoor,
        board: FloorBoard,
        caller: Caller,
        clock: Callable[[], float],
        relay_seconds: float = RELAY_SECONDS,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._registry = registry
        self._door = door
        self._board = board
        self._caller = caller
        self._clock = clock
        self._relay_seconds = relay_seconds
        # What falls due goes by a clock that takes no steps.
        self._steady = steady
        self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="plimsoll-outbound")
        self._due: dict[tuple[str, str], float] = {}
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._mine = False

    async def run_forever(self) -> None:
        """Visits and relay checks as they fall due, a bounded number at once."""
        asked = -_ASK
        try:
            while True:
                if self._steady() - asked >= _ASK:
                    asked = self._steady()
                    self._mine = await asyncio.to_thread(self._services.nodes.holds, "calls")
                if self._mine:
                    self._start_due()
                await asyncio.sleep(_TICK)
        finally:
            for task in list(self._busy.values()):
                task.cancel()

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def soon(self, computers: Iterable[str]) -> None:
        """These have something new waiting: visit or wake them now where we may call them."""
        if not self._mine:
            return  # the manager that calls hears of it too
        for computer in computers:
            known = self._registry.by_id.get(computer)
            if known is not None and known.entry.commands:
                self._call_soon(known)

    def call_now(self, computers: Iterable[str]) -> None:
        """Somebody asked for a heartbeat of these: visit or wake them where we may call them."""
        for computer in computers:
            known = self._registry.by_id.get(computer)
            if known is not None:
                self._call_soon(known)

    def _call_soon(self, known: Known) -> None:
        if known.entry.listen_port is None:
            return
        if known.entry.policy.direction is Direction.MANAGER_INITIATED:
            self._due[("visit", known.id)] = 0.0
        elif known.entry.policy.direction is Direction.BIDIRECTIONAL and known.address:
            self._start(("wake", known.id), self._wake(known))

    def relay_soon(self, known: Known) -> None:
        """A relay took a policy: look at what it holds now."""
        if known.entry.relay_port is not None:
            self._due[("relay", known.id)] = self._steady() + 0.3

    # What an administrator asks for

    def visit(self, principal: Principal, address: str, port: int, code: str | None) -> str:
        """Manager-initiated activation, in a thread. Returns the new computer's id."""
        require(principal, Permission.COMPUTERS_CHANGE)
        try:
            return self._first_visit(principal, address, port, code)
        except VisitCodeError as error:
            raise BadInput(f"{error}; nobody was called") from None
        except CallError as error:
            hint = ""
            if error.tls:
                hint = f"; calls follow the heartbeat port's floor, which is {self._minimum(address)} for this address"
            raise Conflict(f"{error}{hint}. Nothing was changed unless the computer is in the list") from None

    def _first_visit(self, principal: Principal, address: str, port: int, code: str | None) -> str:
        ca = self._caller.issuing()
        authority = ssl.PEM_cert_to_DER_cert(ca)
        with self._call(address, port, roles=()) as call:
            bootstrap = call.certificate
            begin = VisitBegin(
                capability=CAPABILITY,
                installation=self._caller.installation,
                ca=ca,
                proof=visit_proof(code, bootstrap, authority, "manager") if code else "",
            )
            offer = call.ask("POST", VISIT_BEGIN, begin, VisitOffer)
            if code and not proves_visit(offer.proof, code, bootstrap, authority, "agent"):
                raise Forbidden(f"{address} does not know the one-time code; it was not activated")
            activation = self._services.activation.activate_visited(principal, offer, address, port, ca)
            # The policy may want the agent to call from now on, and it has nobody's address but what it is told here.
            managers = [self._caller.address(call.local_address)]
            call.tell("POST", VISIT_FINISH, msgspec.structs.replace(activation, managers=managers))
            return activation.computer

    # Due work

    def _start_due(self) -> None:
        now = self._steady()
        for known in self._registry.visited():
            if self._due.get(("visit", known.id), 0.0) <= now:
                self._due[("visit", known.id)] = now + known.entry.policy.heartbeat_seconds
                self._start(("visit", known.id), self._visit(known))
        for known in self._registry.relays():
            if self._due.get(("relay", known.id), 0.0) <= now:
                self._due[("relay", known.id)] = now + self._relay_seconds
                self._start(("relay", known.id), self._look_at(known))

    def _start(self, key: tuple[str, str], work: Coroutine[Any, Any, None]) -> None:
        if key in self._busy:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work, name=f"{key[0]} {key[1]}")
        self._busy[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._busy.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s %s failed", *key, exc_info=task.exception())

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    # A heartbeat that the manager fetches

    async def _visit(self, known: Known) -> None:
        try:
            call = await self._in_thread(self._call_agent, known)
        except CallError as error:
            log.info("%s was not visited: %s", known.entry.display, error, extra=_about(known, "unreachable"))
            return
        try:
            assert call.identity is not None
            if self._registry.by_fingerprint.get(call.identity.fingerprint) is not known:
                about = _about(known, "certificate")
                log.warning("%s answers with another computer's certificate", call.where, extra=about)
                return
            beat = await self._in_thread(call.ask, "GET", VISIT_HEARTBEAT, None, Heartbeat)
            now = self._clock()
            self._registry.visit(known, now, call.version)
            reply = await self._door.digest(known, beat, call.identity.fingerprint, now)
            await self._in_thread(call.tell, "POST", VISIT_REPLY, reply)
            if reply.authorities is not None:
                # It takes over which CAs it is to trust once it has answered, and says so when it is asked again.
                self._due[("visit", known.id)] = self._steady() + SOON
            # That it trusts both comes first: a rotation switches only then, or leaves it behind knowingly.
            elif self._ages(call, now) or self._outdated(known):
                await self._in_thread(self._renew, known, call)
                self._due[("visit", known.id)] = self._steady() + SOON
        except (CallError, ServiceError) as error:
            about = _about(known, "unfinished")
            log.warning("the visit to %s was not finished: %s", known.entry.display, error, extra=about)
        finally:
            await self._in_thread(call.close)

    def _outdated(self, known: Known) -> bool:
        """Whether it shows a certificate of another CA than the one that all are to have one of."""
        wanted = self._caller.wanted()
        return bool(wanted) and known.entry.shown != wanted

    def _ages(self, call: Call, now: float) -> bool:
        return call.certificate_expires is not None and call.certificate_expires - now < RENEW_BEFORE

    def _renew(self, known: Known, call: Call) -> None:
        begin = VisitBegin(capability=CAPABILITY, installation=self._caller.installation, ca=self._caller.issuing())
        offer = call.ask("POST", VISIT_BEGIN, begin, VisitOffer)
        request = RenewalRequest(capability=CAPABILITY, csr=offer.csr)
        renewal = self._services.activation.renew(request, known.address, known.id)
        activation = Activation(
            capability=CAPABILITY,
            computer=known.id,
            installation=self._caller.installation,
            certificate=renewal.certificate,
            ca=renewal.ca,
            policy=known.entry.policy,
            manager_time=self._clock(),
        )
        call.tell("POST", VISIT_FINISH, activation)

    async def _wake(self, known: Known) -> None:
        def wake() -> None:
            with self._call_agent(known) as call:
                call.tell("POST", WAKE)

        try:
            await self._in_thread(wake)
        except CallError as error:
            about = _about(known, "unreachable")
            log.info("%s was not woken and comes with its next heartbeat: %s", known.entry.display, error, extra=about)

    # What a relay really holds

    async def _look_at(self, known: Known) -> None:
        observation = await self._in_thread(self._observe, known)
        try:
            await self._in_thread(self._services.computers.observe_relay, observation)
        except ServiceError as error:
            about = _about(known, "store")
            log.warning("what the relay %s holds was not stored: %s", known.entry.display, error.message, extra=about)

    def _observe(self, known: Known) -> RelayObservation:
        port = known.entry.relay_port
        assert port is not None
        report, said = self._report(known, port)
        now = self._clock()
        results = probe(known.address, port, FLOORS, timeout=5.0)
        accepted = [version for version in FLOORS if version in results and results[version].accepted]
        unsure = [
            version
            for version in FLOORS
            if version not in results or not (results[version].accepted or results[version].refused)
        ]
        floor = min(accepted) if accepted else None
        if floor is not None and any(version < floor for version in unsure):
            # An unanswered question below the lowest answer leaves the floor open.
            floor = None
        detail = ", ".join(f"{version.value} {_outcome(results.get(version))}" for version in FLOORS)
        return RelayObservation(known.id, now, floor, f"{detail}{said}", report)

    def _report(self, known: Known, port: int) -> tuple[FloorReport | None, str]:
        try:
            with self._call(known.address, port, roles=("relay", "agent"), expected=known) as call:
                return call.ask("GET", FLOOR_REPORT, None, FloorReport), ""
        except CallError as error:
            return None, f"; it did not say what it holds: {error}"

    # Connections

    def _minimum(self, address: str, computer: str | None = None) -> Version:
        """The heartbeat port's floor for that address, and for the computer alone where its certificate is checked."""
        snapshot, now = self._board.snapshot, self._clock()
        try:
            if computer is not None:
                return snapshot.floor_for(Point.HEARTBEAT, address, computer, now)
            return snapshot.admits_from(Point.HEARTBEAT, address, now)
        except ValueError:
            # A host name: rules go by address, so the floor itself holds.
            return self._board.snapshot.floor(Point.HEARTBEAT)

    def _call(self, address: str, port: int, roles: tuple[str, ...], expected: Known | None = None) -> Call:
        call = Call(
            address,
            port,
            identity=self._caller.identity(),
            ca=self._caller.ca_path if roles else None,
            minimum=self._minimum(address, None if expected is None else expected.id),
            roles=roles,
            installation=self._caller.installation,
        )
        if expected is not None and (call.identity is None or call.identity.id != expected.id):
            call.close()
            raise CallError(f"{call.where} shows another computer's certificate", tls=True)
        return call

    def _call_agent(self, known: Known) -> Call:
        port = known.entry.listen_port
        if port is None:
            raise CallError(f"{known.entry.display} does not listen")
        return self._call(known.address, port, roles=("agent", "relay"), expected=known)


def _outcome(result: ProbeResult | None) -> str:
    return "not tried" if result is None else result.verdict.value


def _about(known: Known, reason: str) -> dict[str, str]:
    """Fields of a record of the log: whom it is about, and why in a word."""
    return {"computer": known.id, "reason": reason}
