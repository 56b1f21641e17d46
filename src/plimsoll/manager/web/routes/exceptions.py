"""Administration > System settings > Exceptions: who may stay below a floor until a date (G5)."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Form, Path, Query, Request
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, NotFound, Principal
from plimsoll.manager.search import Compare, Kind, Search
from plimsoll.manager.services.exceptions import POINTS
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.tls.versions import FLOORS

router = console_router()

PATH = "/administration/system-settings/exceptions"
#: Days that the form proposes: long enough for an upgrade, short enough to be looked at again.
PROPOSED = 90 * 86400.0

Word = Annotated[str, Query(max_length=255)]
Sent = Annotated[str, Form(max_length=255)]


@router.get(PATH)
def exceptions(request: Request, asks: Asks, back: Back, show: Word = "") -> Response:
    """Those in force and waiting, or with ``show=ended`` those that are over."""
    ended = show == "ended"
    found = back.services.exceptions.list(asks, ended=ended, limit=1000)
    return page(
        request,
        "exceptions/list.html",
        asks,
        exceptions=[one for one in found if (one.state == "ended") is ended],
        ended=ended,
    )


@router.get(f"{PATH}/new")
def new(
    request: Request,
    asks: Asks,
    source: Word = "",
    computer: Word = "",
    point: Word = "heartbeat",
    then: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """`then` is the screen that sent here, and is shown again afterwards."""
    return page(
        request,
        "exceptions/new.html",
        asks,
        source=source,
        computer=computer,
        point=point if point in {one.value for one in POINTS} else "heartbeat",
        points=POINTS,
        versions=FLOORS,
        until=fields.local(request, time.time() + PROPOSED),
        then=fields.own_path(then, ""),
    )


@router.post(PATH)
def add(
    request: Request,
    asks: Signed,
    back: Back,
    point: Sent,
    floor: Sent,
    until: Sent,
    reason: Annotated[str, Form(max_length=2000)],
    source: Sent = "",
    computer: Sent = "",
    then: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    source, computer = source.strip(), computer.strip()
    if bool(source) == bool(computer):
        raise BadInput("say for whom: a source network or a computer, one of them; nothing was changed")
    made = back.services.exceptions.add(
        asks,
        point=point,
        floor=floor,
        until=fields.moment(request, until, "the end"),
        reason=reason,
        source=source or None,
        computer=find_computer(back, asks, computer) if computer else None,
    )
    whom = made.source or made.name or made.computer
    return done(request, fields.own_path(then, PATH), f"{whom} may come in with {made.floor.label} until then.")


@router.post(f"{PATH}/{{exception}}/end")
def end(request: Request, asks: Signed, back: Back, exception: Annotated[int, Path(ge=0, le=2**53)]) -> Response:
    ended = back.services.exceptions.end(asks, exception)
    return done(request, PATH, f"The exception for {ended.source or ended.name or ended.computer} has ended.")


def find_computer(back: Backend, asks: Principal, text: str) -> str:
    """The id of the computer that a person means, by id, number or either name. Raises BadInput, NotFound."""
    try:
        return back.services.computers.locate(asks, text)
    except NotFound:
        pass
    found: dict[str, str] = {}
    for field in ("hostName", "displayName"):
        search = Search((Compare(field, Kind.STRING, "equal", text),), limit=2)
        found |= {one.id: one.display_name or one.hostname for one in back.services.computers.search(asks, search)}
    if len(found) > 1:
        raise BadInput(f"more than one computer is called {text!r}: give its number or ID; nothing was changed")
    for identifier in found:
        return identifier
    raise NotFound(f"there is no computer {text!r}; nothing was changed. Give its name, number or ID")
