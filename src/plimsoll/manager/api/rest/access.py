"""/api/administrators and /api/audit: who may do what, and who did it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from plimsoll.manager.api import views
from plimsoll.manager.api.auth import Asks, Back
from plimsoll.manager.api.rest.bodies import Body, Number
from plimsoll.manager.api.rest.reference import Text, passed_over
from plimsoll.manager.api.shapes import access as shapes
from plimsoll.manager.api.shapes.base import Empty
from plimsoll.manager.ports import BadInput, Permission, require
from plimsoll.manager.services.access import UserView
from plimsoll.manager.services.roles import role_numbered

router = APIRouter(prefix="/api", tags=["access"])


class ReferenceUserBody(Body):
    """The reference's names for the same; what of its administrators there is not here is passed over."""

    _drop = passed_over(
        shapes.User, "locale", "timeZone", "timeFormat", "emailAddress", "phoneNumber", "mobileNumber", "pagerNumber",
        "primaryContact", "receiveNotifications", "reportPDFPasswordEnabled", "reportPDFPassword", "mfaType",
        "passwordNeverExpires", "type", "readOnly", "external", "externalID", "directoryObjectID",
    )  # fmt: skip
    role: Text | None = None
    role_id: Number | None = Field(default=None, alias="roleID")
    full_name: Annotated[Text, Field(max_length=255)] | None = Field(default=None, alias="fullName")
    description: Text | None = None
    active: bool | None = None

    def role_name(self) -> str | None:
        return self.role if self.role is not None or self.role_id is None else role_numbered(self.role_id).value


class UserBody(ReferenceUserBody):
    username: str = Field(min_length=1, max_length=255)
    password: str = Field(min_length=1, max_length=1024)


class UserChangeBody(ReferenceUserBody):
    """Of `role` and `roleID`, and of `active` and `disabled`, the one counts that says something new."""

    disabled: bool | None = None
    unlock: bool = False
    password: str | None = Field(default=None, min_length=1, max_length=1024)

    def new_role(self, now: UserView) -> str | None:
        if self.role is not None and self.role_id is not None and self.role == now.role.value:
            return role_numbered(self.role_id).value
        return self.role_name()

    def new_state(self, now: UserView) -> bool | None:
        if self.active is not None and (self.disabled is None or self.disabled == now.disabled):
            return not self.active
        return self.disabled


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
    role = body.role_name()
    if role is None:
        raise BadInput("a user needs a role (or roleID); nobody was added")
    made = back.services.access.create_user(asks, body.username, body.password, role)
    if body.full_name is not None or body.description is not None or body.active is False:
        made = back.services.access.update_user(
            asks,
            made.name,
            disabled=None if body.active is None else not body.active,
            full_name=body.full_name,
            description=body.description,
        )
    return views.user(made)


@router.post("/administrators/current/password")
def change_own_password(asks: Asks, back: Back, body: OwnPasswordBody) -> Empty:
    """For whoever is signed in."""
    back.services.access.change_own_password(asks, body.old, body.new)
    return {}


class ResetBody(Body):
    password: str | None = Field(default=None, min_length=1, max_length=1024, description="left out: one is made up")


@router.post("/administrators/{username}/reset")
def reset_administrator(asks: Asks, back: Back, username: str, body: ResetBody) -> shapes.ResetUser:
    """By the local socket only: a new password, no lock and no second factor for an administrator."""
    made = back.services.access.reset_administrator(asks, username, body.password)
    return {**views.user(made.user), "password": made.password}


@router.post("/administrators/{username}")
def change_user(asks: Asks, back: Back, username: str, body: UserChangeBody) -> shapes.User:
    """Role, password, lock."""
    access = back.services.access
    require(asks, Permission.ACCESS_CHANGE)
    now = access.user(asks, username)
    view = access.update_user(
        asks,
        username,
        role=body.new_role(now),
        disabled=body.new_state(now),
        unlock=body.unlock,
        full_name=body.full_name,
        description=body.description,
    )
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
