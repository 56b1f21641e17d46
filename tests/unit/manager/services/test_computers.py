from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk, reopened

from plimsoll.manager.ports import BadInput, Conflict, NotFound, Presence
from plimsoll.manager.services.computers import ComputerChange, Intake, RelayObservation
from plimsoll.manager.services.hub import Change, ComputersChanged, EventRecorded
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import facts
from plimsoll.messages import Ack, AgentEvent, Direction, FloorOrigin, FloorReport, Inventory, Kind, fingerprint
from plimsoll.tls.versions import Version


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def take_in(at: Desk, computer: str, sequence: int = 1, **more: object) -> object:
    shown = at.services.computers.entry(computer)
    assert shown is not None
    intake = Intake(computer, 1.0, sequence, shown.fingerprints[0], **more)  # type: ignore[arg-type]  # as given
    return at.services.computers.take_in(intake).result(10)


@pytest.mark.rule("R14")
@pytest.mark.rule("R17")
def test_a_relay_keeps_its_floor_until_its_policy_is_sent(at: Desk) -> None:
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    at.activate("web-1")
    change = at.services.floors.set(ROOT, "TLSv1", "relay")
    assert change.pending_policies == 1
    shown = {point.point.value: point.policies_pending for point in at.services.floors.show(ROOT).floors}
    assert shown == {"heartbeat": 0, "gui": 0, "relay": 1, "agent": 0}
    view = at.services.judgement.relays(ROOT)[0]
    assert (view.holds, view.required, view.sent, view.pending) == (Version.TLS1_2, Version.TLS1_0, None, True)
    assert at.services.computers.send_policy(ROOT, computers=[relay]) == 1
    view = at.services.judgement.relays(ROOT)[0]
    assert (view.holds, view.origin, view.sent, view.pending) == (Version.TLS1_0, "policy", Version.TLS1_0, False)
    assert view.acked_at is None
    entry = at.services.computers.entry(relay)
    assert entry is not None
    (command,) = entry.commands
    assert command.policy is not None
    assert command.policy.relay_floor is Version.TLS1_0
    assert entry.policy_fingerprint == fingerprint(command.policy)
    take_in(at, relay, acks=[Ack(command=command.id, ok=True)])
    assert at.services.judgement.relays(ROOT)[0].acked_at is not None
    assert at.services.computers.get(ROOT, relay).policy_held


@pytest.mark.rule("R14")
def test_other_changes_are_sent_by_themselves_and_carry_no_floor(at: Desk) -> None:
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    at.services.floors.set(ROOT, "TLSv1")
    base = at.services.policies.list(ROOT)[0]
    at.services.policies.update(ROOT, base.id, PolicyValues(heartbeat_seconds=30, direction=Direction.BIDIRECTIONAL))
    entry = at.services.computers.entry(relay)
    assert entry is not None
    (command,) = entry.commands
    assert command.policy is not None
    assert (command.policy.heartbeat_seconds, command.policy.relay_floor) == (30, Version.TLS1_2)
    assert command.policy.agent_floor is Version.TLS1_2
    view = at.services.judgement.relays(ROOT)[0]
    assert (view.origin, view.pending) == ("version default", True)
    at.services.computers.send_policy(ROOT, everyone=True)
    at.services.floors.set(ROOT, "TLSv1.1", "relay", force=True, reason="test")
    at.services.policies.update(ROOT, base.id, PolicyValues(missed_heartbeats=3))
    entry = at.services.computers.entry(relay)
    assert entry is not None
    # The waiting Send Policy was replaced by a newer policy, which carries the floors that it had.
    (command,) = entry.commands
    assert command.policy is not None
    assert command.policy.relay_floor is Version.TLS1_0
    assert at.services.judgement.relays(ROOT)[0].origin == "policy"


@pytest.mark.rule("R14")
def test_without_auto_send_nothing_goes_out_by_itself(at: Desk) -> None:
    computer = at.activate("web-1").computer
    base = at.services.policies.list(ROOT)[0]
    at.services.policies.update(ROOT, base.id, PolicyValues(auto_send=False))
    at.services.policies.update(ROOT, base.id, PolicyValues(heartbeat_seconds=30))
    entry = at.services.computers.entry(computer)
    assert entry is not None
    assert entry.commands == ()
    assert at.services.computers.get(ROOT, computer).policy_pending
    at.services.computers.send_policy(ROOT, computers=[computer])
    assert not at.services.computers.get(ROOT, computer).policy_pending


