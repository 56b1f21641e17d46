"""Signing in and out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from plimsoll.manager.api.auth import COOKIE, check_origin, connection_of
from plimsoll.manager.ports import CodeNeeded, ServiceError
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Back, Signed, console_router, templates

router = console_router()

_ENDED = "Your session has ended. Sign in again; nothing of what was done is lost."


def sign_in_page(back: Back, status: int = 200, **values: Any) -> HTMLResponse:
    """The form. `values` are message, username and next, each a text; with `ticket` it asks for a code alone."""
    given = {"message": "", "username": "", "next": "", "ticket": "", **values, "provider": back.services.oidc.label()}
    text = templates().get_template("sign_in.html").render(**given)
    return HTMLResponse(text, status_code=status, headers={"cache-control": "no-store"})


def with_session(request: Request, secret: str, to: str) -> Response:
    """Goes there with the new session's cookie."""
    answer = RedirectResponse(fields.own_path(to, "/"), status_code=303)
    answer.set_cookie(COOKIE, secret, httponly=True, secure=True, samesite="strict", path="/")
    return answer


@router.get("/sign-in")
def form(back: Back, next: str = "", ended: str = "") -> Response:  # noqa: A002 - the query's name
    return sign_in_page(back, message=_ENDED if ended else "", next=next)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    back: Back,
    username: Annotated[str, Form(max_length=255)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    code: Annotated[str, Form(max_length=100)] = "",
    ticket: Annotated[str, Form(max_length=2000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002 - the field's name
) -> Response:
    """With name and password, or, where a code is asked for, in a second step with a ticket for these and the code."""
    check_origin(request)
    return await run_in_threadpool(_sign_in, request, back, (username, password), (ticket, code), next)


def _sign_in(request: Request, back: Back, user: tuple[str, str], second: tuple[str, str], to: str) -> Response:
    connection = connection_of(request)
    address = "" if connection is None else connection.address
    tls = None if connection is None else connection.version
    access, previous = back.services.access, request.cookies.get(COOKIE)
    try:
        if second[0]:
            session = access.sign_in_with_code(*second, address, tls, previous=previous)
        else:
            session = access.sign_in(*user, address, tls, second[1] or None, previous=previous)
    except CodeNeeded as error:
        # The first time it is a question, and no refusal.
        asked = error.message if second[1] else ""
        return sign_in_page(back, error.status, message=asked, username=user[0], next=to, ticket=error.ticket)
    except ServiceError as error:
        return sign_in_page(back, error.status, message=error.message, username=user[0], next=to)
    return with_session(request, session.secret, to)


@router.post("/sign-out")
async def sign_out(request: Request, back: Back, _: Signed) -> Response:
    secret = request.cookies.get(COOKIE)
    if secret is not None:
        await run_in_threadpool(back.services.access.sign_out, secret)
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, secure=True, samesite="strict", path="/")
    return answer
