"""/api/policies and /api/relaygroups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.bodies import Body, Number, Seen
from plimsoll.manager.api.rest.reference import LARGEST, Item, Overrides, Settings, Text, passed_over
from plimsoll.manager.api.rest.tls import BLOCKED
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput, Permission, Principal, require
from plimsoll.manager.services.policies import PolicyValues, PolicyView
from plimsoll.manager.services.policy_rules import BASE
from plimsoll.manager.services.settings import read_settings
from plimsoll.messages import Direction
from plimsoll.tls.versions import UnknownVersionError, Version

router = APIRouter(prefix="/api", tags=["policies"])

#: The names of values here, and in the service.
FIELDS = {
    "relayFloor": "relay_floor",
    "agentFloor": "agent_floor",
    "heartbeatSeconds": "heartbeat_seconds",
    "missedHeartbeats": "missed_heartbeats",
    "direction": "direction",
    "autoSend": "auto_send",
}


class ValuesBody(Body):
    """A value that is missing stays as it is; a new policy inherits it."""

    relay_floor: str | None = Field(default=None, alias="relayFloor")
    agent_floor: str | None = Field(default=None, alias="agentFloor")
    heartbeat_seconds: Number | None = Field(default=None, alias="heartbeatSeconds")
    missed_heartbeats: Number | None = Field(default=None, alias="missedHeartbeats")
    direction: str | None = None
    auto_send: bool | None = Field(default=None, alias="autoSend")

    def values(self) -> PolicyValues:
        return PolicyValues(
            relay_floor=_version(self.relay_floor),
            agent_floor=_version(self.agent_floor),
            heartbeat_seconds=self.heartbeat_seconds,
            missed_heartbeats=self.missed_heartbeats,
            direction=_direction(self.direction),
            auto_send=self.auto_send,
        )


#: What the reference's policies have besides, and what is read only.
_PASSED_OVER = passed_over(
    shapes.FullPolicy, "interfaceTypes", "SAP", "deviceControl", "readOnly", *(name for name in shapes.MODULES)
)


class ReferenceBody(ValuesBody):
    """The reference's names for the same, and a policy as a GET gave it: what it holds anyway is left as it is."""

    _drop = _PASSED_OVER
    number: Any = Field(default=None, alias="ID")
    parent_id: int | None = Field(default=None, alias="parentID", ge=0, le=LARGEST)
    description: Text | None = None
    requires_update: Literal["on", "off"] | None = Field(default=None, alias="autoRequiresUpdate")
    settings: Settings = Field(default_factory=dict, alias="policySettings")

    def values(self) -> PolicyValues:
        given = super().values()
        if self.requires_update is None or given.auto_send is not None:
            return given
        return replace(given, auto_send=self.requires_update == "on")


class NewPolicyBody(ReferenceBody):
    name: str = Field(min_length=1, max_length=255)
    parent: str | None = None


class PolicyBody(ReferenceBody):
    """`inherit` names the values that go back to the parent's."""

    name: str | None = Field(default=None, min_length=1, max_length=255)
    inherit: list[str] = Field(default_factory=list)
    force: bool = False
    reason: str | None = None
    seen: Seen = None


class RelayGroupBody(Body):
    name: str = Field(min_length=1, max_length=255)
    parent: str | None = None


class RelayGroupMove(Body):
    """Without a parent its relays ask the manager."""

    parent: str | None = None


def _version(name: str | None) -> Version | None:
    if name is None:
        return None
    try:
        return Version.parse_floor(name)
    except UnknownVersionError as error:
        raise BadInput(str(error)) from None


def _direction(name: str | None) -> Direction | None:
    if name is None:
        return None
    try:
        return Direction(name)
    except ValueError:
        valid = ", ".join(direction.value for direction in Direction)
        raise BadInput(f"unknown direction {name!r}; valid are {valid}") from None