def test_send_policy_by_group_and_to_all(at: Desk) -> None:
    group = at.services.policies.create_relay_group(ROOT, "Branch")
    relays = [at.activate(f"relay-{n}", kind=Kind.RELAY).computer for n in range(3)]
    at.activate("web-1")
    for relay in relays[:2]:
        at.services.computers.update(ROOT, relay, ComputerChange(relay_group=group.name))
    assert at.services.computers.send_policy(ROOT, relay_group="Branch") == 2
    assert at.services.computers.send_policy(ROOT, everyone=True) == 4
    assert len(at.services.computers.list(ROOT, relay_group="Branch")) == 2
    at.services.computers.revoke(ROOT, relays[0])
    assert at.services.computers.send_policy(ROOT, everyone=True) == 3
    with pytest.raises(BadInput, match="say to whom"):
        at.services.computers.send_policy(ROOT)
    with pytest.raises(NotFound, match="relay group 'none'"):
        at.services.computers.send_policy(ROOT, relay_group="none")
    with pytest.raises(NotFound, match="no computer 'x'"):
        at.services.computers.send_policy(ROOT, computers=["x"])
    assert at.services.events.list(ROOT)[-1].number == 1952


def test_acks_and_events_are_stored_once_and_survive(at: Desk) -> None:
    computer = at.activate("web-1").computer
    at.services.computers.send_policy(ROOT, computers=[computer])
    entry = at.services.computers.entry(computer)
    assert entry is not None
    command = entry.commands[0].id
    events = [AgentEvent(sequence=n, number=5000, time=float(n), text=f"e{n}") for n in (7, 5, 6)]
    first = take_in(at, computer, 10, acks=[Ack(command=command, ok=False, text="disk full")], events=events)
    again = take_in(at, computer, 9, acks=[Ack(command=command, ok=True), Ack(command="gone", ok=True)], events=events)
    assert (first.stored_acks, first.stored_event) == ((command,), 7)  # type: ignore[attr-defined]  # an IntakeResult
    assert (again.stored_acks, again.stored_event) == ((command, "gone"), 7)  # type: ignore[attr-defined]  # too
    path = at.home.path
    at.home.close()
    with reopened(path, at.made) as later:
        stored = later.services.events.list(ROOT, computer=computer)
        assert [e.description for e in stored if e.origin == "agent"] == ["e5", "e6", "e7"]
        assert sum("disk full" in e.description for e in stored) == 1
        entry = later.services.computers.entry(computer)
        assert entry is not None
        assert (entry.commands, entry.last_sequence, entry.last_event_sequence) == ((), 10, 7)


def test_an_intake_for_a_deleted_computer_fails_alone(at: Desk) -> None:
    gone = at.activate("gone").computer
    here = at.activate("here").computer
    entry = at.services.computers.entry(gone)
    assert entry is not None
    at.services.computers.delete(ROOT, gone)
    lost = at.services.computers.take_in(Intake(gone, 1.0, 1, entry.fingerprints[0]))
    assert take_in(at, here)
    with pytest.raises(NotFound, match="activate it again"):
        lost.result(10)
    assert at.services.computers.entry(gone) is None
    assert at.services.events.list(ROOT)[-1].number == 251


def test_the_newest_certificate_in_use_retires_the_former(at: Desk) -> None:
    from plimsoll.messages import RenewalRequest
    from plimsoll.testing.certificates import certificate_request, new_key

    computer = at.activate("a").computer
    at.services.activation.renew(
        RenewalRequest(capability=1, csr=certificate_request(new_key(), "a")), "10.0.0.1", computer
    )
    entry = at.services.computers.entry(computer)
    assert entry is not None
    newest, former = entry.fingerprints
    at.services.computers.take_in(Intake(computer, 1.0, 1, former)).result(10)
    assert at.services.computers.entry(computer).fingerprints == (newest, former)  # type: ignore[union-attr]  # known
    result = at.services.computers.take_in(Intake(computer, 1.0, 2, newest)).result(10)
    assert result.entry is not None
    assert result.entry.fingerprints == (newest,)


@pytest.mark.rule("R7")
def test_a_relay_that_is_upgraded_in_place_keeps_its_floor(at: Desk) -> None:
    relay = at.activate("relay-1", "10.0.2775", Kind.RELAY).computer
    take_in(at, relay, inventory=Inventory(hostname="relay-1", version="12.0.0", kind=Kind.RELAY, relay_port=4122))
    view = at.services.judgement.relays(ROOT)[0]
    assert (view.version, view.holds, view.origin) == ("12.0.0", Version.TLS1_0, "kept through an upgrade")


