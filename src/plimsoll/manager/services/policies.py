"""Policies and relay groups. A floor in a policy waits for Send Policy (R14); other changes may send themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plimsoll.fleet.parts import Fleet
from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, internal, permits
from plimsoll.manager.services import policy_rules, sending
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import FLOOR_CHANGED, NewEvent
from plimsoll.manager.services.floors import check_no_change
from plimsoll.manager.services.guard import Consent, Judged, check_seen, judge_raise
from plimsoll.manager.services.hub import RelayGroupsChanged
from plimsoll.manager.services.policy_rules import BASE, Effective, PolicyValues, columns_of
from plimsoll.manager.store import Connection, facts, kept_settings
from plimsoll.manager.store import computer_counts as count_table
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import floors as floor_table
from plimsoll.manager.store import policies as table
from plimsoll.manager.store.policies import PolicyRecord
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

__all__ = ["FloorsAsked", "PoliciesService", "PolicyValues", "PolicyView", "RelayGroupView"]

#: The fields of a policy that are floors, with the point that each is enforced at.
_FLOORS = {"relay_floor": Point.RELAY, "agent_floor": Point.AGENT}


@dataclass(frozen=True, slots=True)
class PolicyView:
    """`own` are the policy's own values, `effective` with what it inherits. `pending` counts unsent computers."""

    id: int
    name: str
    description: str
    parent_id: int | None
    parent: str | None
    generation: int
    own: PolicyValues
    effective: PolicyValues
    computers: int
    pending: int


@dataclass(frozen=True, slots=True)
class FloorsAsked:
    """`moves` are points with the floor before and after; `raises` each floor that somebody has to reach, the lowest
    first, with the points where.
    """

    moves: tuple[tuple[Point, Version, Version], ...]
    raises: tuple[tuple[Version, tuple[Point, ...]], ...]


@dataclass(frozen=True, slots=True)
class RelayGroupView:
    id: int
    name: str
    parent: str | None
    relays: tuple[str, ...]
    computers: int


