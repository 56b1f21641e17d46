"""The living picture (R19): now, at another floor, and who is behind each line."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import RedirectResponse, Response

from plimsoll.fleet.picture import Link
from plimsoll.manager.services.overview import SMALL
from plimsoll.manager.services.overview_views import LineKey, Members, PictureView
from plimsoll.manager.web.frame import Asks, Back, console_router, page
from plimsoll.manager.web.picture import Drawing, draw, sentence
from plimsoll.tls.versions import FLOORS

router = console_router()

PATH = "/picture"
_REFRESH, _REFRESH_LARGE = 2, 10
_Text = Annotated[str, Query(max_length=80)]


@dataclass(frozen=True, slots=True)
class Drawn:
    view: PictureView
    drawing: Drawing


@router.get(PATH)
def picture(request: Request, asks: Asks, back: Back, floor: Annotated[str, Query(max_length=20)] = "") -> Response:
    """`floor` draws beside it what would be if that were the floor at every point."""
    overview = back.services.overview
    then = overview.picture(asks, floor) if floor else None
    now = overview.picture(asks)
    tabs = [("As it is now", PATH, not floor)]
    tabs += [(f"At {version.label}", f"{PATH}?floor={version.value}", floor == version.value) for version in FLOORS]
    return page(
        request,
        "picture/page.html",
        asks,
        now=_drawn(now),
        then=_drawn(then),
        floors=tabs,
        here=f"{PATH}?floor={floor}" if floor else PATH,
        refresh=_REFRESH if now is not None and sum(now.groups.values()) <= SMALL else _REFRESH_LARGE,
    )


@router.get(f"{PATH}/members")
def members(
    request: Request,
    asks: Asks,
    back: Back,
    from_: Annotated[str, Query(alias="from", max_length=80)] = "",
    to: _Text = "",
    point: _Text = "",
    version: _Text = "",
    state: _Text = "",
    group: _Text = "",
    floor: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> Response:
    """Who is behind a line, or in a group. Computers come in the order of their numbers, from `after` on."""
    key = LineKey(group, from_, to, point, version, state)
    if key == LineKey():
        return RedirectResponse(PATH, status_code=303)
    found = back.services.overview.members(asks, key, floor, after)
    query = {
        "from": from_,
        "to": to,
        "point": point,
        "version": version,
        "state": state,
        "group": group,
        "floor": floor,
    }
    here = f"{PATH}/members?" + urllib.parse.urlencode({name: value for name, value in query.items() if value})
    programs = bool(found.programs) and not found.computers
    return page(
        request,
        "picture/members.html",
        asks,
        found=found,
        what="program" if programs else "computer",
        title=group or (f"{from_} to {to}" if from_ and to else from_ or to or "Behind the line"),
        rows=[_said(link, found) for link in found.links],
        back=f"{PATH}?floor={floor}" if floor else PATH,
        first=here,
        more=f"{here}&after={found.after}" if found.after is not None else "",
        after=after,
    )


def _said(link: Link, found: Members) -> str:
    """Without the first few names: all stand below."""
    return sentence(replace(link, members=()), "" if link.point is None else str(found.ports[link.point]))


def _drawn(view: PictureView | None) -> Drawn | None:
    return None if view is None else Drawn(view, draw(view))
