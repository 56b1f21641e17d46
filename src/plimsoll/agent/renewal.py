"""Renewing the certificate: at two thirds of its life, when the manager orders it, and after it expired."""

from __future__ import annotations

import logging
import random
import time
from functools import partial

from plimsoll.agent import keys
from plimsoll.agent.channel import ChannelError, exchange
from plimsoll.agent.home import AgentState, Home
from plimsoll.agent.identity import IdentityError, install
from plimsoll.agent.managers import Managers
from plimsoll.agent.session import Failure, RenewalPlan
from plimsoll.agent.threads import in_thread
from plimsoll.messages import (
    CAPABILITY,
    RENEW,
    Activation,
    Inventory,
    Renewal,
    RenewalRequest,
    VisitBegin,
    VisitOffer,
)

_log = logging.getLogger("plimsoll.agent")


class RenewalError(Exception):
    """The renewal did not succeed; the certificate that we had is kept. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Renewer:
    """Knows when to renew and how; the daemon carries the result to ports and links."""

    def __init__(self, home: Home, managers: Managers, rng: random.Random) -> None:
        self._home = home
        self._managers = managers
        self._rng = rng
        self._plan: RenewalPlan | None = None
        self._visit_key = ""
        self._said_expired = False

    async def prepare(self, state: AgentState) -> AgentState:
        """Makes the plan, reading the dates from the certificate where an older home does not have them."""
        if not state.not_after:
            text = self._home.cert.read_text()
            try:
                found = await in_thread(partial(keys.ask, "inspect", certificate=text))
            except keys.KeysError as error:
                raise RenewalError(Failure("keys", f"{self._home.cert} cannot be read: {error}")) from None
            state.not_before, state.not_after = found["not_before"], found["not_after"]
            self._home.save_state(state)
        self._follow(state)
        return state

    def due(self, now: float) -> bool:
        return self._plan is not None and self._plan.due(now)

    def expired(self, now: float) -> bool:
        """Whether only the proof by the old key helps now."""
        return self._said_expired or (self._plan is not None and self._plan.expired(now))

    def rejected_as_expired(self) -> None:
        """The manager's clock says that our certificate has expired, whatever ours says."""
        self._said_expired = True

    def postpone(self, now: float) -> None:
        if self._plan is not None:
            self._plan.postponed(now)

    async def renew(self, state: AgentState, now: float) -> AgentState:
        """Gets and installs a new certificate for a new key. Raises RenewalError; we keep what we had then."""
        expired = self.expired(now)
        try:
            made = await in_thread(partial(keys.ask, "request", name=state.hostname))
            message = RenewalRequest(capability=CAPABILITY, csr=made["csr"])
            if expired:
                old = self._home.key.read_text()
                signed = await in_thread(partial(keys.ask, "sign", key=old, data=made["csr"]))
                message.old_certificate, message.proof = self._home.cert.read_text(), signed["proof"]
            renewal = await self._ask(message, expired)
            renewed = await in_thread(install, self._home, state, made["key"], renewal.certificate, renewal.ca)
        except ChannelError as error:
            raise RenewalError(error.failure) from None
        except (keys.KeysError, IdentityError, OSError) as error:
            raise RenewalError(Failure("renewal", f"the certificate could not be renewed: {error}")) from None
        self._follow(renewed)
        return renewed

    async def offer(self, begin: VisitBegin, state: AgentState, inventory: Inventory) -> VisitOffer:
        """A manager visits to renew: a request for a new key. The connection has proved whose manager it is."""
        made = await in_thread(partial(keys.ask, "request", name=state.hostname))
        self._visit_key = made["key"]
        return VisitOffer(capability=CAPABILITY, csr=made["csr"], inventory=inventory)

    async def accept(self, activation: Activation, state: AgentState) -> AgentState:
        """Installs what the visit brought. Raises RenewalError."""
        if not self._visit_key:
            raise RenewalError(Failure("order", "a visit that renews begins with a request"))
        try:
            renewed = await in_thread(
                install, self._home, state, self._visit_key, activation.certificate, activation.ca
            )
        except (IdentityError, OSError) as error:
            raise RenewalError(Failure("renewal", f"the certificate could not be renewed: {error}")) from None
        self._visit_key = ""
        self._follow(renewed)
        return renewed

    async def _ask(self, message: RenewalRequest, expired: bool) -> Renewal:
        link = self._managers.anonymous() if expired else self._managers.link()
        try:
            return await in_thread(exchange, link, RENEW, message, Renewal)
        finally:
            if expired:
                link.close()

    def _follow(self, state: AgentState) -> None:
        self._said_expired = False
        self._plan = RenewalPlan(state.not_before, state.not_after, self._rng)
        _log.info("the certificate ends %s", time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(state.not_after)))
