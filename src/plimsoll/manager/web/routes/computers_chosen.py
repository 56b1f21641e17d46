"""Computers > what is done to many: the names first, then the button.

Nothing is done from the list itself. Its bar leads to a page that says whom it concerns and what it will do; only the
form on that page does it. Who is taken out of the fleet is named on that page, every one.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, Principal
from plimsoll.manager.services.computer_bulk import MOST
from plimsoll.manager.services.computer_filter import ComputerFilter
from plimsoll.manager.services.computer_views import ComputerChange, ComputerView
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.computers import PATH, called, choices, filter_of, link
from plimsoll.messages import Kind

router = console_router()

#: What the bar offers, and what it is called: those behind `NAMED` name everybody, and so take fewer.
ACTIONS = {
    "send-policy": "Send Policy",
    "policy": "Assign policy",
    "group": "Move to group",
    "relay-group": "Move to relay group",
    "heartbeat": "Heartbeat now",
    "upgrade": "Upgrade",
    "revoke": "Revoke certificates",
    "deactivate": "Deactivate",
}
PLANNER = "/administration/updates/upgrades/new"
NAMED = frozenset({"heartbeat", "revoke", "deactivate"})
#: Names on the page where not all must be there.
_SHOWN = 100
#: Groups whose members are named where a relay's floor rises by Send Policy, and names of each.
_GROUPS, _CLIENTS = 10, 20

Whom = Annotated[str, Form(max_length=8000)]
Filter = Annotated[str, Form(max_length=4000)]
Flag = Annotated[str, Form(max_length=1)]
Number = Annotated[int, Form(ge=0, le=2**62)]


@dataclass(frozen=True, slots=True)
class Rise:
    """Relays of one group whose floor rises with Send Policy, and who uses them and offered less when last seen."""

    group: str
    relays: tuple[ComputerView, ...]
    floor: str
    clients: tuple[ComputerView, ...]
    total: int
    path: str


@router.get(f"{PATH}/chosen")
def chosen(
    request: Request,
    asks: Asks,
    back: Back,
    action: Annotated[str, Query(max_length=20)] = "send-policy",
    c: Annotated[list[int] | None, Query(max_length=1000)] = None,
    all: Annotated[str, Query(max_length=1)] = "",  # noqa: A002 - the address's name
) -> Response:
    """Whom an action concerns and what it will do. `c` are numbers; with `all` all that the filter lets through."""
    if action not in ACTIONS:
        raise BadInput(f"computers can be chosen for {', '.join(ACTIONS)}, not for {action!r}; nothing was changed")
    wanted = filter_of(request)
    search = back.services.computer_search
    if all:
        most = MOST if action in NAMED else _SHOWN
        found = search.page(asks, wanted, rows=most)
        computers, total = found.computers, found.total
    else:
        computers = search.chosen(asks, tuple(c or ()))
        total = len(computers)
    # Those that are named are what is sent back: nobody is taken along who came to match in the meantime.
    by_filter = bool(all) and action not in NAMED
    numbers = "" if by_filter else ",".join(str(one.number) for one in computers)
    relays = [one for one in computers if one.kind is Kind.RELAY] if action == "send-policy" else []
    if action == "send-policy" and total > len(computers):
        relays = list(_all_relays(back, asks, wanted))
    groups = back.services.groups.names(asks)
    query = {"c": [str(number) for number in c or ()]}
    if all:
        query = {"all": ["1"], **{name: [value] for name, value in wanted.query().items()}}
    tabs = []
    for key, title in ACTIONS.items():
        address = urllib.parse.urlencode(query | {"action": [key]}, doseq=True)
        tabs.append((title, f"{PATH}/chosen?{address}", key == action))
    return page(
        request,
        "computers/chosen.html",
        asks,
        action=action,
        actions=tabs,
        title=ACTIONS[action],
        computers=computers,
        total=total,
        too_many=action in NAMED and total > MOST,
        most=MOST,
        named=action in NAMED,
        chosen=numbers,
        filter=urllib.parse.urlencode(wanted.query()) if by_filter else "",
        by_filter=by_filter,
        choices=choices(back, asks, groups),
        rises=rises(back, asks, relays),
        listed=link(wanted),
        planner=_planner(numbers, wanted if all else ComputerFilter()),
        called=called,
    )


def _planner(numbers: str, wanted: ComputerFilter) -> str:
    """Everybody whom the page concerns: without either, the planner takes the whole fleet."""
    if numbers:
        return f"{PLANNER}?computers={numbers}"
    if not wanted.narrows:
        return PLANNER
    return f"{PLANNER}?{urllib.parse.urlencode({'matching': urllib.parse.urlencode(wanted.query())})}"


def _all_relays(back: Backend, asks: Principal, wanted: ComputerFilter) -> Sequence[ComputerView]:
    if wanted.kind not in ("", Kind.RELAY.value):
        return ()
    relays = ComputerFilter.of(wanted.query() | {"kind": Kind.RELAY.value, "pending": "1"})
    return back.services.computer_search.page(asks, relays, rows=1000).computers


def rises(back: Backend, asks: Principal, relays: Sequence[ComputerView]) -> list[Rise]:
    """Where Send Policy raises a relay's floor: who downloads there and offered less when it was last seen."""
    rising: dict[tuple[int | None, str], list[ComputerView]] = {}
    for one in relays:
        floor = one.values.relay_floor
        if one.state == "active" and floor is not None and one.floor_held is not None and floor > one.floor_held:
            rising.setdefault((one.relay_group_id, floor.value), []).append(one)
    found = []
    for (group, floor_name), some in list(rising.items())[:_GROUPS]:
        clients = ComputerFilter(relaygroup=str(group or "none"), offered=f"<{floor_name}")
        page = back.services.computer_search.page(asks, clients, rows=_CLIENTS)
        name = some[0].relay_group or "no relay group"
        found.append(Rise(name, tuple(some), floor_name, page.computers, page.total, link(clients)))
    return found


