"""/api/manager: the manager's own certificate, its file, its state. /rest/status: for load balancers."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import PlainTextResponse

from plimsoll import RELEASE
from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body
from plimsoll.manager.api.shapes import manager as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.api.shapes.tls import Reloaded
from plimsoll.manager.ports import Permission, require
from plimsoll.manager.services.database import DatabaseView
from plimsoll.manager.services.database_checks import DatabaseCheck

router = APIRouter(tags=["manager"])


class CertificateBody(Body):
    """PEM, the leaf first. Without a key: that of the last request."""

    certificate: str = Field(min_length=1)
    key: str | None = None
    passphrase: str | None = None


class RequestBody(Body):
    subject: str = Field(default="", max_length=1000)
    names: list[str] = Field(default_factory=list)
    key_type: str = Field(default="ecdsa", alias="keyType")


class DatabaseBody(Body):
    """``sqlserver://host:port`` or ``oracle://host:port``."""

    address: str = Field(min_length=1, max_length=1000)


@router.get("/rest/status/manager/ping", include_in_schema=False)
async def ping() -> PlainTextResponse:
    """Asks nobody who he is: load balancers have no key."""
    return PlainTextResponse("OK\n")


@router.get("/api/manager/nodes")
def list_nodes(asks: Asks, back: Back) -> shapes.Nodes:
    """The managers that share the database; none where the store is a file."""
    return {"nodes": [views.node(one) for one in back.services.nodes.list(asks)]}


@router.delete("/api/manager/nodes/{node}")
def forget_node(node: str, asks: Asks, back: Back) -> Empty:
    """Takes a manager that is gone for good off the list, by its name or ID."""
    back.services.nodes.forget(asks, node)
    return {}


@router.get("/api/manager/status")
def status(asks: Asks, back: Back) -> shapes.Status:
    """Ports, connections, computers and the database of this manager."""
    require(asks, Permission.MANAGER_READ)
    database = _database(back.services.database.show(asks))
    found = {"version": RELEASE, "installation": back.installation, **back.live.status(), "database": database}
    return cast(shapes.Status, found)


def _database(view: DatabaseView) -> shapes.Database:
    """What is not known, or means nothing of a file, is left out."""
    connection = "encrypted" if view.protection else "local" if view.local else "not encrypted"
    said = {
        "engine": view.engine,
        "address": view.address,
        "state": "unreachable" if view.problem else "reachable",
        "problem": view.problem,
        "server": view.server,
        "connection": connection if view.server else "",
        "protection": view.protection,
        "cipher": view.cipher,
        "sslmode": view.mode,
        "checked": view.checked if view.server else "",
        "advice": view.advice,
        "warning": view.warning,
    }
    found: dict[str, object] = {name: value for name, value in said.items() if value}
    if view.server:
        found["encryptionAsked"] = view.asked
    return cast(shapes.Database, found)


def _checked(found: DatabaseCheck) -> shapes.CheckedDatabase:
    return {
        "address": found.address,
        "engine": found.engine,
        "time": found.time,
        "encrypted": found.encrypted,
        "accepted": [version.value for version in found.accepted],
        "blocks": found.blocks,
        "text": found.text,
    }


@router.get("/api/manager/database")
def show_database(asks: Asks, back: Back) -> shapes.DatabaseReport:
    """What the connection to the manager's database really negotiated, and which other databases were checked (R4)."""
    service = back.services.database
    others = [_checked(one) for one in service.checks(asks)]
    return cast(shapes.DatabaseReport, {**_database(service.show(asks)), "checkedDatabases": others})


@router.post("/api/manager/database/checks")
def check_database(asks: Asks, back: Back, body: DatabaseBody) -> shapes.CheckedDatabase:
    """Asks an SQL Server which versions of TLS it accepts, and keeps the answer: below 1.2 it is a blocker."""
    return _checked(back.services.database.check(asks, body.address))


@router.post("/api/manager/database/checks/forget")
def forget_database(asks: Asks, back: Back, body: DatabaseBody) -> Empty:
    """It is not asked for any more."""
    back.services.database.forget(asks, body.address)
    return {}


@router.post("/api/manager/reload")
def reload(asks: Asks, back: Back) -> Reloaded:
    """Reads configuration.properties and the certificates again (R15)."""
    result = back.services.floors.reload(asks)
    back.live.reload_certificates()
    return views.reloaded(result)


@router.get("/api/manager/certificate")
def show_certificate(asks: Asks, back: Back) -> shapes.Certificates:
    """What 4119 shows."""
    return {"certificates": [views.certificate(view) for view in back.services.certificates.show(asks)]}


@router.post("/api/manager/certificate")
def set_certificate(asks: Asks, back: Back, body: CertificateBody) -> shapes.Certificates:
    """Shown to the next connection; the change reaches the port through the hub."""
    key = None if body.key is None else body.key.encode()
    shown = back.services.certificates.set(asks, body.certificate.encode(), key, body.passphrase)
    back.live.reload_certificates()
    return {"certificates": [views.certificate(view) for view in shown]}


@router.post("/api/manager/certificate/csr")
def request_certificate(asks: Asks, back: Back, body: RequestBody) -> shapes.CertificateRequest:
    """A new key, which stays here, and a request for its certificate."""
    pem = back.services.certificates.csr(asks, body.subject, tuple(body.names), body.key_type)
    return {"csr": pem.decode()}
