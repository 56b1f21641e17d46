"""Floors, judgements, what was seen: the answers of /api/tls."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from plimsoll.fleet.kinds import Certainty
from plimsoll.manager.api.shapes.base import (
    FloorName,
    Guid,
    Ja4,
    OneOf,
    OutcomeName,
    PointName,
    ProfileName,
    Refusal,
    Seconds,
    Shape,
    VersionName,
    Who,
)


class Override(Shape):
    """A policy with a floor of its own."""

    policy: str
    floor: FloorName


class PointFloor(Shape):
    """A point's floor. `serves` and `suites` are what a handshake in memory showed, null for ports not ours.

    `ciphers` is its cipher profile, null for those too.
    """

    point: PointName
    port: int
    ports: list[int]
    floor: FloorName
    serves: list[VersionName] | None
    suites: dict[str, str] | None
    ciphers: ProfileName | None
    policies_pending: Annotated[int, Field(description="computers whose policy waits to be sent")]
    overrides: list[Override]


class Drift(Shape):
    """A hand edit of `protocols=` that is not in force yet. `floor` is null where it cannot be read."""

    in_file: str | None
    in_force: str | None
    floor: FloorName | None
    message: str


class Floors(Shape):
    """All floors in force. `generation` counts every change of any of them."""

    generation: int
    floors: list[PointFloor]
    drift: Drift | None
    minimum: FloorName


class Minimum(Shape):
    """What ShowValue shows: the lower of the floors of 4120 and 4119, and both."""

    heartbeat: FloorName
    gui: FloorName
    minimum: FloorName


class Way(Shape):
    """What can be done about a finding. `to` is a release, `until` when an exception would end at the latest."""

    do: Annotated[str, OneOf("upgrade", "exception", "retire", "look")]
    to: str | None
    until: Seconds | None
    points: list[PointName]


class Finding(Shape):
    """A part or program that a raise concerns. `since` is since when the fact that decided is known to hold."""

    id: str
    who: str
    kind: str
    version: str | None
    address: str | None
    last_seen: Seconds | None
    reason: str
    certainty: Annotated[str, OneOf(*(one.value for one in Certainty))]
    evidence: str
    remedy: str
    point: PointName
    points: list[PointName]
    since: Seconds | None
    ways: list[Way]


class Preflight(Shape):
    """Who would be cut off: parts of the fleet (`blockers`), programs (`affected`), and who passes, but just so.

    `to` is a floor, or a cipher profile.
    """

    to: FloorName | ProfileName
    points: list[PointName]
    clear: bool
    blockers: list[Finding]
    affected: list[Finding]
    noted: list[Finding]
    judged: int


class Blocked(Refusal):
    """A raise that would cut parts off, and whom."""

    blockers: list[Finding]
    affected: list[Finding]
    preflight: Preflight


_Moved = TypedDict("_Moved", {"from": FloorName, "to": FloorName})
_Entered = TypedDict("_Entered", {"from": FloorName | None, "to": FloorName})
_Ends = TypedDict("_Ends", {"from": str, "to": str})


class Moved(Shape, _Moved):
    """A point whose floor is another one now."""

    point: PointName


class FloorChange(Shape):
    """What was changed, and who waits for Send Policy until it holds for them too."""

    changed: list[Moved]
    preflight: Preflight | None
    policies_pending: int
    generation: int
    warnings: list[str]


class Reloaded(FloorChange):
    """Keys of the file that were changed and are read only at the start, and keys that nobody knows."""

    needsRestart: list[str]
    unknown: list[str]


class HistoryEntry(Shape, _Entered):
    """One move of one floor. `named` are those that were cut off knowingly."""

    generation: int
    time: Seconds
    point: PointName
    who: Who
    via: str
    address: str
    cause: str
    forced: bool
    reason: str | None
    named: list[str]


class History(Shape):
    history: list[HistoryEntry]


class PointCiphers(Shape):
    """A port's cipher profile. `suites` are those that a handshake showed, by IANA's names, the best first.

    `missing` are the profile's that no certificate of the port serves.
    """

    point: PointName
    port: int
    profile: ProfileName
    suites: list[str]
    missing: list[str]


class Ciphers(Shape):
    """The manager's own ports, and what each profile has at TLS 1.2."""

    points: list[PointCiphers]
    profiles: dict[str, list[str]]


_Exchanged = TypedDict("_Exchanged", {"from": ProfileName, "to": ProfileName})


class Exchanged(Shape, _Exchanged):
    """A point whose cipher profile is another one now."""

    point: PointName


