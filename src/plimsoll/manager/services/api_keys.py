"""API keys: made, shown once, changed, renewed, recognised, and what each was last seen with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

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
from plimsoll.manager.services.access import chosen_role
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.store import Connection
from plimsoll.manager.store import access as table
from plimsoll.manager.store.access import ApiKeyRecord
from plimsoll.tls.versions import Version

log = logging.getLogger(__name__)

#: A key's last use is stored at most that often, in seconds.
_USE_INTERVAL = 60.0
_WRONG_KEY = "the API key is not valid (unknown, expired or disabled); nothing was done. Ask an administrator for one"


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """`address`, `tls` and `ja4` are those of the newest connection that used it, as far as that was noted."""

    id: int
    name: str
    role: Role
    created: float
    expires: float | None
    last_used: float | None
    active: bool
    who: str
    description: str
    locale: str
    time_zone: str
    address: str
    tls: Version | None
    ja4: str


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """`key` has the form ``<id>:<base64>`` and is shown this once."""

    view: ApiKeyView
    key: str


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Fields to change; None leaves one as it is. `expires` is in seconds since 1970, 0 takes the expiry away."""

    name: str | None = None
    description: str | None = None
    role: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    active: bool | None = None
    expires: float | None = None


class ApiKeysService:
    def __init__(self, core: Core) -> None:
        self._core = core
        #: None where the key was deleted: an id is never used again.
        self._keys: dict[int, ApiKeyRecord | None] = {}
        self._changing = threading.Lock()
        self._used: dict[int, float] = {}

    @internal
    def authenticate(
        self,
        key: str,
        address: str,
        tls: Version | None = None,
        via: Via = "rest",
        seen: Callable[[], str] = str,
    ) -> Principal:
        """Raises Unauthenticated: unknown, wrong, expired or disabled, without saying which.

        `seen` gives the JA4 of the connection where it is to be noted.
        """
        identifier, _, text = key.strip().partition(":")
        if not (identifier.isascii() and identifier.isdigit() and len(identifier) < 16):
            raise Unauthenticated(_WRONG_KEY)
        number = int(identifier)
        if number not in self._keys:
            found = self._core.store.read(lambda c: table.api_key(c, number))
            if found is None:
                raise Unauthenticated(_WRONG_KEY)
            # Whoever changed it in the meantime knows better than this reading.
            self._keys.setdefault(number, found)
        record = self._keys[number]
        now = self._core.clock()
        if record is None or not secret.same_secret(record.secret_hash, text):
            raise Unauthenticated(_WRONG_KEY)
        if not record.active or (record.expires is not None and record.expires <= now):
            raise Unauthenticated(_WRONG_KEY)
        self._note_use(number, now, address, tls, seen)
        return Principal("apikey", record.name, Role(record.role), via, address, tls, id=str(number))

    def _note_use(self, key: int, now: float, address: str, tls: Version | None, seen: Callable[[], str]) -> None:
        if now - self._used.get(key, 0.0) < _USE_INTERVAL:
            return
        self._used[key] = now
        columns = {"last_used": now, "last_address": address, "last_tls": tls, "last_ja4": seen()}

        def check(done: Future[None]) -> None:
            if done.exception() is not None:
                log.warning("the last use of API key %d could not be stored: %s", key, done.exception())

        try:
            waiting = self._core.enqueue(lambda unit: table.change_api_key(unit.connection, key, **columns))
        except ServiceError as error:
            # Who may ask does not depend on the note of it.
            log.warning("the last use of API key %d could not be stored: %s", key, error)
        else:
            waiting.add_done_callback(check)

    @permits(Permission.ACCESS_READ)
    def list(self, principal: Principal) -> tuple[ApiKeyView, ...]:
        """In the order of their ids."""
        return tuple(map(_view, self._core.store.read(table.all_api_keys)))

    @permits(Permission.ACCESS_READ)
    def get(self, principal: Principal, key: int) -> ApiKeyView:
        return _view(self._core.store.read(lambda c: _known(c, key)))

    @permits(Permission.OWN_ACCESS)
    def own(self, principal: Principal) -> ApiKeyView:
        """The key that asks."""
        number = _number(principal)
        return _view(self._core.store.read(lambda c: _known(c, number)))

    @permits(Permission.ACCESS_CHANGE)
    def create(
        self,
        principal: Principal,
        name: str,
        role: str,
        expires_in: float | None = None,
        more: KeyChange | None = None,
    ) -> NewApiKey:
        """The key is shown in the answer and never again; the store has its hash."""
        chosen = chosen_role(role)
        if expires_in is not None and expires_in <= 0:
            raise BadInput("an API key must expire in the future; nothing was made")
        columns = _columns(more or KeyChange(), self._core.clock())
        text = secret.new_key_secret()

        def work(unit: Unit) -> ApiKeyRecord:
            identifier = add_api_key(
                unit.connection, _named(name), chosen, text, principal.who, unit.now, expires_in=expires_in
            )
            if columns:
                table.change_api_key(unit.connection, identifier, **columns)
            made = {"name": name, "role": chosen.value} | columns
            unit.audit(principal, "access.create_api_key", str(identifier), None, made)
            return _known(unit.connection, identifier)

        record = self._core.write(work)
        return NewApiKey(_view(record), f"{record.id}:{text}")

    @permits(Permission.ACCESS_CHANGE)
    def update(self, principal: Principal, key: int, change: KeyChange) -> ApiKeyView:
        """Counts from the next request on that brings the key."""
        return self._change(principal, key, _columns(change, self._core.clock()))

    @permits(Permission.OWN_ACCESS)
    def update_own(self, principal: Principal, change: KeyChange) -> ApiKeyView:
        """Name, description, locale and time zone of the key that asks: nobody gives himself a role or more time."""
        number = _number(principal)
        if change.role is not None or change.active is not None or change.expires is not None:
            raise BadInput("a key cannot change its own role, expiry or state; nothing was changed")
        return self._change(principal, number, _columns(change, self._core.clock()))

    def _change(self, principal: Principal, key: int, columns: dict[str, Any]) -> ApiKeyView:
        def work(unit: Unit) -> ApiKeyRecord:
            before = _known(unit.connection, key)
            moved = {name: value for name, value in columns.items() if getattr(before, name) != value}
            if moved:
                table.change_api_key(unit.connection, key, **moved)
                earlier = {name: getattr(before, name) for name in moved}
                unit.audit(principal, "access.update_api_key", str(key), earlier, moved)
            return _known(unit.connection, key)

        return _view(self._put(key, work))

    @permits(Permission.ACCESS_CHANGE)
    def renew(self, principal: Principal, key: int) -> NewApiKey:
        """Another secret for the same key; the former one is refused from the next request on."""
        return self._renew(principal, key)

    @permits(Permission.OWN_ACCESS)
    def renew_own(self, principal: Principal) -> NewApiKey:
        return self._renew(principal, _number(principal))

    def _renew(self, principal: Principal, key: int) -> NewApiKey:
        text = secret.new_key_secret()

        def work(unit: Unit) -> ApiKeyRecord:
            _known(unit.connection, key)
            table.change_api_key(unit.connection, key, secret_hash=secret.hash_secret(text))
            unit.audit(principal, "access.renew_api_key", str(key))
            return _known(unit.connection, key)

        return NewApiKey(_view(self._put(key, work)), f"{key}:{text}")

    @permits(Permission.ACCESS_CHANGE)
    def delete(self, principal: Principal, key: int) -> None:
        def work(unit: Unit) -> None:
            found = _known(unit.connection, key)
            table.delete_api_key(unit.connection, key)
            unit.audit(principal, "access.delete_api_key", str(key), {"name": found.name, "role": found.role})

        with self._changing:
            self._core.write(work)
            self._keys[key] = None

    def _put(self, key: int, work: Callable[[Unit], ApiKeyRecord]) -> ApiKeyRecord:
        """One after another, so that memory ends up with what the store has."""
        with self._changing:
            record = self._core.write(work)
            self._keys[key] = record
        return record


