"""Security profiles: what REST and our screens call policies."""

from __future__ import annotations

from plimsoll.manager.api.soap.registry import Call, operation
from plimsoll.manager.api.soap.shapes import SecurityProfileTransport
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.policies import PolicyView
from plimsoll.manager.services.policy_rules import BASE, PolicyValues


def _profile(view: PolicyView) -> SecurityProfileTransport:
    return SecurityProfileTransport(view.id, view.description, view.name, view.parent_id)


@operation()
def security_profile_retrieve_all(call: Call) -> list[SecurityProfileTransport]:
    """All policies."""
    return [_profile(view) for view in call.back.services.policies.list(call.asks)]


@operation()
def security_profile_retrieve(call: Call, id: int) -> SecurityProfileTransport:  # noqa: A002 - the reference's name
    """One policy by its ID."""
    return _profile(call.back.services.policies.get(call.asks, id))


@operation()
def security_profile_retrieve_by_name(call: Call, name: str) -> SecurityProfileTransport | None:
    """The policy of that name, or none."""
    return next((_profile(view) for view in call.back.services.policies.list(call.asks) if view.name == name), None)


@operation()
def security_profile_assign_to_host(call: Call, security_profile_id: int, host_ids: list[int]) -> None:
    """Gives computers that policy; its floors travel by hostUpdateNow only (R14)."""
    policy = call.back.services.policies.get(call.asks, security_profile_id)
    hosts = [call.back.services.computers.get(call.asks, str(number)) for number in dict.fromkeys(host_ids)]
    if not hosts:
        raise BadInput("name at least one host; nothing was changed")
    for host in hosts:
        call.back.services.computers.update(call.asks, host.id, ComputerChange(policy_id=policy.id))


@operation()
def security_profile_save(call: Call, sp: SecurityProfileTransport) -> SecurityProfileTransport:
    """Changes the policy of that ID, or makes a new one where there is none."""
    policies = call.back.services.policies
    if sp.id is not None:
        view = policies.update(
            call.asks, sp.id, PolicyValues(), name=sp.name, description=sp.description,
            parent=sp.parent_security_profile_id,
        )  # fmt: skip
        return _profile(view)
    if not sp.name:
        raise BadInput("a policy has a name; nothing was changed")
    parent: str | int = BASE if sp.parent_security_profile_id is None else sp.parent_security_profile_id
    return _profile(policies.create(call.asks, sp.name, parent, description=sp.description or ""))


@operation()
def security_profile_delete(call: Call, ids: list[int]) -> None:
    """Removes policies that nothing uses."""
    for policy in ids:
        call.back.services.policies.delete(call.asks, policy)
