"""What the manager's services need from their callers and give to them: who asks, what is permitted, how it fails.

Rules of this file: every use case takes a `Principal` first and names its `Permission` with the `permits` decorator;
what the manager does by itself carries `internal`. A public service method with neither fails a test, so that a
forgotten check is loud.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from plimsoll.tls.floors import FloorSnapshot
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.net.sightings import Sighting


class Role(enum.StrEnum):
    """What a user or an API key may do. A socket principal is an administrator: the socket opens to its owner only."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Permission(enum.StrEnum):
    """One kind of use case. `*_READ` ones change nothing but what authentication itself notes."""

    FLOORS_READ = "floors.read"
    FLOORS_CHANGE = "floors.change"
    COMPUTERS_READ = "computers.read"
    COMPUTERS_CHANGE = "computers.change"
    POLICIES_READ = "policies.read"
    POLICIES_CHANGE = "policies.change"
    POLICIES_SEND = "policies.send"
    TOKENS_READ = "tokens.read"
    TOKENS_CHANGE = "tokens.change"
    EVENTS_READ = "events.read"
    AUDIT_READ = "audit.read"
    ACCESS_READ = "access.read"
    ACCESS_CHANGE = "access.change"
    OWN_ACCESS = "access.own"
    CERTIFICATE_READ = "certificate.read"
    CERTIFICATE_CHANGE = "certificate.change"
    MANAGER_READ = "manager.read"
    MANAGER_CHANGE = "manager.change"
    SOFTWARE_READ = "software.read"
    SOFTWARE_CHANGE = "software.change"
    SOFTWARE_TRUST = "software.trust"
    UPGRADES_READ = "upgrades.read"
    UPGRADES_CHANGE = "upgrades.change"
    NOTIFICATIONS_READ = "notifications.read"
    NOTIFICATIONS_CHANGE = "notifications.change"
    TASKS_READ = "tasks.read"
    TASKS_CHANGE = "tasks.change"
    SCANS_READ = "scans.read"
    SCANS_CHANGE = "scans.change"


READS: frozenset[Permission] = frozenset(p for p in Permission if p.value.endswith(".read"))

#: What each role may do. What is not listed is refused.
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.OPERATOR: READS
    | {
        Permission.FLOORS_CHANGE,
        Permission.COMPUTERS_CHANGE,
        Permission.POLICIES_CHANGE,
        Permission.POLICIES_SEND,
        Permission.TOKENS_CHANGE,
        Permission.SOFTWARE_CHANGE,
        Permission.UPGRADES_CHANGE,
        Permission.TASKS_CHANGE,
        Permission.SCANS_CHANGE,
        Permission.OWN_ACCESS,
    },
    Role.AUDITOR: READS | {Permission.OWN_ACCESS},
}

PrincipalKind = Literal["user", "apikey", "socket", "system"]
Via = Literal["rest", "soap", "socket", "web", "cli", "system"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, through which door, from where and with which TLS. `name` is a user's or a key's name.

    `suite` is OpenSSL's name of what the connection uses, where there is one. `session` is the public id of the session
    that a user asks in.
    """

    kind: PrincipalKind
    name: str
    role: Role
    via: Via
    address: str = ""
    tls: Version | None = None
    id: str = ""
    suite: str = ""
    session: str = ""

    @property
    def who(self) -> str:
        """The form that audit, history and sightings carry: ``user:anna``, ``apikey:2`` (its id), ``socket:uid 0``."""
        return f"{self.kind}:{self.id or self.name}"

    def may(self, permission: Permission) -> bool:
        return permission in ROLES[self.role]


#: The manager itself: start-up, time, incoming heartbeats.
SYSTEM = Principal("system", "manager", Role.ADMINISTRATOR, "system")


def socket_principal(uid: int, via: Via = "socket") -> Principal:
    """Whoever could open the local socket, or the home of a stopped manager."""
    return Principal("socket", f"uid {uid}", Role.ADMINISTRATOR, via)


class ServiceError(Exception):
    """A use case that was refused or failed, in words for a person. `status` is the HTTP status that fits."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadInput(ServiceError):  # noqa: N818 - names a condition, and reads as one at the call
    status = 400


class Unauthenticated(ServiceError):  # noqa: N818
    status = 401


class CodeNeeded(Unauthenticated):
    """The password was right, and a code of the second factor is missing or does not count.

    `ticket` stands for the password for a few minutes, so that it need not be asked for again.
    """

    def __init__(self, message: str, ticket: str = "") -> None:
        super().__init__(message)
        self.ticket = ticket


class Forbidden(ServiceError):  # noqa: N818
    status = 403


class NotFound(ServiceError):  # noqa: N818
    status = 404


class Conflict(ServiceError):  # noqa: N818
    status = 409


class Blocked(Conflict):
    """A raise that would cut parts off. `preflight` is the `fleet.preflight.Preflight` that says whom."""

    def __init__(self, message: str, preflight: Any) -> None:
        super().__init__(message)
        self.preflight = preflight


class Unavailable(ServiceError):  # noqa: N818
    """The store cannot take or give anything just now. Nothing of the request was kept.

    `cause` says more, with hosts and users: for the log, and for whoever may see the manager's own state.
    """

    status = 503

    def __init__(self, message: str, retry_after: float = 5.0, cause: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.cause = cause


class TooMany(ServiceError):  # noqa: N818
    """More requests in a minute than one may make. The words are those that the reference's clients know."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__("Too many API requests")
        self.retry_after = retry_after


def require(principal: Principal, permission: Permission) -> None:
    """Raises Forbidden, naming role and permission, where the principal may not do this."""
    if not principal.may(permission):
        raise Forbidden(
            f"{principal.name} has the role {principal.role.value}, which does not include {permission.value};"
            " nothing was changed. Ask an administrator, or use a key with another role"
        )


S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def permits(
    permission: Permission,
) -> Callable[[Callable[Concatenate[S, Principal, P], T]], Callable[Concatenate[S, Principal, P], T]]:
    """Marks a use case with its permission, and checks it before the method runs."""

    def decorate(method: Callable[Concatenate[S, Principal, P], T]) -> Callable[Concatenate[S, Principal, P], T]:
        @functools.wraps(method)
        def checked(self: S, principal: Principal, /, *args: P.args, **kwargs: P.kwargs) -> T:
            require(principal, permission)
            return method(self, principal, *args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]  # read by the test that walks all methods
        return checked

    return decorate


def internal(method: F) -> F:
    """Marks a method that the manager calls by itself; no door hands a person's request to it unchecked."""
    method.internal = True  # type: ignore[attr-defined]  # read by the test that walks all methods
    return method


@dataclass(frozen=True, slots=True)
class Presence:
    """What one computer showed since the last batch: a heartbeat's presence part, from memory.

    `address`, `ja4`, `offered` and `negotiated` come from the handshake that ended with its own certificate.
    """

    computer: str
    last_seen: float
    address: str = ""
    ja4: str = ""
    offered: Version | None = None
    negotiated: Version | None = None
    observed_at: float | None = None


class Observed(Protocol):
    """What was seen and is not stored yet. Services take it before they judge; each item is given once."""

    def presence(self) -> Iterable[Presence]: ...

    def sightings(self) -> Iterable[Sighting]: ...


class NothingObserved:
    """For a stopped manager's home: all there is stands in the store."""

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        return ()


#: Called after a new floor was committed, in the thread of the service; returns when gates use the snapshot.
Publish = Callable[[FloorSnapshot], None]
