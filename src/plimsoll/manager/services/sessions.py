"""Sessions of people who signed in: begun, recognised, listed, ended.

Rules of this file: a secret is made anew at every sign-in and stored hashed; what lists and ends sessions knows them
by a public id, from which nobody gets the secret; that a session is used is noted at most once a minute.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass

from plimsoll.manager import secret
from plimsoll.manager.ports import (
    BadInput,
    NotFound,
    Permission,
    Principal,
    Role,
    ServiceError,
    Unauthenticated,
    Via,
    internal,
    permits,
)
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import SESSIONS_ENDED, SIGNED_IN, NewEvent
from plimsoll.manager.services.keeping import OF_THE_SYSTEM
from plimsoll.manager.services.setting_values import IDLE_TIMEOUT, idle_timeout, unset
from plimsoll.manager.store import Connection, kept_settings
from plimsoll.manager.store import access as table
from plimsoll.manager.store.access import SessionRecord, UserRecord
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)

#: A session ends that long after the sign-in, however much it is used.
SESSION_SECONDS = 8 * 3600.0
#: A session's last use is stored at most that often, in seconds.
_USE_INTERVAL = 60.0
#: So many notes of uses are remembered before old ones are dropped.
_NOTES = 10_000
_ENDED = "the session has ended; sign in again"


@dataclass(frozen=True, slots=True)
class NewSession:
    """`secret` goes into the cookie ``sid``."""

    secret: str
    expires: float
    principal: Principal


@dataclass(frozen=True, slots=True)
class SessionView:
    """`id` is public, `last_used` is to the minute, `current` is the one that asks. `how`: password, code, recovery,
    oidc.
    """

    id: str
    user: str
    created: float
    last_used: float
    expires: float
    address: str
    how: str
    current: bool


def public_id(secret_hash: str) -> str:
    """64 bits of the hash: enough to tell sessions apart, and no way back to the secret's 256."""
    return secret_hash[:16]


def idle_seconds(connection: Connection) -> int:
    """How long a session may lie unused."""
    place = OF_THE_SYSTEM
    kept = kept_settings.value(connection, place.scope, place.owner, IDLE_TIMEOUT)
    return idle_timeout(kept or unset(IDLE_TIMEOUT))


def begin_session(
    unit: Unit, user: UserRecord, address: str, tls: Version | None, *, how: str, previous: str | None
) -> NewSession:
    """Within a transaction of whoever checked that it is this user.

    `previous` is the secret that the browser came with: that session ends, so that one which somebody else put there
    leads nowhere.
    """
    table.end_sessions(unit.connection, expired_at=unit.now)
    if previous is not None:
        table.end_sessions(unit.connection, secret_hash=secret.hash_secret(previous))
    text = secret.new_secret()
    hashed = secret.hash_secret(text)
    session = SessionRecord(hashed, user.name, unit.now, unit.now + SESSION_SECONDS, address, unit.now, how)
    principal = Principal("user", user.name, Role(user.role), "web", address, tls, session=public_id(hashed))
    table.change_user(unit.connection, user.name, failures=0, locked_until=None, last_sign_in=unit.now)
    table.add_session(unit.connection, session)
    unit.audit(principal, "access.sign_in", user.name, None, {"how": how})
    text_of = f"{user.name} signed in from {address or 'this computer'}"
    unit.event(NewEvent(SIGNED_IN, "info", text_of, target=user.name))
    return NewSession(text, session.expires, principal)