class PoliciesService:
    def __init__(self, core: Core, fleet: Callable[[], Fleet]) -> None:
        self._core = core
        self._fleet = fleet

    @permits(Permission.POLICIES_READ)
    def list(self, principal: Principal) -> tuple[PolicyView, ...]:
        return self._core.store.read(_views)

    @permits(Permission.POLICIES_READ)
    def names(self, principal: Principal) -> dict[int, str]:
        """Name by id, in the order of the names: for choosing one. Counts no computers."""
        found = self._core.store.read(table.all_policies)
        return {one.id: one.name for one in sorted(found, key=lambda one: one.name.casefold())}

    @permits(Permission.POLICIES_READ)
    def relay_group_names(self, principal: Principal) -> dict[int, str]:
        """The same of relay groups."""
        found = self._core.store.read(table.all_groups)
        return {one.id: one.name for one in sorted(found, key=lambda one: one.name.casefold())}

    @permits(Permission.POLICIES_READ)
    def get(self, principal: Principal, policy: int) -> PolicyView:
        return self._view(policy)

    def _view(self, policy: int) -> PolicyView:
        for view in self._core.store.read(_views):
            if view.id == policy:
                return view
        raise NotFound(f"there is no policy {policy}; nothing was changed")

    @permits(Permission.POLICIES_CHANGE)
    def create(
        self,
        principal: Principal,
        name: str,
        parent: str | int = BASE,
        values: PolicyValues | None = None,
        description: str = "",
    ) -> PolicyView:
        """A new policy concerns no computer yet, so its floors cut nobody off. `parent` is a name or an id."""

        def work(unit: Unit) -> int:
            _check_free(unit.connection, name)
            above = _parent(unit.connection, parent)
            columns = columns_of(values or PolicyValues())
            generation = facts.advance(unit.connection, facts.POLICY_GENERATION, unit.now)
            identifier = table.add_policy(
                unit.connection,
                name=name.strip(),
                description=description,
                parent_id=above.id,
                generation=generation,
                **columns,
            )
            unit.audit(principal, "policies.create", name.strip(), None, _said(columns) | {"parent": above.name})
            return identifier

        return self._view(self._core.write(work))

    @permits(Permission.POLICIES_CHANGE)
    def update(
        self,
        principal: Principal,
        policy: int,
        values: PolicyValues,
        *,
        inherit: tuple[str, ...] = (),
        name: str | None = None,
        description: str | None = None,
        parent: str | int | None = None,
        force: bool = False,
        reason: str | None = None,
        seen: Collection[str] | None = None,
    ) -> PolicyView:
        """Sets what is not None in `values`; the fields named in `inherit` go back to the parent's.

        A floor that is raised is judged like any raise: Blocked unless forced with a reason, and where others would be
        cut off than those `seen`, the ids of whom a person was shown.
        """
        consent = Consent(force, reason).checked()
        before = self._core.store.read(lambda c: _known(c, policy))
        columns = columns_of(values) | _inherited(before, inherit)
        if name is not None and name.strip() != before.name:
            if before.name == BASE:
                raise Conflict("the base policy keeps its name; nothing was changed")
            columns["name"] = name.strip()
        if description is not None and description != before.description:
            columns["description"] = description
        if parent is not None:
            columns |= self._core.store.read(lambda c: _moved(c, before, parent))
        floors = bool(_FLOORS.keys() & columns.keys()) or "parent_id" in columns
        if floors:
            self._core.store.read(check_no_change)
        judged = self._judge(before.id, columns, consent, seen)

        def work(unit: Unit) -> None:
            if "name" in columns:
                _check_free(unit.connection, columns["name"])
            _change(unit, principal, _known(unit.connection, policy), columns, judged, consent.reason)

        if columns:
            self._core.write(work)
        if before.name == BASE and floors:
            self._core.publish_floors()
        return self._view(policy)

    @permits(Permission.POLICIES_READ)
    def floors_asked(
        self, principal: Principal, policy: int, values: PolicyValues, inherit: tuple[str, ...] = ()
    ) -> FloorsAsked:
        """What `update` would do to this policy's floors: nothing is judged and nothing changed. Raises as `update`."""
        before = self._core.store.read(lambda c: _known(c, policy))
        columns = columns_of(values) | _inherited(before, inherit)
        alien = [name for name in columns if name not in _FLOORS]
        if alien:
            raise BadInput(f"{alien[0]} is no floor; nothing was judged")
        old, new = self._resolved(policy, columns)
        moves = tuple(
            (point, getattr(old, field), getattr(new, field))
            for field, point in _FLOORS.items()
            if getattr(old, field) is not getattr(new, field)
        )
        return FloorsAsked(moves, tuple((target, tuple(points)) for target, points in self._raised(old, new).items()))

    def _judge(
        self, policy: int, columns: dict[str, Any], consent: Consent, seen: Collection[str] | None
    ) -> dict[Point, Judged]:
        """Of each point where the floor rises."""
        judged: dict[Point, Judged] = {}
        for target, points in self._raised(*self._resolved(policy, columns)).items():
            found = judge_raise(self._fleet, target, points, consent)
            check_seen(found.preflight, seen)
            judged |= dict.fromkeys(points, found)
        return judged

    def _resolved(self, policy: int, columns: dict[str, Any]) -> tuple[Effective, Effective]:
        """The policy as it is, and as it would be."""
        records = {record.id: record for record in self._core.store.read(table.all_policies)}
        changed = PolicyRecord(**asdict(records[policy]) | columns)
        after = policy_rules.resolve((records | {policy: changed}).values())[policy]
        return policy_rules.resolve(records.values())[policy], after

    def _raised(self, old: Effective, new: Effective) -> Mapping[Version, Sequence[Point]]:
        """Floors that rise, the lowest first, with where."""
        raised = {point: getattr(new, field) for field, point in _FLOORS.items() if _raises(old, new, field)}
        targets = sorted(set(raised.values()), key=lambda version: version.rank)
        return {target: [point for point, floor in raised.items() if floor is target] for target in targets}

    @permits(Permission.POLICIES_CHANGE)
    def delete(self, principal: Principal, policy: int) -> None:
        def work(unit: Unit) -> None:
            before = _known(unit.connection, policy)
            if before.name == BASE:
                raise Conflict("the base policy stays: all others inherit from it")
            if table.computers_by_policy(unit.connection).get(policy):
                raise Conflict(f"computers have the policy {before.name}: give them another first; nothing was changed")
            if any(other.parent_id == policy for other in table.all_policies(unit.connection)):
                raise Conflict(f"policies inherit from {before.name}: delete those first; nothing was changed")
            table.delete_policy(unit.connection, policy)
            kept_settings.drop(unit.connection, "policy", policy)
            unit.audit(principal, "policies.delete", before.name, _said(asdict(before)))

        self._core.write(work)

    @permits(Permission.POLICIES_READ)
    def relay_groups(self, principal: Principal) -> tuple[RelayGroupView, ...]:
        return self._core.store.read(_groups)

    @permits(Permission.POLICIES_CHANGE)
    def create_relay_group(self, principal: Principal, name: str, parent: str | None = None) -> RelayGroupView:
        def work(unit: Unit) -> int:
            known = {group.name: group.id for group in table.all_groups(unit.connection)}
            if not name.strip() or name.strip() in known:
                raise Conflict(f"a relay group needs a name that is free, not {name!r}; nothing was changed")
            if parent is not None and parent not in known:
                raise NotFound(f"there is no relay group {parent!r} above it; nothing was changed")
            identifier = table.add_group(unit.connection, name.strip(), known[parent] if parent else None)
            unit.audit(principal, "relaygroups.create", name.strip(), None, {"parent": parent})
            unit.changes.append(RelayGroupsChanged())
            return identifier

        identifier = self._core.write(work)
        return next(group for group in self._core.store.read(_groups) if group.id == identifier)

    @permits(Permission.POLICIES_CHANGE)
    def move_relay_group(self, principal: Principal, group: int, parent: str | None) -> RelayGroupView:
        """Puts it below another group, or (None) at the top, where relays ask the manager."""

        def work(unit: Unit) -> None:
            groups = {one.id: one for one in table.all_groups(unit.connection)}
            if group not in groups:
                raise NotFound(f"there is no relay group {group}; nothing was changed")
            above = next((one for one in groups.values() if one.name == parent), None)
            if parent is not None and above is None:
                raise NotFound(f"there is no relay group {parent!r} above it; nothing was changed")
            at = above
            while at is not None:
                if at.id == group:
                    raise Conflict(f"{parent} is {groups[group].name} itself, or below it; nothing was changed")
                at = None if at.parent_id is None else groups.get(at.parent_id)
            former = groups[group].parent_id
            table.move_group(unit.connection, group, None if above is None else above.id)
            before = None if former is None else groups[former].name
            unit.audit(principal, "relaygroups.move", groups[group].name, {"parent": before}, {"parent": parent})
            unit.changes.append(RelayGroupsChanged())

        self._core.write(work)
        return next(one for one in self._core.store.read(_groups) if one.id == group)

    @internal
    def relay_group_parents(self) -> dict[int, int | None]:
        """Of each group the one above it."""
        return {group.id: group.parent_id for group in self._core.store.read(table.all_groups)}

    @permits(Permission.POLICIES_CHANGE)
    def delete_relay_group(self, principal: Principal, group: int) -> None:
        def work(unit: Unit) -> None:
            found = next((view for view in _groups(unit.connection) if view.id == group), None)
            if found is None:
                raise NotFound(f"there is no relay group {group}; nothing was changed")
            if found.computers or any(one.parent_id == group for one in table.all_groups(unit.connection)):
                raise Conflict(f"the relay group {found.name} is in use; nothing was changed")
            table.delete_group(unit.connection, group)
            unit.audit(principal, "relaygroups.delete", found.name)
            unit.changes.append(RelayGroupsChanged())

        self._core.write(work)


