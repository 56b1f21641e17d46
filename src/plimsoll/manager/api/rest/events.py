"""/api/events: a list, an export that may be large, and a stream of what happens now."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back, authenticate, connection_of
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest.bodies import Number
from plimsoll.manager.api.shapes import manager as shapes
from plimsoll.manager.ports import NotFound, Principal, ServiceError
from plimsoll.manager.services.events import EventView

router = APIRouter(prefix="/api/events", tags=["events"])

#: Events that one piece of an export or a stream carries.
PIECE = 500
#: Seconds of silence after which a stream shows that it lives, and asks again who listens.
ALIVE = 15.0
#: Seconds that a download may go on after a raise (design §4).
DOWNLOAD_GRACE = 60.0


@router.get("")
def list_events(
    asks: Asks,
    back: Back,
    after: Annotated[Number | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 100,
    computer: str | None = None,
) -> shapes.Events:
    """Events after one, or the newest; of one computer where it is named."""
    known = None if computer is None else _event_computer(asks, back, computer)
    found = back.services.events.list(asks, after=after, limit=limit, computer=known)
    return {"events": [views.event(view) for view in found]}


def _event_computer(asks: Principal, back: Backend, computer: str) -> str:
    """Events outlive their computer: one that is gone is asked for by its hostGUID."""
    try:
        return back.services.computers.locate(asks, computer)
    except NotFound:
        return computer


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def export(
    request: Request, asks: Asks, back: Back, after: Annotated[Number, Query(ge=0)] = 0
) -> StreamingResponse:
    """All events, a JSON object a line."""
    events = await run_in_threadpool(back.services.events.export, asks, after)
    return StreamingResponse(
        _lines(request, events),
        media_type="application/x-ndjson",
        headers={"content-disposition": 'attachment; filename="events.ndjson"'},
    )


async def _lines(request: Request, events: Iterator[EventView]) -> AsyncIterator[bytes]:
    connection = connection_of(request)
    usual = None if connection is None else connection.grace
    if connection is not None:
        connection.grace = DOWNLOAD_GRACE
    try:
        while piece := await run_in_threadpool(_piece, events):
            yield piece
    finally:
        if connection is not None and usual is not None:
            connection.grace = usual


def _piece(events: Iterator[EventView]) -> bytes:
    lines = (json.dumps(views.event(event), ensure_ascii=False) for event in itertools.islice(events, PIECE))
    return "".join(line + "\n" for line in lines).encode()


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    request: Request,
    asks: Asks,
    back: Back,
    after: Annotated[Number | None, Query(ge=0)] = None,
    last_event_id: Annotated[Number | None, Header(ge=0)] = None,
) -> StreamingResponse:
    """Server-sent events. A client that comes back with Last-Event-ID gets what it missed."""
    start = last_event_id if last_event_id is not None else after
    if start is None:
        newest = await run_in_threadpool(back.services.events.list, asks, None, 1)
        start = newest[-1].id if newest else 0
    return StreamingResponse(
        _stream(request, asks, back, start), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _stream(request: Request, asks: Principal, back: Backend, last: int) -> AsyncIterator[bytes]:
    yield b": the stream begins\n\n"
    with back.feed.waker() as waker:
        while not back.feed.stopping:
            events = await run_in_threadpool(back.services.events.list, asks, last, PIECE)
            if events:
                last = events[-1].id
                yield b"".join(_message(event) for event in events)
            if len(events) < PIECE and not await back.feed.wait(ALIVE, waker):
                if not await _still_allowed(request):
                    return
                yield b": alive\n\n"


async def _still_allowed(request: Request) -> bool:
    """A key that was deleted, or a session that ended, ends its streams too."""
    try:
        await authenticate(request, counted=False)
    except ServiceError:
        return False
    return True


def _message(event: EventView) -> bytes:
    data = json.dumps(views.event(event), ensure_ascii=False)
    return f"id: {event.id}\nevent: event\ndata: {data}\n\n".encode()
