"""One computer: General, TLS, Interfaces/ports, Events, Settings, and what can be done with it (R14: Actions)."""

from __future__ import annotations

import ipaddress
import urllib.parse
from typing import Annotated, Any

from fastapi import Form, Query, Request
from starlette.responses import Response

from plimsoll.manager.api.backend import Backend
from plimsoll.manager.ports import BadInput, Principal
from plimsoll.manager.services.computer_views import ComputerChange, ComputerView
from plimsoll.manager.services.policy_rules import PolicyValues
from plimsoll.manager.services.sightings import SightingFilter
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.computers import PATH, called
from plimsoll.manager.web.routes.computers_chosen import PLANNER, rises, said_of
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point

router = console_router()

ONE = f"{PATH}/{{computer}}"
TABS = (
    ("General", ""),
    ("TLS", "/tls"),
    ("Interfaces/ports", "/interfaces"),
    ("Events", "/events"),
    ("Settings", "/settings"),
    ("Actions", "/actions"),
)
#: Rows of one list on a tab; the rest is on the list's own screen.
SIGHTINGS, EVENTS = 50, 100

Text = Annotated[str, Form(max_length=2000)]


def _shown(request: Request, name: str, asks: Principal, one: ComputerView, tab: str, **values: Any) -> Response:
    at = f"{PATH}/{one.number}"
    return page(
        request,
        name,
        asks,
        one=one,
        title=called(one),
        at=at,
        tab=tab,
        tabs=[(title, at + path, title == tab) for title, path in TABS],
        **values,
    )


@router.get(ONE)
def general(request: Request, asks: Asks, back: Back, computer: str) -> Response:
    one = back.services.computers.get(asks, computer)
    return _shown(
        request,
        "computers/general.html",
        asks,
        one,
        "General",
        groups=[("0", "In no group"), *((str(key), name) for key, name in back.services.groups.names(asks).items())],
        policies=[(str(key), name) for key, name in back.services.policies.names(asks).items()],
        relay_groups=[
            ("0", "No relay group"),
            *((str(key), name) for key, name in back.services.policies.relay_group_names(asks).items()),
        ],
        problem=back.live.problems().get(one.id, ""),
    )


@router.post(f"{ONE}/edit")
def edit(
    request: Request,
    asks: Signed,
    back: Back,
    computer: str,
    policy: Annotated[int, Form(ge=1, le=2**62)],
    group: Annotated[int, Form(ge=0, le=2**62)] = 0,
    relay_group: Annotated[int, Form(ge=0, le=2**62)] = 0,
    display_name: Annotated[str, Form(max_length=255)] = "",
    description: Text = "",
) -> Response:
    change = ComputerChange(
        display_name=display_name.strip(),
        description=description.strip(),
        policy_id=policy,
        group_id=group,
        relay_group_id=relay_group,
    )
    one = back.services.computers.update(asks, computer, change)
    return done(request, f"{PATH}/{one.number}", "Saved. A floor of another policy waits for Send Policy.")


@router.get(f"{ONE}/tls")
def tls(request: Request, asks: Asks, back: Back, computer: str) -> Response:
    """Four facts, none shown as another; what was seen, and what each higher floor would do."""
    services = back.services
    one = services.computers.get(asks, computer)
    exceptions = services.exceptions.list(asks, ended=False)
    return _shown(
        request,
        "computers/tls.html",
        asks,
        one,
        "TLS",
        judged=services.computer_judgement.judge(asks, one.id),
        relay=_relay(back, asks, one),
        sightings=services.sightings.list(asks, SightingFilter(who=f"computer:{one.id}", limit=SIGHTINGS)),
        exceptions=[rule for rule in exceptions if rule.computer == one.id or _covers(rule.source, one.address)],
        add_exception=f"/administration/system-settings/exceptions/new?computer={one.id}&point=heartbeat",
        points=Point,
    )


def _covers(source: str | None, address: str) -> bool:
    try:
        return source is not None and ipaddress.ip_address(address) in ipaddress.ip_network(source)
    except ValueError:
        return False  # a host name, or no address yet


def _relay(back: Backend, asks: Principal, one: ComputerView) -> Any:
    return back.services.judgement.relay(asks, one.id) if one.kind is Kind.RELAY else None


@router.get(f"{ONE}/interfaces")
def interfaces(request: Request, asks: Asks, back: Back, computer: str) -> Response:
    one = back.services.computers.get(asks, computer)
    seen = back.services.sightings.list(asks, SightingFilter(who=f"computer:{one.id}", limit=SIGHTINGS))
    return _shown(
        request,
        "computers/interfaces.html",
        asks,
        one,
        "Interfaces/ports",
        relay=_relay(back, asks, one),
        addresses=sorted({one.address for one in seen if one.address} | ({one.address} if one.address else set())),
        seen=seen,
        listens=back.services.computer_bulk.can_be_called(asks, one.id),
    )