def _change(
    unit: Unit,
    principal: Principal,
    before: PolicyRecord,
    columns: dict[str, Any],
    judged: Mapping[Point, Judged],
    reason: str | None,
) -> None:
    records = {record.id: record for record in table.all_policies(unit.connection)}
    old = policy_rules.resolve(records.values())
    generation = facts.advance(unit.connection, facts.POLICY_GENERATION, unit.now)
    table.change_policy(unit.connection, before.id, generation=generation, **columns)
    new = policy_rules.resolve(table.all_policies(unit.connection))
    unit.audit(
        principal,
        "policies.update",
        before.name,
        _said({name: getattr(before, name) for name in columns}),
        _said(columns),
    )
    _note_floors(unit, principal, old[before.id], new[before.id], judged, reason)
    sending.send_automatically(unit, old, policy_rules.descendants(records, before.id))


def _note_floors(
    unit: Unit,
    principal: Principal,
    old: Effective,
    new: Effective,
    judged: Mapping[Point, Judged],
    reason: str | None,
) -> None:
    moved = {name: point for name, point in _FLOORS.items() if getattr(old, name) is not getattr(new, name)}
    if not moved:
        return
    generation = facts.advance(unit.connection, facts.FLOOR_GENERATION, unit.now)
    for name, point in moved.items():
        forced = point in judged and judged[point].forced
        named = [*judged[point].named] if forced else []
        entry = floor_table.HistoryRecord(
            generation=generation,
            time=unit.now,
            point=point.value,
            before=getattr(old, name),
            floor=getattr(new, name),
            who=principal.who,
            via=principal.via,
            address=principal.address,
            forced=forced,
            reason=reason,
            named=named,
            policy=new.name,
        )
        floor_table.add_history(unit.connection, entry)
        text = f"the {point.value} floor of the policy {new.name} went from {entry.before} to {entry.floor}"
        text += f" by {principal.name}" + (f", forced although it cuts off {', '.join(named)}" if forced else "")
        unit.event(NewEvent(FLOOR_CHANGED, "warning" if forced else "info", text, target=new.name))


