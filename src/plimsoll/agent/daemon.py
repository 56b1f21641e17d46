"""The resident agent: heartbeats, renewals, and the ports that its policy and role ask for.

Rules of this file: blocking work (calls to the manager, key helper) runs in threads of its own; the session and the
journal are touched from the loop only; no secret and no body is ever logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from plimsoll import RELEASE
from plimsoll.agent import authorities
from plimsoll.agent import inventory as inventories
from plimsoll.agent.channel import (
    OUR_CERTIFICATE_EXPIRED,
    REFUSED_BY_FLOOR,
    THEIR_CERTIFICATE_ENDED,
    ChannelError,
    exchange,
)
from plimsoll.agent.control import Control, Told
from plimsoll.agent.home import AgentState, Home, RunState, Spool
from plimsoll.agent.identity import IdentityError
from plimsoll.agent.launched import Launched
from plimsoll.agent.managers import Managers
from plimsoll.agent.ports import Ports
from plimsoll.agent.renewal import RenewalError, Renewer
from plimsoll.agent.session import STARTED, STOPPED, Effect, Failure, PolicyApplied, Session, UpgradeOrdered
from plimsoll.agent.software.resident import Software, fetch_package, report_troubles
from plimsoll.agent.threads import in_thread
from plimsoll.agent.upgrade import Fetch, Upgrader
from plimsoll.messages import (
    HEARTBEAT,
    Activation,
    Heartbeat,
    HeartbeatReply,
    Inventory,
    Policy,
    UpgradeReport,
    VisitBegin,
    VisitOffer,
)
from plimsoll.net.client import Link, LinkError
from plimsoll.net.tasks import Supervisor

_log = logging.getLogger("plimsoll.agent")

#: A connection is kept until the next heartbeat only if that comes soon; else a manager would hold one for each agent.
KEEP_ALIVE_BELOW = 30.0

#: How often an agent that became manager-initiated tries to say so, before it only waits to be visited.
FAREWELLS = 5

#: Statuses by which a manager says that it is busy: it was reached.
BUSY = (429, 503)

#: An agent that waits for visits still looks after its certificate this often, in seconds.
UNVISITED_CHECK = 600.0


class _Journal:
    """What the session writes: a relay's floor is stored with the policy that brings it, before the ack."""

    def __init__(self, home: Home, ports: Ports) -> None:
        self._home = home
        self._ports = ports

    def save_spool(self, spool: Spool) -> None:
        self._home.save_spool(spool)

    def save_policy(self, policy: Policy) -> None:
        self._ports.store(policy)
        self._home.save_policy(policy)


