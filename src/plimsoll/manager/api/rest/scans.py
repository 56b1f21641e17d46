"""/api/tls/scans: scans that the manager runs itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, ComputerRef, Number
from plimsoll.manager.api.shapes import scans as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.services.scan_targets import MOST_ENDPOINTS
from plimsoll.manager.services.scan_views import EndpointView, PciEndpoint, ScanView
from plimsoll.scan.options import FULL

router = APIRouter(prefix="/api/tls/scans", tags=["scans"])

_Word = Annotated[str, Field(min_length=1, max_length=300)]


class ScanBody(Body):
    """`fleet`, `computers` and `endpoints` may stand together; one of them has to."""

    fleet: bool = Field(default=False, description="every port of the fleet")
    computers: list[ComputerRef] = Field(default=[], max_length=MOST_ENDPOINTS, description="all ports of these")
    endpoints: list[_Word] = Field(
        default=[],
        max_length=MOST_ENDPOINTS,
        description="as `plimsoll scan` takes them: host:port, smtp://host, 10.0.0.0/24:443; what is not the fleet's"
        " own has to lie in `scanNetworks=` of configuration.properties",
    )
    opening: str | None = Field(default=None, description="what is said before TLS at all of `endpoints`, or none")
    mode: str = Field(default=FULL, description="full, or sweep: versions, preferred suite, certificate")
    profiles: list[str] = Field(default=[], max_length=20, description="judged by these, and by PCI DSS always")
    label: str = ""


@router.post("")
def start(asks: Asks, back: Back, body: ScanBody) -> shapes.Scan:
    """Puts a scan into the queue. One runs at a time."""
    made = back.services.scans.start(
        asks,
        fleet=body.fleet,
        computers=body.computers,
        endpoints=body.endpoints,
        opening=body.opening,
        mode=body.mode,
        profiles=body.profiles,
        label=body.label,
    )
    return _scan(made)


@router.get("")
def list_scans(asks: Asks, back: Back, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> shapes.Scans:
    """Scans, the newest first."""
    return {"scans": [_scan(one) for one in back.services.scans.list(asks, limit)]}


@router.get("/{scan}/endpoints")
def list_endpoints(
    asks: Asks,
    back: Back,
    scan: Number,
    after: Annotated[Number, Query(ge=-1, description="the position of the last one that is known")] = -1,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> shapes.ScanEndpoints:
    """A page of its endpoints with grades and verdicts, also while it runs."""
    return {"endpoints": [_endpoint(one) for one in back.services.scans.endpoints(asks, scan, after, limit)]}


@router.get(
    "/{scan}/report",
    response_class=StreamingResponse,
    responses={200: {"model": shapes.ScanReport, "description": "Successful Response"}},
)
def report(asks: Asks, back: Back, scan: Number) -> StreamingResponse:
    """All that was seen, as `plimsoll scan --format json` writes it."""
    document = back.services.scans.report(asks, scan)
    return StreamingResponse(document, media_type="application/json")


@router.get("/{scan}/diff")
def diff(
    asks: Asks,
    back: Back,
    scan: Number,
    earlier: Annotated[Number, Query(alias="with", description="the ID of an earlier scan")],
) -> shapes.ScanDiff:
    """What changed since an earlier scan."""
    found = back.services.scans.diff(asks, scan, earlier)
    return {
        "scan": found.scan,
        "earlier": found.earlier,
        "kinds": dict(found.kinds),
        "changed": [
            {
                "target": str(one.target),
                "changes": [{"kind": kind, "subject": subject, "text": text} for kind, subject, text in one.changes],
            }
            for one in found.changed
        ],
        "same": found.same,
        "new": [str(one) for one in found.new],
        "gone": [str(one) for one in found.gone],
    }


@router.get("/{scan}/pci")
def pci(asks: Asks, back: Back, scan: Number) -> shapes.ScanPci:
    """Each endpoint with its mark of scope and what PCI DSS says of it."""
    found = back.services.scans.pci(asks, scan)
    return {
        "scan": found.scan,
        "profile": found.profile,
        "verdict": found.verdict,
        "note": found.note,
        "endpoints": [_pci(one) for one in found.endpoints],
        "missing": [_pci(one) for one in found.missing],
    }


@router.post("/{scan}/cancel")
def cancel(asks: Asks, back: Back, scan: Number) -> shapes.Scan:
    """Ends it where it is; what it saw stays."""
    return _scan(back.services.scans.cancel(asks, scan))


@router.get("/{scan}")
def get_scan(asks: Asks, back: Back, scan: Number) -> shapes.Scan:
    """A scan as it stands."""
    return _scan(back.services.scans.get(asks, scan))


@router.delete("/{scan}")
def delete(asks: Asks, back: Back, scan: Number) -> Empty:
    """Forgets it with its report."""
    back.services.scans.delete(asks, scan)
    return {}


def _scan(view: ScanView) -> shapes.Scan:
    return {
        "id": view.id,
        "created": view.created,
        "who": view.who,
        "label": view.label,
        "state": view.state,
        "asked": view.asked,  # type: ignore[typeddict-item]  # kept as JSON, and checked on its way out
        "leftOut": list(view.left_out),  # type: ignore[arg-type]  # the same
        "total": view.total,
        "done": view.done,
        "failing": view.failing,
        "notProved": view.unproved,
        "findings": view.findings,
        "started": view.started,
        "ended": view.ended,
        "text": view.text,
    }


def _endpoint(view: EndpointView) -> shapes.ScanEndpoint:
    return {
        "position": view.position,
        "target": str(view.target),
        "opening": view.target.opening,
        "serverName": view.target.server_name,
        "point": view.point or None,
        "computer": view.computer,
        "name": view.name,
        "state": view.state,
        "note": view.note,
        "accepted": list(view.accepted),
        "letter": view.letter,
        "verdicts": [
            {"profile": one.profile, "verdict": one.verdict, "reasons": list(one.reasons)} for one in view.verdicts
        ],
    }


def _pci(view: PciEndpoint) -> shapes.PciEndpoint:
    return {
        "target": None if view.target is None else str(view.target),
        "point": view.point or None,
        "computer": view.computer,
        "name": view.name,
        "inScope": view.in_scope,
        "passed": view.passed,
        "verdict": view.verdict,
        "reasons": list(view.reasons),
    }