def test_two_hosts_with_one_identity_are_found(at: Desk) -> None:
    computer = at.activate("a", boot_id="boot-1").computer

    def heard(boot: str, host: str = "a") -> bool:
        result = take_in(at, computer, inventory=Inventory(hostname=host, version="12.0.0", boot_id=boot))
        return bool(result.clone)  # type: ignore[attr-defined]  # an IntakeResult

    assert not heard("boot-1")
    assert not heard("boot-2"), "a restart is no clone"
    assert not heard("boot-3")
    assert heard("boot-2", "b"), "a boot id never comes back"
    assert heard("boot-3", "a")
    clones = [e for e in at.services.events.list(ROOT) if e.number == 1954]
    assert len(clones) == 1
    assert "Two hosts" in " ".join(at.services.computers.get(ROOT, computer).messages)


def test_presence_comes_in_batches(at: Desk) -> None:
    ids = [at.activate(f"c{n}").computer for n in range(3)]
    shown = Presence(ids[0], 100.0, "10.0.0.1", "ja4", Version.TLS1_3, Version.TLS1_3, 99.0)
    at.services.computers.apply_presence([shown, Presence(ids[1], 101.0)])
    views = {view.id: view for view in at.services.computers.list(ROOT)}
    assert (views[ids[0]].online, views[ids[0]].offered, views[ids[0]].address) == (True, Version.TLS1_3, "10.0.0.1")
    assert (views[ids[1]].last_seen, views[ids[1]].offered, views[ids[1]].address) == (101.0, None, "127.0.0.9")
    assert not views[ids[2]].online
    at.services.computers.set_online([ids[0]], False)
    assert at.services.computers.get(ROOT, ids[0]).messages[0] == "Managed (Offline)"
    at.services.computers.apply_presence([])


def test_a_relays_floor_as_reported_and_as_observed(at: Desk) -> None:
    relay = at.activate("relay-1", kind=Kind.RELAY).computer
    report = FloorReport(floor=Version.TLS1_2, origin=FloorOrigin.VERSION_DEFAULT)
    take_in(at, relay, relay=report)
    at.services.computers.observe_relay(RelayObservation(relay, 50.0, Version.TLS1_0, "TLSv1 was accepted"))
    at.services.computers.observe_relay(RelayObservation(relay, 60.0, None, "timed out"))
    view = at.services.judgement.relays(ROOT)[0]
    assert (view.reported, view.reported_origin) == (Version.TLS1_2, "version default")
    assert (view.observed, view.observed_at, view.observed_detail) == (Version.TLS1_0, 50.0, "timed out")
    assert "A handshake shows floor TLSv1, not TLSv1.2" in at.services.computers.get(ROOT, relay).messages


@pytest.mark.rule("R17")
@pytest.mark.rule("G6")
def test_drift_of_a_relay_is_told_once_when_it_begins_and_once_when_it_ends(at: Desk) -> None:
    relay = at.activate("relay", kind=Kind.RELAY).computer
    computers = at.services.computers
    at.services.policies.update(ROOT, 1, PolicyValues(heartbeat_seconds=1))
    computers.send_policy(ROOT, computers=[relay])

    def look(floor: Version | None, later: float) -> tuple[list[int], str | None]:
        """The look at that time, the events of drift so far, and what is shown."""
        computers.observe_relay(RelayObservation(relay, time.time() + later, floor, "as the test says"))
        told = [one.number for one in at.services.events.list(ROOT, limit=1000) if one.number in (1951, 1959)]
        (view,) = at.services.judgement.relays(ROOT)
        return told, view.drift_kind

    def acknowledge() -> None:
        record = at.home.store.read(lambda c: table.get(c, relay))
        assert record is not None
        acked = {"policy_acked": record.policy_fingerprint, "policy_acked_at": time.time()}
        at.home.store.write(lambda c: table.change(c, relay, **acked))

    assert look(Version.TLS1_0, 5) == ([], None), "it has not acknowledged yet"
    acknowledge()
    assert look(Version.TLS1_2, 5) == ([], None)
    assert look(Version.TLS1_0, 10) == ([1951], "observed")
    assert look(Version.TLS1_0, 70) == ([1951], "observed"), "once, not at each look"
    assert look(None, 130) == ([1951], "observed"), "a relay that does not answer proves nothing new"
    (event, *_) = [one for one in at.services.events.list(ROOT, limit=1000) if one.number == 1951]
    assert (event.computer, event.extra["observed"], event.extra["kind"]) == (relay, "TLSv1", "observed")
    assert look(Version.TLS1_2, 190) == ([1951, 1959], None)

    at.services.policies.update(ROOT, 1, PolicyValues(relay_floor=Version.TLS1_1))
    computers.send_policy(ROOT, computers=[relay])
    assert look(None, 0) == ([1951, 1959], None), "it has time to take it home"
    long_ago = time.time() - 60
    at.home.store.write(lambda c: table.change(c, relay, floors_sent_at=long_ago))
    assert look(None, 0) == ([1951, 1959, 1951], "unacknowledged")
    acknowledge()
    assert look(Version.TLS1_1, 5) == ([1951, 1959, 1951, 1959], None)


