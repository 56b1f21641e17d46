"""/api/tls: floors, who would be cut off, what is held and seen, Send Policy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, ComputerRef, Number, Seen, known_query
from plimsoll.manager.api.shapes import tls as shapes
from plimsoll.manager.api.shapes.base import Refusal
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.sightings import SightingFilter

router = APIRouter(prefix="/api/tls", tags=["tls"])
#: Of whatever raises a floor.
BLOCKED: dict[int | str, dict[str, Any]] = {
    409: {"model": shapes.Blocked | Refusal, "description": "Parts would be cut off, or it does not fit what there is"}
}
Limit = Annotated[int, Query(ge=1, le=5000)]


class MinimumBody(Body):
    floor: str
    force: bool = False
    reason: str | None = None
    seen: Seen = None


class FloorBody(MinimumBody):
    point: str = "all"


class ProberBody(Body):
    address: str
    seconds: Number = 600


class SendPolicyBody(Body):
    """Exactly one of the three."""

    computers: list[ComputerRef] | None = None
    relay_group: str | None = Field(default=None, alias="relayGroup")
    everyone: bool = Field(default=False, alias="all")


@router.get("/floors")
def show_floors(asks: Asks, back: Back) -> shapes.Floors:
    """The floor of each point, and what a handshake showed at our own ports."""
    return views.floors(back.services.floors.show(asks), back.live.serves())


@router.post("/floors", responses=BLOCKED)
def set_floor(asks: Asks, back: Back, body: FloorBody) -> shapes.FloorChange:
    """Sets a point's floor, or that of `all`. What would cut parts off is refused, unless forced with a reason."""
    return views.floor_change(
        back.services.floors.set(asks, body.floor, body.point, body.force, body.reason, seen=body.seen)
    )


@router.get("/minimum")
def show_minimum(asks: Asks, back: Back) -> shapes.Minimum:
    """What ShowValue shows (R13): the lower of 4120's and 4119's floor, and both."""
    minimum = back.services.floors.minimum(asks)
    return {"heartbeat": minimum.heartbeat.value, "gui": minimum.gui.value, "minimum": minimum.lowest.value}


@router.post("/minimum", responses=BLOCKED)
def set_minimum(asks: Asks, back: Back, body: MinimumBody) -> shapes.FloorChange:
    """What ``dsm_c -action settlsprotocol`` does."""
    return views.floor_change(
        back.services.floors.set_minimum(asks, body.floor, body.force, body.reason, seen=body.seen)
    )


@router.get("/floors/history")
def history(asks: Asks, back: Back, limit: Limit = 100) -> shapes.History:
    """Who moved which floor when, the newest first."""
    return {"history": [views.history(entry) for entry in back.services.floors.history(asks, limit)]}


@router.get("/preflight", dependencies=[known_query("to", "point")])
def preflight(asks: Asks, back: Back, to: str, point: str = "all") -> shapes.Preflight:
    """Who would be cut off by a floor. Nothing is changed."""
    return views.preflight(back.services.judgement.preflight(asks, to, point))


@router.get("/advice")
def advice(asks: Asks, back: Back) -> shapes.Advice:
    """Which of the upgrade guide's four cases this fleet is, and what to do."""
    return views.advice(back.services.judgement.advice(asks))


@router.get("/picture")
def picture(asks: Asks, back: Back) -> shapes.Picture:
    """Who talks to whom, with which version."""
    return {"links": [views.link(link) for link in back.services.judgement.picture(asks)]}


@router.get("/relays")
def relays(asks: Asks, back: Back) -> shapes.Relays:
    """Each relay's floor: required, sent, reported and observed."""
    return {"relays": [views.relay(view) for view in back.services.judgement.relays(asks)]}


