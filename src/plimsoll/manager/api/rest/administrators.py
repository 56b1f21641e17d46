"""/api/administrators in the reference's shape: one of them, by ID or by name, and a search. The rest: `access`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.reference import SearchFilter, search_of
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.search import Field, Kind, page
from plimsoll.manager.services.roles import NUMBERS

router = APIRouter(prefix="/api/administrators", tags=["access"])


_STRING = Field(Kind.STRING)
FIELDS: Mapping[str, Field] = {
    "ID": Field(Kind.ID),
    "username": _STRING,
    "fullName": _STRING,
    "description": _STRING,
    "roleID": Field(Kind.ID),
    "active": Field(Kind.BOOLEAN),
    "unlockTime": Field(Kind.DATE),
    "unsuccessfulSignInAttempts": Field(Kind.NUMERIC),
    "role": Field(Kind.CHOICE, tuple(role.value for role in NUMBERS)),
}


@router.post("/search")
def search_administrators(asks: Asks, back: Back, body: SearchFilter | None = None) -> shapes.Users:
    """Those that pass."""
    known = [views.user(view) for view in back.services.access.users(asks)]
    return {"administrators": page(known, FIELDS, search_of(body))}


@router.get("/{administrator}")
def get_administrator(
    asks: Asks, back: Back, administrator: Annotated[str, Path(min_length=1, max_length=255)]
) -> shapes.User:
    """By name or ID; a name of digits means the user of that name."""
    return views.user(back.services.access.user(asks, administrator))