@router.get(f"{ONE}/events")
def events(
    request: Request,
    asks: Asks,
    back: Back,
    computer: str,
    q: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Response:
    one = back.services.computers.get(asks, computer)
    found = back.services.events.page(asks, before=before, limit=EVENTS + 1, words=q, computer=one.id)
    path = f"{PATH}/{one.number}/events"
    older = {"q": q, "before": str(found[EVENTS - 1].id)} if len(found) > EVENTS else {}
    return _shown(
        request,
        "computers/events.html",
        asks,
        one,
        "Events",
        events=found[:EVENTS],
        q=q,
        here=path + (f"?{urllib.parse.urlencode({'q': q})}" if q else ""),
        older=f"{path}?{urllib.parse.urlencode({k: v for k, v in older.items() if v})}" if older else "",
        older_than=before,
    )


# -- settings of this computer alone


@router.get(f"{ONE}/settings")
def settings(request: Request, asks: Asks, back: Back, computer: str) -> Response:
    one = back.services.computers.get(asks, computer)
    policy = back.services.policies.get(asks, one.policy_id)
    return _shown(
        request,
        "computers/settings.html",
        asks,
        one,
        "Settings",
        policy=policy,
        directions=[(d.value, d.value) for d in Direction],
    )


@router.post(f"{ONE}/settings")
def set_settings(
    request: Request,
    asks: Signed,
    back: Back,
    computer: str,
    heartbeat_seconds: Annotated[str, Form(max_length=20)] = "",
    missed_heartbeats: Annotated[str, Form(max_length=20)] = "",
    direction: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """What is empty is its policy's to say."""
    values, inherit = read_values(
        {"heartbeat_seconds": heartbeat_seconds, "missed_heartbeats": missed_heartbeats, "direction": direction}
    )
    one = back.services.computers.update(asks, computer, ComputerChange(own=values, inherit=inherit))
    return done(request, f"{PATH}/{one.number}/settings", "Saved.")


def read_values(given: dict[str, str]) -> tuple[PolicyValues, tuple[str, ...]]:
    """Values of a form, and the names of those that are to be inherited. Raises BadInput."""
    values: dict[str, Any] = {}
    inherit: list[str] = []
    for name, typed in given.items():
        text = typed.strip()
        if not text:
            inherit.append(name)
        elif name == "direction":
            values[name] = _direction(text)
        elif name == "auto_send":
            values[name] = text == "yes"
        elif text.isascii() and text.isdigit():
            values[name] = int(text)
        else:
            raise BadInput(f"{name.replace('_', ' ')} is a whole number, not {text!r}; nothing was changed")
    return PolicyValues(**values), tuple(inherit)


def _direction(text: str) -> Direction:
    try:
        return Direction(text)
    except ValueError:
        valid = ", ".join(one.value for one in Direction)
        raise BadInput(f"a direction is one of {valid}, not {text!r}; nothing was changed") from None


# -- actions


@router.get(f"{ONE}/actions")
def actions(request: Request, asks: Asks, back: Back, computer: str) -> Response:
    """R14's own path: Computers, the relay's details, Actions, Send Policy."""
    services = back.services
    one = services.computers.get(asks, computer)
    return _shown(
        request,
        "computers/actions.html",
        asks,
        one,
        "Actions",
        rises=rises(back, asks, [one]) if one.kind is Kind.RELAY else [],
        listens=services.computer_bulk.can_be_called(asks, one.id),
        planner=f"{PLANNER}?computers={one.number}",
    )


@router.post(f"{ONE}/send-policy")
def send_policy(request: Request, asks: Signed, back: Back, computer: str) -> Response:
    sent = back.services.computers.send_policy(asks, computers=[computer])
    said = "The policy is on its way: it is taken home with the next heartbeat, and this page shows when it holds it."
    return done(request, f"{PATH}/{computer}/actions", said if sent else "It is not active: nothing was sent.")


@router.post(f"{ONE}/heartbeat")
def heartbeat(request: Request, asks: Signed, back: Back, computer: str) -> Response:
    one = back.services.computers.locate(asks, computer)
    result = back.services.computer_bulk.heartbeat_now(asks, [one])
    return done(request, f"{PATH}/{computer}/actions", said_of(result.called, result.waits))


@router.post(f"{ONE}/approve")
def approve(request: Request, asks: Signed, back: Back, computer: str) -> Response:
    one = back.services.computers.approve(asks, computer)
    return done(request, f"{PATH}/{computer}/actions", f"{called(one)} was approved.")


@router.post(f"{ONE}/revoke")
def revoke(
    request: Request,
    asks: Signed,
    back: Back,
    computer: str,
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    one = back.services.computers.revoke(asks, computer, reason.strip())
    return done(request, f"{PATH}/{computer}/actions", f"The certificate of {called(one)} was revoked.")


@router.post(f"{ONE}/scan")
def scan(request: Request, asks: Signed, back: Back, computer: str) -> Response:
    """Asks every port of it that is known, from the manager."""
    started = back.services.scans.start(asks, computers=[back.services.computers.locate(asks, computer)])
    to = f"/scans/{started.id}"
    return done(request, to, f"Scan {started.id} waits for its turn; it begins within a second where none runs.")