@router.get("/sightings", dependencies=[known_query("point", "who", "below", "refused", "since", "limit", "by")])
def sightings(
    asks: Asks,
    back: Back,
    point: str | None = None,
    who: str | None = None,
    below: str | None = None,
    refused: bool = False,
    since: str | None = None,
    by: Literal["kind", "peer"] = "kind",
    limit: Limit = 200,
) -> shapes.Sightings | shapes.Peers:
    """Handshakes that are alike, newest first; with `by=peer` one row for each peer at each point."""
    service = back.services.sightings
    wanted = SightingFilter(point=point, who=who, below=below, refused=refused, since=since, limit=limit)
    if by == "peer":
        return {"peers": [views.peer(view) for view in service.peers(asks, wanted)]}
    return {"sightings": [views.sighting(view) for view in service.list(asks, wanted)]}


@router.post("/probers")
def register_prober(asks: Asks, back: Back, body: ProberBody) -> shapes.Prober:
    """The address that our own scans come from, so that nobody takes them for a program."""
    address, until = back.services.sightings.register_prober(asks, body.address, body.seconds)
    return {"address": address, "until": until}


class ExceptionBody(Body):
    """One of `source` (an address or a network) and `computer`. `until` is in seconds since the epoch."""

    floor: str
    point: str = "heartbeat"
    source: str | None = None
    computer: ComputerRef | None = None
    until: float | None = None
    reason: str | None = None


@router.get("/exceptions")
def list_exceptions(asks: Asks, back: Back, ended: bool = False, limit: Limit = 1000) -> shapes.Exceptions:
    """Exceptions in force or waiting; with `ended` those that are over too."""
    found = back.services.exceptions.list(asks, ended=ended, limit=limit)
    return {"exceptions": [views.exception(view) for view in found]}


@router.post("/exceptions")
def add_exception(asks: Asks, back: Back, body: ExceptionBody) -> shapes.Excused:
    """Lets a source or a computer stay below a floor until then."""
    made = back.services.exceptions.add(
        asks,
        point=body.point,
        floor=body.floor,
        until=body.until,
        reason=body.reason,
        source=body.source,
        computer=None if body.computer is None else back.services.computers.locate(asks, body.computer),
    )
    return views.exception(made)


@router.delete("/exceptions/{exception}")
def end_exception(asks: Asks, back: Back, exception: Number) -> shapes.Excused:
    """Ends an exception now."""
    return views.exception(back.services.exceptions.end(asks, exception))


class ShadowBody(Body):
    floor: str
    point: str = "all"


@router.get("/shadow")
def show_shadow(asks: Asks, back: Back) -> shapes.Shadows:
    """Shadow floors, and when somebody last came in below one."""
    back.services.sightings.absorb()
    return {"points": [views.shadow(view) for view in back.services.shadow.show(asks)]}


@router.post("/shadow")
def set_shadow(asks: Asks, back: Back, body: ShadowBody) -> shapes.ShadowSet:
    """From now on counts who would be refused by this floor."""
    return {"set": [point.value for point in back.services.shadow.set(asks, body.floor, body.point)]}


@router.delete("/shadow")
def clear_shadow(asks: Asks, back: Back, point: str = "all") -> shapes.ShadowCleared:
    """Stops counting."""
    return {"cleared": [one.value for one in back.services.shadow.clear(asks, point)]}


@router.get("/shadow/report")
def shadow_report(asks: Asks, back: Back, days: Annotated[int, Query(ge=1, le=400)] = 30) -> shapes.ShadowReport:
    """Who would have been refused, by day."""
    back.services.sightings.absorb()
    return {"days": days, "refused": [views.would_be(one) for one in back.services.shadow.report(asks, days)]}


@router.post("/send-policy")
def send_policy(asks: Asks, back: Back, body: SendPolicyBody) -> shapes.Queued:
    """Computers get their policy with their next heartbeat."""
    chosen = (body.computers is not None) + (body.relay_group is not None) + body.everyone
    if chosen != 1:
        raise BadInput("say to whom: computers (a list of IDs), relayGroup (a name) or all (true); nothing was sent")
    queued = back.services.computers.send_policy(
        asks, computers=body.computers, relay_group=body.relay_group, everyone=body.everyone
    )
    return {"queued": queued}
