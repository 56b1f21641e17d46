"""Scans from the manager: the answers of /api/tls/scans."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from plimsoll.manager.api.shapes.base import Guid, OneOf, PointName, Seconds, Shape, Stored, VersionName, Who
from plimsoll.manager.store.scans import STATES
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import FULL, SWEEP
from plimsoll.scan.report import State

ScanState = Annotated[str, OneOf(*STATES)]
VerdictName = Annotated[str, OneOf(*(verdict.value for verdict in Verdict))]
EndpointState = Annotated[str, OneOf("waiting", *(state.value for state in State))]
ChangeKind = Annotated[str, OneOf("opened", "closed", "changed", "unproved")]


class ScanAsked(Stored):
    """What was asked for."""

    fleet: bool
    computers: list[str]
    endpoints: list[str]
    opening: str | None
    mode: Annotated[str, OneOf(FULL, SWEEP)]
    profiles: list[str]


class LeftOut(Shape):
    """A part of the fleet that could not be asked, and why."""

    name: str
    computer: Guid | None
    reason: str


class Scan(Shape):
    """A scan as it stands: `done` of `total` endpoints were asked. `interrupted`: its manager ended meanwhile.

    `failing` endpoints break a rule of a profile, `findings` are the broken rules of all; of `notProved` endpoints
    nothing is broken, but something is not proved.
    """

    id: int
    created: Seconds
    who: Who
    label: str
    state: ScanState
    asked: ScanAsked
    leftOut: list[LeftOut]
    total: int
    done: int
    failing: int
    notProved: int
    findings: int
    started: Seconds | None
    ended: Seconds | None
    text: str


class Scans(Shape):
    scans: list[Scan]


class Judged(Shape):
    """What a profile says, and why it does not hold or is not proved."""

    profile: str
    verdict: VerdictName
    reasons: list[str]


class ScanEndpoint(Shape):
    """One endpoint. `point`, `computer` and `name` say whose port it is, where it is the fleet's. `letter` is the worst
    grade of its suites, empty where there is none.
    """

    position: int
    target: Annotated[str, Field(description="host and port", examples=["10.0.0.7:4118"])]
    opening: str
    serverName: str
    point: PointName | None
    computer: Guid | None
    name: str
    state: EndpointState
    note: str
    accepted: list[VersionName]
    letter: str
    verdicts: list[Judged]


class ScanEndpoints(Shape):
    endpoints: list[ScanEndpoint]


class ScanTool(TypedDict):
    name: str
    version: str


class ScanReport(TypedDict):
    """The document of `plimsoll scan --format json`; docs/scan.md says what its endpoints hold."""

    schema: str
    tool: ScanTool
    started: Seconds
    endpoints: list[dict[str, Any]]
    finished: Seconds
    count: int


class ScanChange(Shape):
    """`opened` is accepted now and was not, `closed` the other way round, `unproved` was known and is not any more."""

    kind: ChangeKind
    subject: str
    text: str


class ChangedEndpoint(Shape):
    target: str
    changes: list[ScanChange]


class ScanDiff(Shape):
    """A scan compared with an earlier one. `kinds` counts the changes; `same` endpoints did not change; `new` ones are
    in this scan only, `gone` ones in the earlier one only.
    """

    scan: int
    earlier: int
    kinds: dict[str, int]
    changed: list[ChangedEndpoint]
    same: int
    new: list[str]
    gone: list[str]


class PciEndpoint(Shape):
    """One endpoint under PCI DSS. What is not proved does not pass. `target` is null of a computer that has no port."""

    target: str | None
    point: PointName | None
    computer: Guid | None
    name: str
    inScope: bool
    passed: bool
    verdict: VerdictName
    reasons: list[str]


class ScanPci(Shape):
    """`verdict` is over what is in scope, null where nothing is; `missing` are computers in scope of which the scan has
    no endpoint.
    """

    scan: int
    profile: str
    verdict: VerdictName | None
    note: str
    endpoints: list[PciEndpoint]
    missing: list[PciEndpoint]
