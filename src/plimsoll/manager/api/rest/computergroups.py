"""/api/computergroups: folders that computers are sorted into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.reference import Item, Lenient, Number, SearchFilter, Text, search_of
from plimsoll.manager.api.shapes import computers as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.search import Field as SearchField
from plimsoll.manager.search import Kind, page
from plimsoll.manager.services.groups import GroupChange

router = APIRouter(prefix="/api/computergroups", tags=["computers"])

_STRING = SearchField(Kind.STRING)
FIELDS: Mapping[str, SearchField] = {
    "ID": SearchField(Kind.ID),
    "name": _STRING,
    "description": _STRING,
    "parentGroupID": SearchField(Kind.ID),
    "computers": SearchField(Kind.NUMERIC),
}


class GroupBody(Lenient):
    """What is missing stays as it is; `parentGroupID` 0 is the top."""

    name: Annotated[Text, Field(max_length=255)] | None = None
    description: Text | None = None
    parent_group_id: Number | None = None


@router.get("")
def list_groups(asks: Asks, back: Back) -> shapes.ComputerGroups:
    """All groups of computers."""
    return {"computerGroups": [views.computer_group(view) for view in back.services.groups.list(asks)]}


@router.post("")
def create_group(asks: Asks, back: Back, body: GroupBody) -> shapes.ComputerGroup:
    """A new group, at the top or in another."""
    made = back.services.groups.create(asks, body.name or "", body.description or "", body.parent_group_id)
    return views.computer_group(made)


@router.post("/search")
def search_groups(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.ComputerGroups:
    """Those that pass, in the order of their IDs."""
    known: list[Any] = [views.computer_group(view) for view in back.services.groups.list(asks)]
    return {"computerGroups": page(known, FIELDS, search_of(body))}


@router.get("/{group}")
def get_group(asks: Asks, back: Back, group: Item) -> shapes.ComputerGroup:
    """One group."""
    return views.computer_group(back.services.groups.get(asks, group))


@router.post("/{group}")
def change_group(asks: Asks, back: Back, group: Item, body: GroupBody | None = None) -> shapes.ComputerGroup:
    """Changes what is said; the rest stays."""
    given = body or GroupBody()
    change = GroupChange(given.name, given.description, given.parent_group_id)
    return views.computer_group(back.services.groups.update(asks, group, change))


@router.delete("/{group}")
def delete_group(asks: Asks, back: Back, group: Item) -> Empty:
    """Only an empty one."""
    back.services.groups.delete(asks, group)
    return {}
