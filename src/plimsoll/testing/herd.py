"""A large fleet as state machines: each agent is a few numbers and the moment of its next heartbeat; a bounded number
of sockets carries them. The heartbeats are real: mutual TLS with each agent's own certificate, real messages, an
interval as the manager says, Retry-After obeyed, back-off as agents do it.

What a process cannot do in time it says (`Tally.behind`): a slow simulator must not look like a slow manager.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import ipaddress
import itertools
import os
import random
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from plimsoll.messages import (
    CAPABILITY,
    HEARTBEAT,
    Ack,
    Command,
    Heartbeat,
    HeartbeatReply,
    Inventory,
    Kind,
    Policy,
    Problem,
    fingerprint,
)
from plimsoll.net.identity import identity_of
from plimsoll.testing.agents import parse_manager
from plimsoll.testing.caps import client_context, speaks
from plimsoll.testing.faults import Fault, FaultKind, parse_script
from plimsoll.testing.fleet import Fleet, PackedCredentials, memory_file
from plimsoll.testing.http import Answer, HttpPipe
from plimsoll.testing.pipe import CERTIFICATE, PeerError, TlsPipe
from plimsoll.testing.simulator import addresses
from plimsoll.testing.tally import Tally

#: As agents do it (`agent.session`): the first wait after a failure and the longest, in seconds.
_BACKOFF_FIRST = 2.0
_BACKOFF_CAP = 300.0
#: Seconds that heartbeats under way at the end may still take.
_GRACE = 25.0
#: Bounds of a plan: agents, seconds, sockets of one process.
MOST_AGENTS = 1_000_000
LONGEST = 86_400.0
MOST_SOCKETS = 20_000


class HerdPlan(msgspec.Struct, frozen=True):
    """What a herd does. Raises ValueError where it cannot.

    `agents` of the fleet in `folder` talk to `manager` for `seconds`; 0 means all of them. `interval` overrides the
    manager's; `spread` is over how many seconds the first heartbeats come, an interval unless it is said. With
    `warm_up` each brings one before anything is counted, so that sessions are there to be resumed. `sockets` are open
    at once at most, of all processes together. `part` of `parts` is this process's share. `faults` are the lines of a
    fault script.
    """

    manager: str
    folder: str
    seconds: float
    agents: int = 0
    interval: float | None = None
    spread: float | None = None
    resume: bool = True
    keep_alive: bool = False
    warm_up: bool = False
    sockets: int = 512
    timeout: float = 20.0
    network: int = 1
    seed: int = 1
    part: int = 0
    parts: int = 1
    faults: list[dict[str, object]] = []

    def __post_init__(self) -> None:
        if not 0 <= self.agents <= MOST_AGENTS:
            raise ValueError(f"agents are from 0 to {MOST_AGENTS:,}, where 0 means all of the fleet")
        if not 0 < self.seconds <= LONGEST:
            raise ValueError(f"a simulation takes more than 0 and at most {LONGEST:,.0f} seconds")
        if not self.parts <= self.sockets <= MOST_SOCKETS:
            raise ValueError(f"sockets are from 1 for each process to {MOST_SOCKETS:,}")
        if self.interval is not None and self.interval <= 0:
            raise ValueError("an interval is longer than 0 seconds")
        parse_manager(self.manager)
        parse_script(list(self.faults))


class _Agent:
    """One agent between two heartbeats."""

    __slots__ = (
        "acks", "answered", "failures", "generation", "http", "inventory", "number", "policy", "sequence", "session",
        "since",
    )  # fmt: skip

    def __init__(self, number: int, policy: str, generation: int) -> None:
        self.number = number
        self.policy = policy
        self.generation = generation
        self.sequence = 0
        self.failures = 0
        self.inventory = False
        self.acks: list[Ack] = []
        self.session: ssl.SSLSession | None = None
        self.http: HttpPipe | None = None
        #: When it was last answered, and since when it waits for that; both by the steady clock.
        self.answered: float | None = None
        self.since = 0.0


class _Injected(Exception):  # noqa: N818 - no error of anybody's
    """The fault script ended this attempt."""


class Herd:
    """The agents of one process. `run` once."""

    def __init__(self, plan: HerdPlan, rng: random.Random | None = None) -> None:
        self.plan = plan
        self.tally = Tally()
        self._fleet = Fleet(Path(plan.folder))
        self._host, self._port = parse_manager(plan.manager)
        self._rng = rng or random.Random(f"{plan.seed} {plan.part}")
        self._script = parse_script(list(plan.faults))
        head = self._fleet.head
        held = fingerprint(head.policy)
        count = min(plan.agents or len(self._fleet), len(self._fleet))
        self._agents = [_Agent(n, held, head.policy.generation) for n in range(plan.part, count, plan.parts)]
        self.tally.agents = len(self._agents)
        self._interval = plan.interval or float(head.policy.heartbeat_seconds)
        self._context = client_context(None)
        self._context.load_verify_locations(cadata=head.ca)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._sockets = max(1, plan.sockets // plan.parts)
        self._addresses = self._own_addresses(count)
        self._encoder = msgspec.json.Encoder()
        self._replies = msgspec.json.Decoder(HeartbeatReply)
        self._queue: list[tuple[float, int, _Agent]] = []
        self._order = itertools.count()
        self._busy: set[asyncio.Task[None]] = set()
        self._silent: set[asyncio.Task[None]] = set()
        self._kept: dict[_Agent, None] = {}
        self._changed = asyncio.Event()
        self._unheard: set[int] = set()
        self._broken: BaseException | None = None
        self._memory = -1
        self._start = 0.0

    def _own_addresses(self, count: int) -> list[str] | None:
        """On loopback each agent has an address of its own, as in a network; elsewhere all have this computer's."""
        try:
            local = ipaddress.ip_address(self._host).is_loopback
        except ValueError:
            local = False
        if not local or ":" in self._host:
            return None
        drawn: Iterator[str] = itertools.islice(addresses(self.plan.network), count)
        return list(drawn)

    async def run(self, tell: Callable[[Tally], None] = lambda tally: None, stop: asyncio.Event | None = None) -> Tally:
        """For the plan's time, or until `stop` is set. `tell` is called about once a second."""
        self._memory = memory_file()
        stop = stop or asyncio.Event()
        try:
            if self.plan.warm_up:
                await self._warm_up(tell, stop)
            self._start = time.monotonic()
            spread = self._interval if self.plan.spread is None else self.plan.spread
            for agent in self._agents:
                due = self._start + self._rng.random() * spread
                agent.since = due
                self._put(agent, due)
            await self._go(self._start + self.plan.seconds, tell, stop)
            self._close_book()
        finally:
            for task in (*self._busy, *self._silent):
                task.cancel()
            await asyncio.gather(*self._busy, *self._silent, return_exceptions=True)
            for agent in self._agents:
                self._drop(agent)
            os.close(self._memory)
        return self.tally

    async def _warm_up(self, tell: Callable[[Tally], None], stop: asyncio.Event) -> None:
        """Each brings one heartbeat, as fast as sockets allow; a failure is tried again. Nothing of it is counted."""
        self._unheard = {agent.number for agent in self._agents}
        self.tally.warming = True
        self._start = time.monotonic()
        for agent in self._agents:
            self._put(agent, self._start)
        told = 0.0
        while self._unheard and not stop.is_set():
            self._begin(time.monotonic())
            await self._pause(0.05)
            if (now := time.monotonic()) - told >= 1.0:
                told = now
                tell(self.tally)
        await self._finish(_GRACE)
        self._queue.clear()
        self.tally = Tally(agents=len(self._agents))
        for agent in self._agents:
            agent.answered, agent.failures = None, 0
        tell(self.tally)

    # -- when

    def _put(self, agent: _Agent, due: float) -> None:
        heapq.heappush(self._queue, (due, next(self._order), agent))
        self._changed.set()

    async def _go(self, end: float, tell: Callable[[Tally], None], stop: asyncio.Event) -> None:
        told = time.monotonic()
        while (now := time.monotonic()) < end and not stop.is_set():
            self._begin(now)
            if now - told >= 1.0:
                told = now
                tell(self.tally)
            next_due = self._queue[0][0] if self._queue and len(self._busy) < self._sockets else end
            await self._pause(max(0.0, min(next_due - now, end - now, 0.25)))
        await self._finish(_GRACE)

    async def _pause(self, seconds: float) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _begin(self, now: float) -> None:
        """Those whose time has come, as far as there are sockets. Raises what is a fault of this program."""
        if self._broken is not None:
            raise self._broken
        while self._queue and self._queue[0][0] <= now and len(self._busy) < self._sockets:
            due, _, agent = heapq.heappop(self._queue)
            self.tally.behind = max(self.tally.behind, now - due)
            task = asyncio.create_task(self._beat(agent), name="heartbeat")
            self._busy.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = error

    async def _finish(self, seconds: float) -> None:
        """Heartbeats under way may end; the time is up for those that do not, and they count as lost."""
        if self._busy:
            _, late = await asyncio.wait(set(self._busy), timeout=seconds)
            for task in late:
                task.cancel()
                self.tally.lost += 1
                self.tally.failed("no answer at the end", self._second())

    def _close_book(self) -> None:
        end = time.monotonic()
        patience = 2 * self._interval * 1.1
        for agent in self._agents:
            gap = end - (agent.since if agent.answered is None else agent.answered)
            if agent.answered is not None:
                self.tally.heard += 1
            if agent.since <= end and gap > patience:
                self.tally.silent += 1
                self.tally.longest_gap = max(self.tally.longest_gap, gap)

    def _second(self) -> int:
        return int(time.monotonic() - self._start)

    # -- one heartbeat

    async def _beat(self, agent: _Agent) -> None:
        elapsed = time.monotonic() - self._start
        fault = self._script.drawn(elapsed, self._rng)
        if fault is not None:
            self.tally.hit(fault.kind.value)
            if fault.kind is FaultKind.HALF_OPEN:
                self._say_nothing(agent, fault.at + fault.lasts - elapsed)
                fault = None
        self.tally.sent += 1
        self.tally.at(int(elapsed)).sent += 1
        stage = ["connect"]
        try:
            answer, took = await self._exchange(agent, self._message(agent, elapsed), fault, stage)
        except _Injected:
            self._drop(agent)
            self._come_again(agent, None)
        except PeerError as error:
            self._drop(agent)
            self.tally.failed(f"{stage[0]}: {error.reason}", self._second())
            # With a fault of ours in it, an answer that did not come proves nothing.
            self.tally.lost += stage[0] == "answer" and fault is None
            self._come_again(agent, None)
        else:
            if answer.status == 200:
                self._answered(agent, answer, took)
            else:
                self._refused(agent, answer)

    async def _exchange(
        self, agent: _Agent, body: bytes, fault: Fault | None, stage: list[str]
    ) -> tuple[Answer, float]:
        """The answer, and the seconds that it took. Raises PeerError and _Injected."""
        started = time.monotonic()
        if agent.http is not None and fault is None:
            self._kept.pop(agent, None)
            http, agent.http = agent.http, None
            try:
                answer = await http.request("POST", HEARTBEAT, body)
            except PeerError:
                http.pipe.abort()  # an idle connection may be closed at any time: once more on a new one
            else:
                self.tally.kept += 1
                await self._keep_or_close(agent, http, answer)
                return answer, time.monotonic() - started
        self._drop(agent)
        pipe = await TlsPipe.connect(
            self._host,
            self._port,
            self._context,
            credentials=PackedCredentials(self._fleet, agent.number, self._memory),
            local_address=None if self._addresses is None else self._addresses[agent.number],
            session=agent.session,
            timeout=self.plan.timeout,
        )
        try:
            http = await self._open(pipe, fault, stage)
            waited = await self._delayed(fault)
            stage[0] = "answer"
            if fault is not None and fault.kind is FaultKind.RESET:
                await self._break_off(http, body)
            answer = await http.request("POST", HEARTBEAT, body)
        except BaseException:
            pipe.abort()
            raise
        took = time.monotonic() - started - waited
        if self.plan.resume:
            agent.session = pipe.tls.session
        await self._keep_or_close(agent, http, answer)
        return answer, took

    async def _open(self, pipe: TlsPipe, fault: Fault | None, stage: list[str]) -> HttpPipe:
        stage[0] = "handshake"
        if fault is not None and fault.kind is FaultKind.DROP:
            await pipe.step()
            raise _Injected
        await pipe.handshake()
        identity = identity_of(pipe.tls)
        if identity is None or identity.role != "manager" or identity.installation != self._fleet.head.installation:
            raise PeerError(CERTIFICATE, "whoever answers there is no manager of this fleet; nothing was sent")
        self.tally.handshakes += 1
        self.tally.resumed += bool(pipe.tls.session_reused)
        version = pipe.tls.version() or ""
        self.tally.negotiated[version] = self.tally.negotiated.get(version, 0) + 1
        return HttpPipe(pipe, self._host)

    async def _delayed(self, fault: Fault | None) -> float:
        """The seconds that the fault script made it wait."""
        if fault is None or fault.kind is not FaultKind.DELAY:
            return 0.0
        started = time.monotonic()
        await asyncio.sleep(fault.seconds)
        return time.monotonic() - started

    async def _break_off(self, http: HttpPipe, body: bytes) -> None:
        """Says half of the request, and resets the connection."""
        head = f"POST {HEARTBEAT} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(body)}\r\n\r\n"
        await http.pipe.write(head.encode() + body[: len(body) // 2])
        http.pipe.reset()
        raise _Injected

    def _say_nothing(self, agent: _Agent, seconds: float) -> None:
        """Another connection of the same agent, which stays open and silent; as many as there are sockets at most."""
        if len(self._silent) >= self._sockets:
            return

        async def hold() -> None:
            local = None if self._addresses is None else (self._addresses[agent.number], 0)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    reader, writer = await asyncio.open_connection(self._host, self._port, local_addr=local)
                    try:
                        await reader.read()
                    finally:
                        writer.transport.abort()

        task = asyncio.create_task(hold(), name="half-open")
        self._silent.add(task)
        task.add_done_callback(self._silent.discard)

    async def _keep_or_close(self, agent: _Agent, http: HttpPipe, answer: Answer) -> None:
        if not self.plan.keep_alive or answer.closing:
            await http.pipe.close()
            return
        # Kept ones count as sockets too: the oldest makes room.
        while len(self._kept) >= self._sockets:
            self._drop(next(iter(self._kept)))
        agent.http = http
        self._kept[agent] = None

    def _drop(self, agent: _Agent) -> None:
        self._kept.pop(agent, None)
        if agent.http is not None:
            agent.http.pipe.abort()
            agent.http = None

    # -- what an agent knows

    def _message(self, agent: _Agent, elapsed: float) -> bytes:
        now = time.time() + self._script.skew(elapsed, agent.number)
        agent.sequence = max(agent.sequence + 1, int(now))
        return self._encoder.encode(
            Heartbeat(
                capability=CAPABILITY,
                sequence=agent.sequence,
                time=now,
                inventory=self._inventory(agent) if agent.inventory else None,
                policy_fingerprint=agent.policy,
                policy_generation=agent.generation,
                acks=agent.acks,
                trusts=self._fleet.head.trusts,
            )
        )

    def _inventory(self, agent: _Agent) -> Inventory:
        return simulated_inventory(self._fleet.head.prefix, agent.number, self._fleet.head.version)

    def _answered(self, agent: _Agent, answer: Answer, took: float) -> None:
        now = time.monotonic()
        try:
            reply = self._replies.decode(answer.body)
        except msgspec.MsgspecError:
            self.tally.failed("answer: not a heartbeat's", self._second())
            self._come_again(agent, None)
            return
        self.tally.answered += 1
        self.tally.at(self._second()).answered += 1
        self.tally.latency.add(took)
        self.tally.longest_gap = max(self.tally.longest_gap, now - (agent.answered or agent.since))
        agent.answered, agent.failures = now, 0
        self._unheard.discard(agent.number)
        agent.inventory = reply.send_inventory
        stored = set(reply.stored_acks)
        agent.acks = [ack for ack in agent.acks if ack.command not in stored]
        fresh = [one for one in reply.commands if all(ack.command != one.id for ack in agent.acks)]
        for command in fresh:
            self._obey(agent, command)
        if fresh or reply.send_inventory:
            wait = self._rng.uniform(0.0, 0.2)
        else:
            wait = (self.plan.interval or max(0.05, reply.next_seconds)) * self._rng.uniform(0.9, 1.0)
        self._put(agent, now + wait)

    def _obey(self, agent: _Agent, command: Command) -> None:
        policy: Policy | None = command.policy
        if command.kind == "apply-policy" and policy is not None:
            agent.policy, agent.generation = fingerprint(policy), policy.generation
            agent.acks.append(Ack(command=command.id, ok=True))
        else:
            agent.acks.append(Ack(command=command.id, ok=False, text=f"{command.kind} is not simulated"))

    def _refused(self, agent: _Agent, answer: Answer) -> None:
        try:
            reason = msgspec.json.decode(answer.body, type=Problem).reason
        except msgspec.MsgspecError:
            reason = ""
        text = answer.headers.get("retry-after", "")
        after = float(text) if text.isdigit() else None
        self.tally.shed += answer.status == 503 and after is not None
        self.tally.failed(f"http {answer.status} {reason}".rstrip(), self._second())
        self._come_again(agent, after)

    def _come_again(self, agent: _Agent, after: float | None) -> None:
        """After the time that the manager named, or with back-off."""
        agent.failures += 1
        if after is not None:
            wait = after * self._rng.uniform(1.0, 1.2)
        else:
            widest = min(_BACKOFF_CAP, _BACKOFF_FIRST * 2.0 ** min(agent.failures - 1, 16))
            wait = self._rng.uniform(widest / 2, widest)
        self._put(agent, time.monotonic() + wait)


def simulated_name(prefix: str, number: int) -> str:
    """The host name of one agent of a fleet."""
    return f"{prefix}-{number:06d}"


def simulated_inventory(prefix: str, number: int, version: str) -> Inventory:
    """What one agent of a fleet says of itself, for the store and for a heartbeat alike."""
    name = simulated_name(prefix, number)
    return Inventory(
        hostname=name,
        version=version,
        kind=Kind.AGENT,
        platform="Simulated Linux",
        architecture="x86_64",
        tls_library=ssl.OPENSSL_VERSION,
        speaks=speaks(version),
        boot_id=f"boot-{name}",
    )
