"""The status page: floors, computers, relays, latest events. Read only; changes go through REST and the commands."""

from __future__ import annotations

import datetime
import functools
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Form, Request
from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from plimsoll import RELEASE
from plimsoll.manager.api.auth import COOKIE, Back, authenticate, check_origin, connection_of
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.description import ABOUT
from plimsoll.manager.api.reference import sections
from plimsoll.manager.ports import Principal, ServiceError, Unauthenticated

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
#: What one page shows; the lists are complete in REST.
COMPUTERS = 200
EVENTS = 15


def _when(seconds: float | None) -> str:
    if not seconds:
        return "–"
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@functools.cache
def _templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["when"] = _when
    env.globals["release"] = RELEASE
    return env


def _page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    text = _templates().get_template(name).render(**values)
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


@router.get("/")
async def status_page(request: Request, back: Back) -> Response:
    try:
        asks = await authenticate(request, "web")
    except Unauthenticated:
        return _page("sign_in.html")
    return await run_in_threadpool(_status, asks, back)


def _status(asks: Principal, back: Backend) -> Response:
    services = back.services
    floors = services.floors.show(asks)
    serves = back.live.serves()
    computers = services.computers.list(asks, limit=COMPUTERS + 1)
    return _page(
        "status.html",
        asks=asks,
        floors=floors,
        serves={point: list(served) for point, served in serves.items()},
        computers=computers[:COMPUTERS],
        more=len(computers) > COMPUTERS,
        problems=back.live.problems(),
        relays=services.judgement.relays(asks),
        events=services.events.list(asks, limit=EVENTS)[::-1],
        counts=back.live.status().get("computers"),
    )


@router.post("/sign-in")
async def sign_in(
    request: Request,
    back: Back,
    username: Annotated[str, Form(max_length=255)],
    password: Annotated[str, Form(max_length=1024)],
) -> Response:
    check_origin(request)
    connection = connection_of(request)
    address = "" if connection is None else connection.address
    tls = None if connection is None else connection.version
    try:
        session = await run_in_threadpool(back.services.access.sign_in, username, password, address, tls)
    except ServiceError as error:
        return _page("sign_in.html", error.status, message=error.message, username=username)
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(COOKIE, session.secret, httponly=True, secure=True, samesite="strict", path="/")
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, back: Back) -> Response:
    check_origin(request)
    secret = request.cookies.get(COOKIE)
    if secret is not None:
        await run_in_threadpool(back.services.access.sign_out, secret)
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, secure=True, samesite="strict", path="/")
    return answer


@router.get("/api/docs")
async def rest_reference(request: Request) -> Response:
    """REST for people. It says nothing of this fleet, and so asks nobody who he is."""
    return HTMLResponse(await run_in_threadpool(_reference, cast(FastAPI, request.app)))


def _reference(app: FastAPI) -> str:
    state = app.state
    if not hasattr(state, "reference"):
        state.reference = (
            _templates().get_template("reference.html").render(sections=sections(app.openapi()), about=ABOUT)
        )
    return str(state.reference)


@router.get("/static/plimsoll.css")
async def style() -> Response:
    return FileResponse(
        _HERE / "static" / "plimsoll.css", media_type="text/css", headers={"cache-control": "public, max-age=3600"}
    )


@router.get("/favicon.ico")
async def icon() -> Response:
    return Response(status_code=204)
