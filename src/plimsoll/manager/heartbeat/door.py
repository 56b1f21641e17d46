"""Requests on 4120: ACTIVATE, HEARTBEAT and RENEW, over the small HTTP server of `net`.

Rules of this file: a heartbeat that brings nothing to be stored touches neither the store nor another thread; whatever
an answer calls stored was committed before; a certificate is looked up at every request, because a resumed session
skips the checks of the handshake.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from plimsoll.manager.heartbeat.handout import Handout
from plimsoll.manager.heartbeat.throttle import TokenBucket
from plimsoll.manager.ports import ServiceError, Unavailable
from plimsoll.manager.registry import ACTIVE, Known, Registry
from plimsoll.manager.services.computers import Intake, IntakeResult
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import (
    ACTIVATE,
    AUTHORITIES_FROM,
    CAPABILITY,
    HEARTBEAT,
    RENEW,
    UPGRADES_FROM,
    ActivationRequest,
    Command,
    Heartbeat,
    HeartbeatReply,
    Kind,
    Message,
    Problem,
    RenewalRequest,
)
from plimsoll.net.http import Request, Response

if TYPE_CHECKING:
    from plimsoll.manager.services import Services
    from plimsoll.net.gate import Connection
    from plimsoll.net.identity import Identity

log = logging.getLogger(__name__)

BACK_ONLINE = 731
UNRECOGNISED = 771

#: Seconds between two gifts of the same policy to a computer that keeps reporting another one.
REPEAT_POLICY = 600.0
#: Seconds between two events about the same unknown certificate.
STRANGER_QUIET = 60.0
#: Heartbeats come a tenth of the interval earlier or later, so that nobody stays in step with others.
JITTER = 0.1
#: Within an interval of the start the earliest come back after this part of it: who all waited for this manager would
#: otherwise come all together again, interval after interval.
SPREAD = 0.4
#: More CAs than this nobody has to trust.
MOST_TRUSTED = 8
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
#: How many unknown certificates are remembered.
STRANGERS = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much the door takes: requests a second and at once, and slow ones (activation, renewal) waiting."""

    rate: float = 2000.0
    burst: float = 10_000.0
    slow: int = 256
    slow_workers: int = 4
    store_wait: float = 15.0


@dataclass(slots=True)
class _Stranger:
    at: float
    unsaid: int = 0


