"""/rest: what programs of the reference's earlier API ask for, in XML or JSON as they accept it.

Sessions are the same as SOAP's: a plain-text ``sID``, sent back as a cookie or in the query. New programs use /api.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from lxml import etree
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from plimsoll import RELEASE
from plimsoll.manager.api import markup
from plimsoll.manager.api.auth import Back, backend_of, check_rate, connection_of, local_principal
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.markup import Element, children, local
from plimsoll.manager.api.rest.bodies import Number
from plimsoll.manager.ports import BadInput, Permission, Principal, ServiceError, TooMany, Unauthenticated, require
from plimsoll.manager.services.computers import ACTIVE, ComputerView
from plimsoll.manager.services.events import open_alerts
from plimsoll.messages import Kind

#: What programs compare with, and the name of the one tenant.
API_VERSION = 3
TENANT = "primary"
SESSION = "sID"

Json = Mapping[str, Any]


class LegacyError(Exception):
    """A refusal, to be said in this API's own shape."""

    def __init__(self, error: ServiceError) -> None:
        super().__init__(error.message)
        self.error = error


def refused(request: Request, error: Exception) -> Response:
    """``{"error": {"message": …}}``, or the same in XML."""
    assert isinstance(error, LegacyError)
    answer = _form(request, "error", {"message": error.error.message})
    answer.status_code = error.error.status
    if isinstance(error.error, TooMany):
        answer.headers["retry-after"] = str(error.error.retry_after)
    return answer


async def _asks(request: Request) -> Principal:
    local = local_principal(request)
    if local is not None:
        return local
    connection = connection_of(request)
    session = request.query_params.get(SESSION) or request.cookies.get(SESSION)
    if connection is None or not session:
        raise LegacyError(Unauthenticated(f"sign in at /rest/authentication/login and send {SESSION}"))
    access = backend_of(request).services.access
    try:
        principal = await run_in_threadpool(
            access.authenticate_session, session, connection.address, connection.version, "rest"
        )
        check_rate(backend_of(request), principal)
    except ServiceError as error:
        raise LegacyError(error) from None
    connection.who = principal.who
    return principal


Asks = Annotated[Principal, Depends(_asks)]


@contextlib.contextmanager
def _in_our_shape() -> Iterator[None]:
    """A service's refusal as this API says it."""
    try:
        yield
    except ServiceError as error:
        raise LegacyError(error) from None


router = APIRouter(prefix="/rest", include_in_schema=False)


@router.get("/apiVersion")
def api_version() -> PlainTextResponse:
    """The number of this API."""
    return PlainTextResponse(str(API_VERSION))


@router.post("/authentication/login")
async def login(request: Request, back: Back) -> Response:
    """Takes dsCredentials (userName, password, tenantName) as JSON or XML; the answer is the sID as plain text."""
    return await _login(request, back)


@router.post("/authentication/login/primary")
async def login_primary(request: Request, back: Back) -> Response:
    """The same for the primary tenant."""
    return await _login(request, back)


async def _login(request: Request, back: Backend) -> Response:
    connection = connection_of(request)
    if connection is None:
        raise LegacyError(Unauthenticated("sessions are for the network: the local socket knows who asks"))
    given = _credentials(await request.body())
    if given.get("tenantName", "").strip().lower() not in ("", TENANT):
        raise LegacyError(Unauthenticated(f"there is no such tenant here, only {TENANT!r}"))
    with _in_our_shape():
        made = await run_in_threadpool(
            back.services.access.sign_in,
            given.get("userName", ""),
            given.get("password", ""),
            connection.address,
            connection.version,
        )
    return PlainTextResponse(made.secret)


def _credentials(body: bytes) -> dict[str, str]:
    """The three fields, from either form."""
    names = ("userName", "password", "tenantName")
    try:
        if body.lstrip()[:1] == b"<":
            found: dict[str, Any] = {local(one): one.text or "" for one in children(markup.parse(body))}
        else:
            found = json.loads(body)["dsCredentials"]
        return {name: str(found.get(name) or "") for name in names}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, markup.NoXml):
        raise LegacyError(
            BadInput('the body is {"dsCredentials": {"userName": …, "password": …}}, or that in XML; nothing was done')
        ) from None


@router.delete("/authentication/logout")
async def logout(request: Request, back: Back) -> Response:
    """Ends the session; one that has ended already is no error."""
    session = request.query_params.get(SESSION) or request.cookies.get(SESSION)
    if session:
        await run_in_threadpool(back.services.access.sign_out, session)
    return Response(status_code=200)


@router.get("/hosts")
def hosts(request: Request, asks: Asks, back: Back) -> Response:
    """All computers."""
    with _in_our_shape():
        found = sorted(back.services.computers.list(asks), key=lambda view: view.number)
    return _form(request, "hosts", {"hosts": [_host(view) for view in found]})


@router.get("/hosts/{host}")
def host(request: Request, asks: Asks, back: Back, host: Number) -> Response:
    """One computer by its ID."""
    with _in_our_shape():
        return _form(request, "host", _host(back.services.computers.get(asks, str(host))))


def _host(view: ComputerView) -> Json:
    return {
        "ID": view.number,
        "name": view.hostname,
        "displayName": view.display_name,
        "description": view.description,
        "platform": view.platform,
        "hostGroupID": view.group_id,
        "securityProfileID": view.policy_id,
        "hostType": "APPLIANCE" if view.kind is Kind.APPLIANCE else "STANDARD",
        "lastIPUsed": view.address,
        "overallVersion": view.version,
        "overallStatus": _status(view),
    }


