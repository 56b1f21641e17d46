"""Computers as SOAP shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from plimsoll.manager.api.soap.registry import Call
from plimsoll.manager.api.soap.shapes import (
    EnumHostLight,
    EnumHostType,
    HostDetailTransport,
    HostStatusTransport,
    HostTransport,
)
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.computers import ACTIVE, ComputerView
from plimsoll.messages import Kind


def moment(seconds: float | None) -> datetime | None:
    return None if not seconds else datetime.fromtimestamp(seconds, UTC)


def status_of(view: ComputerView, problem: str = "") -> str:
    """In the words that programs of the reference look for: they compare with what begins with these."""
    if view.state != ACTIVE:
        return f"Unmanaged ({'Revoked' if view.state == 'revoked' else 'Approval Required'})"
    if view.online:
        return "Managed (Online)"
    if view.last_seen is None:
        return "Unmanaged (Activation Required)"
    return f"Managed (Offline): {problem}" if problem else "Managed (Offline)"


def light_of(view: ComputerView) -> EnumHostLight:
    if view.state != ACTIVE or view.last_seen is None:
        return EnumHostLight.GREY
    if not view.online:
        return EnumHostLight.RED
    return EnumHostLight.YELLOW if view.policy_pending else EnumHostLight.GREEN


def _type(view: ComputerView) -> EnumHostType:
    return EnumHostType.APPLIANCE if view.kind is Kind.APPLIANCE else EnumHostType.STANDARD


def host(view: ComputerView) -> HostTransport:
    return HostTransport(
        id=view.number,
        description=view.description,
        name=view.hostname,
        display_name=view.display_name,
        external=False,
        external_id=None,
        host_group_id=view.group_id,
        host_type=_type(view),
        platform=view.platform,
        security_profile_id=view.policy_id,
    )


def status(view: ComputerView, problem: str) -> HostStatusTransport:
    return HostStatusTransport(
        overall_last_successful_communication=moment(view.last_seen),
        overall_last_successful_update=moment(view.policy_acked_at),
        overall_last_update_required=moment(view.policy_sent_at),
        overall_status=status_of(view, problem),
    )


def detail(view: ComputerView, problem: str, groups: Mapping[int, str]) -> HostDetailTransport:
    return HostDetailTransport(
        id=view.number,
        description=view.description,
        name=view.hostname,
        display_name=view.display_name,
        external=False,
        external_id=None,
        host_group_id=view.group_id,
        host_type=_type(view),
        platform=view.platform,
        security_profile_id=view.policy_id,
        cloud_object_internal_unique_id=view.id,
        host_group_name=None if view.group_id is None else groups.get(view.group_id),
        host_light=light_of(view),
        last_ip_used=view.address,
        locked=False,
        overall_last_successful_communication=moment(view.last_seen),
        overall_last_successful_update=moment(view.policy_acked_at),
        overall_last_update_required=moment(view.policy_sent_at),
        overall_status=status_of(view, problem),
        overall_version=view.version,
        security_profile_name=view.policy,
    )


def one(call: Call, number: int) -> ComputerView:
    """The computer of that ID. Raises NotFound."""
    return call.back.services.computers.get(call.asks, str(number))


def each(call: Call, numbers: Sequence[int]) -> list[ComputerView]:
    """All of them, or NotFound before anything is done to one."""
    if not numbers:
        raise BadInput("name at least one host; nothing was changed")
    return [one(call, number) for number in dict.fromkeys(numbers)]
