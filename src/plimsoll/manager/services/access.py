"""Users, roles, sessions, API keys and the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plimsoll.manager.ports import Permission, Principal, Role, Via, internal, permits
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class UserView:
    name: str
    role: Role
    created: float
    disabled: bool
    locked_until: float | None
    last_sign_in: float | None


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    id: int
    name: str
    role: Role
    created: float
    expires: float | None
    last_used: float | None
    active: bool
    who: str


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """`key` has the form ``<id>:<base64>`` and is shown this once."""

    view: ApiKeyView
    key: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """`secret` goes into the cookie ``sid``."""

    secret: str
    expires: float
    principal: Principal


@dataclass(frozen=True, slots=True)
class AuditEntry:
    id: int
    time: float
    who: str
    via: str
    address: str
    action: str
    target: str
    before: Any
    after: Any


class AccessService:
    @internal
    def authenticate_key(self, key: str, address: str, tls: Version | None = None, via: Via = "rest") -> Principal:
        """Raises Unauthenticated: unknown, wrong, expired or disabled, without saying which."""
        raise NotImplementedError

    @internal
    def sign_in(self, user: str, password: str, address: str, tls: Version | None = None) -> NewSession:
        """Raises Unauthenticated; after five failures in a row the user is locked for a while."""
        raise NotImplementedError

    @internal
    def authenticate_session(
        self, secret: str, address: str, tls: Version | None = None, via: Via = "web"
    ) -> Principal:
        raise NotImplementedError

    @internal
    def sign_out(self, secret: str) -> None:
        raise NotImplementedError

    @permits(Permission.ACCESS_READ)
    def users(self, principal: Principal) -> tuple[UserView, ...]:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def create_user(self, principal: Principal, name: str, password: str, role: str) -> UserView:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def update_user(
        self,
        principal: Principal,
        name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        unlock: bool = False,
    ) -> UserView:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def delete_user(self, principal: Principal, name: str) -> None:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def set_password(self, principal: Principal, name: str, password: str) -> None:
        """Any user's password; ends the user's sessions."""
        raise NotImplementedError

    @permits(Permission.OWN_ACCESS)
    def change_own_password(self, principal: Principal, old: str, new: str) -> None:
        raise NotImplementedError

    @permits(Permission.ACCESS_READ)
    def api_keys(self, principal: Principal) -> tuple[ApiKeyView, ...]:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def create_api_key(self, principal: Principal, name: str, role: str, expires_in: float | None = None) -> NewApiKey:
        raise NotImplementedError

    @permits(Permission.ACCESS_CHANGE)
    def delete_api_key(self, principal: Principal, key: int) -> None:
        raise NotImplementedError

    @permits(Permission.AUDIT_READ)
    def audit(self, principal: Principal, limit: int = 200, before: int | None = None) -> tuple[AuditEntry, ...]:
        """Newest first; `before` an id, for the next page."""
        raise NotImplementedError
