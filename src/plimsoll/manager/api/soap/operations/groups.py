"""Computer groups."""

from __future__ import annotations

from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import HostGroupTransport
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.groups import ComputerGroupView


def _group(view: ComputerGroupView) -> HostGroupTransport:
    return HostGroupTransport(view.id, view.description, view.name, view.parent_id)


@operation()
def host_group_retrieve_all(call: Call) -> list[HostGroupTransport]:
    """All computer groups."""
    return [_group(view) for view in call.back.services.groups.list(call.asks)]


@operation()
def host_group_retrieve(call: Call, id: int) -> HostGroupTransport:  # noqa: A002 - the reference's name
    """One group by its ID."""
    return _group(call.back.services.groups.get(call.asks, id))


@operation()
def host_group_retrieve_by_name(call: Call, name: str) -> HostGroupTransport | None:
    """The first group of that name, or none."""
    return next((_group(view) for view in call.back.services.groups.list(call.asks) if view.name == name), None)


@operation()
def host_group_create(call: Call, host_group: HostGroupTransport) -> HostGroupTransport:
    """A new group."""
    if not host_group.name:
        raise BadInput("a group has a name; nothing was changed")
    made = call.back.services.groups.create(
        call.asks, host_group.name, host_group.description or "", host_group.parent_group_id
    )
    return _group(made)


@operation()
def host_group_delete(call: Call, ids: list[int]) -> None:
    """Removes empty groups."""
    for group in ids:
        call.back.services.groups.delete(call.asks, group)
