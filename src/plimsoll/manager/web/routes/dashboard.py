"""The dashboard."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from plimsoll.manager.web.frame import Asks, Back, console_router, page

router = console_router()

#: What one list of the dashboard shows; all of it is on the list's own screen.
COMPUTERS = 200
EVENTS = 15


@router.get("/")
def dashboard(request: Request, asks: Asks, back: Back) -> Response:
    services = back.services
    computers = services.computers.list(asks, limit=COMPUTERS + 1)
    return page(
        request,
        "dashboard/page.html",
        asks,
        floors=services.floors.show(asks),
        serves={point: list(served) for point, served in back.live.serves().items()},
        computers=computers[:COMPUTERS],
        more=len(computers) > COMPUTERS,
        problems=back.live.problems(),
        relays=services.judgement.relays(asks),
        events=services.events.page(asks, limit=EVENTS),
        counts=back.live.status().get("computers"),
    )
