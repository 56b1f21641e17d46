"""Administration > Updates > Upgrades: the plan first, then waves that are watched (R9)."""

from __future__ import annotations

import urllib.parse
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, Principal
from plimsoll.manager.services.computer_filter import ComputerFilter
from plimsoll.manager.services.upgrade_start import AT_ONCE, FAILED, PATIENCE, SOAK, WATCH, WAVES
from plimsoll.manager.services.upgrades import StartRequest
from plimsoll.manager.web import fields, texts
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.computers import link

router = console_router()

PATH = "/administration/updates/upgrades"
#: Computers on one page of an upgrade.
ROWS = 200
#: What the form shows where nothing was typed yet.
USUAL = {
    "wave": WAVES,
    "soak": texts.span(SOAK),
    "failed": f"{FAILED:.0%}",
    "watch": texts.span(WATCH),
    "patience": texts.span(PATIENCE),
    "at_once": str(AT_ONCE),
}

Upgrade = Annotated[int, Path(ge=0, le=2**53)]
Word = Annotated[str, Query(max_length=255)]
Text = Annotated[str, Query(max_length=20_000)]


@router.get(PATH)
def upgrades(request: Request, asks: Asks, back: Back) -> Response:
    return page(request, "upgrades/list.html", asks, upgrades=back.services.upgrades.list(asks, 100))


def _typed(
    to: Word = "",
    groups: Text = "",
    policies: Text = "",
    computers: Text = "",
    matching: Text = "",
    wave: Word = USUAL["wave"],
    soak: Word = USUAL["soak"],
    failed: Word = USUAL["failed"],
    watch: Word = USUAL["watch"],
    patience: Word = USUAL["patience"],
    at_once: Word = USUAL["at_once"],
) -> dict[str, str]:
    return {
        "to": to,
        "groups": groups,
        "policies": policies,
        "computers": computers,
        "matching": matching,
        "wave": wave,
        "soak": soak,
        "failed": failed,
        "watch": watch,
        "patience": patience,
        "at_once": at_once,
    }


def _filter(typed: dict[str, str]) -> ComputerFilter:
    """The filter of the list of computers, whose matches were chosen as a whole."""
    return ComputerFilter.of(dict(urllib.parse.parse_qsl(typed["matching"])))


def _wanted(back: Backend, asks: Principal, typed: dict[str, str]) -> StartRequest:
    """Raises BadInput, NotFound."""
    ids: tuple[str, ...] = ()
    if typed["matching"]:
        ids = back.services.computer_search.ids(asks, _filter(typed))
        if not ids:
            raise BadInput("no computer matches the filter any more; nothing was planned. Choose again")
    return StartRequest(
        to=typed["to"],
        groups=fields.lines(typed["groups"]),
        policies=fields.lines(typed["policies"]),
        computers=fields.lines(typed["computers"]),
        ids=ids,
        wave=typed["wave"],
        soak=fields.length(typed["soak"], "the soak time", "min"),
        failed=fields.share(typed["failed"], "the share of failures"),
        watch=fields.length(typed["watch"], "the watch time", "min"),
        patience=fields.length(typed["patience"], "the patience", "min"),
        at_once=fields.number(typed["at_once"], "how many at once") or 0,
    )


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks, back: Back, typed: Annotated[dict[str, str], Depends(_typed)]) -> Response:
    versions = sorted(
        {one.version: one.component for one in back.services.software.list(asks, product="agent")}.items(),
        key=lambda pair: pair[1],
        reverse=True,
    )
    return page(
        request,
        "upgrades/new.html",
        asks,
        typed=typed,
        matching=len(back.services.computer_search.ids(asks, _filter(typed))) if typed["matching"] else 0,
        matches=link(_filter(typed)),
        versions=[version for version, _ in versions],
        groups=[one.name for one in back.services.policies.relay_groups(asks)],
        policies=list(back.services.policies.names(asks).values()),
    )


@router.get(f"{PATH}/plan")
def plan(request: Request, asks: Asks, back: Back, typed: Annotated[dict[str, str], Depends(_typed)]) -> Response:
    """Which computers get what, who cannot and why. Nothing is changed."""
    if not typed["to"]:
        return done(request, f"{PATH}/new")
    return page(
        request,
        "upgrades/plan.html",
        asks,
        typed=typed,
        plan=back.services.upgrades.plan(asks, _wanted(back, asks, typed)),
        again=f"{PATH}/new?{urllib.parse.urlencode(typed)}",
    )


@router.post(PATH)
async def start(request: Request, asks: Signed, back: Back) -> Response:
    sent = await request.form()
    typed = _typed(**{name: str(sent[name])[:20_000] for name in _typed() if name in sent})
    made = await run_in_threadpool(_start, back, asks, typed)
    return done(request, f"{PATH}/{made}", "The upgrade has begun.")


def _start(back: Backend, asks: Principal, typed: dict[str, str]) -> int:
    return back.services.upgrades.start(asks, _wanted(back, asks, typed)).id


@router.get(f"{PATH}/{{upgrade}}")
def upgrade(request: Request, asks: Asks, back: Back, upgrade: Upgrade, state: Word = "", after: Word = "") -> Response:
    """As it stands, with its computers or those in one state."""
    found = back.services.upgrades.get(asks, upgrade)
    hosts = back.services.upgrades.hosts(asks, upgrade, state=state or None, after=after or None, limit=ROWS + 1)
    here = {"state": state} if state else {}
    older = urllib.parse.urlencode(here | {"after": hosts[ROWS - 1].computer}) if len(hosts) > ROWS else ""
    states: dict[str, int] = {}
    for wave in found.waves:
        for name, count in wave.states.items():
            states[name] = states.get(name, 0) + count
    return page(
        request,
        "upgrades/upgrade.html",
        asks,
        upgrade=found,
        hosts=hosts[:ROWS],
        states=states,
        state=state,
        after=after,
        older=f"{PATH}/{upgrade}?{older}" if older else "",
        here=f"{PATH}/{upgrade}" + (f"?{urllib.parse.urlencode(here | {'after': after})}" if after or state else ""),
    )


@router.post(f"{PATH}/{{upgrade}}/pause")
def pause(request: Request, asks: Signed, back: Back, upgrade: Upgrade) -> Response:
    back.services.upgrades.pause(asks, upgrade)
    return done(request, f"{PATH}/{upgrade}", "It is paused: nobody is ordered any more.")


@router.post(f"{PATH}/{{upgrade}}/resume")
def resume(request: Request, asks: Signed, back: Back, upgrade: Upgrade) -> Response:
    back.services.upgrades.resume(asks, upgrade)
    return done(request, f"{PATH}/{upgrade}", "It goes on.")


@router.post(f"{PATH}/{{upgrade}}/abort")
def abort(request: Request, asks: Signed, back: Back, upgrade: Upgrade) -> Response:
    back.services.upgrades.abort(asks, upgrade)
    return done(request, f"{PATH}/{upgrade}", "It has ended here: who was upgraded stays so.")


@router.post(f"{PATH}/{{upgrade}}/back")
def take_back(request: Request, asks: Signed, back: Back, upgrade: Upgrade) -> Response:
    made = back.services.upgrades.back(asks, upgrade)
    return done(request, f"{PATH}/{made.id}", "The way back has begun.")
