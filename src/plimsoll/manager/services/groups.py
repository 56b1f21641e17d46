"""Computer groups: folders that administrators sort computers into. Policies and floors do not follow them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from plimsoll.manager.ports import BadInput, Conflict, NotFound, Permission, Principal, permits
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.store import Connection
from plimsoll.manager.store import groups as table
from plimsoll.manager.store.groups import ComputerGroupRecord


@dataclass(frozen=True, slots=True)
class ComputerGroupView:
    """`computers` counts its own members, those of groups below it left out."""

    id: int
    name: str
    description: str
    parent_id: int | None
    computers: int


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Fields to change; None leaves one as it is. A `parent_id` of 0 puts the group at the top."""

    name: str | None = None
    description: str | None = None
    parent_id: int | None = None


class GroupsService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.COMPUTERS_READ)
    def list(self, principal: Principal) -> tuple[ComputerGroupView, ...]:
        """In the order of their ids."""
        return self._core.store.read(_views)

    @permits(Permission.COMPUTERS_READ)
    def names(self, principal: Principal) -> dict[int, str]:
        """Name by id, in the order of the names: for choosing one. Counts no computers."""
        found = self._core.store.read(table.all_groups)
        return {one.id: one.name for one in sorted(found, key=lambda one: one.name.casefold())}

    @permits(Permission.COMPUTERS_READ)
    def get(self, principal: Principal, group: int) -> ComputerGroupView:
        return self._view(group)

    def _view(self, group: int) -> ComputerGroupView:
        found = next((view for view in self._core.store.read(_views) if view.id == group), None)
        return found or _missing(group)

    @permits(Permission.COMPUTERS_CHANGE)
    def create(
        self, principal: Principal, name: str, description: str = "", parent_id: int | None = None
    ) -> ComputerGroupView:
        def work(unit: Unit) -> int:
            columns = _columns(unit.connection, None, GroupChange(name, description, parent_id))
            identifier = table.add(unit.connection, **columns)
            unit.audit(principal, "computergroups.create", str(identifier), None, columns)
            return identifier

        return self._view(self._core.write(work))

    @permits(Permission.COMPUTERS_CHANGE)
    def update(self, principal: Principal, group: int, change: GroupChange) -> ComputerGroupView:
        def work(unit: Unit) -> None:
            before = _known(unit.connection, group)
            columns = _columns(unit.connection, before, change)
            columns = {name: value for name, value in columns.items() if getattr(before, name) != value}
            if columns:
                table.change(unit.connection, group, **columns)
                earlier = {name: getattr(before, name) for name in columns}
                unit.audit(principal, "computergroups.update", str(group), earlier, columns)

        self._core.write(work)
        return self._view(group)

    @permits(Permission.COMPUTERS_CHANGE)
    def delete(self, principal: Principal, group: int) -> None:
        """Only an empty one: what is in it would be nowhere."""

        def work(unit: Unit) -> None:
            before = _known(unit.connection, group)
            below = [one.name for one in table.all_groups(unit.connection) if one.parent_id == group]
            count = table.members(unit.connection).get(group, 0)
            if below or count:
                what = f"{count} computers" if count else f"the group {below[0]}"
                raise Conflict(f"{before.name} still holds {what}; nothing was changed. Move what is in it first")
            table.remove(unit.connection, group)
            unit.audit(principal, "computergroups.delete", str(group), asdict(before))

        self._core.write(work)


def _columns(connection: Connection, before: ComputerGroupRecord | None, change: GroupChange) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if change.name is not None:
        columns["name"] = change.name.strip()
        if not columns["name"]:
            raise BadInput("a computer group needs a name; nothing was changed")
    if change.description is not None:
        columns["description"] = change.description
    if change.parent_id is not None:
        columns["parent_id"] = _parent(connection, before, change.parent_id)
    beside = columns.get("parent_id", None if before is None else before.parent_id)
    name = columns.get("name", "" if before is None else before.name)
    for other in table.all_groups(connection):
        if (other.name, other.parent_id) == (name, beside) and (before is None or other.id != before.id):
            raise Conflict(f"there is a computer group {name!r} at that place already; nothing was changed")
    return columns


def _parent(connection: Connection, before: ComputerGroupRecord | None, parent: int) -> int | None:
    if not parent:
        return None
    above = {group.id: group.parent_id for group in table.all_groups(connection)}
    if parent not in above:
        raise NotFound(f"there is no computer group {parent}; nothing was changed")
    at: int | None = parent
    while at is not None:
        if before is not None and at == before.id:
            raise Conflict(f"{before.name} cannot be put into a group that is inside it; nothing was changed")
        at = above[at]
    return parent


def _known(connection: Connection, group: int) -> ComputerGroupRecord:
    return table.group(connection, group) or _missing(group)


def _missing(group: int) -> NoReturn:
    raise NotFound(f"there is no computer group {group}; nothing was changed")


def _views(connection: Connection) -> tuple[ComputerGroupView, ...]:
    counts = table.members(connection)
    return tuple(
        ComputerGroupView(one.id, one.name, one.description, one.parent_id, counts.get(one.id, 0))
        for one in table.all_groups(connection)
    )
