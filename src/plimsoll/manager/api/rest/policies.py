"""/api/policies and /api/relaygroups."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.rest.tls import BLOCKED
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.policies import PolicyValues
from plimsoll.manager.services.policy_rules import BASE
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
    heartbeat_seconds: int | None = Field(default=None, alias="heartbeatSeconds")
    missed_heartbeats: int | None = Field(default=None, alias="missedHeartbeats")
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


class NewPolicyBody(ValuesBody):
    name: str = Field(min_length=1, max_length=255)
    parent: str = BASE


class PolicyBody(ValuesBody):
    """`inherit` names the values that go back to the parent's."""

    name: str | None = Field(default=None, min_length=1, max_length=255)
    inherit: list[str] = Field(default_factory=list)
    force: bool = False
    reason: str | None = None


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


@router.get("/policies")
def list_policies(asks: Asks, back: Back) -> shapes.Policies:
    return {"policies": [views.policy(view) for view in back.services.policies.list(asks)]}


@router.post("/policies")
def create_policy(asks: Asks, back: Back, body: NewPolicyBody) -> shapes.Policy:
    return views.policy(back.services.policies.create(asks, body.name, body.parent, body.values()))


@router.get("/policies/{policy}")
def get_policy(asks: Asks, back: Back, policy: int) -> shapes.Policy:
    return views.policy(back.services.policies.get(asks, policy))


@router.post("/policies/{policy}", responses=BLOCKED)
def change_policy(asks: Asks, back: Back, policy: int, body: PolicyBody) -> shapes.Policy:
    unknown = [field for field in body.inherit if field not in FIELDS]
    if unknown:
        raise BadInput(f"unknown values {', '.join(unknown)}; valid are {', '.join(FIELDS)}; nothing was changed")
    changed = back.services.policies.update(
        asks,
        policy,
        body.values(),
        inherit=tuple(FIELDS[field] for field in body.inherit),
        name=body.name,
        force=body.force,
        reason=body.reason,
    )
    return views.policy(changed)


@router.delete("/policies/{policy}")
def delete_policy(asks: Asks, back: Back, policy: int) -> Empty:
    back.services.policies.delete(asks, policy)
    return {}


@router.get("/relaygroups")
def list_groups(asks: Asks, back: Back) -> shapes.RelayGroups:
    return {"relayGroups": [views.relay_group(view) for view in back.services.policies.relay_groups(asks)]}


@router.post("/relaygroups")
def create_group(asks: Asks, back: Back, body: RelayGroupBody) -> shapes.RelayGroup:
    return views.relay_group(back.services.policies.create_relay_group(asks, body.name, body.parent))


@router.post("/relaygroups/{group}")
def move_group(asks: Asks, back: Back, group: int, body: RelayGroupMove) -> shapes.RelayGroup:
    return views.relay_group(back.services.policies.move_relay_group(asks, group, body.parent))


@router.delete("/relaygroups/{group}")
def delete_group(asks: Asks, back: Back, group: int) -> Empty:
    back.services.policies.delete_relay_group(asks, group)
    return {}
