"""Reports: signed proofs, what is in the scope of PCI DSS, its view for auditors, the audit trail as a file."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import Response, StreamingResponse

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, NotFound, Permission, Principal, require
from plimsoll.manager.services.access import AuditEntry
from plimsoll.manager.services.sightings import SightingFilter
from plimsoll.manager.web import texts
from plimsoll.manager.web.fields import own_path
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.exceptions import find_computer
from plimsoll.scan.proofs import PAGE
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

router = console_router()

PATH = "/reports"
#: Peers below TLS 1.2 that the view for PCI DSS lists of each point, and changes that a proof can tell of.
PEERS, CHANGES = 50, 20
#: How far back these peers are looked for.
SINCE = "30d"


@router.get(PATH)
def reports(request: Request, asks: Asks, back: Back) -> Response:
    """Proofs that are kept, a form for another one, the keys that sign, the scope."""
    proof = back.services.proof
    return page(
        request,
        "reports/page.html",
        asks,
        ours=proof.made(asks),
        making=proof.making(asks),
        keys=proof.keys(asks),
        marks=back.services.scope.marks(asks),
        changes=[one for one in back.services.changes.list(asks, CHANGES) if one.ended is not None],
        points=tuple(Point),
        here=PATH,
    )


@router.post(f"{PATH}/proofs")
def make(
    request: Request,
    asks: Signed,
    back: Back,
    change: Annotated[str, Form(max_length=20)] = "",
    then: Annotated[str, Form(max_length=2000)] = PATH,
) -> Response:
    """Begins a proof, which goes on when the page is left."""
    if change and not change.isdecimal():
        raise BadInput(f"{change!r} is no number of a change; nothing was started")
    back.services.proof.begin(asks, int(change) if change else None)
    return done(request, own_path(then, PATH), "Every port is being asked; the proof stands below when it is signed")


@router.get(f"{PATH}/proofs/{{proof}}/bundle.zip")
def bundle(asks: Asks, back: Back, proof: str) -> Response:
    """A signed bundle as one archive."""
    files = back.services.proof.bundle(asks, proof)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"proof-{proof[:8]}/{name}", data)
    return _file(out.getvalue(), f"proof-{proof[:8]}.zip", "application/zip")


@router.get(f"{PATH}/proofs/{{proof}}/page.html")
def proof_page(asks: Asks, back: Back, proof: str) -> Response:
    """The page of a bundle. It brings its own style, so that it is saved and opened apart from the console."""
    files = back.services.proof.bundle(asks, proof)
    return _file(files[PAGE], f"proof-{proof[:8]}.html", "text/html; charset=utf-8")


@router.get(f"{PATH}/key")
def key(asks: Asks, back: Back, key: Annotated[str, Query(max_length=64)] = "") -> Response:
    """The public half of a key that signed; without an id that of the one in use."""
    for one, pem, used in back.services.proof.keys(asks):
        if one == key or (not key and used):
            return _file(pem.encode(), f"plimsoll-proof-{one[:9]}.pem", "application/x-pem-file")
    raise NotFound(f"there is no key {key!r}")


def _file(data: bytes, name: str, kind: str) -> Response:
    return Response(
        data,
        media_type=kind,
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


@router.post(f"{PATH}/keys")
def rotate(request: Request, asks: Signed, back: Back) -> Response:
    made = back.services.proof.rotate(asks)
    return done(request, PATH, f"The key {made} signs from now on; give its public half to your auditor")


# -- the scope of PCI DSS


@router.post(f"{PATH}/scope")
def mark(
    request: Request,
    asks: Signed,
    back: Back,
    what: Annotated[str, Form(max_length=20)] = "",
    computer: Annotated[str, Form(max_length=255)] = "",
    note: Annotated[str, Form(max_length=600)] = "",
    then: Annotated[str, Form(max_length=2000)] = PATH,
) -> Response:
    """`what` is a point, or "computer" with its name, number or id."""
    if what == "computer":
        if not computer.strip():
            raise BadInput("say which computer, by its name, number or id; nothing was changed")
        back.services.scope.mark(asks, computer=find_computer(back, asks, computer.strip()), note=note)
        said = computer.strip()
    else:
        back.services.scope.mark(asks, point=what, note=note)
        said = what
    return done(request, own_path(then, PATH), f"{said} is in scope; the next proof asks everything of it")


@router.post(f"{PATH}/scope/remove")
def unmark(
    request: Request,
    asks: Signed,
    back: Back,
    point: Annotated[str, Form(max_length=20)] = "",
    computer: Annotated[str, Form(max_length=64)] = "",
    then: Annotated[str, Form(max_length=2000)] = PATH,
) -> Response:
    back.services.scope.unmark(asks, point=point or None, computer=computer or None)
    return done(request, own_path(then, PATH), "It is not in scope any more")


@router.get(f"{PATH}/pci")
def pci(request: Request, asks: Asks, back: Back) -> Response:
    """Who in scope accepts early TLS (R10)."""
    return _pci(request, asks, back, "reports/pci.html")


@router.get(f"{PATH}/pci/print")
def pci_print(request: Request, asks: Asks, back: Back) -> Response:
    """The same without the console around it."""
    return _pci(request, asks, back, "reports/pci_print.html")


def _pci(request: Request, asks: Principal, back: Backend, name: str) -> Response:
    report = back.services.proof.pci(asks)
    marked = [mark.point for mark in report.marks if mark.point in (Point.HEARTBEAT.value, Point.GUI.value)]
    peers = [
        peer
        for point in marked
        for peer in back.services.sightings.peers(
            asks, SightingFilter(point=point, below=Version.TLS1_2.value, since=SINCE, limit=PEERS)
        )
    ]
    return page(
        request,
        name,
        asks,
        report=report,
        peers=peers,
        making=back.services.proof.making(asks),
        early=[one for one in report.places if one.early],
        manager=back.services.proof.manager(asks),
        here=f"{PATH}/pci",
    )


# -- the audit trail


@router.get(f"{PATH}/audit.csv")
def audit(asks: Asks, back: Back) -> Response:
    """The whole trail, the newest first. Times are UTC."""
    require(asks, Permission.AUDIT_READ)  # before the first line is sent
    return StreamingResponse(
        _audit_lines(back, asks),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="audit.csv"'},
    )


def _audit_lines(back: Backend, asks: Principal) -> Iterator[str]:
    yield "entry,time,who,via,address,action,target,before,after\r\n"
    before: int | None = None
    while found := back.services.access.audit(asks, limit=1000, before=before):
        out = io.StringIO()
        csv.writer(out).writerows(_audit_row(one) for one in found)
        yield out.getvalue()
        before = found[-1].id


def _audit_row(one: AuditEntry) -> list[str]:
    values = (one.id, texts.utc(one.time), one.who, one.via, one.address, one.action, one.target)
    more = (json.dumps(value, ensure_ascii=False) if value is not None else "" for value in (one.before, one.after))
    return [texts.cell(value) for value in (*values, *more)]
