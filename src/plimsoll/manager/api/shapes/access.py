"""Keys, people and the audit trail."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from plimsoll.manager.api.shapes.base import Ja4, Milliseconds, OneOf, Seconds, Shape, VersionName, Who
from plimsoll.manager.ports import Role

RoleName = Annotated[str, OneOf(*(role.value for role in Role))]


#: The words of the reference's own list.
LocaleName = Annotated[str, OneOf("en-US", "ja-JP")]


class ApiKey(Shape):
    """An API key, without its secret. `lastTLS`, `lastJA4`, `lastAddress`: of the newest noted connection with it."""

    ID: int
    keyName: str
    description: str
    locale: LocaleName
    roleID: int
    timeZone: str
    active: bool
    created: Milliseconds
    lastSignIn: Milliseconds | None
    unlockTime: Milliseconds | None
    unsuccessfulSignInAttempts: int
    expiryDate: Milliseconds | None
    serviceAccount: bool
    name: str
    role: RoleName
    expires: Seconds | None
    lastUsed: Seconds | None
    createdBy: Who
    lastAddress: str | None
    lastTLS: VersionName | None
    lastJA4: Ja4 | None


class ApiKeys(Shape):
    apiKeys: list[ApiKey]


class NewApiKey(ApiKey):
    secretKey: Annotated[str, Field(description="in this answer and nowhere else", examples=["2:vJC6…="])]


class CurrentApiKey(ApiKey):
    """The key that asks."""

    roleURN: str
    tenantID: int
    tenantGUID: str


class RenewedApiKey(CurrentApiKey):
    secretKey: Annotated[str, Field(description="in this answer and nowhere else", examples=["2:vJC6…="])]


class User(Shape):
    """`unlockTime` is milliseconds, as in the reference; the other times are seconds."""

    ID: int
    username: str
    fullName: str
    description: str
    roleID: int
    active: bool
    unlockTime: Milliseconds | None
    unsuccessfulSignInAttempts: int
    role: RoleName
    created: Seconds
    disabled: bool
    lockedUntil: Seconds | None
    lastSignIn: Seconds | None
    origin: Annotated[str, OneOf("local", "oidc")]
    secondFactor: bool


class Users(Shape):
    administrators: list[User]


class ResetUser(User):
    """`password` is null where it was given."""

    password: Annotated[str | None, Field(description="in this answer and nowhere else")]


class SessionAnswer(Shape):
    """Of a person who signed in. `lastUsed` is to the minute; `current` is the session that asks."""

    ID: Annotated[str, Field(description="public: nobody signs in with it", examples=["2fd4e1c67a2d28fc"])]
    username: str
    created: Seconds
    lastUsed: Seconds
    expires: Seconds
    address: str
    how: Annotated[str, OneOf("password", "code", "recovery", "oidc")]
    current: bool


class Sessions(Shape):
    sessions: list[SessionAnswer]


class EndedSessions(Shape):
    ended: int


class SecondFactor(Shape):
    """`since` is null where sign-in asks for no code; `waiting`: a secret was given out and no code of it confirmed."""

    since: Seconds | None
    waiting: bool
    recoveryCodes: Annotated[int, Field(description="how many are left")]


class Enrolment(Shape):
    secret: Annotated[str, Field(description="base32; in this answer and nowhere else", examples=["JBSWY3DPEHPK3PXP…"])]
    uri: Annotated[str, Field(description="the same for a QR code", examples=["otpauth://totp/Plimsoll:anna?secret=…"])]


class RecoveryCodes(Shape):
    recoveryCodes: Annotated[list[str], Field(description="each is good once; in this answer and nowhere else")]


class Provider(Shape):
    """An identity provider that people sign in through. `roles`: role by value of the claim."""

    issuer: str
    clientId: str
    hasSecret: bool
    claim: str
    roles: dict[str, RoleName]
    nameClaim: str
    scopes: str
    label: Annotated[str, Field(description="what the button of the sign-in page says")]
    ca: Annotated[str, Field(description="PEM; empty: the system's")]


class ProviderAnswer(Shape):
    """Null where none is set."""

    provider: Provider | None


class ProviderCheck(Shape):
    """What the provider says of itself."""

    issuer: str
    authorizationEndpoint: str
    tokenEndpoint: str
    keys: str


class RoleAnswer(Shape):
    """One of the fixed roles. `permissions` are those of every use case that it may ask for."""

    ID: int
    name: RoleName
    description: str
    urn: str
    allRights: bool
    permissions: list[str]


class Roles(Shape):
    roles: list[RoleAnswer]


class Tenant(Shape):
    """The one that there is: the whole of this installation."""

    ID: int
    name: Annotated[str, OneOf("primary")]
    description: str
    guid: str
    tenantState: Annotated[str, OneOf("active")]


class Tenants(Shape):
    tenants: list[Tenant]


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
