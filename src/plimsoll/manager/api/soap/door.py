"""``/webservice/Manager`` on 4119: the description by GET, operations by POST."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from lxml import etree
from starlette.concurrency import run_in_threadpool

from plimsoll.manager.api.auth import backend_of, check_rate, connection_of, local_principal
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.markup import local, serialized
from plimsoll.manager.api.soap import wsdl
from plimsoll.manager.api.soap.codec import NAMESPACE, read_fields, write
from plimsoll.manager.api.soap.envelope import SOAP_11, Message, NotSoap, SessionEnded, fault, frame, parse
from plimsoll.manager.api.soap.operations import __all__ as _subjects
from plimsoll.manager.api.soap.registry import OPERATIONS, Call
from plimsoll.manager.ports import BadInput, Principal, ServiceError, TooMany, Unauthenticated, Unavailable
from plimsoll.net.gate import Connection

log = logging.getLogger(__name__)

PATH = "/webservice/Manager"
router = APIRouter(include_in_schema=False)

assert _subjects, "importing the subjects declares their operations"


@router.get(PATH, include_in_schema=False)
def describe(request: Request) -> Response:
    """The WSDL, whatever the query says; its address is the one that was asked."""
    host = request.headers.get("host", "")
    usable = host and all(mark.isalnum() or mark in ".-:[]" for mark in host) and len(host) < 256
    address = f"https://{host if usable else 'localhost'}{PATH}"
    return Response(wsdl.document(address), media_type="text/xml; charset=utf-8")


@router.post(PATH, include_in_schema=False)
async def call(request: Request) -> Response:
    """One operation. A refusal is a fault with HTTP status 500, as WS-I's Basic Profile asks (R1126)."""
    body = await request.body()
    connection = connection_of(request)
    given = await run_in_threadpool(_serve, backend_of(request), connection, local_principal(request), body)
    kind = "text/plain" if given.status == 400 else "text/xml"
    return Response(given.body, given.status, media_type=f"{kind}; charset=utf-8", headers=given.headers)


@dataclass(frozen=True, slots=True)
class _Given:
    status: int
    body: bytes
    headers: Mapping[str, str] | None = None


def _serve(back: Backend, connection: Connection | None, socket_principal: Principal | None, body: bytes) -> _Given:
    try:
        message = parse(body)
    except NotSoap as error:
        return _Given(400, f"{error}\n".encode())
    try:
        return _Given(200, _answer(back, connection, socket_principal, message))
    except (TooMany, Unavailable) as error:
        again = {"retry-after": str(max(1, round(error.retry_after)))}
        return _Given(500, fault(message.envelope, error), again)
    except ServiceError as error:
        return _Given(500, fault(message.envelope, error))
    except Exception as error:
        log.exception("SOAP %s failed", local(message.body))
        return _Given(500, fault(message.envelope, error))


def _answer(
    back: Backend, connection: Connection | None, socket_principal: Principal | None, message: Message
) -> bytes:
    name = local(message.body)
    found = OPERATIONS.get(name)
    if found is None or etree.QName(message.body).namespace not in (NAMESPACE, None):
        raise BadInput(f"there is no operation {name[:100]!r} in {NAMESPACE}; nothing was done")
    values: dict[str, Any] = read_fields(message.body, found.arguments)
    principal = socket_principal
    if found.session:
        session = values.pop("s_id")
        if connection is not None:
            principal = _by_session(back, connection, session)
            check_rate(back, principal)
    result = found.run(Call(back, connection, principal), **values)
    root, body = frame(message.envelope if message.envelope else SOAP_11)
    response = etree.SubElement(body, f"{{{NAMESPACE}}}{name}Response")
    if found.result is not None:
        write(response, f"{name}Return", found.result, result)
    return serialized(root)


def _by_session(back: Backend, connection: Connection, session: str) -> Principal:
    access = back.services.access
    try:
        principal = access.authenticate_session(session, connection.address, connection.version, "soap")
    except Unauthenticated as error:
        raise SessionEnded(error.message) from None
    connection.who = principal.who
    return principal
