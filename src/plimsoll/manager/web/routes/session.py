"""Signing in and out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from plimsoll.manager.api.auth import COOKIE, check_origin, connection_of
from plimsoll.manager.ports import ServiceError
from plimsoll.manager.web.frame import Back, Signed, console_router, templates

router = console_router()

_ENDED = "Your session has ended. Sign in again; nothing of what was done is lost."


def sign_in_page(status: int = 200, **values: Any) -> HTMLResponse:
    """The form. `values` are message, username and next, each a text."""
    given = {"message": "", "username": "", "next": "", **values}
    text = templates().get_template("sign_in.html").render(**given)
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def own_path(wanted: str) -> str:
    """Where to go after signing in: only to a screen of ours, whatever a link said."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable() else "/"


def with_session(request: Request, secret: str, to: str) -> Response:
    """Goes there with the new session's cookie."""
    answer = RedirectResponse(own_path(to), status_code=303)
    answer.set_cookie(COOKIE, secret, httponly=True, secure=True, samesite="strict", path="/")
    return answer


@router.get("/sign-in")
async def form(next: str = "", ended: str = "") -> Response:  # noqa: A002 - the query's name
    return sign_in_page(message=_ENDED if ended else "", next=next)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    back: Back,
    username: Annotated[str, Form(max_length=255)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002 - the field's name
) -> Response:
    check_origin(request)
    connection = connection_of(request)
    address = "" if connection is None else connection.address
    tls = None if connection is None else connection.version
    try:
        session = await run_in_threadpool(back.services.access.sign_in, username, password, address, tls)
    except ServiceError as error:
        return sign_in_page(error.status, message=error.message, username=username, next=next)
    return with_session(request, session.secret, next)


@router.post("/sign-out")
async def sign_out(request: Request, back: Back, _: Signed) -> Response:
    secret = request.cookies.get(COOKIE)
    if secret is not None:
        await run_in_threadpool(back.services.access.sign_out, secret)
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, secure=True, samesite="strict", path="/")
    return answer