class CipherChange(Shape):
    """What was changed. `preflight` is null where no profile became stricter."""

    changed: list[Exchanged]
    preflight: Preflight | None
    generation: int


class CipherHistoryEntry(Shape, _Exchanged):
    """One change of one profile. `named` are those that were cut off knowingly."""

    time: Seconds
    point: PointName
    who: Who
    via: str
    address: str
    forced: bool
    reason: str | None
    named: list[str]


class CipherHistory(Shape):
    history: list[CipherHistoryEntry]


class Deciding(Shape):
    """A part that decided."""

    who: str
    kind: str
    version: str | None
    why: str


class Advice(Shape):
    """Which of the guide's four cases this fleet is."""

    case: Annotated[int, Field(ge=1, le=4)]
    title: str
    recommended: str
    alternative: str
    deciding: list[Deciding]


class Link(Shape, _Ends):
    """Who talks to whom. `version` is what both settle on; null where refused, unknown or no TLS."""

    point: PointName | None
    version: VersionName | None
    state: Annotated[str, OneOf("talks", "refused", "unknown")]
    reason: str
    basis: Annotated[str, OneOf("seen", "tabled", "unknown")]
    count: int
    members: list[str]


class Picture(Shape):
    links: list[Link]


class RelayFloor(Shape):
    """A relay's floor four ways: required by its policy, sent to it, reported by it, observed in a handshake."""

    ID: int
    hostGUID: Guid
    name: str
    version: str
    address: str
    port: int
    relayGroup: str | None
    required: FloorName
    sent: FloorName | None
    sentAt: Seconds | None
    ackedAt: Seconds | None
    reported: FloorName | None
    reportedOrigin: str | None
    reportedAt: Seconds | None
    held: FloorName
    origin: str
    observed: VersionName | None
    observedAt: Seconds | None
    observedDetail: str
    lookedAt: Seconds | None
    pending: bool
    drift: str | None
    driftKind: Annotated[str, OneOf("observed", "unacknowledged")] | None
    driftSince: Seconds | None


class Relays(Shape):
    relays: list[RelayFloor]


class Sighting(Shape):
    """Handshakes that are alike. `candidates` are who it may have been, where it did not say so itself."""

    point: PointName
    address: str
    ja4: Ja4
    offered: VersionName | None
    versions: list[VersionName]
    sni: str
    outcome: OutcomeName
    negotiated: VersionName | None
    who: str | None
    name: str | None
    attribution: Annotated[str, OneOf("shown", "certain", "one of")] | None
    candidates: list[str]
    userAgent: str
    count: int
    first: Seconds
    last: Seconds
    detail: str


class Peer(Shape):
    """One peer at one point: the newest version that it offered, settled on, and was refused with."""

    point: PointName
    who: str | None
    name: str | None
    address: str
    offered: VersionName | None
    negotiated: VersionName | None
    refused: VersionName | None
    count: int
    admitted: int
    refusals: int
    first: Seconds
    last: Seconds
    ja4: list[Ja4]
    sni: str
    userAgent: str


class Sightings(Shape):
    sightings: list[Sighting]


class Peers(Shape):
    """With `by=peer`."""

    peers: list[Peer]


class Prober(Shape):
    address: str
    until: Seconds


class Excused(Shape):
    """An exception: a source or a computer that may stay below a floor until then."""

    id: int
    point: PointName
    floor: FloorName
    source: str | None
    computer: Guid | None
    name: str | None
    until: Seconds
    reason: str
    who: Who
    created: Seconds
    ended: Seconds | None
    state: Annotated[str, OneOf("in force", "waiting", "ended")]


class Exceptions(Shape):
    exceptions: list[Excused]


class WouldBe(Shape):
    """Who came in on a day, and would not have below that floor."""

    day: Annotated[str, Field(examples=["2026-11-27"])]
    point: PointName
    floor: FloorName
    name: str
    who: str | None
    address: str
    ja4: Ja4
    offered: VersionName | None
    negotiated: VersionName | None
    count: int
    first: Seconds
    last: Seconds


class Shadow(Shape):
    """A point's floor and its shadow floor, which refuses nobody and counts whom it would have."""

    point: PointName
    floor: FloorName
    shadow: FloorName | None
    since: Seconds | None
    who: Who | None
    wouldBeRefused: int
    last: WouldBe | None


class Shadows(Shape):
    points: list[Shadow]


class ShadowSet(Shape):
    set: list[PointName]


class ShadowCleared(Shape):
    cleared: list[PointName]


class ShadowReport(Shape):
    days: int
    refused: list[WouldBe]


class Queued(Shape):
    """How many computers get their policy with their next heartbeat."""

    queued: int
