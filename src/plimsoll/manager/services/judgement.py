"""Who would be cut off, what to do, who talks to whom: the fleet as stored, judged by `fleet/`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from plimsoll.fleet.advice import Advice
from plimsoll.fleet.parts import Fleet
from plimsoll.fleet.picture import Link
from plimsoll.fleet.preflight import Preflight
from plimsoll.manager.ports import Permission, Principal, internal, permits
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class RelayView:
    """A relay's floor four ways, never one for another: required, sent, acknowledged and reported, observed.

    `holds` is what R17 concludes without a handshake, with its `origin`; `observed` what a handshake showed.
    """

    id: str
    name: str
    version: str
    address: str
    port: int
    relay_group: str | None
    required: Version
    sent: Version | None
    sent_at: float | None
    acked_at: float | None
    reported: Version | None
    reported_origin: str | None
    reported_at: float | None
    observed: Version | None
    observed_at: float | None
    observed_detail: str
    holds: Version
    origin: str
    pending: bool


@dataclass(frozen=True, slots=True)
class SightingView:
    point: str
    address: str
    ja4: str
    offered: Version | None
    versions: tuple[Version, ...]
    sni: str
    outcome: str
    negotiated: Version | None
    who: str | None
    count: int
    first: float
    last: float
    detail: str


class JudgementService:
    @permits(Permission.FLOORS_READ)
    def preflight(self, principal: Principal, to: str, point: str | Collection[str] = "all") -> Preflight:
        raise NotImplementedError

    @permits(Permission.FLOORS_READ)
    def advice(self, principal: Principal) -> Advice:
        raise NotImplementedError

    @permits(Permission.FLOORS_READ)
    def picture(self, principal: Principal) -> tuple[Link, ...]:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_READ)
    def relays(self, principal: Principal) -> tuple[RelayView, ...]:
        raise NotImplementedError

    @permits(Permission.COMPUTERS_READ)
    def sightings(self, principal: Principal, limit: int = 200) -> tuple[SightingView, ...]:
        """Newest first, after taking what is observed and not stored yet."""
        raise NotImplementedError

    @internal
    def fleet(self) -> Fleet:
        raise NotImplementedError

    @internal
    def absorb(self) -> None:
        """Stores what `Observed` holds: presence and sightings, each batch in one transaction."""
        raise NotImplementedError
