"""Who asks: an API key, a session's cookie, or the peer of the local socket. Everything else is refused here."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, cast

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import Forbidden, Principal, TooMany, Unauthenticated, Via, socket_principal
from plimsoll.manager.services.events import REQUESTS_LIMITED, NewEvent
from plimsoll.net.gate import Connection
from plimsoll.tls.ja4 import ja4

KEY_HEADER = "api-secret-key"
#: A page sends it with what it asks by itself, with nobody in front of it: that keeps no session alive.
UNATTENDED = "plimsoll-unattended"
COOKIE = "sid"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def backend_of(request: Request) -> Backend:
    return cast(Backend, request.app.state.backend)


def connection_of(request: Request) -> Connection | None:
    """The gate's connection, None on the local socket and in process."""
    return cast("Connection | None", request.scope.get("state", {}).get("connection"))


async def authenticate(
    request: Request, via: Via = "rest", *, counted: bool = True, attended: bool = True
) -> Principal:
    """Raises Unauthenticated, and TooMany where the request is to be counted. Tells the gate whose connection it is, so
    that sightings carry the name. A request that is not `attended` keeps no session alive: a page makes it by itself.
    """
    connection = connection_of(request)
    if connection is None:
        return _local(request)
    known = await run_in_threadpool(_by_secret, request, connection, via, attended)
    principal = replace(known, suite=connection.suite)
    if counted and via != "web":
        check_rate(backend_of(request), principal)
    if connection.who != principal.who:
        connection.who = principal.who
    return principal


def check_rate(back: Backend, principal: Principal) -> None:
    """Counts one request of somebody who came through the gate. Raises TooMany; the first time it is an event."""
    refused = back.limits.take(principal.who, *back.services.access.request_limits(), time.time())
    if refused is None:
        return
    if refused.news:
        whose = "all together have" if refused.node else f"{principal.name} has"
        text = f"{whose} made too many API requests in a minute; {principal.who} from {principal.address} was refused"
        back.services.events.record_later([NewEvent(REQUESTS_LIMITED, "warning", text, target=principal.name)])
    raise TooMany(refused.retry_after)


def local_principal(request: Request) -> Principal | None:
    """Whoever came by the local socket or in process; None for whoever came through the gate."""
    return None if connection_of(request) is not None else _local(request)


def _local(request: Request) -> Principal:
    uid = request.scope.get("state", {}).get("peer_uid")
    if uid is not None:
        return socket_principal(uid)
    local = backend_of(request).local
    if local is None:
        raise Unauthenticated("nobody vouches for this request")
    return local


def _by_secret(request: Request, connection: Connection, via: Via, attended: bool) -> Principal:
    services = backend_of(request).services
    key = request.headers.get(KEY_HEADER) or _bearer(request)
    if key is not None:
        return services.api_keys.authenticate(
            key, connection.address, connection.version, seen=lambda: ja4(connection.hello)
        )
    secret = request.cookies.get(COOKIE)
    if secret is None:
        raise Unauthenticated(f"send an API key in the header {KEY_HEADER}, or sign in at /")
    check_origin(request)
    used = attended and UNATTENDED not in request.headers
    return services.access.authenticate_session(secret, connection.address, connection.version, via, used=used)


def _bearer(request: Request) -> str | None:
    """The key as RFC 6750 has it, for programs that can set no header of ours: Prometheus is one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def check_origin(request: Request) -> None:
    """A browser's request that changes something must come from our own page."""
    if request.method in _SAFE:
        return
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    own = f"https://{request.headers.get('host', '')}"
    if (origin is not None and origin != own) or (site is not None and site not in ("same-origin", "none")):
        raise Forbidden("this request came from another site's page; nothing was changed")


async def _principal(request: Request) -> Principal:
    return await authenticate(request)


Asks = Annotated[Principal, Depends(_principal)]
Back = Annotated[Backend, Depends(backend_of)]
