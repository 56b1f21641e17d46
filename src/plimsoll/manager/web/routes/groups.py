"""Computers > Groups: folders that people sort computers into. Policies and floors do not follow them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from plimsoll.manager.services.groups import ComputerGroupView, GroupChange
from plimsoll.manager.web.frame import Asks, Back, Signed, console_router, done, page

router = console_router()

PATH = "/computers/groups"
ONE = f"{PATH}/{{group}}"

Name = Annotated[str, Form(max_length=255)]
Text = Annotated[str, Form(max_length=2000)]
Parent = Annotated[int, Form(ge=0, le=2**62)]


@router.get(PATH)
def groups(request: Request, asks: Asks, back: Back) -> Response:
    found = back.services.groups.list(asks)
    return page(
        request,
        "computers/groups.html",
        asks,
        groups=_tree(found),
        parents=[("0", "At the top"), *((str(one.id), one.name) for one in found)],
    )


def _tree(found: tuple[ComputerGroupView, ...]) -> list[tuple[int, ComputerGroupView]]:
    ordered: list[tuple[int, ComputerGroupView]] = []

    def add(parent: int | None, depth: int) -> None:
        for one in sorted((g for g in found if g.parent_id == parent), key=lambda g: g.name.casefold()):
            ordered.append((depth, one))
            add(one.id, depth + 1)

    add(None, 0)
    return ordered


@router.post(PATH)
def create(
    request: Request, asks: Signed, back: Back, name: Name = "", description: Text = "", parent: Parent = 0
) -> Response:
    made = back.services.groups.create(asks, name, description.strip(), parent or None)
    return done(request, PATH, f"The group {made.name} was made. Computers are moved there from their list.")


@router.get(ONE)
def group(request: Request, asks: Asks, back: Back, group: int) -> Response:
    one = back.services.groups.get(asks, group)
    others = [other for other in back.services.groups.list(asks) if other.id != group]
    parents = [("0", "At the top"), *((str(other.id), other.name) for other in others)]
    return page(request, "computers/group.html", asks, one=one, parents=parents)


@router.post(ONE)
def update(
    request: Request, asks: Signed, back: Back, group: int, name: Name = "", description: Text = "", parent: Parent = 0
) -> Response:
    change = GroupChange(name=name, description=description.strip(), parent_id=parent)
    after = back.services.groups.update(asks, group, change)
    return done(request, PATH, f"{after.name} was saved.")


@router.post(f"{ONE}/delete")
def delete(request: Request, asks: Signed, back: Back, group: int) -> Response:
    name = back.services.groups.get(asks, group).name
    back.services.groups.delete(asks, group)
    return done(request, PATH, f"The group {name} was deleted.")
