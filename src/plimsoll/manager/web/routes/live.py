"""One stream for each open screen: it says that something happened, and the screen fetches what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from plimsoll.manager.api.auth import authenticate
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import ServiceError
from plimsoll.manager.web.frame import Asks, Back, console_router

router = console_router()

#: Heartbeats are no events: after that many quiet seconds a screen looks by itself, and the session is checked.
QUIET = 15.0


@router.get("/live")
async def live(request: Request, asks: Asks, back: Back) -> Response:
    return StreamingResponse(
        _stream(request, back), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


async def _stream(request: Request, back: Backend) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    with back.feed.waker() as waker:
        while not back.feed.stopping:
            await back.feed.wait(QUIET, waker)
            try:
                await authenticate(request, "web", counted=False, attended=False)
            except ServiceError:
                yield b"event: ended\ndata: session\n\n"
                return
            yield b"event: live\ndata: \n\n"
