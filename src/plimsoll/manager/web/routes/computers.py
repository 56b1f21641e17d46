"""Computers: the list, its filters and its file."""

from __future__ import annotations

import csv
import io
import urllib.parse
from collections.abc import Iterator
from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import Principal
from plimsoll.manager.search import ORDERS
from plimsoll.manager.services.computer_filter import NEVER, NONE, ComputerFilter
from plimsoll.manager.services.computer_views import ComputerView
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import Asks, Back, console_router, page
from plimsoll.messages import Kind
from plimsoll.tls.versions import FLOORS

router = console_router()

PATH = "/computers"
#: What the address of a list may say besides the filter.
AFTER = Annotated[str, Query(max_length=300)]

STATES = (
    ("", "Any state"),
    ("online", "Online"),
    ("offline", "Offline"),
    ("approval", "Waits for approval"),
    ("revoked", "Revoked"),
)
SORTED = {"name": "Name", "number": "No.", "last-seen": "Last seen"}
assert set(SORTED) == set(ORDERS)


def filter_of(request: Request) -> ComputerFilter:
    return ComputerFilter.of(request.query_params)


def link(wanted: ComputerFilter, path: str = PATH, **more: str) -> str:
    """The address of the list with this filter and what else is said; what is empty is left out."""
    query = {name: value for name, value in (wanted.query() | more).items() if value}
    return path + (f"?{urllib.parse.urlencode(query)}" if query else "")


@router.get(PATH)
def computers(request: Request, asks: Asks, back: Back, after: AFTER = "") -> Response:
    """One page; `after` leads to the next. The other names of the address are `ComputerFilter`'s."""
    wanted = filter_of(request)
    found = back.services.computer_search.page(asks, wanted, after)
    groups = back.services.groups.names(asks)
    return page(
        request,
        "computers/list.html",
        asks,
        found=found,
        groups=groups,
        wanted=wanted,
        choices=choices(back, asks, groups),
        sorts=[(title, link(wanted, sort=key), key == wanted.order) for key, title in SORTED.items()],
        sort_of=SORTED,
        first=link(wanted) if after else "",
        older=link(wanted, after=found.after) if found.after else "",
        export=link(wanted, f"{PATH}/export.csv"),
        everybody=link(wanted, f"{PATH}/chosen", all="1"),
        problems=back.live.problems(),
    )


def choices(back: Backend, asks: Principal, groups: dict[int, str]) -> dict[str, list[tuple[str, str]]]:
    """What each filter offers: value and title, the one that narrows nothing first."""
    tls = [(one.value, f"Offered {one.label}") for one in FLOORS]
    below = [(f"<{one.value}", f"Offered less than {one.label}") for one in FLOORS[1:]]
    relays = back.services.policies.relay_group_names(asks)
    policies = back.services.policies.names(asks)
    return {
        "kind": [("", "All kinds"), *((one.value, one.value.capitalize()) for one in Kind)],
        "state": list(STATES),
        "offered": [("", "Offered TLS"), *tls, *below, (NEVER, "Never seen in a handshake")],
        "policy": [("", "All policies"), *((str(key), name) for key, name in policies.items())],
        "group": [("", "All groups"), (NONE, "In no group"), *((str(key), name) for key, name in groups.items())],
        "relaygroup": [
            ("", "All relay groups"),
            (NONE, "No relay group"),
            *((str(key), name) for key, name in relays.items()),
        ],
        "refused": [("", "Refused or not"), ("1", "Was or would be refused")],
        "pending": [("", "Policy sent or not"), ("1", "Policy waits to be sent")],
    }


@router.get(f"{PATH}/export.csv")
async def export(request: Request, asks: Asks, back: Back) -> Response:
    """All that the filter lets through, in its order. Times are UTC."""
    wanted = filter_of(request)
    found = await run_in_threadpool(back.services.computer_search.export, asks, wanted)
    groups = await run_in_threadpool(back.services.groups.names, asks)
    return StreamingResponse(
        _lines(found, groups),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="computers.csv"'},
    )


_COLUMNS = (
    "number,id,name,kind,version,platform,address,state,online,last seen,offered,negotiated,policy,policy pending,"
    "group,relay group,certificate expires"
)


def _lines(found: Iterator[ComputerView], groups: dict[int, str]) -> Iterator[str]:
    yield f"{_COLUMNS}\r\n"
    for one in found:
        out = io.StringIO()
        row = (
            one.number,
            one.id,
            called(one),
            one.kind.value,
            one.version,
            one.platform,
            one.address,
            one.state,
            "yes" if one.online else "no",
            texts.utc(one.last_seen) if one.last_seen else "",
            one.offered.value if one.offered else "",
            one.negotiated.value if one.negotiated else "",
            one.policy,
            "yes" if one.policy_pending else "no",
            groups.get(one.group_id, "") if one.group_id else "",
            one.relay_group or "",
            texts.utc(one.certificate_expires) if one.certificate_expires else "",
        )
        csv.writer(out).writerow([texts.cell(value) for value in row])
        yield out.getvalue()


def called(one: ComputerView) -> str:
    """What a computer is called."""
    return one.display_name or one.hostname or one.id
