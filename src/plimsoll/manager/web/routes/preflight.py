"""Preflight: who would be cut off, by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from plimsoll.fleet.findings import Finding, Preflight
from plimsoll.manager.ports import BadInput
from plimsoll.manager.services.judged import Question
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import Asks, Back, console_router, page
from plimsoll.manager.web.judging import PATIENCE, Look, look, shown
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS

router = console_router()

PATH = "/preflight"
Points = Annotated[list[str] | None, Query()]
Looked = Annotated[Look, Depends(look)]


@router.get(PATH)
def preflight(
    request: Request,
    asks: Asks,
    back: Back,
    wanted: Looked,
    to: Annotated[str, Query(max_length=20)] = "",
    ciphers: Annotated[str, Query(max_length=20)] = "",
    point: Points = None,
) -> Response:
    """The question, and below it the answer, where one was asked."""
    points = tuple(point or ())
    asked = question(to, ciphers, points)
    return page(
        request,
        "preflight/page.html",
        asks,
        floors=FLOORS,
        profiles=tuple(CipherProfile),
        known=tuple(Point),
        to=to,
        ciphers=ciphers,
        points=points,
        judged=None if asked is None else shown(back, asks, asked, wanted, PATH, fields(to, ciphers, points)),
        download=None if asked is None else fields(to, ciphers, points),
    )


def question(to: str, ciphers: str, points: tuple[str, ...]) -> Question | None:
    """Raises BadInput where both were said."""
    if to and ciphers:
        raise BadInput("say a floor or a cipher profile, not both; nothing was judged")
    return Question(to or ciphers, points, bool(ciphers)) if to or ciphers else None


def fields(to: str, ciphers: str, points: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return (("to", to), ("ciphers", ciphers), *(("point", point) for point in points))


@router.get(f"{PATH}/export.csv")
def export(
    asks: Asks,
    back: Back,
    wanted: Looked,
    to: Annotated[str, Query(max_length=20)] = "",
    ciphers: Annotated[str, Query(max_length=20)] = "",
    point: Points = None,
) -> Response:
    """All names of all lists. Times are UTC."""
    asked = question(to, ciphers, tuple(point or ()))
    if asked is None:
        return RedirectResponse(PATH, status_code=303)
    found = back.services.judged.ask(asks, asked, wanted.kept).answer.result(PATIENCE)
    return StreamingResponse(
        _lines(found),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="preflight-{found.target.value}.csv"'},
    )


_COLUMNS = (
    "list", "who", "kind", "version", "address", "points", "reason", "certainty", "evidence", "since", "last seen",
    "remedy", "id",
)  # fmt: skip


def _lines(found: Preflight) -> Iterator[str]:
    yield ",".join(_COLUMNS) + "\r\n"
    for name, findings in (("blocker", found.blockers), ("affected", found.affected), ("noted", found.noted)):
        for at in range(0, len(findings), 500):
            out = io.StringIO()
            csv.writer(out).writerows(_row(name, finding) for finding in findings[at : at + 500])
            yield out.getvalue()


def _row(name: str, one: Finding) -> list[str]:
    return [
        texts.cell(value)
        for value in (
            name, one.who, one.kind, one.version, one.address, " ".join(point.value for point in one.points),
            one.reason, one.certainty.value, one.evidence, _utc(one.since), _utc(one.last_seen), one.remedy, one.id,
        )
    ]  # fmt: skip


def _utc(seconds: float | None) -> str:
    return "" if seconds is None else texts.utc(seconds)
