"""The peers of a scenario: compliant agents that report an event with every heartbeat, and old ones below the floor.

They live in a loop of their own, in a thread, while the test does what breaks things.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.support.manager import HOST, Manager
from tests.support.process import PATIENCE, eventually

from plimsoll.agent import authorities
from plimsoll.agent.home import Home
from plimsoll.agent.identity import IdentityError
from plimsoll.messages import Command, Heartbeat, HeartbeatReply
from plimsoll.messages.token import ActivationToken
from plimsoll.net.client import Link, LinkError
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca
from plimsoll.testing.pipe import ENDED, PeerError

#: What the base policy says, in seconds, and how often these agents really come: they are no slower than they should be
#: on a machine that is busy with other tests.
POLICY_SECONDS = 8
INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One heartbeat: `began` by the steady clock, `ended` by the wall clock; without a `reason` it came through."""

    began: float
    ended: float
    reason: str = ""
    detail: str = ""


class ChaosAgent(SimulatedAgent):
    """Keeps what it tried, what it was ordered, what it was told is stored, and how often its CA was renewed."""

    def __init__(self, spec: PeerSpec, home: Path, manager: tuple[str, int], contexts: Contexts) -> None:
        super().__init__(spec, home, manager, contexts)
        self.attempts: list[Attempt] = []
        self.obeyed: Counter[str] = Counter()
        self.acked: set[str] = set()
        self.followed = 0

    async def heartbeat(self) -> HeartbeatReply:
        began = time.monotonic()
        try:
            reply = await super().heartbeat()
        except PeerError as error:
            self.attempts.append(Attempt(began, time.time(), error.reason, error.detail))
            if error.reason == ENDED:
                await self._follow()
            raise
        self.attempts.append(Attempt(began, time.time()))
        return reply

    def trust(self, ca: bytes) -> None:
        """That CA (PEM) alone from now on. In the loop that it lives in."""
        self.home.ca.write_bytes(ca)
        self._trust_anew()

    def _trust_anew(self) -> None:
        self._drop()
        # A session would spare the peer its certificate, and OpenSSL takes it with the context only that it came from.
        self._contexts, self._session = Contexts(self.home.ca), None

    async def _follow(self) -> None:
        """As an agent does (`agent.daemon`), with an agent's own code, where what it trusts has ended.

        Nothing changes where no renewed certificate is shown: an invariant finds that.
        """
        link = Link(*self.manager, ca=str(self.home.ca), local_address=self.spec.address)
        try:
            shown = await asyncio.to_thread(link.shown)
            await asyncio.to_thread(authorities.follow, Home(self.home.path), shown, time.time())
        except (LinkError, IdentityError):
            return
        self._trust_anew()
        self.followed += 1

    def _take(self, sent: Heartbeat, reply: HeartbeatReply) -> None:
        self.acked |= set(reply.stored_acks)
        super()._take(sent, reply)

    def _obey(self, command: Command) -> None:
        self.obeyed[command.id] += 1
        super()._obey(command)

    @property
    def owes(self) -> bool:
        """Whether there is something that it was not told is stored."""
        return bool(self._acks)

    def stored_texts(self) -> list[str]:
        """What its events say that it was told are stored."""
        return [
            f"event {number} of {self.spec.name}" for number in range(self.first_event + 1, self.log.stored_event + 1)
        ]


#: Releases, and whether they keep their connection: what stays open breaks otherwise than what is made anew.
_COMPLIANT = (("12.0", False), ("12.0", True), ("11.2", False), ("10.0", False), ("12.0", False))
_OLD = ("9.6", "9.5")


@dataclass
class Fleet:
    """`front` is the manager as agents see it. `start` with a floor of TLS 1.0, since the old ones must join too."""

    front: Manager
    folder: Path
    compliant: list[ChaosAgent] = field(default_factory=list)
    old: list[ChaosAgent] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, token: str) -> None:
        """Returns once each has brought a heartbeat."""
        ready = Future[None]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(token, ready)), name="fleet")
        self._thread.start()
        ready.result(PATIENCE)
        eventually(
            lambda: all(one.log.heartbeats for one in self.everyone), "each agent brings a heartbeat", 2 * PATIENCE
        )

    @property
    def everyone(self) -> list[ChaosAgent]:
        return [*self.compliant, *self.old]

    def names(self) -> set[str]:
        """Of those whom no floor may refuse."""
        return {one.spec.name for one in self.compliant}

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(PATIENCE)
            self._thread = None

    def trust(self, ca: bytes) -> None:
        """Each compliant one trusts that CA (PEM) alone from now on."""
        done = Future[None]()

        def work() -> None:
            try:
                for one in self.compliant:
                    one.trust(ca)
            except BaseException as error:
                done.set_exception(error)
                raise
            done.set_result(None)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(work)
        done.result(PATIENCE)

    def until_tried(self, since: float, times: int = 2) -> None:
        """Until each compliant one has tried so often since then, whatever came of it."""
        for one in self.compliant:
            eventually(partial(_at_least, attempts_since, one, since, times), f"{one.spec.name} tries", 3 * PATIENCE)

    def until_heard(self, since: float, times: int = 2) -> None:
        """Until each compliant one came through so often since then."""
        for one in self.compliant:
            eventually(
                partial(_at_least, times_through, one, since, times), f"{one.spec.name} comes through", 3 * PATIENCE
            )

    def until_back(self, since: float) -> None:
        """Until each compliant one came through with a heartbeat that began after `since` (steady clock)."""
        for one in self.compliant:
            eventually(partial(times_through, one, since), f"{one.spec.name} is back: {one.log}", 2 * PATIENCE)

    async def _live(self, token: str, ready: Future[None]) -> None:
        tasks: list[asyncio.Task[None]] = []
        try:
            self._loop = asyncio.get_running_loop()
            where = (HOST, self.front.heartbeat_port)
            ca = self.folder / "agents-ca.pem"
            ca.write_bytes(await fetch_ca(*where, ActivationToken.parse(token)))
            make = _maker(self.folder, where, Contexts(ca))
            self.compliant = [make("good", number, *one) for number, one in enumerate(_COMPLIANT, 1)]
            self.old = [make("old", number, version, False) for number, version in enumerate(_OLD, 1)]
            tasks = [asyncio.create_task(one.run(token)) for one in self.everyone]
        except BaseException as error:
            ready.set_exception(error)
            raise
        ready.set_result(None)
        await self._end.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def attempts_since(one: ChaosAgent, since: float) -> int:
    return sum(attempt.began > since for attempt in one.attempts)


def _at_least(count: Callable[[ChaosAgent, float], int], one: ChaosAgent, since: float, times: int) -> bool:
    return count(one, since) >= times


def times_through(one: ChaosAgent, since: float) -> int:
    return sum(attempt.began > since and not attempt.reason for attempt in one.attempts)


def _maker(folder: Path, where: tuple[str, int], contexts: Contexts) -> Callable[[str, int, str, bool], ChaosAgent]:
    def make(kind: str, number: int, version: str, keep_alive: bool) -> ChaosAgent:
        third = 1 if kind == "good" else 2
        spec = PeerSpec(
            name=f"{kind}-{number}", version=version, address=f"127.88.{third}.{number}", interval=INTERVAL,
            keep_alive=keep_alive, events=kind == "good",
        )  # fmt: skip
        return ChaosAgent(spec, folder / spec.name, where, contexts)

    return make