def test_changes_of_a_computer(at: Desk) -> None:
    computer = at.activate("esx-1", "9.5.2", Kind.APPLIANCE).computer
    policy = at.services.policies.create(ROOT, "Guards", values=PolicyValues(heartbeat_seconds=60))
    group = at.services.groups.create(ROOT, "Guards of north").id
    change = ComputerChange(
        display_name="Guard one", group_id=group, policy="Guards", relay_group="", guards=("vm-1", "vm-2")
    )
    view = at.services.computers.update(ROOT, computer, change)
    assert (view.display_name, view.group_id, view.policy, view.relay_group) == ("Guard one", group, policy.name, None)
    assert view.guards == ("vm-1", "vm-2")
    entry = at.services.computers.entry(computer)
    assert entry is not None
    assert entry.commands[0].policy is not None
    assert entry.commands[0].policy.heartbeat_seconds == 60
    named = Inventory(hostname="esx-1", version="10.0.5", kind=Kind.APPLIANCE, guards=["x"], display_name="other")
    take_in(at, computer, inventory=named)
    view = at.services.computers.get(ROOT, computer)
    assert (view.display_name, view.guards, view.version) == ("Guard one", ("vm-1", "vm-2"), "10.0.5")
    for wrong in (
        ComputerChange(policy="none"),
        ComputerChange(policy_id=999),
        ComputerChange(relay_group="none"),
        ComputerChange(relay_group_id=999),
        ComputerChange(group_id=999),
    ):
        with pytest.raises(NotFound):
            at.services.computers.update(ROOT, computer, wrong)
    with pytest.raises(NotFound):
        at.services.computers.get(ROOT, "none")


def test_the_hub_hears_of_changes_after_they_are_stored(at: Desk) -> None:
    heard: list[Change] = []
    stop = at.services.hub.subscribe(heard.append)

    def failing(change: Change) -> None:
        raise RuntimeError("a listener's own fault")

    at.services.hub.subscribe(failing)
    computer = at.activate("a").computer
    assert heard[0] == ComputersChanged((computer,))
    assert [c.event.number for c in heard if isinstance(c, EventRecorded)] == [250, 704]
    stop()
    at.services.computers.revoke(ROOT, computer, "lost laptop")
    assert len(heard) == 3
    assert at.services.computers.get(ROOT, computer).state == "revoked"
    assert at.services.computers.get(ROOT, computer).messages == ("Revoked",)


def test_a_certificate_that_was_issued_after_the_backup_counts_where_there_was_one(at: Desk) -> None:
    computer = at.activate("web-1").computer
    known = at.services.computers.entry(computer)
    assert known is not None
    before = known.fingerprints
    later, earlier = time.time() + 400 * 86400, time.time() + 86400

    def shown(expires: float | None, print_: str) -> tuple[str, ...]:
        return tuple(at.services.computers.note_unknown(computer, Kind.AGENT, print_, "10.0.0.9", expires).fingerprints)

    assert shown(later, "b" * 64) == before, "this manager was never restored"
    at.home.store.write(lambda c: facts.put(c, facts.RESTORED, str(time.time())))
    assert shown(earlier, "b" * 64) == before
    assert shown(None, "b" * 64) == before
    assert shown(later, "b" * 64) == ("b" * 64, *before)
    assert [e.number for e in at.services.events.list(ROOT)].count(930) == 1
    at.services.computers.revoke(ROOT, computer)
    assert "c" * 64 not in shown(later + 1, "c" * 64)


def test_an_unknown_identity_waits_for_approval_once(at: Desk) -> None:
    for _ in range(2):
        at.services.computers.note_unknown("lost", Kind.AGENT, "f" * 64, "10.0.0.9")
    view = at.services.computers.get(ROOT, "lost")
    assert (view.state, view.messages) == ("approval", ("Waits for approval",))
    assert [e.number for e in at.services.events.list(ROOT)].count(716) == 1
    assert at.services.computers.approve(ROOT, "lost").state == "active"
    with pytest.raises(Conflict):
        at.services.computers.approve(ROOT, "lost")