class Daemon:
    """One agent at work. `run` returns when it is told to stop, and raises what makes it unable to work."""

    def __init__(
        self,
        home: Home,
        ready: Callable[[str], None],
        rng: random.Random | None = None,
        launched: Launched | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        rng = rng or random.Random()
        self._home = home
        self._say_ready: Callable[[str], None] | None = ready
        self._supervisor = Supervisor()
        self._wake = asyncio.Event()
        self._orders: list[str] = []
        self._farewells = 0
        self._facts: dict[str, Any] = {}
        self._heard: UpgradeReport | None = None
        self._asked_to_beat: list[asyncio.Future[Told]] = []
        self._status = 0
        #: The CAs that the last answer told us to trust, and why some were not taken over.
        self._told: list[str] | None = None
        self._untaken = ""
        #: A manager whose certificate, or its CA's, has ended by our clock.
        self._ended: Link | None = None
        self._control = Control(home, self)
        former = home.load_run_state()
        self._seen = RunState(pid=os.getpid(), started=time.time(), release=RELEASE)
        home.recover()
        self._state = home.load_state()
        self._trusts = authorities.trusted(home)
        self._software = Software(home)
        self._managers = Managers(home, self._state)
        # A relay takes over what an earlier release held before the home says that it is ours.
        self._ports = Ports(home, self._state, self)
        _take_over(home, self._state)
        self._session = Session(_Journal(home, self._ports), home.load_spool(), home.load_policy(), rng)
        self._renewer = Renewer(home, self._managers, rng)
        self._upgrader = Upgrader(
            home,
            launched,
            self._session,
            fetch or partial(fetch_package, self._software, self._session),
            wake=self._wake.set,
            stop=self.stop,
            visited=lambda: not self._session.heartbeats,
        )
        self._upgrader.look(former.message if former.release != RELEASE else "")
        if self._session.pending[0]:
            self._farewells = FAREWELLS  # killed before it could acknowledge

    async def run(self) -> bool:
        """Opens the ports, heartbeats, and stops cleanly on SIGTERM or SIGINT. True: the launcher is to start anew."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            self._state = await self._renewer.prepare(self._state)
            self._facts = await in_thread(inventories.gather, self._home.cert, self._home.key)
            await self._ports.open(self._session.policy)
            await self._control.open()
            self._session.record(STARTED, f"agent {RELEASE} started", time.time())
            # What was loaded stays for good: the collector need not look at it again, nor touch its pages.
            gc.collect()
            gc.freeze()
            self._supervisor.start("heartbeats", self._beat())
            await self._supervisor.wait()
            with contextlib.suppress(OSError):
                self._session.record(STOPPED, "agent stopped", time.time())
            _log.info("stopped")
        finally:
            self._control.close()
            await self._supervisor.stop()
            await self._upgrader.close()
            await self._ports.close()
            self._managers.forget()
            for number in signals:
                loop.remove_signal_handler(number)
        return self._upgrader.restart

    def stop(self) -> None:
        """Lets `run` end as SIGTERM does."""
        self._supervisor.request_stop()

    # What may be asked through the local socket, see `agent.control`.

    async def beat_now(self) -> Told:
        """Heartbeats at once, and tells what came of it. A heartbeat that is under way does not count."""
        asked: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._asked_to_beat.append(asked)
        self._wake.set()
        return await asked

    def _tell(self, asked: list[asyncio.Future[Told]], *, called: bool) -> None:
        seen = self._seen
        told = Told(ok=not seen.reason, manager=seen.manager, negotiated=seen.negotiated, reason=seen.reason)
        told.status, told.text = self._status, seen.message
        if not called and told.ok:
            told.ok, told.text = False, "this agent does not call: its policy has it wait for its manager's visits"
        for one in asked:
            if not one.done():
                one.set_result(told)

    # What a visiting manager may make us do, see `agent.listener`.

    def visit_heartbeat(self) -> Heartbeat:
        """The heartbeat that a visiting manager takes home."""
        return self._heartbeat()

    def visit_reply(self, reply: HeartbeatReply) -> None:
        """The manager's answer to the heartbeat that it took."""
        now = time.time()
        self._software.hear(reply.software)
        self._seen.last_attempt = now
        self._farewells = 0
        self._succeeded(reply, self._session.replied(reply, now, now), "visit", "")
        self._wake.set()

    def wake(self) -> None:
        """Heartbeat now."""
        self._wake.set()

    async def visit_renewal(self, begin: VisitBegin) -> VisitOffer:
        """A manager that visits an activated agent may bring it a new certificate."""
        return await self._renewer.offer(begin, self._state, self._inventory())

    async def visit_renewed(self, activation: Activation) -> None:
        """The certificate of that visit."""
        from plimsoll.agent.listener import VisitError

        try:
            state = await self._renewer.accept(activation, self._state)
        except RenewalError as error:
            raise VisitError(str(error), error.failure.reason, 400) from None
        self._follow(state)

    async def _beat(self) -> None:
        await self._sleep(self._session.delay)
        while True:
            self._wake.clear()
            asked, self._asked_to_beat = self._asked_to_beat, []
            called = await self._renew() and self._calls
            if called:
                await self._exchange()
            await self._take_authorities()
            await self._follow_authorities()
            self._tell(asked, called=called)
            await self._software.settle(self._session)
            if await self._ports.settle(self._session.policy):
                self._session.want_inventory()
            self._ports.log_refusals()
            report_troubles(self._session, self._ports.troubles())
            wait = self._session.delay if self._calls else UNVISITED_CHECK
            self._seen.next_attempt = time.time() + wait
            self._remember()
            if self._say_ready is not None:
                self._say_ready(self._ready_line())
                self._say_ready = None
            if not self._orders:
                await self._sleep(wait)

    @property
    def _calls(self) -> bool:
        """Whether the next heartbeat is ours to begin.

        An agent that a call of its own made manager-initiated calls until that is acknowledged and its port is known:
        else its manager would not know whom to visit. The same where it cannot listen.
        """
        if not self._managers.known:
            return False
        return self._session.heartbeats or self._farewells > 0 or "4118" not in self._ports.listening

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _exchange(self) -> None:
        sent = self._seen.last_attempt = time.time()
        try:
            beat = self._heartbeat()
            link = self._managers.link()
            reply = await in_thread(exchange, link, HEARTBEAT, beat, HeartbeatReply)
            effects = self._session.replied(reply, sent, time.time())
            self._software.hear(reply.software)
        except ChannelError as error:
            self._failed(error.failure)
            return
        except OSError as error:
            # A full disk: nothing was acknowledged, so the manager will say everything again.
            self._failed(Failure("disk", f"cannot write to {self._home.path} ({error}): nothing was acknowledged"))
            return
        self._farewells = FAREWELLS if self._session.pending[0] else 0
        self._succeeded(reply, effects, f"{link.host}:{link.port}", str(link.version or ""))
        if self._session.delay > KEEP_ALIVE_BELOW:
            link.close()

    def _heartbeat(self) -> Heartbeat:
        self._heard = self._upgrader.report
        beat = self._session.heartbeat(time.time(), self._inventory(), self._ports.report(), self._heard)
        beat.software = self._software.state
        beat.trusts = self._trusts
        return beat

    def _inventory(self) -> Inventory:
        listening = "4118" in self._ports.listening
        found = inventories.inventory_of(self._state, self._facts, listening=listening)
        found.upgradable, found.kept = self._upgrader.upgradable, self._upgrader.kept
        return found

    def _succeeded(self, reply: HeartbeatReply, effects: list[Effect], manager: str, negotiated: str) -> None:
        seen = self._seen
        if seen.reason:
            _log.info("in contact with %s again", manager)
        seen.last_success, seen.manager, seen.negotiated = time.time(), manager, negotiated
        seen.reason = seen.message = ""
        self._status = 200
        seen.clock_skew = round(self._session.skew, 1)
        for effect in effects:
            if isinstance(effect, PolicyApplied):
                _log.info("policy %s generation %d applied", effect.policy.name, effect.policy.generation)
                self._ports.apply(effect.policy)
            elif isinstance(effect, UpgradeOrdered):
                self._upgrader.ordered(effect.command, effect.order)
            elif effect.command not in self._orders:
                self._orders.append(effect.command)
        if reply.authorities is not None:
            self._told = reply.authorities
        self._upgrader.replied({command.id for command in reply.commands}, self._heard)
        if self._upgrader.accepted():
            self._session.want_inventory()

    def _failed(self, failure: Failure) -> None:
        seen = self._seen
        self._farewells -= 1
        if failure.status in BUSY:
            self._upgrader.accepted()
        if failure.reason == OUR_CERTIFICATE_EXPIRED:
            self._renewer.rejected_as_expired()
        if failure.reason == THEIR_CERTIFICATE_ENDED:
            self._ended = self._managers.anonymous()
        try:
            self._session.failed(failure, time.time())
        except OSError as error:
            _log.error("cannot write to %s (%s)", self._home.path, error)
        if failure.message != seen.message:
            _log.error("%s", failure.message)
        _log.debug("next attempt in %.1f s", self._session.delay)
        seen.reason, seen.message = failure.reason, failure.message
        self._status = failure.status
        self._managers.next()

    async def _renew(self) -> bool:
        """Renews if it is due or ordered. Returns whether a heartbeat has a chance now."""
        now = time.time() + self._session.skew
        expired = self._renewer.expired(now)
        if not (self._orders or expired or self._renewer.due(now)):
            return True
        order = self._orders.pop(0) if self._orders else None
        if not self._managers.known:
            if order is not None:
                why = "no manager's address is known here: a visit brings the new certificate"
                self._session.finish(order, ok=False, text=why)
            return True
        try:
            state = await self._renewer.renew(self._state, now)
        except RenewalError as error:
            if error.failure.reason == OUR_CERTIFICATE_EXPIRED and not expired:
                self._renewer.rejected_as_expired()
                self._orders[:0] = [] if order is None else [order]
                return await self._renew()
            self._renewer.postpone(now)
            if order is not None:
                self._session.finish(order, ok=False, text=str(error))
            if expired:
                self._failed(_explained(error.failure))
            else:
                _log.warning("%s; the certificate that we have is still good", error)
            return not expired
        self._follow(state)
        if order is not None:
            self._session.finish(order, ok=True)
        return True

    def _follow(self, state: AgentState) -> None:
        """Shows the new identity everywhere."""
        self._state = state
        self._trusts = authorities.trusted(self._home)
        self._managers.forget()
        self._ports.renewed()

    async def _take_authorities(self) -> None:
        """Trusts the CAs that the manager named, once they are on the disk; the next heartbeat says so."""
        told, self._told = self._told, None
        if told is None:
            return
        try:
            changed = await in_thread(authorities.adopt, self._home, told)
        except (IdentityError, OSError) as error:
            if str(error) != self._untaken:
                self._untaken = str(error)
                _log.error("%s", error)
                with contextlib.suppress(OSError):
                    self._session.record(authorities.NOT_TAKEN, self._untaken, time.time())
            return
        self._untaken = ""
        if changed:
            self._trust_anew()
            _log.info("%d CAs are trusted from now on", len(self._trusts))
        self._session.soon()

    async def _follow_authorities(self) -> None:
        """Where a manager could not be verified since its CA's certificate has ended: takes a renewed one from it."""
        link, self._ended = self._ended, None
        if link is None:
            return
        try:
            shown = await in_thread(link.shown)
            await in_thread(authorities.follow, self._home, shown, time.time())
        except (LinkError, IdentityError, OSError) as error:
            _log.debug("no renewed CA from %s:%d: %s", link.host, link.port, error)
            return
        self._trust_anew()
        text = f"the CA's certificate had ended; a renewed one, for the same key, came from {link.host}:{link.port}"
        _log.warning("%s", text)
        with contextlib.suppress(OSError):
            self._session.record(authorities.FOLLOWED, text, time.time())
        self._session.soon()

    def _trust_anew(self) -> None:
        self._trusts = authorities.trusted(self._home)
        self._managers.forget()
        self._ports.trust()

    def _remember(self) -> None:
        self._seen.listening = self._ports.listening
        try:
            self._home.save_run_state(self._seen)
        except OSError as error:
            _log.error("cannot write to %s (%s)", self._home.path, error)

    def _ready_line(self) -> str:
        ports = "".join(f" {name}={port}" for name, port in self._ports.listening.items())
        report = self._ports.report()
        floor = f" floor={report.floor}" if report is not None else ""
        how = self._seen.reason or ("ok" if self._seen.last_success else "waits for visits")
        return f"ready computer={self._state.computer} kind={self._state.kind.value} heartbeat={how}{ports}{floor}"


def _explained(failure: Failure) -> Failure:
    if failure.reason == REFUSED_BY_FLOOR or not failure.refused:
        return failure
    message = f"this agent's certificate has expired, and it could not come back by its old key: {failure.message}"
    return dataclasses.replace(failure, message=message)


def _take_over(home: Home, state: AgentState) -> None:
    """An upgrade: the home is ours from now on, and keeps what it held (R7)."""
    if state.software != RELEASE:
        _log.info("taking over a home of release %s; what it holds is kept", state.software or "unknown")
        state.software = RELEASE
        home.save_state(state)
