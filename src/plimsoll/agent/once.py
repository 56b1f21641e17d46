"""One heartbeat of an agent that does not run: what ``dsa_control -m`` does on a stopped one.

It takes home a policy and acknowledges it. Orders that take longer (a renewal, an upgrade) are left for the agent at
work: the manager repeats what nobody acknowledged.
"""

from __future__ import annotations

import time

from plimsoll.agent import inventory as inventories
from plimsoll.agent.channel import ChannelError, exchange
from plimsoll.agent.control import Told
from plimsoll.agent.home import AgentState, Home, RunState, Spool
from plimsoll.agent.managers import Managers
from plimsoll.agent.session import Failure, Session
from plimsoll.messages import HEARTBEAT, HeartbeatReply, Inventory, Kind, Policy
from plimsoll.relay.state import RelayFloorKeeper

#: A policy that comes home is acknowledged at once; a manager that repeats itself is not followed for ever.
MOST_EXCHANGES = 3


class _Journal:
    """The home, and a relay's floor, which is durable before the policy that brings it is acknowledged."""

    def __init__(self, home: Home, state: AgentState) -> None:
        self._home = home
        self._state = state

    def save_spool(self, spool: Spool) -> None:
        self._home.save_spool(spool)

    def save_policy(self, policy: Policy) -> None:
        if self._state.kind is Kind.RELAY:
            now = time.time()
            RelayFloorKeeper.open(self._home, activated_with=self._state.software, now=now).hold(policy, now)
        self._home.save_policy(policy)


def beat(home: Home) -> Told:
    """Tries the managers in turn until one answers. Raises HomeError where an agent runs, or none was activated."""
    if not home.activated:
        home.load_state()
    with home.lock():
        home.recover()
        state = home.load_state()
        session = Session(_Journal(home, state), home.load_spool(), home.load_policy())
        managers = Managers(home, state)
        if not managers.known:
            return Told(ok=False, text="no manager's address is known here: this computer waits for its visits")
        inventory = inventories.inventory_of(state, inventories.gather(home.cert, home.key), listening=False)
        told = Told(ok=False)
        for _ in range(managers.count):
            told = _talk(managers, session, inventory)
            if told.status:
                break
            managers.next()
        managers.forget()
        _remember(home, told)
        return told


def _talk(managers: Managers, session: Session, inventory: Inventory) -> Told:
    told = Told(ok=False)
    for _ in range(MOST_EXCHANGES):
        link = managers.link()
        told.manager = f"{link.host}:{link.port}"
        sent = time.time()
        try:
            reply = exchange(link, HEARTBEAT, session.heartbeat(sent, inventory), HeartbeatReply)
        except ChannelError as error:
            return _failed(session, told, error.failure)
        session.replied(reply, sent, time.time())
        told.ok, told.status, told.negotiated = True, 200, str(link.version or "")
        if not session.pending[0]:
            break
    return told


def _failed(session: Session, told: Told, failure: Failure) -> Told:
    session.failed(failure, time.time())
    told.ok, told.status, told.reason, told.text = False, failure.status, failure.reason, failure.message
    return told


def _remember(home: Home, told: Told) -> None:
    """For ``plimsoll agent status``."""
    seen, now = home.load_run_state(), time.time()
    home.save_run_state(
        RunState(
            last_attempt=now,
            last_success=now if told.ok else seen.last_success,
            reason=told.reason,
            message=told.text,
            manager=told.manager if told.ok else seen.manager,
            negotiated=told.negotiated if told.ok else seen.negotiated,
            release=seen.release,
        )
    )
