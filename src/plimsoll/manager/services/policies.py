"""Policies and relay groups. A floor in a policy waits for Send Policy (R14); other changes may send themselves."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import Permission, Principal, permits
from plimsoll.messages import Direction
from plimsoll.tls.versions import Version

#: The policy that all others inherit from.
BASE = "Base"


@dataclass(frozen=True, slots=True)
class PolicyValues:
    """Values of a policy; None inherits from the parent. The base policy has all of them set."""

    relay_floor: Version | None = None
    agent_floor: Version | None = None
    heartbeat_seconds: int | None = None
    missed_heartbeats: int | None = None
    direction: Direction | None = None
    auto_send: bool | None = None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """`own` are the policy's own values, `effective` with what it inherits. `pending` counts unsent computers."""

    id: int
    name: str
    parent: str | None
    generation: int
    own: PolicyValues
    effective: PolicyValues
    computers: int
    pending: int


@dataclass(frozen=True, slots=True)
class RelayGroupView:
    id: int
    name: str
    parent: str | None
    relays: tuple[str, ...]
    computers: int


class PoliciesService:
    @permits(Permission.POLICIES_READ)
    def list(self, principal: Principal) -> tuple[PolicyView, ...]:
        raise NotImplementedError

    @permits(Permission.POLICIES_READ)
    def get(self, principal: Principal, policy: int) -> PolicyView:
        raise NotImplementedError

    @permits(Permission.POLICIES_CHANGE)
    def create(
        self, principal: Principal, name: str, parent: str = BASE, values: PolicyValues | None = None
    ) -> PolicyView:
        raise NotImplementedError

    @permits(Permission.POLICIES_CHANGE)
    def update(
        self,
        principal: Principal,
        policy: int,
        values: PolicyValues,
        *,
        inherit: tuple[str, ...] = (),
        name: str | None = None,
        force: bool = False,
        reason: str | None = None,
    ) -> PolicyView:
        """Sets what is not None in `values`; the fields named in `inherit` go back to the parent's.

        A floor that is raised is judged like any raise: Blocked unless forced with a reason.
        """
        raise NotImplementedError

    @permits(Permission.POLICIES_CHANGE)
    def delete(self, principal: Principal, policy: int) -> None:
        raise NotImplementedError

    @permits(Permission.POLICIES_READ)
    def relay_groups(self, principal: Principal) -> tuple[RelayGroupView, ...]:
        raise NotImplementedError

    @permits(Permission.POLICIES_CHANGE)
    def create_relay_group(self, principal: Principal, name: str, parent: str | None = None) -> RelayGroupView:
        raise NotImplementedError

    @permits(Permission.POLICIES_CHANGE)
    def delete_relay_group(self, principal: Principal, group: int) -> None:
        raise NotImplementedError
