"""Users, roles, sessions and the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plimsoll.manager import secret
from plimsoll.manager.ports import (
    BadInput,
    CodeNeeded,
    Conflict,
    Forbidden,
    Permission,
    Principal,
    Role,
    Unauthenticated,
    Via,
    internal,
    permits,
)
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import ADMINISTRATOR_RESET, NewEvent
from plimsoll.manager.services.lockout import is_locked, note_failure
from plimsoll.manager.services.second_factor import check_own_password, clear_factor, spend_code
from plimsoll.manager.services.sessions import NewSession, SessionsService, begin_session, known_user
from plimsoll.manager.store import Connection
from plimsoll.manager.store import access as table
from plimsoll.manager.store import audit as audit_table
from plimsoll.manager.store.access import UserRecord
from plimsoll.tls.versions import Version

#: A right password counts for that long where a code is asked for, in seconds.
TICKET_SECONDS = 300.0
_ABOUT_TICKET = "sign-in"
_OLD_TICKET = "that took too long, or the password was changed meanwhile; nothing was done. Sign in again"
_WRONG_CODE = "the code is wrong, or was used before; wait for the next one, or use a recovery code"
_CODE_NEEDED = (
    "a code of your authenticator, or a recovery code, is needed too; nothing was done. Programs use an API key instead"
)
_WRONG_USER = "user or password is wrong, or the user is locked for a while after failures; nothing was done"


@dataclass(frozen=True, slots=True)
class UserView:
    name: str
    role: Role
    created: float
    disabled: bool
    locked_until: float | None
    last_sign_in: float | None
    id: int = 0
    failures: int = 0
    full_name: str = ""
    description: str = ""
    origin: str = table.LOCAL
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class NewPassword:
    """`password` is shown this once; None where it was given."""

    user: UserView
    password: str | None


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
    def __init__(self, core: Core, sessions: SessionsService) -> None:
        self._core = core
        self._sessions = sessions

    @internal
    def sign_in(
        self,
        user: str,
        password: str,
        address: str,
        tls: Version | None = None,
        code: str | None = None,
        *,
        previous: str | None = None,
    ) -> NewSession:
        """Raises Unauthenticated; after five failures in a row the user is locked for a while. Raises CodeNeeded, after
        the password was right and not before, where the user has a second factor and `code` is none of it: six digits
        of the authenticator, or a recovery code.

        `previous` is the secret of the session that the browser came with, which ends.
        """
        record = self._core.store.read(lambda c: table.user(c, user))
        right = secret.check_password(record.password_hash if record else None, password)
        if record is None:
            raise Unauthenticated(_WRONG_USER)
        locked = is_locked(record, self._core.clock())
        if not right or locked or record.disabled:
            if not locked and not right:
                note_failure(self._core, user, address, "password")
            raise Unauthenticated(_WRONG_USER)
        if record.totp_since is not None and not (code or "").strip():
            raise CodeNeeded(_CODE_NEEDED, self._ticket(record))
        return self._complete(record, address, tls, code, previous)

    @internal
    def sign_in_with_code(
        self, ticket: str, code: str, address: str, tls: Version | None = None, *, previous: str | None = None
    ) -> NewSession:
        """The second step where `sign_in` raised CodeNeeded with that ticket. Raises as `sign_in`, and Unauthenticated
        where the ticket is too old, or the password is another by now.
        """
        try:
            text = self._core.home.sealer.open(ticket, _ABOUT_TICKET)
        except Conflict:
            raise Unauthenticated(_OLD_TICKET) from None
        until, hashed, user = text.split(" ", 2)
        record = self._core.store.read(lambda c: table.user(c, user))
        now = self._core.clock()
        if record is None or float(until) <= now or not secret.same_secret(hashed, record.password_hash):
            raise Unauthenticated(_OLD_TICKET)
        if is_locked(record, now) or record.disabled:
            raise Unauthenticated(_WRONG_USER)
        if not code.strip():
            raise CodeNeeded(_CODE_NEEDED, ticket)
        return self._complete(record, address, tls, code, previous)

    def _ticket(self, user: UserRecord) -> str:
        until = self._core.clock() + TICKET_SECONDS
        text = f"{until} {secret.hash_secret(user.password_hash)} {user.name}"
        return self._core.home.sealer.seal(text, _ABOUT_TICKET)

    def _complete(
        self, record: UserRecord, address: str, tls: Version | None, code: str | None, previous: str | None
    ) -> NewSession:
        """For whoever had the password of `record`."""

        def work(unit: Unit) -> NewSession | None:
            now = table.user(unit.connection, record.name)
            if now is None or now.disabled or now.password_hash != record.password_hash or is_locked(now, unit.now):
                # It was changed, or others failed, while the password was being checked.
                raise Unauthenticated(_WRONG_USER)
            how: str | None = "password"
            if now.totp_since is not None:
                how = spend_code(unit, self._core.home.sealer, now, code or "")
            return None if how is None else begin_session(unit, now, address, tls, how=how, previous=previous)

        session = self._core.write(work)
        if session is None:
            note_failure(self._core, record.name, address, "code")
            raise CodeNeeded(_WRONG_CODE, self._ticket(record))
        return session

    @internal
    def authenticate_session(
        self, session_secret: str, address: str, tls: Version | None = None, via: Via = "web", *, used: bool = True
    ) -> Principal:
        """Raises Unauthenticated. What `used` is: `SessionsService.authenticate`."""
        return self._sessions.authenticate(session_secret, address, tls, via, used=used)

    @internal
    def request_limits(self) -> tuple[int, int]:
        """Requests a minute: of each user or key, and of all on this manager; 0 is no limit. As the file says now."""
        configuration = self._core.home.config
        return configuration.requests_each, configuration.requests_all

    @internal
    def sign_out(self, session_secret: str) -> None:
        self._sessions.sign_out(session_secret)

    @permits(Permission.ACCESS_READ)
    def users(self, principal: Principal) -> tuple[UserView, ...]:
        return tuple(map(_user_view, self._core.store.read(table.all_users)))

    @permits(Permission.ACCESS_READ)
    def user(self, principal: Principal, name: str) -> UserView:
        """`name`, here and below, is a user's name or ID."""
        return _user_view(self._core.store.read(lambda c: known_user(c, name)))

    @permits(Permission.ACCESS_CHANGE)
    def create_user(self, principal: Principal, name: str, password: str, role: str) -> UserView:
        name, chosen = name.strip(), chosen_role(role)
        if not name or len(name) > 100 or not name.isprintable():
            raise BadInput("a user needs a name of 1 to 100 printable characters; nobody was added")
        hashed = _hashed(password)

        def work(unit: Unit) -> UserRecord:
            if table.user(unit.connection, name) is not None:
                raise Conflict(f"there is a user {name!r} already; nothing was changed")
            table.add_user(unit.connection, name=name, password_hash=hashed, role=chosen.value, created=unit.now)
            unit.audit(principal, "access.create_user", name, None, {"role": chosen.value})
            return known_user(unit.connection, name)

        return _user_view(self._core.write(work))

    @permits(Permission.ACCESS_CHANGE)
    def update_user(
        self,
        principal: Principal,
        name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        unlock: bool = False,
        full_name: str | None = None,
        description: str | None = None,
    ) -> UserView:
        """A user who is disabled, or gets another role, goes on with that at the next request."""
        columns: dict[str, Any] = {}
        if role is not None:
            columns["role"] = chosen_role(role).value
        if disabled is not None:
            columns["disabled"] = disabled
        if unlock:
            columns |= {"failures": 0, "locked_until": None}
        if full_name is not None:
            columns["full_name"] = full_name
        if description is not None:
            columns["description"] = description

        def work(unit: Unit) -> UserRecord:
            before = known_user(unit.connection, name)
            if columns:
                table.change_user(unit.connection, before.name, **columns)
                _check_somebody_left(unit.connection)
                earlier = {key: getattr(before, key) for key in columns}
                unit.audit(principal, "access.update_user", before.name, earlier, columns)
            return known_user(unit.connection, before.name)

        return _user_view(self._core.write(work))

    @permits(Permission.ACCESS_CHANGE)
    def delete_user(self, principal: Principal, name: str) -> None:
        def work(unit: Unit) -> None:
            before = known_user(unit.connection, name)
            table.delete_user(unit.connection, before.name)
            _check_somebody_left(unit.connection)
            unit.audit(principal, "access.delete_user", before.name, {"role": before.role})

        self._core.write(work)

    @permits(Permission.ACCESS_CHANGE)
    def set_password(self, principal: Principal, name: str, password: str) -> None:
        """Any user's password; ends the user's sessions."""
        self._set_password(principal, name, password)

    @permits(Permission.ACCESS_CHANGE)
    def reset_administrator(self, principal: Principal, name: str, password: str | None = None) -> NewPassword:
        """The way back in for whoever owns the home: a new password, no lock, no second factor, no sessions of before,
        and enabled. Without `password` one is made up.

        Raises Forbidden for all but the local socket, NotFound, and Conflict for who is no administrator or has no
        password here.
        """
        if principal.kind != "socket":
            raise Forbidden("an administrator is reset on the manager's own computer only; nothing was changed")
        made = secret.new_password() if password is None else None
        hashed = _hashed(made or password or "")

        def work(unit: Unit) -> UserRecord:
            user = known_user(unit.connection, name)
            if user.role != Role.ADMINISTRATOR.value:
                raise Conflict(f"{user.name} has the role {user.role} and is no administrator; nothing was changed")
            if user.origin != table.LOCAL:
                raise Conflict(f"{user.name} signs in through the identity provider; nothing was changed")
            clear_factor(unit, user.name)
            table.change_user(
                unit.connection, user.name, password_hash=hashed, failures=0, locked_until=None, disabled=False
            )
            table.end_sessions(unit.connection, of=user.name)
            before = {"disabled": user.disabled, "locked_until": user.locked_until}
            before["second_factor"] = user.totp_since is not None
            unit.audit(principal, "access.reset_administrator", user.name, before)
            text = f"{user.name} was reset on the manager's computer by {principal.name}: password, lock, second factor"
            unit.event(NewEvent(ADMINISTRATOR_RESET, "warning", text, target=user.name))
            return known_user(unit.connection, user.name)

        return NewPassword(_user_view(self._core.write(work)), made)

    @permits(Permission.OWN_ACCESS)
    def change_own_password(self, principal: Principal, old: str, new: str) -> None:
        """The principal's own password, for whoever knows the old one; ends all the user's sessions."""
        if principal.kind != "user":
            raise BadInput("only a user has a password; nothing was changed")
        check_own_password(self._core, principal, old, "old password")
        self._set_password(principal, principal.name, new)

    def _set_password(self, principal: Principal, name: str, password: str) -> None:
        hashed = _hashed(password)

        def work(unit: Unit) -> None:
            found = known_user(unit.connection, name)
            user = found.name
            if found.origin != table.LOCAL:
                raise Conflict(f"{user} signs in through the identity provider and has no password here; none was set")
            # A secret that waits for its first code was given out under the former password.
            table.change_user(
                unit.connection, user, password_hash=hashed, failures=0, locked_until=None, totp_pending=""
            )
            table.end_sessions(unit.connection, of=user)
            unit.audit(principal, "access.set_password", user)

        self._core.write(work)

    @permits(Permission.AUDIT_READ)
    def audit(self, principal: Principal, limit: int = 200, before: int | None = None) -> tuple[AuditEntry, ...]:
        """Newest first; `before` an id, for the next page."""
        rows = self._core.store.read(lambda c: audit_table.entries(c, min(max(limit, 1), 10_000), before))
        return tuple(
            AuditEntry(r.id, r.time, r.who, r.via, r.address, r.action, r.target, r.before, r.after) for r in rows
        )


def chosen_role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise BadInput(f"unknown role {name!r}; valid are {', '.join(Role)}. Nothing was changed") from None


def _hashed(password: str) -> str:
    if len(password) < secret.MINIMUM_PASSWORD:
        raise BadInput(f"a password has at least {secret.MINIMUM_PASSWORD} characters; nothing was changed")
    return secret.hash_password(password)


def _check_somebody_left(connection: Connection) -> None:
    """One with a password: an identity provider may be away, or know nobody here any more."""
    users = table.all_users(connection)
    if not any(
        one.role == Role.ADMINISTRATOR.value and not one.disabled and one.origin == table.LOCAL for one in users
    ):
        raise Conflict("the last administrator with a password stays; nothing was changed. Make another one first")


def _user_view(user: UserRecord) -> UserView:
    return UserView(
        name=user.name,
        role=Role(user.role),
        created=user.created,
        disabled=user.disabled,
        locked_until=user.locked_until,
        last_sign_in=user.last_sign_in,
        id=user.id,
        failures=user.failures,
        full_name=user.full_name,
        description=user.description,
        origin=user.origin,
        second_factor=user.totp_since is not None,
    )