def add_api_key(
    connection: Connection,
    name: str,
    role: Role,
    text: str,
    who: str,
    now: float,
    *,
    expires_in: float | None = None,
) -> int:
    return table.add_api_key(
        connection,
        name=name,
        secret_hash=secret.hash_secret(text),
        role=role.value,
        created=now,
        expires=None if expires_in is None else now + expires_in,
        active=True,
        who=who,
    )


def _named(name: str) -> str:
    if not name.strip():
        raise BadInput("an API key needs a name; nothing was changed")
    return name.strip()


def _columns(change: KeyChange, now: float) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": None if change.name is None else _named(change.name),
        "description": change.description,
        "role": None if change.role is None else chosen_role(change.role).value,
        "locale": change.locale,
        "time_zone": change.time_zone,
        "active": change.active,
    }
    columns = {name: value for name, value in given.items() if value is not None}
    if change.expires is not None:
        if 0 < change.expires <= now:
            raise BadInput("an API key must expire in the future; nothing was changed")
        columns["expires"] = change.expires or None
    return columns


def _number(principal: Principal) -> int:
    if principal.kind != "apikey":
        raise NotFound("no API key asked this, so there is no current one; nothing was changed")
    return int(principal.id)


def _known(connection: Connection, key: int) -> ApiKeyRecord:
    found = table.api_key(connection, key)
    if found is None:
        raise NotFound(f"there is no API key {key}; nothing was changed")
    return found


def _view(key: ApiKeyRecord) -> ApiKeyView:
    return ApiKeyView(
        id=key.id,
        name=key.name,
        role=Role(key.role),
        created=key.created,
        expires=key.expires,
        last_used=key.last_used,
        active=key.active,
        who=key.who,
        description=key.description,
        locale=key.locale,
        time_zone=key.time_zone,
        address=key.last_address,
        tls=key.last_tls,
        ja4=key.last_ja4,
    )