def shown(asks: Principal, back: Backend, found: Sequence[PolicyView], own: bool = False) -> list[shapes.FullPolicy]:
    """Policies with their settings."""
    settings = back.services.settings.of_policies(asks, found, own)
    return [{**views.policy(view), "policySettings": views.settings(settings[view.id])} for view in found]


@router.get("/policies")
def list_policies(asks: Asks, back: Back, overrides: Overrides = False) -> shapes.Policies:
    """All policies."""
    return {"policies": shown(asks, back, back.services.policies.list(asks), overrides)}


@router.post("/policies")
def create_policy(asks: Asks, back: Back, body: NewPolicyBody) -> shapes.FullPolicy:
    """Without a parent, by name or ID, it inherits from the base policy."""
    require(asks, Permission.POLICIES_CHANGE)
    read_settings(body.settings, "false")
    parent = body.parent_id or body.parent or BASE
    made = back.services.policies.create(asks, body.name, parent, body.values(), body.description or "")
    made = back.services.settings.set_policy(asks, made.id, body.settings, whole=True)
    return shown(asks, back, [made])[0]


@router.get("/policies/{policy}")
def get_policy(asks: Asks, back: Back, policy: Item, overrides: Overrides = False) -> shapes.FullPolicy:
    """One policy."""
    return shown(asks, back, [back.services.policies.get(asks, policy)], overrides)[0]


@router.post("/policies/{policy}", responses=BLOCKED)
def change_policy(asks: Asks, back: Back, policy: Item, body: PolicyBody) -> shapes.FullPolicy:
    """Changes what is said. Raising a floor that would cut computers off is refused, unless forced with a reason."""
    require(asks, Permission.POLICIES_CHANGE)
    unknown = [field for field in body.inherit if field not in FIELDS]
    if unknown:
        raise BadInput(f"unknown values {', '.join(unknown)}; valid are {', '.join(FIELDS)}; nothing was changed")
    read_settings(body.settings, "false")
    before = back.services.policies.get(asks, policy)
    changed = back.services.policies.update(
        asks,
        policy,
        body.values() if body.number is None else _moved(body.values(), before.effective),
        inherit=tuple(FIELDS[field] for field in body.inherit),
        name=body.name,
        description=body.description,
        parent=body.parent_id or None,
        force=body.force,
        reason=body.reason,
        seen=body.seen,
    )
    if body.settings:
        changed = back.services.settings.set_policy(asks, policy, body.settings, whole=True)
    return shown(asks, back, [changed])[0]


def _moved(given: PolicyValues, now: PolicyValues) -> PolicyValues:
    """What differs from what holds: a policy that comes back whole does not make its own what it inherits."""
    same = {name: None for name in FIELDS.values() if getattr(given, name) == getattr(now, name)}
    return replace(given, **same)


@router.delete("/policies/{policy}")
def delete_policy(asks: Asks, back: Back, policy: Item) -> Empty:
    """Deletes one that no computer and no policy uses."""
    back.services.policies.delete(asks, policy)
    return {}


@router.get("/relaygroups")
def list_groups(asks: Asks, back: Back) -> shapes.RelayGroups:
    """Relay groups with their relays."""
    return {"relayGroups": [views.relay_group(view) for view in back.services.policies.relay_groups(asks)]}


@router.post("/relaygroups")
def create_group(asks: Asks, back: Back, body: RelayGroupBody) -> shapes.RelayGroup:
    """A new relay group."""
    return views.relay_group(back.services.policies.create_relay_group(asks, body.name, body.parent))


@router.post("/relaygroups/{group}")
def move_group(asks: Asks, back: Back, group: Number, body: RelayGroupMove) -> shapes.RelayGroup:
    """Puts it below another group."""
    return views.relay_group(back.services.policies.move_relay_group(asks, group, body.parent))


@router.delete("/relaygroups/{group}")
def delete_group(asks: Asks, back: Back, group: Number) -> Empty:
    """Deletes one that is not in use."""
    back.services.policies.delete_relay_group(asks, group)
    return {}