def _ids(back: Backend, asks: Principal, chosen: str, by_filter: str, query: str) -> tuple[str, ...]:
    if by_filter:
        wanted = ComputerFilter.of(dict(urllib.parse.parse_qsl(query)))
        return back.services.computer_search.ids(asks, wanted)
    try:
        numbers = tuple(int(one) for one in chosen.split(",") if one)
    except ValueError:
        raise BadInput("the choice is not one of this list; nothing was changed. Choose again") from None
    found = back.services.computer_search.chosen(asks, numbers[:1000])
    return tuple(one.id for one in found)


@router.post(f"{PATH}/chosen/send-policy")
def send_policy(
    request: Request,
    asks: Signed,
    back: Back,
    chosen: Whom = "",
    by_filter: Flag = "",
    filter: Filter = "",  # noqa: A002
) -> Response:
    sent = back.services.computer_bulk.send_policy(asks, _ids(back, asks, chosen, by_filter, filter))
    whom = texts.plural(sent, "computer")
    return done(request, PATH, f"The policy is on its way to {whom}. Each takes it home with its next heartbeat.")


@router.post(f"{PATH}/chosen/policy")
def policy(
    request: Request,
    asks: Signed,
    back: Back,
    value: Number,
    chosen: Whom = "",
    by_filter: Flag = "",
    filter: Filter = "",  # noqa: A002
) -> Response:
    change = ComputerChange(policy_id=value)
    changed = back.services.computer_bulk.change(asks, _ids(back, asks, chosen, by_filter, filter), change)
    said = f"{texts.plural(changed, 'computer')} got another policy. Floors wait for Send Policy."
    return done(request, f"{PATH}?policy={value}", said)


@router.post(f"{PATH}/chosen/group")
def group(
    request: Request,
    asks: Signed,
    back: Back,
    value: Number,
    chosen: Whom = "",
    by_filter: Flag = "",
    filter: Filter = "",  # noqa: A002
) -> Response:
    change = ComputerChange(group_id=value)
    changed = back.services.computer_bulk.change(asks, _ids(back, asks, chosen, by_filter, filter), change)
    return done(request, f"{PATH}?group={value or 'none'}", f"{texts.plural(changed, 'computer')} moved.")


@router.post(f"{PATH}/chosen/relay-group")
def relay_group(
    request: Request,
    asks: Signed,
    back: Back,
    value: Number,
    chosen: Whom = "",
    by_filter: Flag = "",
    filter: Filter = "",  # noqa: A002
) -> Response:
    change = ComputerChange(relay_group_id=value)
    changed = back.services.computer_bulk.change(asks, _ids(back, asks, chosen, by_filter, filter), change)
    return done(request, f"{PATH}?relaygroup={value or 'none'}", f"{texts.plural(changed, 'computer')} moved.")


@router.post(f"{PATH}/chosen/heartbeat")
def heartbeat(request: Request, asks: Signed, back: Back, chosen: Whom = "") -> Response:
    result = back.services.computer_bulk.heartbeat_now(asks, _ids(back, asks, chosen, "", ""))
    return done(request, PATH, said_of(result.called, result.waits))


def said_of(called: Sequence[str], waits: Sequence[str]) -> str:
    """What came of a wish for heartbeats."""
    said = []
    if called:
        said.append(f"{texts.plural(len(called), 'computer is', 'computers are')} called now: {_some(called)}.")
    if waits:
        comes = texts.plural(len(waits), "computer cannot be called and comes", "computers cannot be called and come")
        said.append(f"{comes} with the next heartbeat: {_some(waits)}.")
    return " ".join(said) or "None of these is active; nobody is called."


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@router.post(f"{PATH}/chosen/revoke")
def revoke(
    request: Request, asks: Signed, back: Back, chosen: Whom = "", reason: Annotated[str, Form(max_length=1000)] = ""
) -> Response:
    count = back.services.computer_bulk.revoke(asks, _ids(back, asks, chosen, "", ""), reason.strip())
    certificates = texts.plural(count, "certificate was", "certificates were")
    return done(request, f"{PATH}?state=revoked", f"{certificates} revoked, on open connections too.")


@router.post(f"{PATH}/chosen/deactivate")
def deactivate(request: Request, asks: Signed, back: Back, chosen: Whom = "") -> Response:
    count = back.services.computer_bulk.delete(asks, _ids(back, asks, chosen, "", ""))
    return done(request, PATH, f"{texts.plural(count, 'computer was', 'computers were')} deactivated.")
