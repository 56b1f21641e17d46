"""The agent's conversation, step by step, with no clock and no socket."""

from __future__ import annotations

import random

import msgspec
import pytest

from plimsoll.agent.home import Spool
from plimsoll.agent.session import (
    BACKOFF_CAP,
    CLOCK,
    HEARTBEAT_FAILED,
    MAX_EVENTS,
    NO_CONTACT,
    Failure,
    PolicyApplied,
    RenewalOrdered,
    RenewalPlan,
    Session,
)
from plimsoll.messages import CAPABILITY, Command, Direction, HeartbeatReply, Inventory, Policy, fingerprint
from plimsoll.tls.versions import Version

NOW = 1_800_000_000.0
INVENTORY = Inventory(hostname="web-1", version="12.0.0")
OLD = Policy(name="base", generation=1, relay_floor=Version.TLS1_0)
NEW = Policy(name="base", generation=2, relay_floor=Version.TLS1_2)


class MemoryJournal:
    """Keeps what was saved as bytes, as a disk would, and the order of the writes."""

    def __init__(self) -> None:
        self.spool = msgspec.json.encode(Spool())
        self.policy = msgspec.json.encode(OLD)
        self.writes: list[str] = []
        self.full = False

    def save_spool(self, spool: Spool) -> None:
        self._write("spool")
        self.spool = msgspec.json.encode(spool)

    def save_policy(self, policy: Policy) -> None:
        self._write("policy")
        self.policy = msgspec.json.encode(policy)

    def restarted(self) -> Session:
        """The session of a process that starts anew on what is on the disk."""
        spool = msgspec.json.decode(self.spool, type=Spool)
        return Session(self, spool, msgspec.json.decode(self.policy, type=Policy), random.Random(1))

    def _write(self, what: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.writes.append(what)


def reply(*commands: Command, **more: object) -> HeartbeatReply:
    values: dict = {"capability": CAPABILITY, "manager_time": NOW, "next_seconds": 600.0, **more}
    return HeartbeatReply(commands=list(commands), **values)


def send_policy(identifier: str = "c1", policy: Policy | None = NEW) -> Command:
    return Command(id=identifier, kind="apply-policy", policy=policy)


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def session(journal: MemoryJournal) -> Session:
    return journal.restarted()


def test_the_first_heartbeat_carries_the_inventory_and_the_next_only_if_asked(session: Session) -> None:
    first = session.heartbeat(NOW, INVENTORY)
    assert first.inventory == INVENTORY
    assert first.policy_fingerprint == fingerprint(OLD)
    session.replied(reply(), NOW, NOW)
    assert session.heartbeat(NOW, INVENTORY).inventory is None
    session.replied(reply(send_inventory=True), NOW, NOW)
    assert session.delay < 1
    assert session.heartbeat(NOW, INVENTORY).inventory == INVENTORY
    session.replied(reply(send_inventory=True), NOW, NOW)
    assert session.delay > 500, "a manager that always asks must not get a busy loop"


def test_an_inventory_that_did_not_arrive_is_sent_again(session: Session) -> None:
    session.heartbeat(NOW, INVENTORY)
    session.failed(Failure("unreachable", "no answer"), NOW)
    assert session.heartbeat(NOW, INVENTORY).inventory == INVENTORY


def test_sequences_rise_also_when_the_clock_runs_backwards_or_the_agent_restarts(journal: MemoryJournal) -> None:
    session = journal.restarted()
    first = session.heartbeat(NOW, INVENTORY).sequence
    second = session.heartbeat(NOW - 5000, INVENTORY).sequence
    third = journal.restarted().heartbeat(NOW - 9000, INVENTORY).sequence
    assert int(NOW) == first < second < third


def test_a_policy_is_stored_before_it_is_acknowledged_and_the_ack_before_it_is_sent(journal: MemoryJournal) -> None:
    session = journal.restarted()
    journal.writes.clear()
    assert session.replied(reply(send_policy()), NOW, NOW) == [PolicyApplied(NEW)]
    assert journal.writes == ["policy", "spool"]
    assert session.delay < 1
    beat = session.heartbeat(NOW, INVENTORY)
    assert [(ack.command, ack.ok) for ack in beat.acks] == [("c1", True)]
    assert beat.policy_generation == 2
    assert beat.policy_fingerprint == fingerprint(NEW)


def test_an_ack_is_repeated_across_a_restart_until_the_manager_stored_it(journal: MemoryJournal) -> None:
    journal.restarted().replied(reply(send_policy()), NOW, NOW)
    session = journal.restarted()
    assert [ack.command for ack in session.heartbeat(NOW, INVENTORY).acks] == ["c1"]
    session.replied(reply(), NOW, NOW)
    assert [ack.command for ack in session.heartbeat(NOW, INVENTORY).acks] == ["c1"]
    session.replied(reply(stored_acks=["c1"]), NOW, NOW)
    assert journal.restarted().heartbeat(NOW, INVENTORY).acks == []


def test_a_crash_between_policy_and_ack_applies_the_repeated_command(journal: MemoryJournal) -> None:
    before = journal.spool
    journal.restarted().replied(reply(send_policy()), NOW, NOW)
    journal.spool = before  # the process died after the policy was stored, before the acknowledgement was
    session = journal.restarted()
    assert session.policy == NEW
    assert session.replied(reply(send_policy()), NOW, NOW) == [PolicyApplied(NEW)]
    assert [ack.command for ack in session.heartbeat(NOW, INVENTORY).acks] == ["c1"]


def test_a_repeated_command_is_only_acknowledged_again(session: Session) -> None:
    session.replied(reply(send_policy()), NOW, NOW)
    session.replied(reply(send_policy(), stored_acks=["c1"]), NOW, NOW)
    assert session.delay > 500, "nothing new was done, so nothing is urgent"
    assert [ack.command for ack in session.heartbeat(NOW, INVENTORY).acks] == ["c1"]


def test_a_full_disk_acknowledges_nothing(journal: MemoryJournal) -> None:
    session = journal.restarted()
    journal.full = True
    with pytest.raises(OSError, match="No space"):
        session.replied(reply(send_policy()), NOW, NOW)
    journal.full = False
    assert session.policy == OLD
    assert session.heartbeat(NOW, INVENTORY).acks == []


def test_a_policy_command_without_a_policy_is_refused_in_the_ack(session: Session) -> None:
    assert session.replied(reply(send_policy(policy=None)), NOW, NOW) == []
    (ack,) = session.heartbeat(NOW, INVENTORY).acks
    assert not ack.ok
    assert "no policy" in ack.text


def test_a_renewal_is_acknowledged_when_it_is_finished(session: Session) -> None:
    order = Command(id="r1", kind="renew-certificate")
    assert session.replied(reply(order), NOW, NOW) == [RenewalOrdered("r1")]
    assert session.heartbeat(NOW, INVENTORY).acks == []
    session.finish("r1", ok=False, text="the manager is full")
    (ack,) = session.heartbeat(NOW, INVENTORY).acks
    assert (ack.command, ack.ok, ack.text) == ("r1", False, "the manager is full")


def test_events_leave_the_spool_only_when_stored(journal: MemoryJournal) -> None:
    session = journal.restarted()
    session.record(5000, "one", NOW)
    session.record(5003, "two", NOW)
    first, second = session.heartbeat(NOW, INVENTORY).events
    assert first.sequence < second.sequence
    session.replied(reply(stored_event=first.sequence), NOW, NOW)
    assert [event.text for event in journal.restarted().heartbeat(NOW, INVENTORY).events] == ["two"]


def test_of_too_many_events_the_oldest_go(session: Session) -> None:
    for number in range(MAX_EVENTS + 3):
        session.record(5000, str(number), NOW)
    events = session.heartbeat(NOW, INVENTORY).events
    assert len(events) == MAX_EVENTS
    assert events[0].text == "3"


def test_failures_wait_longer_each_time_with_jitter_and_a_bound(session: Session) -> None:
    delays = []
    for _ in range(12):
        session.failed(Failure("unreachable", "nobody there"), NOW)
        delays.append(session.delay)
    assert 1.0 <= delays[0] <= 2.0
    assert 8.0 <= delays[3] <= 16.0
    assert all(BACKOFF_CAP / 2 <= delay <= BACKOFF_CAP for delay in delays[-3:])
    assert len(set(delays)) == len(delays)
    session.replied(reply(), NOW, NOW)
    session.failed(Failure("unreachable", "nobody there"), NOW)
    assert session.delay <= 2.0


def test_retry_after_is_obeyed_and_spread(session: Session) -> None:
    session.failed(Failure("busy", "store down", refused=True, retry_after=30.0), NOW)
    assert 30.0 <= session.delay <= 36.0


@pytest.mark.rule("G4")
def test_one_event_for_each_new_reason_and_the_tls_reason_is_named(session: Session) -> None:
    for _ in range(3):
        session.failed(Failure("refused-by-floor", "refused because of TLS (alert 70)"), NOW)
    session.failed(Failure("revoked", "revoked", refused=True), NOW)
    events = session.heartbeat(NOW, INVENTORY).events
    assert [event.number for event in events] == [NO_CONTACT, HEARTBEAT_FAILED]
    assert "TLS" in events[0].text


def test_a_wrong_clock_is_reported_once_until_it_was_right_again(session: Session) -> None:
    for manager_time in (NOW + 1000, NOW + 1000, NOW, NOW - 1000):
        session.replied(reply(manager_time=manager_time), NOW - 1, NOW + 1)
    events = session.heartbeat(NOW, INVENTORY).events
    assert [event.number for event in events] == [CLOCK, CLOCK]
    assert "1000 s behind" in events[0].text
    assert "1000 s ahead" in events[1].text


def test_the_interval_is_the_managers_with_jitter_and_never_longer(session: Session) -> None:
    for _ in range(50):
        session.replied(reply(next_seconds=60.0), NOW, NOW)
        assert 54.0 <= session.delay <= 60.0


def test_only_manager_initiated_agents_wait_to_be_called(journal: MemoryJournal) -> None:
    for direction, calls in [
        (Direction.AGENT_INITIATED, True),
        (Direction.BIDIRECTIONAL, True),
        (Direction.MANAGER_INITIATED, False),
    ]:
        policy = Policy(name="p", generation=1, direction=direction)
        assert Session(journal, Spool(), policy).heartbeats is calls


def test_renewal_is_planned_at_two_thirds_of_a_life_with_jitter() -> None:
    day = 86400.0
    plans = [RenewalPlan(0, 90 * day, random.Random(seed)) for seed in range(20)]
    assert all(60 * day <= plan.at <= 64.5 * day for plan in plans)
    assert len({plan.at for plan in plans}) == 20
    plan = plans[0]
    assert not plan.due(59 * day)
    assert plan.due(65 * day)
    plan.postponed(65 * day)
    assert not plan.due(65 * day + 3599)
    assert plan.due(65 * day + 3600)
    assert not plan.expired(89 * day)
    assert plan.expired(90 * day)
    plan.postponed(91 * day)
    assert plan.due(91 * day), "an expired one is tried with every attempt to reach the manager"
