"""What an agent says to its manager and does with the answer: no sockets, no clock, no files of its own.

Time is an argument, and how long to wait is a result. What has to be reported (acknowledgements, events) is in the
journal before it is sent and leaves it only when the manager says that it is stored; a policy is in the journal before
it is acknowledged. So a crash at any moment repeats a step and never loses one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from plimsoll.agent.home import Spool
from plimsoll.messages import (
    CAPABILITY,
    Ack,
    AgentEvent,
    Command,
    Direction,
    FloorReport,
    Heartbeat,
    HeartbeatReply,
    Inventory,
    Policy,
    UpgradeOrder,
    UpgradeReport,
    fingerprint,
)

#: Events kept while no manager takes them, and ids remembered to recognise a repeated command.
MAX_EVENTS = 500
MAX_DONE = 256

#: Clocks further apart than this are reported, in seconds: certificates and logs would mislead.
SKEW_LIMIT = 120.0

#: The wait between two attempts that failed, in seconds: first, and at most.
BACKOFF_FIRST = 2.0
BACKOFF_CAP = 300.0

# Agent events, numbered as in the reference.
STARTED, STOPPED, CLOCK, NO_CONTACT, HEARTBEAT_FAILED = 5000, 5003, 5004, 4011, 4012


class Journal(Protocol):
    """Where the session keeps what must survive; `agent.home.Home` is one. Both calls return once it is durable."""

    def save_spool(self, spool: Spool) -> None: ...

    def save_policy(self, policy: Policy) -> None: ...


@dataclass(frozen=True, slots=True)
class PolicyApplied:
    """A policy was received by Send Policy and stored: listeners and floors follow it now."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class RenewalOrdered:
    """The manager asks for a renewal now; `Session.finish` reports what became of it."""

    command: str


@dataclass(frozen=True, slots=True)
class UpgradeOrdered:
    """The manager asks for another release; `Session.finish` reports what became of it.

    It is ordered with every answer until then, so that an order that is missing was taken back.
    """

    command: str
    order: UpgradeOrder | None


Effect = PolicyApplied | RenewalOrdered | UpgradeOrdered


@dataclass(frozen=True, slots=True)
class Failure:
    """A heartbeat that did not succeed. `refused` means that the manager answered, and said no."""

    reason: str
    message: str
    refused: bool = False
    retry_after: float | None = None
    #: The HTTP status of the manager's answer, 0 where there was none.
    status: int = 0


