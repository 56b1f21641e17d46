"""Administration > System events."""

from __future__ import annotations

import csv
import io
import urllib.parse
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from plimsoll.manager.services.events import EventView
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import Asks, Back, console_router, page

router = console_router()

ROWS = 100
PATH = "/administration/events"


@router.get(PATH)
def events(
    request: Request,
    asks: Asks,
    back: Back,
    q: Annotated[str, Query(max_length=200)] = "",
    level: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Response:
    """Newest first; `q` are words that all stand in name, number, text or target."""
    found = back.services.events.page(asks, before=before, limit=ROWS + 1, words=q, level=level)
    query = {"q": q, "level": level}
    return page(
        request,
        "events/list.html",
        asks,
        events=found[:ROWS],
        older=link(query | {"before": str(found[ROWS - 1].id)}) if len(found) > ROWS else "",
        older_than=before,
        here=link(query),
        q=q,
        level=level,
    )


def link(query: dict[str, str]) -> str:
    kept = urllib.parse.urlencode({name: value for name, value in query.items() if value})
    return PATH + (f"?{kept}" if kept else "")


@router.get(f"{PATH}/export.csv")
async def export(asks: Asks, back: Back) -> Response:
    """All events, oldest first. Times are UTC."""
    found = await run_in_threadpool(back.services.events.export, asks)
    return StreamingResponse(
        _lines(found),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="events.csv"'},
    )


def _lines(found: Iterator[EventView]) -> Iterator[str]:
    yield "id,time,number,level,name,description,computer,target\r\n"
    for one in found:
        out = io.StringIO()
        row = (one.id, texts.utc(one.time), one.number, one.level, one.name, one.description, one.computer, one.target)
        csv.writer(out).writerow([texts.cell(value) for value in row])
        yield out.getvalue()