def _raises(old: Effective, new: Effective, name: str) -> bool:
    before, after = getattr(old, name), getattr(new, name)
    assert isinstance(before, Version) and isinstance(after, Version)
    return after > before


def _inherited(policy: PolicyRecord, names: tuple[str, ...]) -> dict[str, None]:
    unknown = [name for name in names if name not in PolicyValues.__dataclass_fields__]
    if unknown:
        raise BadInput(f"a policy has no {unknown[0]!r}; nothing was changed")
    if names and policy.name == BASE:
        raise BadInput("the base policy has nothing to inherit from; nothing was changed")
    return dict.fromkeys(names)


def _said(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: value.value if isinstance(value, Version) else value for name, value in columns.items()}


def _check_free(connection: Connection, name: str) -> None:
    if not name.strip():
        raise BadInput("a policy needs a name; nothing was changed")
    if table.policy_named(connection, name.strip()) is not None:
        raise Conflict(f"there is a policy {name.strip()!r} already; nothing was changed")


def _parent(connection: Connection, parent: str | int) -> PolicyRecord:
    known = table.policy if isinstance(parent, int) else table.policy_named
    found: PolicyRecord | None = known(connection, parent)  # type: ignore[arg-type]  # each takes what it was chosen by
    if found is None:
        raise NotFound(f"there is no policy {parent!r} to inherit from; nothing was changed")
    return found


def _moved(connection: Connection, policy: PolicyRecord, parent: str | int) -> dict[str, int]:
    """The column that makes another policy its parent; nothing where it is that already."""
    above = _parent(connection, parent)
    if above.id == policy.parent_id:
        return {}
    if policy.name == BASE:
        raise Conflict("the base policy has no parent: all others inherit from it; nothing was changed")
    records = {record.id: record for record in table.all_policies(connection)}
    if above.id in policy_rules.descendants(records, policy.id):
        raise Conflict(f"{above.name} inherits from {policy.name} itself; nothing was changed")
    return {"parent_id": above.id}


def _known(connection: Connection, policy: int) -> PolicyRecord:
    found = table.policy(connection, policy)
    if found is None:
        raise NotFound(f"there is no policy {policy}; nothing was changed")
    return found


def _values(source: PolicyRecord | Effective) -> PolicyValues:
    names = PolicyValues.__dataclass_fields__
    values = {name: getattr(source, name) for name in names}
    if values["direction"] is not None:
        values["direction"] = Direction(values["direction"])
    return PolicyValues(**values)


def _views(connection: Connection) -> tuple[PolicyView, ...]:
    records = {record.id: record for record in table.all_policies(connection)}
    effective = policy_rules.resolve(records.values())
    computers = table.computers_by_policy(connection)
    waiting = _waiting(connection, effective)
    return tuple(
        PolicyView(
            id=record.id,
            name=record.name,
            description=record.description,
            parent_id=record.parent_id,
            parent=records[record.parent_id].name if record.parent_id is not None else None,
            generation=effective[record.id].generation,
            own=_values(record),
            effective=_values(effective[record.id]),
            computers=computers.get(record.id, 0),
            pending=waiting.get(record.id, 0),
        )
        for record in records.values()
    )


def _waiting(connection: Connection, effective: dict[int, Effective]) -> dict[int, int]:
    """Computers by policy for which a floor waits to be sent."""
    counts: dict[int, int] = {}
    for policy, kind, floor, count in count_table.agent_floors_given(connection):
        if kind != Kind.RELAY.value and floor not in (None, effective[policy].agent_floor):
            counts[policy] = counts.get(policy, 0) + count
    for relay in computer_table.find(connection, kind=Kind.RELAY.value):
        if policy_rules.floors_pending(relay, effective[relay.policy_id]):
            counts[relay.policy_id] = counts.get(relay.policy_id, 0) + 1
    return counts


def _groups(connection: Connection) -> tuple[RelayGroupView, ...]:
    groups = table.all_groups(connection)
    names = {group.id: group.name for group in groups}
    # Of a fleet only the relays are read one by one.
    relays: dict[int | None, list[str]] = {}
    for relay in computer_table.find(connection, kind=Kind.RELAY.value):
        relays.setdefault(relay.relay_group_id, []).append(relay.id)
    computers = count_table.by_relay_group(connection)
    return tuple(
        RelayGroupView(
            id=group.id,
            name=group.name,
            parent=names.get(group.parent_id) if group.parent_id is not None else None,
            relays=tuple(relays.get(group.id, ())),
            computers=computers.get(group.id, 0),
        )
        for group in groups
    )
