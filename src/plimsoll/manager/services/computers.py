"""Computers: what is known of each, what was sent to it, and the path of its heartbeats into the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn

from plimsoll.fleet.relay_floor import version_default
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Presence, Principal, internal, permits
from plimsoll.manager.search import Search
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services import intake as heartbeat
from plimsoll.manager.services import policy_rules, relay_look, sending
from plimsoll.manager.services.computer_views import (
    ACTIVE,
    APPROVAL,
    REVOKED,
    ComputerChange,
    ComputerView,
    Intake,
    IntakeResult,
    RegistryEntry,
    RelayObservation,
    Viewer,
    entry,
)
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.policy_rules import PolicyValues
from plimsoll.manager.store import Connection, computer_fields, facts, kept_settings
from plimsoll.manager.store import commands as command_table
from plimsoll.manager.store import computers as table
from plimsoll.manager.store import groups as group_table
from plimsoll.manager.store import policies as policy_table
from plimsoll.manager.store.computers import ComputerRecord, ListedComputer
from plimsoll.messages import Kind

#: What of a computer reaches its agent in a policy.
_SENT = frozenset({"policy_id", "own_heartbeat_seconds", "own_missed_heartbeats", "own_direction"})

__all__ = [
    "ACTIVE",
    "APPROVAL",
    "REVOKED",
    "ComputerChange",
    "ComputerView",
    "ComputersService",
    "Intake",
    "IntakeResult",
    "RegistryEntry",
    "RelayObservation",
]


class ComputersService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.COMPUTERS_READ)
    def list(
        self,
        principal: Principal,
        *,
        kind: Kind | None = None,
        relay_group: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[ComputerView, ...]:
        """In the order of their ids; `after` an id and `limit` make pages."""

        def work(connection: Connection) -> tuple[ComputerView, ...]:
            group = None if relay_group is None else _group_id(connection, relay_group)
            kind_name = kind.value if kind else None
            found = table.listed(connection, kind=kind_name, relay_group_id=group, after=after, limit=limit)
            return views_of(connection, found)

        return self._core.store.read(work)

    @permits(Permission.COMPUTERS_READ)
    def search(self, principal: Principal, search: Search) -> tuple[ComputerView, ...]:
        """A page of those that pass, in the order of their numbers. Raises BadInput for a search that does not fit."""
        return self._core.store.read(lambda c: views_of(c, computer_fields.find(c, search)))

    @internal
    def numbered(self, numbers: Sequence[int]) -> tuple[ComputerView, ...]:
        """Those that are there, in the order of their numbers; a few hundred at most."""
        return self._core.store.read(lambda c: views_of(c, table.listed_by_number(c, numbers)))

    @permits(Permission.COMPUTERS_READ)
    def get(self, principal: Principal, computer: str) -> ComputerView:
        """`computer`, here and below, is an id or a number."""
        return self._view(computer)

    @permits(Permission.COMPUTERS_READ)
    def locate(self, principal: Principal, computer: str) -> str:
        """The id of the computer that is known by this id or number. Raises NotFound."""
        return self._core.store.read(lambda c: _known(c, computer).id)

    def _view(self, computer: str) -> ComputerView:
        def work(connection: Connection) -> ComputerView:
            found = table.listed_one(connection, computer)
            if found is None:
                _missing(computer)
            return views_of(connection, [found])[0]

        return self._core.store.read(work)

    @permits(Permission.COMPUTERS_CHANGE)
    def update(self, principal: Principal, computer: str, change: ComputerChange) -> ComputerView:
        def work(unit: Unit) -> None:
            before = _known(unit.connection, computer)
            columns = columns_of_change(unit.connection, change)
            columns = {name: value for name, value in columns.items() if getattr(before, name) != value}
            if columns:
                table.change(unit.connection, before.id, **columns)
                earlier = {name: getattr(before, name) for name in columns}
                unit.audit(principal, "computers.update", before.id, earlier, columns)
                unit.changed(before.id)
            if _SENT & columns.keys():
                moved = _known(unit.connection, before.id)
                if sending.effective_policies(unit)[moved.policy_id].auto_send:
                    sending.send_settings(unit, [moved])

        self._core.write(work)
        return self._view(computer)

    @permits(Permission.COMPUTERS_CHANGE)
    def delete(self, principal: Principal, computer: str) -> None:
        """Forgets it: its certificate is no longer known here, and its events stay."""

        def work(unit: Unit) -> None:
            before = _known(unit.connection, computer)
            table.remove(unit.connection, before.id)
            kept_settings.drop(unit.connection, "computer", before.number)
            unit.audit(principal, "computers.delete", before.id, {"name": before.display, "version": before.version})
            text = f"{before.display} was deleted by {principal.name}"
            unit.event(NewEvent(event_numbers.DELETED, "info", text, computer=before.id, target=before.display))
            unit.changed(before.id)

        self._core.write(work)

    @permits(Permission.COMPUTERS_CHANGE)
    def revoke(self, principal: Principal, computer: str, reason: str = "") -> ComputerView:
        """Its certificate is refused from now on, on open connections too."""

        def work(unit: Unit) -> None:
            before = _known(unit.connection, computer)
            table.change(unit.connection, before.id, state=REVOKED, online=False)
            unit.audit(principal, "computers.revoke", before.id, {"state": before.state}, {"reason": reason})
            text = f"the certificate of {before.display} was revoked by {principal.name}" + (reason and f": {reason}")
            unit.event(NewEvent(event_numbers.REVOKED, "warning", text, computer=before.id, target=before.display))
            unit.changed(before.id)

        self._core.write(work)
        return self._view(computer)

    @permits(Permission.COMPUTERS_CHANGE)
    def approve(self, principal: Principal, computer: str) -> ComputerView:
        def work(unit: Unit) -> None:
            before = _known(unit.connection, computer)
            if before.state != APPROVAL:
                raise Conflict(
                    f"{before.display} does not wait for approval (it is {before.state}); nothing was changed"
                )
            table.change(unit.connection, before.id, state=ACTIVE)
            unit.audit(principal, "computers.approve", before.id, {"state": APPROVAL}, {"state": ACTIVE})
            text = f"{before.display} was approved by {principal.name}"
            unit.event(
                NewEvent(event_numbers.CERTIFICATE_ACCEPTED, "info", text, computer=before.id, target=before.display)
            )
            unit.changed(before.id)

        self._core.write(work)
        return self._view(computer)

    @permits(Permission.POLICIES_SEND)
    def send_policy(
        self,
        principal: Principal,
        *,
        computers: Sequence[str] | None = None,
        relay_group: str | None = None,
        relays: bool = False,
        everyone: bool = False,
    ) -> int:
        """Send Policy (R14): snapshots each computer's policy, floors included, and queues it. Returns how many.

        A relay group means the relays in it, `relays` all relays.
        """
        if (computers is not None) + (relay_group is not None) + relays + everyone != 1:
            raise BadInput("say to whom: computers, a relay group, all relays, or all of them")

        def work(unit: Unit) -> int:
            c = unit.connection
            if computers is not None:
                found = _all_known(c, computers)
            elif relay_group is not None:
                found = [*table.find(c, kind=Kind.RELAY.value, relay_group_id=_group_id(c, relay_group))]
            elif relays:
                found = [*table.find(c, kind=Kind.RELAY.value)]
            else:
                found = [*table.find(c)]
            active = [computer for computer in found if computer.state == ACTIVE]
            sent = sending.send_floors(unit, active)
            many = "all" if everyone else "all relays" if relays else ""
            target = relay_group or many or ",".join(computer.id for computer in found)
            unit.audit(principal, "policies.send", target, None, {"computers": sent})
            if sent:
                names = ", ".join(computer.display for computer in active[:5]) + (", …" if sent > 5 else "")
                text = f"{principal.name} sent the policy to {sent} computers: {names}"
                # The audit trail keeps every id; an event names its target for people.
                whom = relay_group or many or (active[0].display if sent == 1 else f"{sent} computers")
                unit.event(NewEvent(event_numbers.POLICY_SENT, "info", text, target=whom))
            return sent

        return self._core.write(work)

    @internal
    def registry(self) -> Iterable[RegistryEntry]:
        """Every computer as the heartbeat path wants it; read in one go when the manager starts."""

        def work(connection: Connection) -> tuple[RegistryEntry, ...]:
            policies = policy_rules.resolve(policy_table.all_policies(connection))
            waiting: dict[str, Any] = {}
            for command in command_table.waiting(connection):
                waiting.setdefault(command.computer, []).append(command)
            return tuple(
                entry(one, policy_rules.of_computer(policies[one.policy_id], one), waiting.get(one.id, ()))
                for one in table.each(connection)
            )

        return self._core.store.read(work)

    @internal
    def entry(self, computer: str) -> RegistryEntry | None:
        """One computer's entry, or None where it is gone."""
        return self._core.store.read(lambda c: heartbeat.read_entry(Unit(c, self._core.clock()), computer))

    @internal
    def take_in(self, intake: Intake) -> Future[IntakeResult]:
        """Stores it with the next group commit. The future fails with Unavailable where the store cannot."""
        return self._core.enqueue(lambda unit: heartbeat.take_in(unit, intake))

    @internal
    def apply_presence(self, batch: Sequence[Presence]) -> None:
        """One transaction for the whole batch. Sets the computers online; `set_online` tells the other way."""
        # Who showed a hello gets one update, not two: on PostgreSQL each writes the whole row anew.
        seen = [_seen(one) for one in batch if one.observed_at is None]
        shown = [
            _seen(one)
            | {
                "address": one.address,
                "ja4": one.ja4,
                "offered": one.offered,
                "negotiated": one.negotiated,
                "observed_at": one.observed_at,
            }
            for one in batch
            if one.observed_at is not None
        ]

        def work(connection: Connection) -> None:
            table.change_many(connection, seen)
            table.change_many(connection, shown)

        if batch:
            self._core.store.write(work)

    @internal
    def set_online(self, computers: Sequence[str], online: bool) -> None:
        def work(unit: Unit) -> None:
            table.set_online(unit.connection, computers, online)
            unit.changed_elsewhere(*computers)

        self._core.write(work)

    @internal
    def presence_since(self, since: float) -> tuple[Presence, ...]:
        """Whom a manager saw after that time, as it is stored: what other managers on the database saw among it."""
        return self._core.store.read(lambda c: table.presence_since(c, since))

    @internal
    def last_heard(self, computers: Sequence[str]) -> dict[str, tuple[bool, float]]:
        """Whether each counts as online, and when it was last seen, by whichever manager."""
        return self._core.store.read(lambda c: table.last_heard(c, computers))

    @internal
    def ids(self) -> tuple[str, ...]:
        """Of all computers."""
        return self._core.store.read(table.ids)

    @internal
    def clock_moved(self, by: float, since: float) -> None:
        """The wall clock took a step of so many seconds: when computers were last seen moves with it.

        The step came after `since`, in the new time: who was seen after that, keeps it.
        """
        self._core.store.write(lambda c: table.move_last_seen(c, by, since, self._core.clock()))

    @internal
    def observe_relay(self, observation: RelayObservation) -> None:
        """What a handshake with a relay's 4122 showed, beside what it says of itself. Drift is told when it begins,
        when it changes its kind, and when it ends.
        """
        self._core.write(lambda unit: relay_look.note(unit, observation))

    @internal
    def note_unknown(
        self, computer: str, kind: Kind, fingerprint: str, address: str, expires: float | None = None
    ) -> RegistryEntry:
        """A validly signed identity that the store does not know (a restored manager): waits for approval.

        A computer that is known, whose certificate `expires` (in seconds) later than the one on record, got it after
        the backup: nobody else can sign one, so it counts. Where the manager was never restored, nothing is taken over.
        """

        def work(unit: Unit) -> RegistryEntry:
            known = table.get(unit.connection, computer)
            if known is None:
                base = policy_table.policy_named(unit.connection, policy_rules.BASE)
                assert base is not None
                policy = sending.effective_policies(unit)[base.id]
                # What it holds is not known here; nothing is given to it before it was approved.
                held = version_default(None)
                new = ComputerRecord(
                    id=computer,
                    kind=kind.value,
                    hostname="",
                    version="",
                    platform="",
                    address=address,
                    policy_id=base.id,
                    fingerprint=fingerprint,
                    state=APPROVAL,
                    certificate_expires=expires,
                    activated=unit.now,
                    **policy_rules.given(policy.message(held, held), unit.now, sent=False),
                )
                table.add(unit.connection, new)
                text = (
                    f"{address} shows a certificate of this manager for {computer}, which is not known here; it waits"
                )
                unit.event(NewEvent(event_numbers.UNKNOWN_AGENT, "warning", text, computer=computer, target=address))
                unit.changed(computer)
            elif _issued_since(unit.connection, known, expires):
                columns = {"previous_fingerprint": known.fingerprint, "fingerprint": fingerprint}
                table.change(unit.connection, computer, certificate_expires=expires, **columns)
                text = (
                    f"{known.display} shows a certificate from {address} that it got after the backup from which this"
                    " manager was restored; it counts from now on"
                )
                number = event_numbers.CERTIFICATE_ACCEPTED
                unit.event(NewEvent(number, "info", text, computer=computer, target=known.display))
                unit.changed(computer)
            found = heartbeat.read_entry(unit, computer)
            assert found is not None
            return found

        return self._core.write(work)


