"""Signing in through an identity provider: there, and back."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from plimsoll.manager.api.auth import COOKIE, connection_of
from plimsoll.manager.ports import BadInput, ServiceError
from plimsoll.manager.web.frame import Back, console_router, templates
from plimsoll.manager.web.routes.session import sign_in_page

router = console_router()

CALLBACK = "/sign-in/oidc/callback"
#: What was begun, sealed. Lax, because the way back comes from the provider's site, which Strict would not let through;
#: ``__Host-`` keeps other hosts of the same domain from putting one of theirs here.
BEGUN = "__Host-oidc"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


@router.get("/sign-in/oidc")
def begin(request: Request, back: Back) -> Response:
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise BadInput("the request names no host; nothing was done")
    try:
        # The provider sends people back to addresses only that are registered there, whatever a request says.
        begun = back.services.oidc.begin(f"https://{host}{CALLBACK}")
    except ServiceError as error:
        return sign_in_page(back, error.status, message=error.message)
    answer = RedirectResponse(begun.url, status_code=303, headers={"cache-control": "no-store"})
    answer.set_cookie(BEGUN, begun.state, max_age=begun.seconds, httponly=True, secure=True, samesite="lax", path="/")
    return answer


@router.get(CALLBACK)
async def finish(
    request: Request,
    back: Back,
    state: Annotated[str, Query(max_length=500)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=2000)] = None,
    error: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    answer = await run_in_threadpool(_finish, request, back, (state, code, iss), error)
    answer.delete_cookie(BEGUN, httponly=True, secure=True, samesite="lax", path="/")
    return answer


def _finish(request: Request, back: Back, given: tuple[str, str, str | None], error: str) -> Response:
    if error:
        return sign_in_page(back, 401, message=f"the identity provider did not sign you in: {error}. Nothing was done")
    connection = connection_of(request)
    state, code, issuer = given
    try:
        session = back.services.oidc.finish(
            request.cookies.get(BEGUN),
            state,
            code,
            "" if connection is None else connection.address,
            None if connection is None else connection.version,
            issuer=issuer,
            previous=request.cookies.get(COOKIE),
        )
    except ServiceError as refused:
        return sign_in_page(back, refused.status, message=refused.message)
    # Not a redirect: a browser sends a Strict cookie only where our own page led on.
    text = templates().get_template("account/signed_in.html").render(to="/")
    answer = HTMLResponse(text, headers={"cache-control": "no-store"})
    answer.set_cookie(COOKIE, session.secret, httponly=True, secure=True, samesite="strict", path="/")
    return answer
