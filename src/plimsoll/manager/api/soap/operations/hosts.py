"""Computers: found, described, sent their policy, taken out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from plimsoll.manager.api.soap.operations import _computers
from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import (
    EnumHostDetailLevel,
    EnumHostFilterType,
    EnumJobType,
    HostDetailTransport,
    HostFilterTransport,
    HostJobProgressTransport,
    HostStatusSummaryTransport,
    HostStatusTransport,
    HostTransport,
)
from plimsoll.manager.ports import BadInput, NotFound
from plimsoll.manager.services.computers import ACTIVE, ComputerChange, ComputerView

#: The states of a computer that was deactivated: its certificate is refused.
_DEACTIVATED = "deactivated over SOAP"


def _all(call: Call) -> list[ComputerView]:
    """In the order of their IDs."""
    return sorted(call.back.services.computers.list(call.asks), key=lambda view: view.number)


@operation()
def host_retrieve(call: Call, id: int) -> HostTransport:  # noqa: A002 - the reference's name
    """One computer by its ID."""
    return _computers.host(_computers.one(call, id))


@operation()
def host_retrieve_all(call: Call) -> list[HostTransport]:
    """All computers."""
    return [_computers.host(view) for view in _all(call)]


@operation()
def host_retrieve_by_name(call: Call, hostname: str) -> HostTransport | None:
    """The computer of that host name, or none."""
    wanted = hostname.strip().lower()
    return next((_computers.host(view) for view in _all(call) if view.hostname.lower() == wanted), None)


@operation()
def host_retrieve_by_host_group(call: Call, host_group_id: int) -> list[HostTransport]:
    """The computers of a group, those of groups below it left out."""
    call.back.services.groups.get(call.asks, host_group_id)
    return [_computers.host(view) for view in _all(call) if view.group_id == host_group_id]


@operation()
def host_create(call: Call, host: HostTransport) -> HostTransport:
    """Refused: a computer comes to be by its activation, with a key of its own."""
    raise BadInput(
        "computers are not made here: run the deployment script on the host, or give its agent an activation token;"
        " nothing was changed"
    )


@operation()
def host_delete(call: Call, ids: list[int]) -> None:
    """Forgets computers; an unknown one among them is an error, and then none is."""
    for view in _computers.each(call, ids):
        call.back.services.computers.delete(call.asks, view.id)


@operation()
def host_move_to_host_group(call: Call, host_ids: list[int], host_group_id: int | None) -> None:
    """Puts computers into a group; without one, into none."""
    for view in _computers.each(call, host_ids):
        call.back.services.computers.update(call.asks, view.id, ComputerChange(group_id=host_group_id or 0))


@operation()
def host_detail_retrieve(
    call: Call, host_filter: HostFilterTransport, host_detail_level: EnumHostDetailLevel
) -> list[HostDetailTransport]:
    """Computers with what is known of them."""
    problems = call.back.live.problems()
    groups = {group.id: group.name for group in call.back.services.groups.list(call.asks)}
    return [_computers.detail(view, problems.get(view.id, ""), groups) for view in select(call, host_filter)]


def select(call: Call, chosen: HostFilterTransport) -> Iterable[ComputerView]:
    """The computers that a filter means. Raises BadInput where the id that it asks for is missing."""
    kind = chosen.type
    if kind in (EnumHostFilterType.ALL_HOSTS, EnumHostFilterType.MY_HOSTS):
        return _all(call)
    if kind is EnumHostFilterType.SPECIFIC_HOST:
        return [_computers.one(call, _needed(chosen.host_id, "hostID", kind))]
    if kind is EnumHostFilterType.HOSTS_USING_SECURITY_PROFILE:
        profile = _needed(chosen.security_profile_id, "securityProfileID", kind)
        return [view for view in _all(call) if view.policy_id == profile]
    group = _needed(chosen.host_group_id, "hostGroupID", kind)
    wanted = {group}
    if kind is EnumHostFilterType.HOSTS_IN_GROUP_AND_ALL_SUBGROUPS:
        wanted = _below(group, {one.id: one.parent_id for one in call.back.services.groups.list(call.asks)})
    return [view for view in _all(call) if view.group_id in wanted]


def _needed(value: int | None, name: str, kind: EnumHostFilterType) -> int:
    if value is None:
        raise BadInput(f"a filter of type {kind.value} has {name}; nothing was read")
    return value


def _below(group: int, parents: dict[int, int | None]) -> set[int]:
    found = {group}
    while True:
        more = {one for one, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


@operation()
def host_get_status(call: Call, id: int) -> HostStatusTransport:  # noqa: A002 - the reference's name
    """How a computer is; for one that TLS keeps out, that is said."""
    view = _computers.one(call, id)
    return _computers.status(view, call.back.live.problems().get(view.id, ""))


@operation()
def host_status_summary_retrieve(call: Call) -> HostStatusSummaryTransport:
    """How many computers are how."""
    return summary(_all(call))


def summary(views: Iterable[ComputerView]) -> HostStatusSummaryTransport:
    """Each computer in one of the four: without management, offline, something to do, online."""
    lights = [_computers.light_of(view).value for view in views]
    return HostStatusSummaryTransport(
        critical_hosts=lights.count("RED"),
        online_hosts=lights.count("GREEN"),
        unmanage_hosts=lights.count("GREY"),
        warning_hosts=lights.count("YELLOW"),
    )


@operation()
def host_agent_activate(call: Call, host_ids: list[int]) -> None:
    """Lets in computers that wait for approval; active ones stay as they are. New ones need a token or a visit."""
    for view in _computers.each(call, host_ids):
        if view.state != ACTIVE:
            call.back.services.computers.approve(call.asks, view.id)


@operation()
def host_agent_deactivate(call: Call, host_ids: list[int]) -> None:
    """Refuses these computers' certificates from now on."""
    for view in _computers.each(call, host_ids):
        call.back.services.computers.revoke(call.asks, view.id, _DEACTIVATED)