class Session:
    """The agent's side of the conversation. `delay` is how long to wait before the next heartbeat."""

    def __init__(self, journal: Journal, spool: Spool, policy: Policy | None, rng: random.Random | None = None) -> None:
        self._journal = journal
        self._spool = spool
        self._rng = rng or random.Random()
        self._failures = 0
        self._last_reason = ""
        self._skewed = False
        self._inventory_wanted = True
        self._inventory_in_flight = False
        self._ordered: set[str] = set()
        self.policy = policy
        self.skew = 0.0
        # A fleet that comes back after a power cut must not arrive all at once.
        self.delay = self._rng.uniform(0.0, 0.5)

    @property
    def pending(self) -> tuple[int, int]:
        """How many acknowledgements and events wait to be stored by the manager."""
        return len(self._spool.acks), len(self._spool.events)

    @property
    def heartbeats(self) -> bool:
        """Whether this agent calls its manager by itself; manager-initiated ones wait for its visits."""
        return self.policy is None or self.policy.direction is not Direction.MANAGER_INITIATED

    def record(self, number: int, text: str, now: float) -> None:
        """Stores an event for the manager; of too many the oldest go first."""
        self._add_event(number, text, now)
        self._journal.save_spool(self._spool)

    def want_inventory(self) -> None:
        """The next heartbeat carries the inventory."""
        self._inventory_wanted = True

    def soon(self) -> None:
        """There is something new to say: the next heartbeat goes out at once, but not all of a fleet in one instant."""
        self.delay = min(self.delay, self._rng.uniform(0.0, 0.2))

    def heartbeat(
        self,
        now: float,
        inventory: Inventory,
        relay: FloorReport | None = None,
        upgrade: UpgradeReport | None = None,
    ) -> Heartbeat:
        """What to send now; everything that is not stored yet goes along."""
        self._spool.sequence = max(self._spool.sequence + 1, int(now))
        self._journal.save_spool(self._spool)
        self._inventory_in_flight = self._inventory_wanted
        return Heartbeat(
            capability=CAPABILITY,
            sequence=self._spool.sequence,
            time=now,
            inventory=inventory if self._inventory_wanted else None,
            policy_fingerprint=fingerprint(self.policy) if self.policy else "",
            policy_generation=self.policy.generation if self.policy else 0,
            acks=list(self._spool.acks),
            events=list(self._spool.events),
            relay=relay,
            upgrade=upgrade,
        )

    def replied(self, reply: HeartbeatReply, sent: float, now: float) -> list[Effect]:
        """Takes the manager's answer to the heartbeat of the time `sent`; returns what the daemon has to do."""
        self._failures = 0
        self._last_reason = ""
        asked_anew = reply.send_inventory and not self._inventory_in_flight
        if self._inventory_in_flight:
            self._inventory_wanted = self._inventory_in_flight = False
        if reply.send_inventory:
            self._inventory_wanted = True
        self._drop_stored(reply)
        self._compare_clocks(reply.manager_time, (sent + now) / 2, now)
        before = set(self._spool.done)
        effects = [effect for command in reply.commands if (effect := self._carry_out(command)) is not None]
        self._journal.save_spool(self._spool)
        # An upgrade is ordered with every answer until it is over: only the first time it is news.
        fresh = [one for one in effects if not (isinstance(one, UpgradeOrdered) and one.command in self._ordered)]
        self._ordered = {one.command for one in effects if isinstance(one, UpgradeOrdered)}
        new_work = bool(fresh) or any(one.kind != "upgrade" and one.id not in before for one in reply.commands)
        if new_work or asked_anew:
            # What was done is reported at once, but a manager that repeats itself does not get a busy loop.
            self.delay = self._rng.uniform(0.0, 0.2)
        else:
            self.delay = max(0.0, reply.next_seconds) * self._rng.uniform(0.9, 1.0)
        return effects

    def failed(self, failure: Failure, now: float) -> None:
        """Takes note that the heartbeat failed; each new reason becomes one event, not each attempt."""
        self._failures += 1
        self._inventory_in_flight = False
        if failure.retry_after is not None:
            self.delay = failure.retry_after * self._rng.uniform(1.0, 1.2)
        else:
            widest = min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(self._failures - 1, 16))
            self.delay = self._rng.uniform(widest / 2, widest)
        if failure.reason != self._last_reason:
            self._last_reason = failure.reason
            self.record(HEARTBEAT_FAILED if failure.refused else NO_CONTACT, failure.message, now)

    def carried_out(self, command: str) -> bool:
        """Whether that command was acknowledged, if the manager knows it or not."""
        return command in self._spool.done

    def finish(self, command: str, ok: bool, text: str = "", code: str = "") -> None:
        """Reports what became of a command that took its time; the next heartbeat goes out at once."""
        self._acknowledge(Ack(command=command, ok=ok, text=text, code=code))
        self._journal.save_spool(self._spool)
        self.delay = 0.0

    def _carry_out(self, command: Command) -> Effect | None:
        if command.kind == "apply-policy":
            return self._apply(command)
        if command.id in self._spool.done:
            # The manager does not know yet that it is done: say so again, do nothing again.
            self._acknowledge(Ack(command=command.id, ok=True, text="carried out before"))
            return None
        if command.kind == "upgrade":
            return UpgradeOrdered(command.id, command.upgrade)
        return RenewalOrdered(command.id)

    def _apply(self, command: Command) -> Effect | None:
        if command.policy is None:
            self._acknowledge(Ack(command=command.id, ok=False, text="the command carried no policy; nothing changed"))
            return None
        if command.id in self._spool.done and command.policy == self.policy:
            self._acknowledge(Ack(command=command.id, ok=True))
            return None
        self._journal.save_policy(command.policy)
        self.policy = command.policy
        self._acknowledge(Ack(command=command.id, ok=True))
        return PolicyApplied(command.policy)

    def _acknowledge(self, ack: Ack) -> None:
        if all(known.command != ack.command for known in self._spool.acks):
            self._spool.acks.append(ack)
        if ack.command not in self._spool.done:
            self._spool.done = [*self._spool.done, ack.command][-MAX_DONE:]

    def _drop_stored(self, reply: HeartbeatReply) -> None:
        stored = set(reply.stored_acks)
        self._spool.acks = [ack for ack in self._spool.acks if ack.command not in stored]
        self._spool.events = [event for event in self._spool.events if event.sequence > reply.stored_event]

    def _compare_clocks(self, manager_time: float, middle: float, now: float) -> None:
        self.skew = manager_time - middle
        skewed = abs(self.skew) > SKEW_LIMIT
        if skewed and not self._skewed:
            direction = "behind" if self.skew > 0 else "ahead of"
            self._add_event(
                CLOCK,
                f"this computer's clock is {abs(self.skew):.0f} s {direction} the manager's; "
                "certificates may count as expired or not yet valid. Set the clock",
                now,
            )
        self._skewed = skewed

    def _add_event(self, number: int, text: str, now: float) -> None:
        self._spool.event_sequence = max(self._spool.event_sequence + 1, int(now))
        event = AgentEvent(sequence=self._spool.event_sequence, number=number, time=now, text=text)
        self._spool.events = [*self._spool.events, event][-MAX_EVENTS:]


class RenewalPlan:
    """When to renew a certificate: at two thirds of its life, jittered so that a fleet does not renew as one."""

    def __init__(self, not_before: float, not_after: float, rng: random.Random | None = None) -> None:
        life = not_after - not_before
        self.not_after = not_after
        self.at = not_before + life * (2 / 3 + (rng or random.Random()).uniform(0.0, 0.05))
        self._not_before_attempt = 0.0

    def due(self, now: float) -> bool:
        return now >= self.at and now >= self._not_before_attempt

    def expired(self, now: float) -> bool:
        return now >= self.not_after

    def postponed(self, now: float) -> None:
        """An attempt failed: there is a month left, so there is no hurry, unless it is over already."""
        self._not_before_attempt = now + min(3600.0, max(0.0, (self.not_after - now) / 10))
