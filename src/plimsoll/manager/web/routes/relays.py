"""Administration > Updates > Relay Management: groups, the real floor of each relay, Send Policy (R14, R17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Form, Path, Request
from starlette.responses import Response

from plimsoll.manager.ports import BadInput, NotFound
from plimsoll.manager.services.computers import ComputerChange
from plimsoll.manager.services.judgement import RelayView
from plimsoll.manager.services.policies import RelayGroupView
from plimsoll.manager.web import texts
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page
from plimsoll.manager.web.routes.computers import called

router = console_router()

PATH = "/administration/updates/relays"

Word = Annotated[str, Form(max_length=255)]
Group = Annotated[int, Path(ge=0, le=2**53)]


@dataclass
class Branch:
    """A relay group with its relays, and how deep it lies below the top."""

    group: RelayGroupView
    depth: int
    relays: Sequence[RelayView] = field(default_factory=tuple)

    @property
    def below(self) -> bool:
        return bool(self.group.computers or self.group.relays)


@router.get(PATH)
def relays(request: Request, asks: Asks, back: Back) -> Response:
    """Each relay's floor: required by its policy, sent, held, and observed by a handshake."""
    found = back.services.judgement.relays(asks)
    groups = back.services.policies.relay_groups(asks)
    known = {group.name for group in groups}
    return page(
        request,
        "relays/page.html",
        asks,
        tree=_tree(groups, found),
        alone=[one for one in found if one.relay_group not in known],
        relays=found,
        waiting=sum(one.pending for one in found),
        drifting=sum(one.drift is not None for one in found),
        groups=groups,
    )


def _tree(groups: Sequence[RelayGroupView], relays: Sequence[RelayView]) -> list[Branch]:
    below: dict[str | None, list[RelayGroupView]] = {}
    for group in groups:
        below.setdefault(group.parent, []).append(group)
    inside: dict[str | None, list[RelayView]] = {}
    for relay in relays:
        inside.setdefault(relay.relay_group, []).append(relay)
    found: list[Branch] = []

    def walk(parent: str | None, depth: int) -> None:
        for group in sorted(below.get(parent, ()), key=lambda one: one.name):
            found.append(Branch(group, depth, inside.get(group.name, ())))
            walk(group.name, depth + 1)

    walk(None, 0)
    return found


@router.post(f"{PATH}/send-policy")
def send_policy(
    request: Request,
    asks: Signed,
    back: Back,
    computer: Word = "",
    group: Word = "",
    everyone: Annotated[str, Form(max_length=1)] = "",
) -> Response:
    """To one relay, to those of a group, or to all relays."""
    if bool(computer) + bool(group) + bool(everyone) != 1:
        raise BadInput("say to whom: one relay, the relays of one group, or all relays; nothing was sent")
    service = back.services.computers
    if computer:
        sent = service.send_policy(asks, computers=[computer])
    elif group:
        sent = service.send_policy(asks, relay_group=group)
    else:
        sent = service.send_policy(asks, relays=True)
    count = texts.plural(sent, "relay takes", "relays take")
    return done(request, PATH, f"{count} the policy home with the next heartbeat." if sent else "There is no relay.")


@router.post(f"{PATH}/move")
def move_relay(request: Request, asks: Signed, back: Back, relay: Word = "", to: Word = "") -> Response:
    """Puts one relay into a group, or (empty) takes it out of its own."""
    moved = back.services.computers.update(asks, relay, ComputerChange(relay_group=to))
    where = f"in {to}" if to else "in no group"
    return done(request, PATH, f"{called(moved)} is {where} now. Its computers hear of it with their next heartbeat.")


@router.post(f"{PATH}/groups")
def create(request: Request, asks: Signed, back: Back, name: Word, parent: Word = "") -> Response:
    made = back.services.policies.create_relay_group(asks, name, parent or None)
    return done(request, PATH, f"The relay group {made.name} was created.")


@router.get(f"{PATH}/groups/{{group}}")
def group(request: Request, asks: Asks, back: Back, group: Group) -> Response:
    groups = back.services.policies.relay_groups(asks)
    found = next((one for one in groups if one.id == group), None)
    if found is None:
        raise NotFound(f"there is no relay group {group}")
    members = [one for one in back.services.judgement.relays(asks) if one.relay_group == found.name]
    return page(request, "relays/group.html", asks, group=found, groups=groups, members=members)


@router.post(f"{PATH}/groups/{{group}}/move")
def move(request: Request, asks: Signed, back: Back, group: Group, parent: Word = "") -> Response:
    moved = back.services.policies.move_relay_group(asks, group, parent or None)
    where = f"below {moved.parent}" if moved.parent else "at the top: its relays ask the manager"
    return done(request, PATH, f"{moved.name} is {where}.")


@router.post(f"{PATH}/groups/{{group}}/delete")
def delete(request: Request, asks: Signed, back: Back, group: Group) -> Response:
    back.services.policies.delete_relay_group(asks, group)
    return done(request, PATH, "The relay group was deleted.")