def _seen(one: Presence) -> dict[str, Any]:
    return {"computer": one.computer, "last_seen": one.last_seen, "online": True}


def _issued_since(connection: Connection, known: ComputerRecord, expires: float | None) -> bool:
    if known.state != ACTIVE or expires is None or known.certificate_expires is None:
        return False
    return expires > known.certificate_expires and facts.get(connection, facts.RESTORED) is not None


def _known(connection: Connection, computer: str) -> ComputerRecord:
    found = table.one(connection, computer)
    if found is None:
        _missing(computer)
    return found


def _all_known(connection: Connection, computers: Sequence[str]) -> list[ComputerRecord]:
    """All of these, each once: by id in a few questions, by number one by one."""
    by_id = {found.id: found for found in table.find(connection, ids=computers)}
    found = (by_id.get(one) or _known(connection, one) for one in computers)
    return [*{known.id: known for known in found}.values()]


def _missing(computer: str) -> NoReturn:
    raise NotFound(f"there is no computer {computer!r}; nothing was changed. The list shows their ids")


def _group_id(connection: Connection, name: str) -> int:
    group = policy_table.group_named(connection, name)
    if group is None:
        raise NotFound(f"there is no relay group {name!r}; nothing was changed")
    return group.id


def views_of(connection: Connection, found: Sequence[ListedComputer]) -> tuple[ComputerView, ...]:
    policies = policy_rules.resolve(policy_table.all_policies(connection))
    groups = {group.id: group.name for group in policy_table.all_groups(connection)}
    return tuple(map(Viewer(policies, groups).view, found))


