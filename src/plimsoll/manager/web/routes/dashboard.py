"""The dashboard, and the first steps of a new home."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import Principal
from plimsoll.manager.services.overview import SMALL
from plimsoll.manager.services.overview_views import Need
from plimsoll.manager.web import bars, texts
from plimsoll.manager.web.frame import ZONE, Asks, Back, Signed, console_router, page
from plimsoll.manager.web.picture import draw

router = console_router()

EVENTS = 8
#: What each point is called on a card.
NAMES = {"heartbeat": "Heartbeats", "gui": "GUI and REST", "relay": "Relays", "agent": "Agents that listen"}
#: Seconds between two looks of an open dashboard: at a small fleet, and at one whose figures change less often anyway.
_REFRESH, _REFRESH_LARGE = 2, 10

#: Where each kind of need is done.
_DONE_AT: dict[str, str] = {
    "refused": "/computers?refused=1",
    "change": "/changes/{about}",
    "upgrade": "/administration/updates/upgrades/{about}",
    "below": "/picture/members?{about}",
    "drift": "/administration/system-settings/tls",
    "served": "/administration/system-settings/tls",
    "relays": "/administration/updates/relays",
    "policies": "/policies",
    "ca": "/administration/certificates/ca",
    "certificate": "/administration/certificates",
    "certificates": "/computers",
    "exception": "/administration/system-settings/exceptions",
    "approvals": "/computers?state=approval",
    "notifications": "/administration/notifications",
    "offline": "/computers?state=offline",
    "raise": "/changes/new",
}


@router.get("/")
def dashboard(request: Request, asks: Asks, back: Back, span: Annotated[str, Query(max_length=10)] = "24h") -> Response:
    services = back.services
    serves = {point: list(served) for point, served in back.live.serves().items()}
    over = services.overview.show(asks, back.live.problems(), serves)
    picture = services.overview.picture(asks)
    name, words, hours, each = bars.span_of(span)
    buckets = services.sightings.over_time(asks, hours, each)
    present = back.live.status().get("computers")
    return page(
        request,
        "dashboard/page.html",
        asks,
        over=over,
        online=over.online if present is None else present["online"],
        needs=[(need, _where(need)) for need in over.needs],
        names=NAMES,
        serves=serves,
        drawing=None if picture is None else draw(picture),
        spans=bars.SPANS,
        span=name,
        chart=bars.chart(buckets, texts.zone(request.cookies.get(ZONE))),
        said=bars.summary(buckets, words),
        events=services.events.page(asks, limit=EVENTS),
        agents=_agents(back, asks) if over.first_steps else (),
        here="/" if name == bars.SPANS[0][0] else f"/?span={name}",
        refresh=_REFRESH if over.computers <= SMALL else _REFRESH_LARGE,
    )


@router.get("/first-steps")
def first_steps(request: Request, asks: Asks, back: Back) -> Response:
    agents = _agents(back, asks)
    return page(
        request,
        "dashboard/first.html",
        asks,
        agents=agents,
        arrived=any(one.last_seen for one in agents),
    )


@router.post("/first-steps/token")
def token(request: Request, asks: Signed, back: Back) -> Response:
    """A token for one computer. It stands in this answer, which nobody keeps, and nowhere else."""
    made = back.services.activation.create_token(asks)
    settings = back.services.system_settings.list(asks)
    host = settings["platformSettingLoadBalancerHeartbeatAddress"] or request.url.hostname or "this-manager"
    port = settings["platformSettingLoadBalancerHeartbeatPort"]
    return page(
        request,
        "dashboard/token.html",
        asks,
        token=made.token,
        address=f"dsm://{f'[{host}]' if ':' in host else host}:{port}",
    )


def _agents(back: Backend, asks: Principal) -> tuple[Any, ...]:
    """The first computers, few of which matter here."""
    return back.services.computers.list(asks, limit=5)


def _where(need: Need) -> str:
    return _DONE_AT[need.kind].replace("{about}", need.about)
