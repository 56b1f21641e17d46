"""Software packages, who vouches for them, and how they come to computers: scripts and upgrades."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plimsoll.manager.api.shapes.base import Guid, OneOf, Period, Refusal, Seconds, Shape, VersionName, Who
from plimsoll.manager.api.shapes.changes import Figure, Logged
from plimsoll.manager.api.shapes.computers import Obstacle
from plimsoll.manager.store import upgrades as table


class Package(Shape):
    """`target` is its name in the signed metadata, `held` whether its file lies on this manager's disk."""

    id: int
    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: Annotated[int, Field(description="bytes")]
    sha256: str
    target: str
    key: str
    signature: str
    imported: Seconds
    who: Who
    origin: str
    held: bool


class Software(Shape):
    software: list[Package]


class Checked(Shape):
    """The package that is here already, null where it may come."""

    known: Package | None


class Imported(Package):
    new: Annotated[bool, Field(description="false where the same package was here already")]


class ImportedBundle(Shape):
    software: list[Imported]


class ReleaseKey(Shape):
    id: str
    name: str
    pem: str
    number: int
    since: Seconds
    who: str


class ReleaseKeys(Shape):
    keys: list[ReleaseKey]
    statement: str | None


class MetadataRole(Shape):
    role: str
    version: int
    expires: Seconds
    keys: list[str]
    threshold: int
    here: bool


class Metadata(Shape):
    """The signed metadata (TUF). `problem` says why it could not be signed last time."""

    roles: list[MetadataRole]
    packages: int
    problem: str


class RootText(Shape):
    text: str


class Root(Shape):
    version: int
    expires: Seconds
    threshold: int
    keys: dict[str, list[str]]
    signed: list[str]
    missing: Annotated[list[int], Field(description="signatures that are lacking: by the old root's keys, by its own")]


class NextRoot(Root):
    text: str


class Deployable(Shape):
    """A package, and what keeps it from being deployed under the floors of now."""

    package: Package
    speaks: VersionName
    deployable: bool
    obstacles: list[Obstacle]


class Deployables(Shape):
    packages: list[Deployable]


class Undeployable(Refusal):
    """No such package can be deployed under the floors of now."""

    obstacles: list[Obstacle]


class Script(Shape):
    """What was asked, and the script; its token is shown in this answer and nowhere else."""

    platform: Annotated[str, OneOf("linux", "windows")]
    validateCertificateRequired: bool
    validateDigitalSignatureRequired: bool
    activationRequired: bool
    dsmProxyID: int | None
    relayProxyID: int | None
    policyID: int | None
    relayGroupID: int | None
    computerGroupID: int | None
    xbcDeploymentRequired: bool
    relay: bool
    displayName: str
    manager: str
    trust: Annotated[str, OneOf("ca", "system", "none")] | None
    tokenTTL: Period
    tokenUses: int
    agentVersion: str
    workaround: str
    baseURL: str
    packagePlatform: str
    packageArchitecture: str
    packageFile: str
    unchecked: bool
    scriptBody: str
    fileName: str
    packages: list[Package]
    notes: list[str]
    tokenID: str | None
    tokenExpires: Seconds | None


class Wave(Shape):
    """A wave with how many of its computers are in each state."""

    number: int
    what: str
    size: int
    states: dict[str, int]


HostState = Annotated[
    str,
    OneOf(
        table.WAITING,
        table.ORDERED,
        table.WORKING,
        table.SWITCHING,
        table.DONE,
        table.FAILED,
        table.BACK,
        table.LOST,
        table.LEFT,
    ),
]


class UpgradeHost(Shape):
    computer: Guid
    name: str
    wave: int
    state: HostState
    former: str
    goal: str
    since: Seconds
    detail: str
    code: str


class UpgradeHosts(Shape):
    computers: list[UpgradeHost]


class Upgrade(Shape):
    """An upgrade of the fleet as it stands. `failures` is the share of a wave that may fail, from 0 to 1."""

    id: int
    created: Seconds
    who: Who
    to: str
    state: Annotated[str, OneOf(*table.OPEN, "aborted", "done")]
    wave: int
    entered: Seconds
    soaked: Period
    soak: Period
    text: str
    waves: list[Wave]
    figures: list[Figure]
    failing: list[UpgradeHost]
    left: Annotated[dict[str, list[str]], Field(description="who is left out, by why")]
    backOf: int | None
    failures: float
    watch: Period
    patience: Period
    atOnce: int
    ended: Seconds | None
    log: list[Logged]


class Upgrades(Shape):
    upgrades: list[Upgrade]


class UpgradePlan(Shape):
    """What would be done. `there` counts the computers that run the target already."""

    to: str
    waves: list[Wave]
    there: int
    left: dict[str, list[str]]
