"""/api/tls: floors, who would be cut off, what is held and seen, Send Policy."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.fleet.picture import link_as_json
from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.ports import BadInput

router = APIRouter(prefix="/api/tls", tags=["tls"])
Limit = Annotated[int, Query(ge=1, le=5000)]


class MinimumBody(Body):
    floor: str
    force: bool = False
    reason: str | None = None


class FloorBody(MinimumBody):
    point: str = "all"


class ProberBody(Body):
    address: str
    seconds: int = 600


class SendPolicyBody(Body):
    """Exactly one of the three."""

    computers: list[str] | None = None
    relay_group: str | None = Field(default=None, alias="relayGroup")
    everyone: bool = Field(default=False, alias="all")


@router.get("/floors")
def show_floors(asks: Asks, back: Back) -> dict[str, Any]:
    return views.floors(back.services.floors.show(asks), back.live.serves())


@router.post("/floors")
def set_floor(asks: Asks, back: Back, body: FloorBody) -> dict[str, Any]:
    return views.floor_change(back.services.floors.set(asks, body.floor, body.point, body.force, body.reason))


@router.get("/minimum")
def show_minimum(asks: Asks, back: Back) -> dict[str, Any]:
    """What ShowValue shows (R13): the lower of 4120's and 4119's floor, and both."""
    minimum = back.services.floors.minimum(asks)
    return {"heartbeat": minimum.heartbeat.value, "gui": minimum.gui.value, "minimum": minimum.lowest.value}


@router.post("/minimum")
def set_minimum(asks: Asks, back: Back, body: MinimumBody) -> dict[str, Any]:
    """What ``dsm_c -action settlsprotocol`` does."""
    return views.floor_change(back.services.floors.set_minimum(asks, body.floor, body.force, body.reason))


@router.get("/floors/history")
def history(asks: Asks, back: Back, limit: Limit = 100) -> dict[str, Any]:
    return {"history": [views.history(entry) for entry in back.services.floors.history(asks, limit)]}


@router.get("/preflight")
def preflight(asks: Asks, back: Back, to: str, point: str = "all") -> dict[str, Any]:
    return back.services.judgement.preflight(asks, to, point).as_json()


@router.get("/advice")
def advice(asks: Asks, back: Back) -> dict[str, Any]:
    return back.services.judgement.advice(asks).as_json()


@router.get("/picture")
def picture(asks: Asks, back: Back) -> dict[str, Any]:
    return {"links": [link_as_json(link) for link in back.services.judgement.picture(asks)]}


@router.get("/relays")
def relays(asks: Asks, back: Back) -> dict[str, Any]:
    return {"relays": [views.relay(view) for view in back.services.judgement.relays(asks)]}


@router.get("/sightings")
def sightings(asks: Asks, back: Back, limit: Limit = 200) -> dict[str, Any]:
    return {"sightings": [views.sighting(view) for view in back.services.judgement.sightings(asks, limit)]}


@router.post("/probers")
def register_prober(asks: Asks, back: Back, body: ProberBody) -> dict[str, Any]:
    """The address that our own scans come from, so that nobody takes them for a program."""
    address, until = back.services.judgement.register_prober(asks, body.address, body.seconds)
    return {"address": address, "until": until}


@router.post("/send-policy")
def send_policy(asks: Asks, back: Back, body: SendPolicyBody) -> dict[str, Any]:
    chosen = (body.computers is not None) + (body.relay_group is not None) + body.everyone
    if chosen != 1:
        raise BadInput("say to whom: computers (a list of IDs), relayGroup (a name) or all (true); nothing was sent")
    queued = back.services.computers.send_policy(
        asks, computers=body.computers, relay_group=body.relay_group, everyone=body.everyone
    )
    return {"queued": queued}
