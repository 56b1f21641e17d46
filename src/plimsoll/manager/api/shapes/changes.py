"""Staged changes, proofs and the scope of PCI DSS."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from plimsoll.fleet.changes import Direction, Stage
from plimsoll.manager.api.shapes.base import (
    FloorName,
    Guid,
    OneOf,
    Period,
    PointName,
    Seconds,
    Shape,
    Stored,
    Who,
)
from plimsoll.manager.store.changes import OPEN

StageName = Annotated[str, OneOf(*(stage.value for stage in Stage))]
ChangeState = Annotated[str, OneOf(*OPEN, "aborted", "done", "taken back")]
Proven = Annotated[str, OneOf("proved", "violated", "not proved")]


class Figure(Stored):
    """A health rule: its value beside its limit, in words, and what a breach leads to."""

    rule: str
    value: str
    limit: str
    ok: bool
    breach: str
    evidence: list[str]


class Logged(Shape):
    """What was done, and why."""

    time: Seconds
    stage: str
    what: str
    text: str
    who: str


class ChangeOptions(Stored):
    """How it was asked to go."""

    points: list[PointName]
    soak: Period
    canary: str
    lowers: bool
    forced: bool
    reason: str | None
    accepted: Any
    named: dict[str, list[str]]
    at: Seconds | None
    freeze: list[str]
    approval: bool


class ChangeProof(Stored):
    """What handshakes showed at its end."""

    verdict: Proven
    time: Seconds
    places: list[dict[str, Any]]


class Change(Shape):
    """A staged change as it stands. `soaked` of `soak` seconds have gone by in this stage with all rules kept."""

    id: int
    created: Seconds
    who: Who
    to: FloorName
    direction: Annotated[str, OneOf(*(direction.value for direction in Direction))]
    state: ChangeState
    stage: StageName
    stages: list[StageName]
    entered: Seconds
    soaked: Period
    soak: Period
    text: str
    figures: list[Figure]
    points: list[PointName]
    options: ChangeOptions
    canary: list[str]
    approvedBy: Who | None
    ended: Seconds | None
    proof: ChangeProof | None
    log: list[Logged]


class Changes(Shape):
    changes: list[Change]


class OpenPlace(Shape):
    """A port that is not proved, and why."""

    point: PointName
    name: str
    verdict: Proven
    reasons: list[str]


class Proof(Shape):
    """A signed bundle. `scope` is the verdict over what is in the scope of PCI DSS, null where nothing is."""

    verdict: Proven
    counts: dict[str, int]
    scope: str | None
    key: str
    open: list[OpenPlace]
    files: Annotated[dict[str, str], Field(description="the bundle's files by name")]


class ProofKey(Shape):
    id: str
    pem: str
    inUse: bool


class ProofKeys(Shape):
    keys: list[ProofKey]


class ProofKeyId(Shape):
    id: str


class Mark(Shape):
    """A point of every computer, or a computer with all of its ports."""

    id: int
    point: PointName | None
    computer: Guid | None
    name: str | None
    note: str
    who: Who
    created: Seconds


class Scope(Shape):
    scope: list[Mark]
