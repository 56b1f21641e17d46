"""Policies: what each says, what of it is inherited, who has it, and who waits for it.

A floor is changed on a page of its own, which names everybody who would be cut off; and it reaches nobody before
somebody sends the policy (R14).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Query, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput, NotFound
from plimsoll.manager.services.computer_filter import ComputerFilter
from plimsoll.manager.services.floors import parse_floor
from plimsoll.manager.services.judged import Question
from plimsoll.manager.services.policies import PolicyValues, PolicyView
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.judging import seen, waited
from plimsoll.manager.web.routes.computer_details import read_values
from plimsoll.manager.web.routes.computers_chosen import rises
from plimsoll.messages import Direction, Kind
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS

router = console_router()

PATH = "/policies"
ONE = f"{PATH}/{{policy}}"
#: Names of a preflight on the page, and members.
NAMES, MEMBERS = 500, 20
#: What a floor is set to, so that the parent decides it.
INHERIT = "inherit"

Name = Annotated[str, Form(max_length=255)]
Text = Annotated[str, Form(max_length=2000)]
Value = Annotated[str, Form(max_length=40)]
Wanted = Annotated[str, Query(max_length=40)]
Reason = Annotated[str, Form(max_length=2000)]


@router.get(PATH)
def policies(request: Request, asks: Asks, back: Back) -> Response:
    return page(request, "policies/list.html", asks, policies=_tree(back.services.policies.list(asks)))


def _tree(found: tuple[PolicyView, ...]) -> list[tuple[int, PolicyView]]:
    """Each behind its parent, with how deep it lies."""
    ordered: list[tuple[int, PolicyView]] = []

    def add(parent: int | None, depth: int) -> None:
        for one in sorted((p for p in found if p.parent_id == parent), key=lambda p: p.name.casefold()):
            ordered.append((depth, one))
            add(one.id, depth + 1)

    add(None, 0)
    return ordered


@router.get(f"{PATH}/new")
def new(request: Request, asks: Asks, back: Back) -> Response:
    found = back.services.policies.list(asks)
    return page(request, "policies/new.html", asks, parents=[(str(one.id), one.name) for one in found])


@router.post(PATH)
def create(
    request: Request,
    asks: Signed,
    back: Back,
    name: Name = "",
    parent: Annotated[int, Form(ge=1, le=2**62)] = 1,
    description: Text = "",
) -> Response:
    made = back.services.policies.create(asks, name, parent, description=description.strip())
    said = f"{made.name} was made. It inherits everything until it is given values of its own."
    return done(request, f"{PATH}/{made.id}", said)


@router.get(ONE)
def policy(request: Request, asks: Asks, back: Back, policy: int) -> Response:
    services = back.services
    one = services.policies.get(asks, policy)
    wanted = ComputerFilter(policy=str(policy))
    members = services.computer_search.page(asks, wanted, rows=MEMBERS)
    waiting = services.computer_search.page(asks, ComputerFilter(policy=str(policy), pending="1"), rows=MEMBERS)
    relays = ComputerFilter(policy=str(policy), pending="1", kind=Kind.RELAY.value)
    everyone = services.policies.list(asks)
    return page(
        request,
        "policies/page.html",
        asks,
        one=one,
        members=members,
        waiting=waiting,
        rises=rises(back, asks, services.computer_search.page(asks, relays, rows=1000).computers),
        children=[other for other in everyone if other.parent_id == policy],
        parents=[(str(other.id), other.name) for other in everyone if other.id != policy],
        directions=[(direction.value, direction.value) for direction in Direction],
        versions=FLOORS,
    )


@router.post(ONE)
def update(
    request: Request,
    asks: Signed,
    back: Back,
    policy: int,
    name: Name = "",
    description: Text = "",
    heartbeat_seconds: Value = "",
    missed_heartbeats: Value = "",
    direction: Value = "",
    auto_send: Value = "",
) -> Response:
    """All but the floors. What is empty is inherited; the base policy must say everything."""
    given = {
        "heartbeat_seconds": heartbeat_seconds,
        "missed_heartbeats": missed_heartbeats,
        "direction": direction,
        "auto_send": auto_send,
    }
    values, inherit = read_values(given)
    before = back.services.policies.get(asks, policy)
    if before.parent_id is None and inherit:
        missing = inherit[0].replace("_", " ")
        raise BadInput(f"{missing} is missing, and the base policy inherits nothing; nothing was changed")
    after = back.services.policies.update(
        asks, policy, values, inherit=inherit, name=name.strip() or None, description=description.strip()
    )
    said = "Saved." if after.effective.auto_send else f"Saved. It waits for Send Policy at {after.pending} computers."
    return done(request, f"{PATH}/{policy}", said)


def _floors(given: dict[str, str], one: PolicyView) -> tuple[PolicyValues, tuple[str, ...]]:
    """What was asked for of the floors; what is empty stays as it is."""
    values: dict[str, Any] = {}
    inherit: list[str] = []
    for field, text in given.items():
        if text == INHERIT:
            if getattr(one.own, field) is not None:
                inherit.append(field)
        elif text:
            values[field] = parse_floor(text)
    return PolicyValues(**values), tuple(inherit)


@router.get(f"{ONE}/floors")
def floors(
    request: Request, asks: Asks, back: Back, policy: int, relay_floor: Wanted = "", agent_floor: Wanted = ""
) -> Response:
    """Every name that a raise would cut off, and below them the button."""
    one = back.services.policies.get(asks, policy)
    values, inherit = _floors({"relay_floor": relay_floor, "agent_floor": agent_floor}, one)
    asked = back.services.policies.floors_asked(asks, policy, values, inherit)
    questions = [Question(target.value, tuple(point.value for point in points)) for target, points in asked.raises]
    judged = [back.services.judged.ask(asks, question) for question in questions]
    return page(
        request,
        "policies/floors.html",
        asks,
        one=one,
        moves=asked.moves,
        judged=[(one.id, waited(one.answer, wait=True)) for one in judged],
        relay_floor=relay_floor,
        agent_floor=agent_floor,
        most=NAMES,
    )


@router.post(f"{ONE}/floors")
def set_floors(
    request: Request,
    asks: Signed,
    back: Back,
    policy: int,
    relay_floor: Value = "",
    agent_floor: Value = "",
    force: Annotated[str, Form(max_length=1)] = "",
    reason: Reason = "",
    kept: Annotated[list[str], Form(max_length=len(Point))] = [],  # noqa: B006 - read only
) -> Response:
    """As the page said. Who would be cut off must have stood on it."""
    one = back.services.policies.get(asks, policy)
    values, inherit = _floors({"relay_floor": relay_floor, "agent_floor": agent_floor}, one)
    after = back.services.policies.update(
        asks,
        policy,
        values,
        inherit=inherit,
        force=bool(force),
        reason=reason.strip() or None,
        seen=seen(back, asks, kept),
    )
    said = f"It says so now. {after.pending} computers wait for Send Policy: until then each keeps what it holds."
    return done(request, f"{PATH}/{policy}", said)


@router.post(f"{ONE}/send")
def send(request: Request, asks: Signed, back: Back, policy: int) -> Response:
    """Send Policy to everybody who has it."""
    one = back.services.policies.get(asks, policy)
    members = back.services.computer_search.ids(asks, ComputerFilter(policy=str(policy), state="active"))
    if not members:
        raise NotFound(f"no active computer has the policy {one.name}; nothing was sent")
    sent = back.services.computer_bulk.send_policy(asks, members)
    return done(request, f"{PATH}/{policy}", f"{one.name} is on its way to {sent} computers.")


@router.post(f"{ONE}/delete")
def delete(request: Request, asks: Signed, back: Back, policy: int) -> Response:
    name = back.services.policies.get(asks, policy).name
    back.services.policies.delete(asks, policy)
    return done(request, PATH, f"{name} was deleted.")
