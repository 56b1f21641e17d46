"""The door on 4120: what it answers, what it stores first, and whom it refuses."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import msgspec
import pytest
from tests.unit.manager.fakes import INSTALLATION, FakeConnection, FakeServices, command, entry, identity

from plimsoll.manager.heartbeat.door import REPEAT_POLICY, DoorLimits, HeartbeatDoor
from plimsoll.manager.registry import Known, Registry
from plimsoll.manager.services import Services
from plimsoll.manager.services.computers import RegistryEntry
from plimsoll.messages import (
    ACTIVATE,
    CAPABILITY,
    HEARTBEAT,
    RENEW,
    Ack,
    ActivationRequest,
    AgentEvent,
    Command,
    FloorOrigin,
    FloorReport,
    Heartbeat,
    HeartbeatReply,
    Inventory,
    Message,
    Problem,
    RenewalRequest,
    UpgradeOrder,
)
from plimsoll.net.http import Request, Response
from plimsoll.net.identity import Identity
from plimsoll.tls.versions import Version

T = TypeVar("T")


class Bench:
    def __init__(self, *entries: RegistryEntry, limits: DoorLimits | None = None) -> None:
        self.now = 1_000.0
        self.services = FakeServices()
        self.registry = Registry()
        self.registry.load(entries)
        self.resolved: list[str] = []
        self.door = HeartbeatDoor(
            cast(Services, self.services),
            self.registry,
            INSTALLATION,
            talked=self._talked,
            limits=limits,
            clock=lambda: self.now,
            rng=random.Random(1),
        )

    def _talked(self, known: Known, now: float) -> None:
        known.problem = ""
        self.resolved.append(known.id)

    def ask(
        self, path: str, message: Message | bytes, who: Identity | None = None, method: str = "POST"
    ) -> Response | Coroutine[Any, Any, Response]:
        body = message if isinstance(message, bytes) else msgspec.json.encode(message)
        request = Request(method, path, {}, {}, body, FakeConnection(who).real())
        return cast("Response | Coroutine[Any, Any, Response]", self.door(request))

    def run(self, *args: Any, **more: Any) -> Response:
        async def answered() -> Response:
            answer = self.ask(*args, **more)
            return await answer if inspect.isawaitable(answer) else answer

        return asyncio.run(answered())

    def beat(self, name: str, **fields: Any) -> HeartbeatReply:
        answer = self.run(HEARTBEAT, heartbeat(**fields), identity(name))
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body, type=HeartbeatReply)


def heartbeat(**fields: Any) -> Heartbeat:
    return Heartbeat(**{"capability": CAPABILITY, "sequence": 5, "time": 1.0, **fields})


def problem(answer: Response) -> Problem:
    return msgspec.json.decode(answer.body, type=Problem)


@pytest.fixture
def bench() -> Any:
    made = Bench(entry("a"))
    yield made
    made.door.close()


def test_presence_alone_is_answered_at_once_and_touches_no_store(bench: Bench) -> None:
    answer = bench.ask(HEARTBEAT, heartbeat(), identity("a"))
    assert isinstance(answer, Response)
    reply = msgspec.json.decode(answer.body, type=HeartbeatReply)
    assert not bench.services.computers.intakes
    assert not reply.commands
    assert 240 <= reply.next_seconds <= 660
    assert [p.computer for p in bench.registry.take_presence()] == ["a"]


def test_the_interval_has_jitter_and_a_herd_is_spread_after_a_start(bench: Bench) -> None:
    """Who all waited for the manager come together once, and not interval after interval."""
    first = [bench.beat("a").next_seconds for _ in range(300)]
    assert 240 <= min(first) < 300
    assert 600 < max(first) <= 660
    bench.now += 600
    later = [bench.beat("a").next_seconds for _ in range(300)]
    assert 540 <= min(later) < 560
    assert 640 < max(later) <= 660


def test_a_heartbeat_takes_home_the_commands_that_wait(bench: Bench) -> None:
    bench.registry.apply("a", entry("a", commands=(command("c1"),)))
    assert [one.id for one in bench.beat("a").commands] == ["c1"]
    assert [one.id for one in bench.beat("a").commands] == ["c1"]  # until its ack is stored


@pytest.mark.parametrize(("capability", "given"), [(1, ["c1"]), (2, ["c1", "u1"]), (9, ["c1", "u1"])])
def test_an_older_release_never_gets_a_command_that_it_could_not_read(
    bench: Bench, capability: int, given: list[str]
) -> None:
    order = Command(id="u1", kind="upgrade", upgrade=UpgradeOrder(version="12.1.0"))
    bench.registry.apply("a", entry("a", commands=(command("c1"), order)))
    assert [one.id for one in bench.beat("a", capability=capability).commands] == given


def test_who_trusts_other_cas_takes_home_all_of_them_until_it_says_that_it_does(bench: Bench) -> None:
    both = ["a" * 64, "b" * 64]
    assert bench.beat("a").authorities is None, "nobody is told before the manager knows"
    bench.door.trust(both, ["PEM b", "PEM a"])
    assert bench.beat("a", trusts=["a" * 64]).authorities == ["PEM b", "PEM a"]
    assert bench.services.computers.intakes[-1].trusts == "a" * 64
    assert bench.services.computers.intakes[-1].capability == CAPABILITY
    assert bench.beat("a", trusts=both).authorities is None
    assert bench.beat("a", capability=3).authorities is None, "it could not read it"


def test_what_it_says_it_trusts_is_stored_where_it_can_be_true(bench: Bench) -> None:
    for odd in (["A" * 64], ["a" * 63], ["x"], ["a" * 64] * 9):
        bench.registry.apply("a", entry("a", trusts="b" * 64))
        bench.beat("a", trusts=odd)
        assert bench.services.computers.intakes[-1].trusts == ""


def test_the_newest_certificate_is_noted_once_it_is_shown(bench: Bench) -> None:
    bench.registry.apply("a", entry("a", unshown=True))
    bench.beat("a")
    assert len(bench.services.computers.intakes) == 1


def test_acks_and_events_are_stored_before_the_answer(bench: Bench) -> None:
    computers = bench.services.computers
    computers.hold = True

    async def talk() -> Response:
        answer = bench.ask(
            HEARTBEAT,
            heartbeat(
                acks=[Ack(command="c1", ok=True)],
                events=[AgentEvent(sequence=9, number=5000, time=1.0, text="started")],
            ),
            identity("a"),
        )
        assert not isinstance(answer, Response)
        task = asyncio.ensure_future(answer)
        await asyncio.sleep(0.02)
        assert not task.done()
        computers.commit(*computers.waiting.pop())
        return await task

    reply = msgspec.json.decode(asyncio.run(talk()).body, type=HeartbeatReply)
    assert reply.stored_acks == ["c1"]
    assert reply.stored_event == 9


@pytest.mark.parametrize(
    "fields",
    [
        {"acks": [Ack(command="c", ok=True)]},
        {"events": [AgentEvent(sequence=1, number=1, time=1.0, text="")]},
        {"inventory": Inventory(hostname="h", version="12.0.0")},
        {"relay": FloorReport(floor=Version.TLS1_2, origin=FloorOrigin.POLICY)},
        {"policy_fingerprint": "another"},
    ],
)
def test_whatever_must_last_goes_to_the_store(bench: Bench, fields: dict[str, Any]) -> None:
    bench.beat("a", **fields)
    assert len(bench.services.computers.intakes) == 1


def test_what_the_store_has_already_costs_no_write(bench: Bench) -> None:
    report = FloorReport(floor=Version.TLS1_2, origin=FloorOrigin.POLICY)
    bench.beat("a", relay=report)
    bench.registry.apply("a", entry("a", last_event_sequence=9))
    bench.beat("a", relay=report, events=[AgentEvent(sequence=9, number=1, time=1.0, text="")])
    bench.beat("a", policy_fingerprint=bench.registry.by_id["a"].entry.policy_fingerprint)
    assert len(bench.services.computers.intakes) == 1


def test_a_store_that_is_down_refuses_acks_and_still_gives_policy(bench: Bench) -> None:
    bench.registry.apply("a", entry("a", commands=(command("c1"),)))
    bench.services.computers.down = True
    answer = bench.run(HEARTBEAT, heartbeat(acks=[Ack(command="c", ok=True)]), identity("a"))
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 7
    assert problem(answer).retry_after
    assert [one.id for one in bench.beat("a").commands] == ["c1"]


def test_the_certificate_is_looked_up_at_every_request(bench: Bench) -> None:
    bench.beat("a")
    bench.registry.apply("a", entry("a", state="revoked"))
    answer = bench.run(HEARTBEAT, heartbeat(), identity("a"))
    assert (answer.status, problem(answer).reason) == (403, "revoked")


def test_nobody_without_a_certificate_and_no_other_installation(bench: Bench) -> None:
    assert problem(bench.run(HEARTBEAT, heartbeat())).reason == "no-certificate"
    stranger = bench.run(HEARTBEAT, heartbeat(), identity("x", installation="bbbb"))
    assert problem(stranger).reason == "wrong-role"
    assert problem(bench.run(HEARTBEAT, heartbeat(), identity("m", role="manager"))).reason == "wrong-role"
    assert not bench.services.computers.unknown


def test_a_validly_signed_stranger_makes_one_event_and_waits_for_approval(bench: Bench) -> None:
    answer = bench.run(HEARTBEAT, heartbeat(), identity("x"))
    assert (answer.status, problem(answer).reason) == (403, "unrecognised")
    assert bench.services.computers.unknown == ["x"]
    again = bench.run(HEARTBEAT, heartbeat(), identity("x"))
    assert problem(again).reason == "approval"
    assert bench.services.events.numbers == [771]


def test_a_certificate_of_after_the_backup_counts_at_once(bench: Bench) -> None:
    newer = Identity(INSTALLATION, "agent", "a", "newer")

    async def ask() -> Response:
        connection = FakeConnection(newer, certificate_ends=2.0)
        answer = bench.door(Request("POST", HEARTBEAT, {}, {}, msgspec.json.encode(heartbeat()), connection.real()))
        return await answer if inspect.isawaitable(answer) else answer

    first = asyncio.run(ask())
    assert (first.status, problem(first).reason, problem(first).retry_after) == (503, "again", 1.0)
    assert asyncio.run(ask()).status == 200
    assert not bench.services.events.numbers, "nobody unknown was here"


def test_malformed_heartbeats_say_what_is_wrong(bench: Bench) -> None:
    for body in (b"", b"{", b"[]", b'{"capability":"x"}', b"\xff\xfe"):
        answer = bench.run(HEARTBEAT, body, identity("a"))
        assert (answer.status, problem(answer).reason) == (400, "malformed")
    assert bench.run("/elsewhere", b"").status == 404
    assert bench.run(HEARTBEAT, b"", method="GET").headers["allow"] == "POST"


def test_a_herd_is_told_when_to_come_back() -> None:
    bench = Bench(entry("a"), limits=DoorLimits(rate=1, burst=2))
    answers = [bench.run(HEARTBEAT, heartbeat(), identity("a")) for _ in range(3)]
    bench.door.close()
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert problem(answers[2]).reason == "busy"
    assert problem(answers[2]).retry_after


def test_who_comes_back_is_told_once(bench: Bench) -> None:
    known = bench.registry.by_id["a"]
    known.away, known.problem = True, "TLS"
    bench.beat("a")
    bench.beat("a")
    assert bench.services.events.numbers == [731]
    assert bench.resolved == ["a"]


def test_the_first_heartbeat_is_not_a_return(bench: Bench) -> None:
    bench.beat("a")
    assert not bench.services.events.told


@pytest.mark.rule("R14")
def test_a_computer_that_holds_another_policy_gets_the_one_last_sent_again(bench: Bench) -> None:
    repeated = bench.beat("a", policy_fingerprint="another").commands
    assert [(one.kind, one.policy and one.policy.generation) for one in repeated] == [("apply-policy", 1)]
    assert not bench.beat("a", policy_fingerprint="another").commands
    bench.now += REPEAT_POLICY
    assert bench.beat("a", policy_fingerprint="another").commands


def test_a_change_in_the_store_is_not_undone_by_a_slower_answer(bench: Bench) -> None:
    computers = bench.services.computers
    computers.hold = True
    newer = entry("a", commands=(command("newer"),))

    async def talk() -> None:
        answer = bench.ask(HEARTBEAT, heartbeat(acks=[Ack(command="c", ok=True)]), identity("a"))
        task = asyncio.ensure_future(cast("Coroutine[Any, Any, Response]", answer))
        await asyncio.sleep(0)
        computers.entries["a"] = entry("a")
        intake, future = computers.waiting.pop()
        computers.commit(intake, future)
        computers.entries["a"] = newer
        bench.registry.apply("a", newer)
        await task

    asyncio.run(talk())
    assert bench.registry.by_id["a"].entry.commands == newer.commands


def test_activation_and_its_refusal(bench: Bench) -> None:
    wanted = ActivationRequest(
        capability=CAPABILITY, csr="csr", inventory=Inventory(hostname="h", version="12.0.0"), token="good"
    )
    assert bench.run(ACTIVATE, wanted).status == 200
    assert bench.run(ACTIVATE, wanted, identity("a")).status == 200
    assert bench.services.activation.known_as == [None, "a"]
    refused = bench.run(ACTIVATE, msgspec.structs.replace(wanted, token="old"))
    assert refused.status == 403
    assert "used up" in problem(refused).message
    assert bench.run(ACTIVATE, b"{}").status == 400


def test_renewal_by_certificate_or_by_proof_but_never_for_the_revoked(bench: Bench) -> None:
    wanted = RenewalRequest(capability=CAPABILITY, csr="csr")
    assert bench.run(RENEW, wanted, identity("a")).status == 200
    assert bench.run(RENEW, wanted).status == 200
    assert bench.services.activation.renewed == ["a", None]
    bench.registry.apply("a", entry("a", state="revoked"))
    assert problem(bench.run(RENEW, wanted, identity("a"))).reason == "revoked"
