"""/api/administrators and /api/audit: who may do what, and who did it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty

router = APIRouter(prefix="/api", tags=["access"])


class UserBody(Body):
    username: str = Field(min_length=1, max_length=255)
    password: str = Field(min_length=1, max_length=1024)
    role: str


class UserChangeBody(Body):
    role: str | None = None
    disabled: bool | None = None
    unlock: bool = False
    password: str | None = Field(default=None, min_length=1, max_length=1024)


class OwnPasswordBody(Body):
    old: str = Field(max_length=1024)
    new: str = Field(min_length=1, max_length=1024)


@router.get("/administrators")
def list_users(asks: Asks, back: Back) -> shapes.Users:
    """People who may sign in."""
    return {"administrators": [views.user(view) for view in back.services.access.users(asks)]}


@router.post("/administrators")
def create_user(asks: Asks, back: Back, body: UserBody) -> shapes.User:
    """A new person."""
    return views.user(back.services.access.create_user(asks, body.username, body.password, body.role))


@router.post("/administrators/current/password")
def change_own_password(asks: Asks, back: Back, body: OwnPasswordBody) -> Empty:
    """For whoever is signed in."""
    back.services.access.change_own_password(asks, body.old, body.new)
    return {}


@router.post("/administrators/{username}")
def change_user(asks: Asks, back: Back, username: str, body: UserChangeBody) -> shapes.User:
    """Role, password, lock."""
    access = back.services.access
    view = access.update_user(asks, username, role=body.role, disabled=body.disabled, unlock=body.unlock)
    if body.password is not None:
        access.set_password(asks, username, body.password)
    return views.user(view)


@router.delete("/administrators/{username}")
def delete_user(asks: Asks, back: Back, username: str) -> Empty:
    """Deletes a person, and ends their sessions."""
    back.services.access.delete_user(asks, username)
    return {}


@router.get("/audit")
def audit(
    asks: Asks,
    back: Back,
    limit: Annotated[int, Query(ge=1, le=5000)] = 200,
    before: Number | None = None,
) -> shapes.Audit:
    """Who did what, the newest first; `before` an entry makes pages."""
    return {"audit": [views.audit(entry) for entry in back.services.access.audit(asks, limit, before)]}


@router.get("/audit/verify")
def verify_audit(
    asks: Asks,
    back: Back,
    entry: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
    digest: Annotated[str | None, Query(alias="hash", pattern="^[0-9a-fA-F]{64}$")] = None,
) -> shapes.AuditChain:
    """Is the chain whole? `entry` and `hash`, of a proof that was signed earlier, must still be in it."""
    return views.audit_chain(back.services.audit.verify(asks, entry, digest))


class PruneBody(Body):
    older_than_days: float = Field(alias="olderThanDays", ge=1, le=36_500)


@router.post("/audit/prune")
def prune_audit(asks: Asks, back: Back, body: PruneBody) -> shapes.Pruned:
    """Deletes old entries; the chain is anchored anew where it begins then."""
    return {"deleted": back.services.audit.prune(asks, body.older_than_days)}
