"""Keys, people and the audit trail."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from plimsoll.manager.api.shapes.base import OneOf, Seconds, Shape, Who
from plimsoll.manager.ports import Role

RoleName = Annotated[str, OneOf(*(role.value for role in Role))]


class ApiKey(Shape):
    """An API key, without its secret."""

    ID: int
    name: str
    role: RoleName
    created: Seconds
    expires: Seconds | None
    lastUsed: Seconds | None
    active: bool
    createdBy: Who


class ApiKeys(Shape):
    apiKeys: list[ApiKey]


class NewApiKey(ApiKey):
    secretKey: Annotated[str, Field(description="in this answer and nowhere else", examples=["2:vJC6…="])]


class User(Shape):
    username: str
    role: RoleName
    created: Seconds
    disabled: bool
    lockedUntil: Seconds | None
    lastSignIn: Seconds | None


class Users(Shape):
    administrators: list[User]


class AuditEntry(Shape):
    """Who did what, through which door and from where, with the values before and after it."""

    ID: int
    time: Seconds
    who: Who
    via: str
    address: str
    action: str
    target: str
    before: Any
    after: Any


class Audit(Shape):
    audit: list[AuditEntry]


class ChainEnd(Shape):
    entry: int
    hash: str
    time: Seconds
    why: str


class ChainFault(Shape):
    entry: int
    text: str


class AuditChain(Shape):
    """Whether every entry since the anchor still is what it was when it was written."""

    ok: bool
    entries: int
    since: ChainEnd | None
    head: ChainEnd | None
    faults: list[ChainFault]
    faultsFound: int


class Pruned(Shape):
    deleted: int