def _status(view: ComputerView) -> str:
    if view.state != ACTIVE:
        return "Unmanaged"
    return "Managed (Online)" if view.online else "Managed (Offline)"


@router.get("/relays")
def relays(
    request: Request,
    asks: Asks,
    back: Back,
    ascending: bool = True,
    failed: bool = False,
    background: bool = False,
    max_items: Annotated[int, Query(alias="maxItems", ge=1, le=5000)] = 5000,
    offset: Annotated[Number, Query(ge=0)] = 0,
    sort_by: Annotated[Literal["id", "name"], Query(alias="sortBy")] = "id",
) -> Response:
    """The relays, a page of them; `failed` keeps those that are silent or do not hold what they should."""
    with _in_our_shape():
        shown = {view.id: view for view in back.services.judgement.relays(asks)}
        machines = back.services.computers.list(asks, kind=Kind.RELAY)
    rows: list[dict[str, Any]] = [
        {
            "id": machine.number,
            "name": machine.hostname,
            "displayName": machine.display_name,
            "relayGroup": machine.relay_group,
            "status": _status(machine),
            "minimumTLSProtocol": None if shown[machine.id].observed is None else str(shown[machine.id].observed),
            "failed": not machine.online or shown[machine.id].observed != shown[machine.id].required,
        }
        for machine in machines
        if machine.id in shown
    ]
    rows = [row for row in rows if row["failed"] or not failed]
    rows.sort(key=lambda row: row[sort_by], reverse=not ascending)
    page = rows[offset : offset + max_items]
    return _form(request, "ListRelaysResponse", {"relays": page, "total": len(rows)})


@router.get("/managerInfo/version")
def version(asks: Asks) -> PlainTextResponse:
    """The release."""
    with _in_our_shape():
        require(asks, Permission.MANAGER_READ)
    return PlainTextResponse(RELEASE)


@router.get("/managerInfo/statusSummary")
def status_summary(request: Request, asks: Asks, back: Back) -> Response:
    """How many computers are how, and how many things need a person."""
    with _in_our_shape():
        found = back.services.computers.list(asks)
        alerts = open_alerts(back.services.events.list(asks, None, 1000))
    words = [_status(view) for view in found]
    critical = sum(alert.level == "error" for alert in alerts)
    summary = {
        "criticalAlerts": critical,
        "warningAlerts": len(alerts) - critical,
        "hostStatusSummary": {
            "onlineHosts": words.count("Managed (Online)"),
            "criticalHosts": words.count("Managed (Offline)"),
            "unmanageHosts": words.count("Unmanaged"),
        },
    }
    return _form(request, "statusSummary", summary)


@router.get("/managerInfo/components")
def components(request: Request, asks: Asks) -> Response:
    """What the manager is made of, as far as it matters for TLS."""
    with _in_our_shape():
        require(asks, Permission.MANAGER_READ)
    parts = [
        {"name": "manager", "version": RELEASE},
        {"name": "python", "version": ".".join(map(str, sys.version_info[:3]))},
        {"name": "tls", "version": ssl.OPENSSL_VERSION},
    ]
    return _form(request, "components", {"components": parts})


@router.get("/managerInfo/featureSummary")
def features(request: Request, asks: Asks, back: Back) -> Response:
    """How many computers there are, by what they are."""
    with _in_our_shape():
        found = back.services.computers.list(asks)
    counts = {kind.value: sum(view.kind is kind for view in found) for kind in Kind}
    return _form(request, "featureSummary", counts | {"total": len(found)})


@router.get("/monitoring/usages")
def usages(request: Request, asks: Asks, back: Back) -> Response:
    """This process: its time, memory and connections."""
    with _in_our_shape():
        require(asks, Permission.MANAGER_READ)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "managerNode": socket.gethostname(),
        "cpuSeconds": round(used.ru_utime + used.ru_stime, 3),
        "maxMemoryKiB": used.ru_maxrss,
        "connections": sum(back.live.status().get("connections", {}).values()),
    }
    return _form(request, "usages", found)


@router.get("/alerts")
def alerts(
    request: Request, asks: Asks, back: Back, max_items: Annotated[int, Query(alias="maxItems", ge=1, le=5000)] = 5000
) -> Response:
    """What needs a person now, the newest first."""
    with _in_our_shape():
        found = open_alerts(back.services.events.list(asks, None, 1000))
    rows = [
        {
            "id": event.id,
            "name": event.name,
            "severity": "CRITICAL" if event.level == "error" else "WARNING",
            "description": event.description,
            "time": datetime.fromtimestamp(event.time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        for event in found[:max_items]
    ]
    return _form(request, "ListAlertsResponse", {"alerts": rows})


_ACCEPTED = re.compile(r"(application|text)/(json|xml)")


def _form(request: Request, name: str, value: Json) -> Response:
    """JSON where the program accepts that first, else XML, which is this API's own."""
    first = _ACCEPTED.search(request.headers.get("accept", ""))
    if first is not None and first[2] == "json":
        return Response(json.dumps({name: value}), media_type="application/json")
    root = etree.Element(name)
    _fill(root, value)
    return Response(markup.serialized(root), media_type="application/xml; charset=utf-8")


def _fill(parent: Element, value: Json) -> None:
    """A list is its name, once an item; what is None is left out."""
    for name, inner in value.items():
        for one in inner if isinstance(inner, list) else [] if inner is None else [inner]:
            child = etree.SubElement(parent, name)
            if isinstance(one, Mapping):
                _fill(child, one)
            else:
                text = str(one).lower() if isinstance(one, bool) else str(one)
                child.text = markup.holdable(text)
