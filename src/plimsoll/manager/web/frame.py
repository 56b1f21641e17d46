"""What every screen of the console shares: who asks, the page around it, forms, messages and errors.

Rules of this file and of `routes`: a screen is made by a function that calls services and hands their views to a
template; whatever changes something is a POST that takes `Signed` in place of `Asks`, calls one service and ends with
`done`. No route judges permissions: services do, and templates only leave out what `may` denies. Pages hold no script
and no style of their own (the policy in `api.bounds` would refuse them).
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import urllib.parse
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from plimsoll import RELEASE
from plimsoll.manager.api.auth import COOKIE, Back, authenticate
from plimsoll.manager.ports import Forbidden, Permission, Principal, ServiceError, TooMany, Unauthenticated, Unavailable
from plimsoll.manager.web import navigation, texts

__all__ = ["Asks", "Back", "Signed", "console_router", "done", "fragment", "page"]

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
#: What was done, said once on the next screen. It is text that is escaped there, and nothing follows from it.
FLASH = "flash"
#: The reader's time zone, which console.js tells: times are rendered in it, so that nothing moves after loading.
ZONE = "tz"


@functools.cache
def templates() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters |= texts.FILTERS
    env.globals["release"] = RELEASE
    env.globals["static"] = static_path
    return env


@functools.cache
def static_path(name: str) -> str:
    """The address of one of our files, which changes with its content: browsers may keep it for ever."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


class SignInNeeded(Exception):  # noqa: N818 - names a condition
    """Nobody is signed in; `reason` where a session ended."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _asks(request: Request) -> Principal:
    try:
        return await authenticate(request, "web")
    except Unauthenticated as error:
        raise SignInNeeded(error.message if request.cookies.get(COOKIE) else "") from None


async def _signed(request: Request, asks: Annotated[Principal, Depends(_asks)]) -> Principal:
    """Whoever asks, with the proof that the form came from a page of this session."""
    secret = request.cookies.get(COOKIE)
    if secret is None:
        return asks  # an API key or the local socket: no browser sends those by itself
    given = request.headers.get(CSRF_HEADER) or str((await request.form()).get(CSRF_FIELD, ""))
    if not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
        raise Forbidden("this form is not from a page of your session; nothing was changed. Load the page again")
    return asks


Asks = Annotated[Principal, Depends(_asks)]
#: For every route that changes something.
Signed = Annotated[Principal, Depends(_signed)]


def csrf_token(session_secret: str) -> str:
    """Follows from the session's secret, so that it needs no keeping and ends with the session."""
    return hmac.digest(session_secret.encode(), b"csrf", "sha256").hex()


def page(request: Request, name: str, asks: Principal, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole screen. `name` is a template that extends ``console.html``."""
    answer = HTMLResponse(
        _render(request, name, asks, {"flash": _flash(request), **values}),
        status_code=status,
        headers={"cache-control": "no-store"},
    )
    if FLASH in request.cookies:
        answer.delete_cookie(FLASH, httponly=True, secure=True, samesite="strict", path="/")
    return answer


def fragment(request: Request, name: str, asks: Principal, **values: Any) -> HTMLResponse:
    """A part of a screen, for htmx."""
    return HTMLResponse(_render(request, name, asks, values), headers={"cache-control": "no-store"})


def _render(request: Request, name: str, asks: Principal, values: Mapping[str, Any]) -> str:
    secret = request.cookies.get(COOKIE)
    path = request.url.path
    return (
        templates()
        .get_template(name)
        .render(
            asks=asks,
            may=lambda permission: asks.may(Permission(permission)),
            csrf="" if secret is None else csrf_token(secret),
            nav=navigation.for_principal(asks, path),
            path=path,
            query=request.url.query,
            zone=texts.zone(request.cookies.get(ZONE)),
            theme=_theme(request),
            **values,
        )
    )


def _theme(request: Request) -> str:
    wanted = request.cookies.get("theme", "")
    return wanted if wanted in ("light", "dark") else ""


def done(request: Request, to: str, message: str = "") -> Response:
    """Ends a change that was made: the browser goes to `to`, where `message` is said once."""
    answer: Response
    if is_htmx(request):
        answer = Response(status_code=204, headers={"hx-redirect": to})
    else:
        answer = RedirectResponse(to, status_code=303)
    if message:
        kept = urllib.parse.quote(message[:1000])
        answer.set_cookie(FLASH, kept, max_age=60, httponly=True, secure=True, samesite="strict", path="/")
    return answer


def is_htmx(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _flash(request: Request) -> str:
    return urllib.parse.unquote(request.cookies.get(FLASH, ""))


class ConsoleRoute(APIRoute):
    """Failures of a screen are screens, or a message in the form that was sent."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await usual(request)
            except SignInNeeded as needed:
                return _to_sign_in(request, needed.reason)
            except ServiceError as error:
                return await failed(request, error)
            except RequestValidationError as error:
                return await failed(request, _invalid(error))

        return handle


def console_router() -> APIRouter:
    """A router for screens."""
    return APIRouter(include_in_schema=False, route_class=ConsoleRoute, default_response_class=HTMLResponse)


def _to_sign_in(request: Request, reason: str) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    query: dict[str, str] = {}
    if request.method == "GET" and not is_htmx(request) and wanted != "/":
        query["next"] = wanted
    if reason:
        query["ended"] = "1"
    to = "/sign-in" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    if is_htmx(request):
        return Response(status_code=204, headers={"hx-redirect": to})
    return RedirectResponse(to, status_code=303)


async def failed(request: Request, error: ServiceError) -> Response:
    """What was refused or failed: in the form it came from where htmx asks, else as a screen."""
    headers = {"cache-control": "no-store"}
    if isinstance(error, Unavailable | TooMany):
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if is_htmx(request):
        text = templates().get_template("parts/problem.html").render(error=error)
        return HTMLResponse(
            text, error.status, headers | {"hx-retarget": "#problem", "hx-reswap": "innerHTML", "hx-reselect": "unset"}
        )
    try:
        asks = await authenticate(request, "web")
    except ServiceError:
        return HTMLResponse(templates().get_template("lost.html").render(error=error), error.status, headers)
    return page(request, "problem.html", asks, error.status, error=error)


def _invalid(error: RequestValidationError) -> ServiceError:
    said = "; ".join(f"{_field(one.get('loc', ()))}: {one.get('msg', 'not valid')}" for one in error.errors()[:5])
    problem = ServiceError(f"{said}; nothing was changed")
    problem.status = 400
    return problem


def _field(location: Any) -> str:
    return ".".join(str(part) for part in location if part not in ("body", "query", "path")) or "the form"
