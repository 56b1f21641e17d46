"""Scans: what the manager asked ports from outside, one scan's endpoints, two compared, the view for PCI DSS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Form, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from plimsoll.manager.services.scan_views import EndpointView
from plimsoll.manager.services.scans import MODES
from plimsoll.manager.web import fields
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.exceptions import find_computer
from plimsoll.scan.grade import grade
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import FULL

router = console_router()

PATH = "/scans"
#: Scans of the list, and endpoints of one page; a filter looks through so many at most before it shows a page.
SCANS, ROWS, LOOKED = 100, 100, 2000
#: States of a scan that is not over.
OPEN = ("queued", "running")

Number = Annotated[int, Path(ge=0, le=2**53)]

#: What a list of endpoints can be narrowed to.
SHOWS: dict[str, Callable[[EndpointView], bool]] = {
    "": lambda one: True,
    "failing": lambda one: any(judged.verdict == Verdict.FAILS.value for judged in one.verdicts),
    "early": lambda one: any(name in ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1") for name in one.accepted),
    "unproved": lambda one: any(judged.verdict == Verdict.NOT_PROVED.value for judged in one.verdicts),
    "silent": lambda one: one.state in ("unreachable", "not TLS"),
}


@router.get(PATH)
def scans(request: Request, asks: Asks, back: Back) -> Response:
    """The newest first."""
    found = back.services.scans.list(asks, SCANS)
    return page(request, "scans/list.html", asks, scans=found, open=OPEN, here=PATH)


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks, computers: Annotated[str, Query(max_length=4000)] = "") -> Response:
    return page(request, "scans/new.html", asks, computers=computers, modes=MODES, mode=FULL)


@router.post(PATH)
def start(
    request: Request,
    asks: Signed,
    back: Back,
    fleet: Annotated[bool, Form()] = False,
    computers: Annotated[str, Form(max_length=100_000)] = "",
    endpoints: Annotated[str, Form(max_length=100_000)] = "",
    opening: Annotated[str, Form(max_length=40)] = "",
    mode: Annotated[str, Form(max_length=20)] = FULL,
    label: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    made = back.services.scans.start(
        asks,
        fleet=fleet,
        computers=[find_computer(back, asks, name) for name in fields.lines(computers)],
        endpoints=fields.lines(endpoints),
        opening=opening.strip() or None,
        mode=mode,
        label=label,
    )
    return done(request, f"{PATH}/{made.id}", f"Scan {made.id} of {made.total} ports waits for its turn, or runs")


@router.get(f"{PATH}/{{scan}}")
def scan(
    request: Request,
    asks: Asks,
    back: Back,
    scan: Number,
    show: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
) -> Response:
    """One scan with its endpoints, in their order, those behind the position `after`."""
    wanted = show if show in SHOWS else ""
    found = back.services.scans.get(asks, scan)
    rows, more = _page(lambda at: back.services.scans.endpoints(asks, scan, at, 500), SHOWS[wanted], after)
    here = f"{PATH}/{scan}" + (f"?show={wanted}" if wanted else "")
    return page(
        request,
        "scans/one.html",
        asks,
        scan=found,
        rows=rows,
        more="" if more is None else f"{PATH}/{scan}?show={wanted}&after={more}",
        begins=after < 0,
        show=wanted,
        shows=tuple(SHOWS),
        open=found.state in OPEN,
        others=[one for one in back.services.scans.list(asks, SCANS) if one.id < scan and one.state not in OPEN],
        here=here,
    )


def _page(
    look: Callable[[int], tuple[EndpointView, ...]], fits: Callable[[EndpointView], bool], after: int
) -> tuple[list[EndpointView], int | None]:
    """A page of those that fit, and the position behind which the next page begins, None where there is none."""
    found: list[EndpointView] = []
    looked = 0
    while rows := look(after):
        for one in rows:
            looked += 1
            after = one.position
            if fits(one):
                found.append(one)
            if len(found) == ROWS or looked == LOOKED:
                return found, after if look(after) else None
    return found, None


@router.get(f"{PATH}/{{scan}}/report.json")
def report(asks: Asks, back: Back, scan: Number) -> Response:
    """The document of `plimsoll scan --format json`."""
    return StreamingResponse(
        back.services.scans.report(asks, scan),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="scan-{scan}.json"'},
    )


@router.get(f"{PATH}/{{scan}}/pci")
def pci(request: Request, asks: Asks, back: Back, scan: Number) -> Response:
    """What PCI DSS says of what the scan saw (R10)."""
    found = back.services.scans.pci(asks, scan)
    rows = sorted((*found.endpoints, *found.missing), key=lambda one: (not one.in_scope, one.passed))
    return page(
        request,
        "scans/pci.html",
        asks,
        scan=back.services.scans.get(asks, scan),
        found=found,
        rows=rows[: 5 * ROWS],
        more=max(0, len(rows) - 5 * ROWS),
    )


@router.get(f"{PATH}/{{scan}}/diff")
def diff(
    request: Request,
    asks: Asks,
    back: Back,
    scan: Number,
    earlier: Annotated[int, Query(alias="with", ge=0, le=2**53)] = 0,
) -> Response:
    """What changed since an earlier scan; without one, the scan before it."""
    before = [one.id for one in back.services.scans.list(asks, SCANS) if one.id < scan and one.state not in OPEN]
    compared = earlier or next(iter(before), 0)
    return page(
        request,
        "scans/diff.html",
        asks,
        scan=scan,
        earlier=compared,
        before=before,
        found=back.services.scans.diff(asks, scan, compared) if compared else None,
        most=5 * ROWS,
    )


@router.get(f"{PATH}/{{scan}}/endpoints/{{position}}")
def endpoint(request: Request, asks: Asks, back: Back, scan: Number, position: Number) -> Response:
    """One endpoint: versions, suites with grades, certificates, findings."""
    view, seen = back.services.scans.endpoint(asks, scan, position)
    return page(
        request,
        "scans/endpoint.html",
        asks,
        scan=scan,
        one=view,
        seen=seen,
        grades={} if seen is None else grade(seen),
    )


@router.post(f"{PATH}/{{scan}}/cancel")
def cancel(request: Request, asks: Signed, back: Back, scan: Number) -> Response:
    back.services.scans.cancel(asks, scan)
    return done(request, f"{PATH}/{scan}", "Cancelled; what it saw stays")


@router.post(f"{PATH}/{{scan}}/delete")
def delete(request: Request, asks: Signed, back: Back, scan: Number) -> Response:
    back.services.scans.delete(asks, scan)
    return done(request, PATH, f"Scan {scan} is gone")