class SessionsService:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._noted: dict[str, float] = {}
        self._noting = threading.Lock()

    @internal
    def authenticate(
        self, session_secret: str, address: str, tls: Version | None = None, via: Via = "web", *, used: bool = True
    ) -> Principal:
        """Raises Unauthenticated: no such session, ended, unused for too long, or its user is disabled.

        `used` is false for what a page asks by itself, with nobody in front of it: that keeps no session alive.
        """
        hashed = secret.hash_secret(session_secret)

        def work(connection: Connection) -> tuple[SessionRecord | None, UserRecord | None, int]:
            session = table.session(connection, hashed)
            user = None if session is None else table.user(connection, session.user)
            return session, user, 0 if session is None else idle_seconds(connection)

        session, user, idle = self._core.store.read(work)
        now = self._core.clock()
        if session is None or user is None or user.disabled or session.expires <= now:
            raise Unauthenticated(_ENDED)
        if now - max(session.last_used, self._noted.get(hashed, 0.0)) >= idle:
            raise Unauthenticated(f"the session was not used for {idle // 60} minutes and has ended; sign in again")
        if used:
            self._note_use(session, now)
        return Principal("user", user.name, Role(user.role), via, address, tls, session=public_id(hashed))

    def _note_use(self, session: SessionRecord, now: float) -> None:
        with self._noting:
            if now - max(session.last_used, self._noted.get(session.secret_hash, 0.0)) < _USE_INTERVAL:
                return
            if len(self._noted) >= _NOTES:
                self._noted = {one: at for one, at in self._noted.items() if now - at < _USE_INTERVAL}
            self._noted[session.secret_hash] = now

        def check(done: Future[None]) -> None:
            if done.exception() is not None:
                log.warning("the last use of a session of %s could not be stored: %s", session.user, done.exception())

        try:
            waiting = self._core.enqueue(lambda unit: table.use_session(unit.connection, session.secret_hash, now))
        except ServiceError as error:
            # Who may ask does not depend on the note of it.
            log.warning("the last use of a session of %s could not be stored: %s", session.user, error)
        else:
            waiting.add_done_callback(check)

    @internal
    def sign_out(self, session_secret: str) -> None:
        self._core.store.write(lambda c: table.end_sessions(c, secret_hash=secret.hash_secret(session_secret)))

    @permits(Permission.OWN_ACCESS)
    def own(self, principal: Principal) -> tuple[SessionView, ...]:
        """The principal's own, the newest first; a key and the socket have none."""
        if principal.kind != "user":
            return ()
        return self._core.store.read(lambda c: self._views(c, principal.name, principal))

    @permits(Permission.OWN_ACCESS)
    def end_own(self, principal: Principal, session: str) -> None:
        """By its public id. Raises NotFound where it is nobody's, or somebody else's."""

        def work(unit: Unit) -> None:
            for one in table.sessions_of(unit.connection, _person(principal)):
                if public_id(one.secret_hash) == session:
                    table.end_sessions(unit.connection, secret_hash=one.secret_hash)
                    unit.audit(principal, "access.end_session", principal.name, {"session": session})
                    return
            raise NotFound("you have no such session; it may have ended already. Nothing was changed")

        self._core.write(work)

    @permits(Permission.OWN_ACCESS)
    def end_own_others(self, principal: Principal) -> int:
        """All of the principal's own but the one that asks; how many ended."""

        def work(unit: Unit) -> int:
            found = table.sessions_of(unit.connection, _person(principal))
            others = [one for one in found if public_id(one.secret_hash) != principal.session]
            for one in others:
                table.end_sessions(unit.connection, secret_hash=one.secret_hash)
            if others:
                unit.audit(principal, "access.end_sessions", principal.name, {"ended": len(others)})
            return len(others)

        return self._core.write(work)

    @permits(Permission.ACCESS_READ)
    def of_user(self, principal: Principal, name: str) -> tuple[SessionView, ...]:
        """By name or ID. Raises NotFound."""
        return self._core.store.read(lambda c: self._views(c, known_user(c, name).name, principal))

    @permits(Permission.ACCESS_CHANGE)
    def end_of_user(self, principal: Principal, name: str) -> int:
        """All sessions of a user, by name or ID; how many ended. Raises NotFound."""

        def work(unit: Unit) -> int:
            user = known_user(unit.connection, name).name
            ended = table.end_sessions(unit.connection, of=user)
            if ended:
                unit.audit(principal, "access.end_sessions", user, {"ended": ended})
                text = f"{ended} sessions of {user} were ended by {principal.name}"
                unit.event(NewEvent(SESSIONS_ENDED, "info", text, target=user))
            return ended

        return self._core.write(work)

    def _views(self, connection: Connection, name: str, principal: Principal) -> tuple[SessionView, ...]:
        """Those that still count; what ended by time is dropped at somebody's next sign-in."""
        now, idle = self._core.clock(), idle_seconds(connection)
        views = []
        for one in table.sessions_of(connection, name):
            last = max(one.last_used, self._noted.get(one.secret_hash, 0.0))
            if one.expires > now and now - last < idle:
                shown = public_id(one.secret_hash)
                current = shown == principal.session
                views.append(SessionView(shown, name, one.created, last, one.expires, one.address, one.how, current))
        return tuple(views)


def _person(principal: Principal) -> str:
    if principal.kind != "user":
        raise BadInput("only a user who signed in has sessions; nothing was changed")
    return principal.name


def known_user(connection: Connection, name: str) -> UserRecord:
    """By name, else by ID: a name of digits means the user of that name. Raises NotFound."""
    found = table.user(connection, name)
    if found is None and name.isascii() and name.isdigit():
        found = next((one for one in table.all_users(connection) if str(one.id) == name), None)
    if found is None:
        raise NotFound(f"there is no user {name!r}; nothing was changed")
    return found
