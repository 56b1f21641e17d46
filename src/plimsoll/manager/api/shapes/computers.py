"""Computers, the tokens that bring them in, policies and relay groups. Names and times are the reference's."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import Field

from plimsoll.manager.api.shapes.base import (
    DirectionName,
    FloorName,
    Guid,
    Ja4,
    KindName,
    Milliseconds,
    OneOf,
    PointName,
    Seconds,
    Shape,
    VersionName,
    Who,
)

#: All that the reference's SDK knows; it fails on any other.
AgentStatus = Annotated[str, OneOf("inactive", "active", "warning", "error", "not-supported")]
ComputerState = Annotated[str, OneOf("active", "approval", "revoked")]


#: What programs ask for by `expand` and no computer here has.
MODULES = (
    "antiMalware",
    "webReputation",
    "activityMonitoring",
    "firewall",
    "intrusionPrevention",
    "integrityMonitoring",
    "logInspection",
    "applicationControl",
    "SAP",
)


class SettingValue(Shape):
    """Always a text."""

    value: Annotated[str, Field(examples=["10 Minutes"])]


Settings = dict[str, SettingValue]


class ComputerStatus(Shape):
    """The appliance's part is that of an appliance's embedded agent; other computers have none."""

    agentStatus: AgentStatus
    agentStatusMessages: list[str]
    applianceStatus: AgentStatus
    applianceStatusMessages: list[str]


class ComputerTasks(Shape):
    """What was ordered and is not done yet."""

    agentTasks: list[str]
    applianceTasks: list[str]


class Interfaces(Shape):
    """Interfaces are not told by agents here: always empty."""

    interfaces: list[str]


class ModuleStatus(Shape):
    agentStatus: AgentStatus
    agentStatusMessage: str


class Module(Shape):
    """A protection module of the reference, which is no part of this product: always off."""

    state: Annotated[str, OneOf("off")]
    moduleStatus: ModuleStatus


class SecurityUpdates(Shape):
    """There are none here."""

    antiMalware: list[str]
    other: list[str]


class ComputerTls(Shape):
    """What it offered and settled on in its last handshake, and what its library speaks by its own account."""

    offered: VersionName | None
    negotiated: VersionName | None
    observedAt: Seconds | None
    ja4: Ja4
    library: str
    speaks: list[VersionName]


class Computer(Shape):
    """A machine of the fleet. `floorHeld` is the floor of its own port by what it was sent, kept or came with.

    What may be missing comes where `expand` names it.
    """

    ID: int
    hostGUID: Guid
    hostName: Annotated[str, Field(examples=["web-1.example.test"])]
    displayName: str
    description: str
    kind: KindName
    agentVersion: Annotated[str, Field(examples=["12.0.0", "0.0.0.0"])]
    platform: str
    architecture: str
    groupID: int | None
    relayListID: int | None
    relayGroup: str | None
    policyID: int
    policy: str
    lastIPUsed: str
    lastAgentCommunication: Milliseconds | None
    activated: Milliseconds | None
    state: ComputerState
    computerStatus: ComputerStatus
    tls: ComputerTls
    policySent: Annotated[int | None, Field(description="the generation of the policy that was sent last")]
    policySentAt: Milliseconds | None
    policyHeld: bool
    policyPending: bool
    floorHeld: FloorName | None
    floorOrigin: str | None
    guards: list[str]
    listenPort: int | None
    relayPort: int | None
    agentFingerPrint: str
    certificateExpires: Milliseconds | None
    assetImportanceID: int | None
    applianceFingerPrint: str | None
    lastApplianceCommunication: Milliseconds | None
    lastSendPolicyRequest: Milliseconds | None
    lastSendPolicySuccess: Milliseconds | None
    tasks: NotRequired[ComputerTasks]
    computerSettings: NotRequired[Settings]
    interfaces: NotRequired[Interfaces]
    securityUpdates: NotRequired[SecurityUpdates]
    antiMalware: NotRequired[Module]
    webReputation: NotRequired[Module]
    activityMonitoring: NotRequired[Module]
    firewall: NotRequired[Module]
    intrusionPrevention: NotRequired[Module]
    integrityMonitoring: NotRequired[Module]
    logInspection: NotRequired[Module]
    applicationControl: NotRequired[Module]
    SAP: NotRequired[Module]


class Computers(Shape):
    computers: list[Computer]


class Token(Shape):
    """An activation token, without its secret. Null uses: any number."""

    ID: str
    uses: int | None
    usesLeft: int | None
    created: Seconds
    expires: Seconds
    kind: KindName | None
    createdBy: Who


class Tokens(Shape):
    activationTokens: list[Token]


class NewToken(Shape):
    """`token` is in this answer and nowhere else."""

    ID: str
    token: str
    uses: int | None
    expires: Seconds


class Values(Shape):
    """A policy's values; null inherits its parent's."""

    relayFloor: FloorName | None
    agentFloor: FloorName | None
    heartbeatSeconds: int | None
    missedHeartbeats: int | None
    direction: DirectionName | None
    autoSend: bool | None


class Policy(Values):
    """The effective values stand at the top, what is the policy's own in `own`."""

    ID: int
    name: str
    parent: str | None
    generation: int
    own: Values
    computers: int
    pending: Annotated[int, Field(description="computers that wait for Send Policy")]
    parentID: int | None
    description: str
    autoRequiresUpdate: Annotated[str, OneOf("on", "off")]
    recommendationScanMode: Annotated[str, OneOf("off")]


class FullPolicy(Policy):
    """`policySettings` are what holds, inherited or not; with `overrides` only what is the policy's own."""

    policySettings: Settings


class Policies(Shape):
    policies: list[FullPolicy]


class ComputerGroup(Shape):
    """A folder for computers. Without a parent it is at the top; `computers` counts its own members."""

    ID: int
    name: str
    description: str
    parentGroupID: int | None
    computers: int


class ComputerGroups(Shape):
    computerGroups: list[ComputerGroup]


class RelayGroup(Shape):
    """Relays that serve the same computers. Without a parent they ask the manager."""

    ID: int
    name: str
    parent: str | None
    relays: list[str]
    computers: int


class RelayGroups(Shape):
    relayGroups: list[RelayGroup]


class Obstacle(Shape):
    """A point whose floor is above what this package's agent speaks."""

    package: str
    point: PointName
    port: int
    floor: FloorName
    speaks: VersionName
