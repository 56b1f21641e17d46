"""The CA, and its rotation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plimsoll.fleet.ca_rotation import Stand
from plimsoll.manager.api.shapes.base import Guid, KindName, OneOf, Period, Seconds, Shape, Who
from plimsoll.manager.api.shapes.changes import Logged
from plimsoll.manager.store import ca as table


class Authority(Shape):
    """One CA that is trusted. `keyHash` is what activation tokens carry, `issues` whether it signs new certificates."""

    fingerprint: str
    keyHash: str
    notBefore: Seconds
    notAfter: Seconds
    issues: bool
    certificate: Annotated[str, Field(description="PEM")]
    advice: Annotated[str, Field(description="when it ends and what to do, from a year before; else empty")]


class Member(Shape):
    """How far a computer is. `trusts` are the CAs that it says it trusts, `shown` whose certificate it last showed."""

    computer: Guid
    name: str
    kind: KindName
    state: Annotated[str, OneOf(*(stand.value for stand in Stand))]
    online: bool
    lastSeen: Seconds | None
    trusts: list[str]
    shown: str


class Members(Shape):
    computers: list[Member]


class Rotation(Shape):
    """A rotation as it stands. `computers` counts them by how far they are; `behind` are those that are waited for."""

    id: int
    created: Seconds
    who: Who
    state: Annotated[str, OneOf(*table.OPEN, table.RETIRED, table.WITHDRAWN)]
    entered: Seconds
    soaked: Period
    soak: Period
    byItself: bool
    old: str
    new: str
    text: str
    computers: dict[str, int]
    behind: list[Member]
    oldTokens: Annotated[int, Field(description="activation tokens that name a CA which will be trusted no more")]
    reasons: dict[str, str]
    ended: Seconds | None
    log: list[Logged]


class Ca(Shape):
    authorities: list[Authority]
    rotation: Rotation | None