@operation()
def host_update_now(call: Call, host_ids: list[int]) -> None:
    """Send Policy (R14), floors included."""
    views = _computers.each(call, host_ids)
    call.back.services.computers.send_policy(call.asks, computers=[view.id for view in views])


@operation()
def host_job_progress(
    call: Call,
    type: EnumJobType,  # noqa: A002 - the reference's name
    since_manager_time: datetime | None,
    host_ids: list[int],
) -> HostJobProgressTransport:
    """How far Send Policy (UPDATE) or an activation is at these computers."""
    views = _computers.each(call, host_ids)
    if type is EnumJobType.UPDATE:
        pending = [view for view in views if view.state == ACTIVE and (view.policy_pending or not view.policy_held)]
    else:
        pending = [view for view in views if (view.state != ACTIVE) == (type is EnumJobType.ACTIVATE)]
    unable = [view for view in views if type is EnumJobType.UPDATE and view.state != ACTIVE]
    return HostJobProgressTransport(
        complete=len(views) - len(pending) - len(unable), error=0, pending=len(pending), unable=len(unable)
    )


@operation()
def host_clear_warnings_errors(call: Call, host_ids: list[int]) -> None:
    """Checks the computers; what is said of a computer here is what is so now, and clears itself."""
    _computers.each(call, host_ids)


@operation()
def host_get_events_now(call: Call, host_ids: list[int]) -> None:
    """Checks the computers; events come with each heartbeat."""
    _computers.each(call, host_ids)


@operation()
def host_get_events_now_sync(call: Call, host_id: int) -> None:
    """Checks the computer; events come with each heartbeat."""
    if _computers.one(call, host_id).state != ACTIVE:
        raise NotFound(f"host {host_id} is not managed; nothing was asked")