def columns_of_change(connection: Connection, change: ComputerChange) -> dict[str, Any]:
    """What is to be changed, as the store has it. Raises NotFound and BadInput."""
    columns: dict[str, Any] = {}
    if change.display_name is not None:
        columns["display_name"] = change.display_name
    if change.description is not None:
        columns["description"] = change.description
    if change.group_id is not None:
        if change.group_id and group_table.group(connection, change.group_id) is None:
            raise NotFound(f"there is no computer group {change.group_id}; nothing was changed")
        columns["group_id"] = change.group_id or None
    if change.guards is not None:
        columns |= {"guards": [*change.guards], "guards_set": True}
    if change.relay_group is not None:
        columns["relay_group_id"] = _group_id(connection, change.relay_group) if change.relay_group else None
    if change.relay_group_id is not None:
        if change.relay_group_id and policy_table.group(connection, change.relay_group_id) is None:
            raise NotFound(f"there is no relay group {change.relay_group_id}; nothing was changed")
        columns["relay_group_id"] = change.relay_group_id or None
    if change.policy is not None or change.policy_id is not None:
        columns["policy_id"] = _policy_id(connection, change)
    return columns | _own_columns(change)


def _policy_id(connection: Connection, change: ComputerChange) -> int:
    if change.policy_id is not None:
        found = policy_table.policy(connection, change.policy_id)
    else:
        found = policy_table.policy_named(connection, change.policy or "")
    if found is None:
        wanted = change.policy_id if change.policy_id is not None else change.policy
        raise NotFound(f"there is no policy {wanted!r}; nothing was changed")
    return found.id


def _own_columns(change: ComputerChange) -> dict[str, Any]:
    """What holds for this computer alone. A floor does not: for one computer there are exceptions."""
    own = policy_rules.columns_of(change.own or PolicyValues())
    alien = [name for name in (*own, *change.inherit) if f"own_{name}" not in ComputerRecord.__dataclass_fields__]
    if alien:
        raise BadInput(f"{alien[0]} is its policy's to say, not one computer's; nothing was changed")
    return {f"own_{name}": value for name, value in own.items()} | {f"own_{name}": None for name in change.inherit}