class HeartbeatDoor:
    """The handler of 4120. `talked` is told when a computer with a problem comes through."""

    def __init__(
        self,
        services: Services,
        registry: Registry,
        installation: str,
        *,
        talked: Callable[[Known, float], None],
        limits: DoorLimits | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        handout: Handout | None = None,
    ) -> None:
        self._handout = handout
        self._services = services
        self._registry = registry
        self._installation = installation
        self._talked = talked
        self._limits = limits or DoorLimits()
        self._clock = clock
        self._rng = rng or random.Random()
        self._began = clock()
        self._bucket = TokenBucket(self._limits.rate, self._limits.burst)
        self._slow = 0
        self._executor = ThreadPoolExecutor(self._limits.slow_workers, thread_name_prefix="plimsoll-activation")
        self._strangers: dict[str, _Stranger] = {}
        self._trusted: list[str] = []
        self._authorities: list[str] = []
        #: Told of a computer that acknowledged something, or reports another floor.
        self.acked: Callable[[Known], None] = lambda known: None
        #: Told of each heartbeat that was answered: on a "new" or a "kept" connection, and the seconds that it took.
        self.measured: Callable[[str, float], None] = lambda connection, seconds: None
        #: Told of each refusal, by its reason.
        self.turned_away: Callable[[str], None] = lambda reason: None
        self._heartbeats = msgspec.json.Decoder(Heartbeat)
        self._activations = msgspec.json.Decoder(ActivationRequest)
        self._renewals = msgspec.json.Decoder(RenewalRequest)
        self._encoder = msgspec.json.Encoder()

    @property
    def waiting(self) -> int:
        """Activations and renewals that wait or are under way."""
        return self._slow

    def close(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __call__(self, request: Request) -> Response | Awaitable[Response]:
        path = request.path
        user_agent = request.headers.get("user-agent")
        if user_agent:
            request.connection.user_agent = user_agent
        if self._handout is not None and self._handout.takes(path):
            return self._hand_out(self._handout, request)
        if path not in (HEARTBEAT, ACTIVATE, RENEW):
            return self.problem(404, "there is no such path on the heartbeat port", "unknown-path")
        if request.method != "POST":
            return self.problem(405, f"{path} takes POST", "method", headers={"allow": "POST"})
        now = self._clock()
        if not self._bucket.take(now):
            return self._busy()
        if path == HEARTBEAT:
            return self._heartbeat(request, now)
        if self._slow >= self._limits.slow:
            return self._busy()
        return self._guarded(self._activate(request) if path == ACTIVATE else self._renew(request, now))

    def _hand_out(self, handout: Handout, request: Request) -> Response:
        """Software goes to members of the fleet alone, computers that were revoked not among them."""
        identity = request.connection.identity
        known = None if identity is None else self._registry.by_fingerprint.get(identity.fingerprint)
        if known is None:
            return self.problem(403, "software is for computers of this fleet: show your certificate", "no-certificate")
        if known.entry.state != ACTIVE:
            return self._not_active(known)
        return handout(request)

    # Heartbeats

    def _heartbeat(self, request: Request, now: float) -> Response | Awaitable[Response]:
        connection = request.connection
        identity = connection.identity
        if identity is None:
            return self.problem(403, "a heartbeat needs the certificate that activation gave", "no-certificate")
        known = self._registry.by_fingerprint.get(identity.fingerprint)
        if known is None:
            if self._services.nodes.shared:
                return self._guarded(self._perhaps_new(request, identity, now))
            return self._guarded(self._stranger(identity, connection, now))
        if known.entry.state != ACTIVE or known.entry.id != identity.id:
            return self._not_active(known)
        try:
            beat = self._heartbeats.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.problem(400, f"not a heartbeat: {error}; nothing of it was kept", "malformed")
        fresh = known.opened != connection.opened
        # A new connection's heartbeat begins with its hello: the handshake is most of what it costs.
        timing = ("new", connection.opened) if fresh else ("kept", now)
        self.note_presence(known, now, connection)
        if self._is_news(known, beat, identity.fingerprint):
            return self._guarded(self._encoded(self._take_in(known, beat, identity.fingerprint, now), *timing))
        answer = self._said(self._reply(known, beat, now, stored_event=known.entry.last_event_sequence))
        self._measure(*timing)
        return answer

    def _measure(self, kind: str, since: float) -> None:
        self.measured(kind, max(0.0, self._clock() - since))

    async def _perhaps_new(self, request: Request, identity: Identity, now: float) -> Response:
        """Another manager on the database may have activated it, or renewed its certificate, a moment ago."""
        entry = await self._in_executor(self._services.computers.entry, identity.id)
        if entry is None or identity.fingerprint not in entry.fingerprints:
            return await self._stranger(identity, request.connection, now)
        self._registry.put(entry)
        answer = self._heartbeat(request, now)
        return answer if isinstance(answer, Response) else await answer

    async def digest(self, known: Known, beat: Heartbeat, fingerprint: str, now: float) -> HeartbeatReply:
        """A heartbeat that the manager fetched itself. Raises ServiceError."""
        self.note_presence(known, now, None)
        if self._is_news(known, beat, fingerprint):
            return await self._take_in(known, beat, fingerprint, now)
        return self._reply(known, beat, now, stored_event=known.entry.last_event_sequence)

    def note_presence(self, known: Known, now: float, connection: Connection | None) -> None:
        """It is there; a connection of its own also shows its hello."""
        self._registry.seen(known, now, connection)
        known.online = True
        if known.away:
            known.away = False
            self._services.events.record_later([_back_online(known, now)])
        if known.problem:
            self._talked(known, now)

    async def _encoded(self, reply: Awaitable[HeartbeatReply], kind: str, since: float) -> Response:
        answer = self._said(await reply)
        self._measure(kind, since)
        return answer

    def _said(self, message: Message) -> Response:
        return Response(body=self._encoder.encode(message))

    def _is_news(self, known: Known, beat: Heartbeat, fingerprint: str) -> bool:
        """Whether there is anything that must be durable before the answer."""
        entry = known.entry
        return bool(
            beat.acks
            or beat.inventory is not None
            or (beat.events and beat.events[-1].sequence > entry.last_event_sequence)
            or (beat.relay is not None and beat.relay != known.report)
            or (beat.upgrade is not None and beat.upgrade != known.upgrade)
            or (beat.policy_fingerprint and beat.policy_fingerprint != entry.acked_fingerprint)
            or ((len(entry.fingerprints) > 1 or entry.unshown) and fingerprint == entry.fingerprints[0])
            or (beat.capability != entry.capability or _trusts(beat) != entry.trusts)
        )

    async def _take_in(self, known: Known, beat: Heartbeat, fingerprint: str, now: float) -> HeartbeatReply:
        intake = Intake(
            computer=known.id,
            time=now,
            sequence=beat.sequence,
            fingerprint=fingerprint,
            policy_fingerprint=beat.policy_fingerprint,
            policy_generation=beat.policy_generation,
            inventory=beat.inventory,
            acks=beat.acks,
            events=beat.events,
            relay=beat.relay,
            upgrade=beat.upgrade,
            capability=beat.capability,
            trusts=_trusts(beat),
        )
        told = known.told
        future = self._services.computers.take_in(intake)
        try:
            async with asyncio.timeout(self._limits.store_wait):
                result = await asyncio.wrap_future(future)
        except TimeoutError:
            raise Unavailable("the store is slow; keep acks and events and bring them again", 30.0) from None
        await self._stored(known, beat, result, told)
        if beat.acks:
            self.acked(known)
        return self._reply(known, beat, now, list(result.stored_acks), result.stored_event)

    async def _stored(self, known: Known, beat: Heartbeat, result: IntakeResult, told: int) -> None:
        known.upgrade = beat.upgrade
        if beat.relay is not None and beat.relay != known.report:
            # A relay that begins to listen, or says that it holds another floor: look whether that is true.
            known.report = beat.relay
            self.acked(known)
        if result.clone:
            said = {"computer": known.id, "reason": "clone"}
            log.warning("two hosts seem to use the identity of %s", known.entry.display, extra=said)
        if result.entry is None or known.id not in self._registry.by_id:
            return
        if known.told == told:
            self._registry.put(result.entry)
            return
        # The store changed this computer while the answer was under way: read what stands there now.
        told = known.told
        entry = await self._in_executor(self._services.computers.entry, known.id)
        if known.told == told and entry is not None:
            self._registry.put(entry)

    def _reply(
        self, known: Known, beat: Heartbeat, now: float, stored_acks: list[str] | None = None, stored_event: int = 0
    ) -> HeartbeatReply:
        entry = known.entry
        # A kind that an older release does not know makes the whole answer unreadable to it.
        commands = [one for one in entry.commands if one.kind != "upgrade" or beat.capability >= UPGRADES_FROM]
        repeated = self._repeat_policy(known, beat, now)
        if repeated is not None:
            commands.append(repeated)
        return HeartbeatReply(
            capability=CAPABILITY,
            manager_time=now,
            next_seconds=self._next_seconds(entry.policy.heartbeat_seconds, now),
            commands=commands,
            stored_acks=stored_acks or [],
            stored_event=stored_event,
            send_inventory=not entry.has_inventory,
            software=None if self._handout is None else self._handout.news(known, beat.software),
            authorities=self._authorities_for(beat),
        )

    def _next_seconds(self, interval: float, now: float) -> float:
        earliest = SPREAD if 0.0 <= now - self._began < interval else 1.0 - JITTER
        return interval * self._rng.uniform(earliest, 1.0 + JITTER)

    def trust(self, fingerprints: Sequence[str], authorities: Sequence[str]) -> None:
        """Which CAs agents are to trust from now on: the sorted fingerprints, and the certificates (PEM)."""
        self._trusted, self._authorities = list(fingerprints), list(authorities)

    def _authorities_for(self, beat: Heartbeat) -> list[str] | None:
        """What a computer that trusts other CAs is to trust; None where it does, or could not read it."""
        if beat.trusts == self._trusted or beat.capability < AUTHORITIES_FROM:
            return None
        return self._authorities or None

    def _repeat_policy(self, known: Known, beat: Heartbeat, now: float) -> Command | None:
        """The policy last given, again, where the computer holds another one and nothing is under way."""
        entry = known.entry
        held = beat.policy_fingerprint
        if not held or held == entry.policy_fingerprint or now - known.repeated_at < REPEAT_POLICY:
            return None
        if any(command.kind == "apply-policy" for command in entry.commands):
            return None
        known.repeated_at = now
        return Command(id=f"repeat-{entry.policy.generation}", kind="apply-policy", policy=entry.policy)

    # Those whom nobody knows

    async def _stranger(self, identity: Identity, connection: Connection, now: float) -> Response:
        """Signed by our CA, and not in the store: a restored manager, or a computer that was deleted here."""
        if identity.installation != self._installation or identity.role not in ("agent", "relay"):
            return self.problem(403, "this certificate belongs to another installation or role", "wrong-role")
        if identity.id in self._registry.by_id and await self._look_again(identity, connection):
            return self.problem(503, "the certificate was not known here until now; come again", "again", 1.0)
        stranger = self._strangers.get(identity.fingerprint)
        if stranger is not None and now - stranger.at < STRANGER_QUIET:
            stranger.unsaid += 1
        else:
            await self._note_stranger(identity, connection, now, 0 if stranger is None else stranger.unsaid)
        return self.problem(
            403,
            "the manager does not know this certificate; approve the computer there, or activate it again",
            "unrecognised",
            retry_after=300.0,
        )

    async def _look_again(self, identity: Identity, connection: Connection) -> bool:
        """Whether a certificate that a known computer got after a backup counts from now on."""
        if identity.fingerprint in self._strangers:
            return False
        await self._noted(identity, connection)
        return identity.fingerprint in self._registry.by_fingerprint

    async def _noted(self, identity: Identity, connection: Connection) -> None:
        kind = Kind.RELAY if identity.role == "relay" else Kind.AGENT
        entry = await self._in_executor(
            self._services.computers.note_unknown,
            identity.id,
            kind,
            identity.fingerprint,
            connection.address,
            connection.certificate_ends,
        )
        self._registry.put(entry)

    async def _note_stranger(self, identity: Identity, connection: Connection, now: float, unsaid: int) -> None:
        if len(self._strangers) >= STRANGERS:
            self._strangers = {k: s for k, s in self._strangers.items() if now - s.at < STRANGER_QUIET}
        if len(self._strangers) >= STRANGERS:
            return
        self._strangers[identity.fingerprint] = _Stranger(now)
        again = "" if not unsaid else f" ({unsaid + 1} times since the last such event)"
        self._services.events.record_later(
            [
                NewEvent(
                    UNRECOGNISED,
                    "warning",
                    f"Contact by an unrecognised client{again}: {connection.address} shows a certificate of this"
                    f" installation for {identity.id}, which the manager does not know.",
                    target=identity.id,
                    time=now,
                    extra={"address": connection.address, "fingerprint": identity.fingerprint},
                )
            ]
        )
        await self._noted(identity, connection)

    def _not_active(self, known: Known) -> Response:
        state = known.entry.state
        if state == "revoked":
            return self.problem(403, "this computer was revoked; activate it again with a new token", "revoked")
        if state == "approval":
            return self.problem(403, "this computer waits for an administrator's approval", "approval", 300.0)
        return self.problem(403, "the certificate names another computer", "wrong-computer")

    # Activation and renewal

    async def _activate(self, request: Request) -> Response:
        try:
            wanted = self._activations.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.problem(400, f"not an activation request: {error}; nothing was kept", "malformed")
        connection = request.connection
        known_as = None if connection.identity is None else self._registry.identify(connection.identity)
        answer = await self._in_executor(
            self._services.activation.activate, wanted, connection.address, "heartbeat-port", known_as
        )
        return self._said(answer)

    async def _renew(self, request: Request, now: float) -> Response:
        try:
            wanted = self._renewals.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self.problem(400, f"not a renewal request: {error}; nothing was changed", "malformed")
        connection = request.connection
        computer: str | None = None
        if connection.identity is not None:
            known = self._registry.by_fingerprint.get(connection.identity.fingerprint)
            if known is None:
                return await self._stranger(connection.identity, connection, now)
            if known.entry.state != ACTIVE:
                return self._not_active(known)
            computer = known.id
            self.note_presence(known, now, connection)
        answer = await self._in_executor(self._services.activation.renew, wanted, connection.address, computer)
        return self._said(answer)

    # Errors

    async def _guarded(self, work: Awaitable[Response]) -> Response:
        try:
            return await work
        except Unavailable as error:
            delay = error.retry_after * self._rng.uniform(1.0, 2.0)
            return self.problem(503, error.message, "store", retry_after=delay)
        except ServiceError as error:
            return self.problem(error.status, error.message, type(error).__name__.lower())

    async def _in_executor(self, work: Callable[..., T], *args: Any) -> T:
        self._slow += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)
        finally:
            self._slow -= 1

    def _busy(self) -> Response:
        delay = self._bucket.delay(self._rng)
        return self.problem(503, "the manager is busy; it kept nothing of this request", "busy", retry_after=delay)

    def problem(
        self,
        status: int,
        message: str,
        reason: str,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """A refusal in words, in the shape that agents read."""
        self.turned_away(reason)
        said = dict(headers or {})
        if retry_after is not None:
            said["retry-after"] = str(max(1, round(retry_after)))
        body = self._encoder.encode(Problem(message=message, reason=reason, retry_after=retry_after))
        return Response(status=status, body=body, headers=said)


def _trusts(beat: Heartbeat) -> str:
    """What it says it trusts, as it is stored; nothing where it says more than anybody has to."""
    if len(beat.trusts) > MOST_TRUSTED:
        return ""
    return ",".join(beat.trusts) if all(_FINGERPRINT.fullmatch(one) for one in beat.trusts) else ""


def _back_online(known: Known, now: float) -> NewEvent:
    return NewEvent(
        BACK_ONLINE,
        "info",
        f"{known.entry.display} is back online.",
        computer=known.id,
        target=known.entry.display,
        time=now,
    )
