"""Users, sessions, API keys and activation tokens. Secrets come here hashed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from plimsoll.manager.store._rows import record, records
from plimsoll.manager.store.tables import api_keys, oidc_states, recovery_codes, sessions, tokens, users
from plimsoll.tls.versions import Version

#: Where a user comes from: made here, or by an identity provider.
LOCAL, OIDC = "local", "oidc"


@dataclass(frozen=True, slots=True)
class UserRecord:
    name: str
    password_hash: str
    role: str
    created: float = 0.0
    disabled: bool = False
    failures: int = 0
    locked_until: float | None = None
    last_sign_in: float | None = None
    id: int = 0
    full_name: str = ""
    description: str = ""
    origin: str = LOCAL
    external_id: str | None = None
    totp_secret: str = field(default="", repr=False)
    totp_pending: str = field(default="", repr=False)
    totp_since: float | None = None
    totp_step: int = 0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    secret_hash: str
    user: str
    created: float
    expires: float
    address: str
    last_used: float = 0.0
    how: str = "password"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    id: int
    name: str
    secret_hash: str
    role: str
    created: float
    expires: float | None
    last_used: float | None
    active: bool
    who: str
    description: str = ""
    last_address: str = ""
    last_tls: Version | None = None
    last_ja4: str = ""
    locale: str = "en-US"
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    id: str
    secret_hash: str
    expires: float
    uses_left: int | None = None
    uses: int | None = None
    kind: str | None = None
    created: float = 0.0
    who: str = ""


def user(connection: Connection, name: str) -> UserRecord | None:
    return record(UserRecord, connection.execute(select(users).where(users.c.name == name)).one_or_none())


def all_users(connection: Connection) -> tuple[UserRecord, ...]:
    return records(UserRecord, connection.execute(select(users).order_by(users.c.name)))


def add_user(connection: Connection, **values: Any) -> None:
    connection.execute(insert(users).values(**values))


def change_user(connection: Connection, name: str, **values: Any) -> None:
    connection.execute(update(users).where(users.c.name == name).values(**values))


def delete_user(connection: Connection, name: str) -> None:
    connection.execute(delete(users).where(users.c.name == name))


def external_user(connection: Connection, person: str) -> UserRecord | None:
    """By who it is at an identity provider."""
    return record(UserRecord, connection.execute(select(users).where(users.c.external_id == person)).one_or_none())


def spent_states(connection: Connection, now: float) -> int:
    """How many count no more; those whose time is over are forgotten."""
    connection.execute(delete(oidc_states).where(oidc_states.c.until <= now))
    return connection.scalar(select(func.count()).select_from(oidc_states)) or 0


def spend_state(connection: Connection, state_hash: str, until: float) -> bool:
    """Whether it counted until now."""
    found = select(oidc_states.c.until).where(oidc_states.c.state_hash == state_hash)
    if connection.execute(found).one_or_none() is not None:
        return False
    connection.execute(insert(oidc_states).values(state_hash=state_hash, until=until))
    return True


def set_recovery_codes(connection: Connection, name: str, hashes: Iterable[str]) -> None:
    """Those and no others."""
    connection.execute(delete(recovery_codes).where(recovery_codes.c.user == name))
    rows = [{"user": name, "code_hash": one} for one in hashes]
    if rows:
        connection.execute(insert(recovery_codes), rows)


def use_recovery_code(connection: Connection, name: str, code_hash: str) -> bool:
    """Whether it was there; it is not there any more."""
    where = (recovery_codes.c.user == name, recovery_codes.c.code_hash == code_hash)
    return connection.execute(delete(recovery_codes).where(*where)).rowcount > 0


def recovery_codes_left(connection: Connection, name: str) -> int:
    query = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user == name)
    return connection.scalar(query) or 0


def session(connection: Connection, secret_hash: str) -> SessionRecord | None:
    query = select(sessions).where(sessions.c.secret_hash == secret_hash)
    return record(SessionRecord, connection.execute(query).one_or_none())


def sessions_of(connection: Connection, name: str) -> tuple[SessionRecord, ...]:
    """The newest first."""
    query = select(sessions).where(sessions.c.user == name).order_by(sessions.c.created.desc(), sessions.c.secret_hash)
    return records(SessionRecord, connection.execute(query))


def use_session(connection: Connection, secret_hash: str, now: float) -> None:
    connection.execute(update(sessions).where(sessions.c.secret_hash == secret_hash).values(last_used=now))


def add_session(connection: Connection, new: SessionRecord) -> None:
    values = {name: getattr(new, name) for name in SessionRecord.__dataclass_fields__}
    connection.execute(insert(sessions).values(**values))


def end_sessions(
    connection: Connection, *, secret_hash: str | None = None, of: str | None = None, expired_at: float | None = None
) -> int:
    """Ends those that match any of these; how many."""
    tests = [
        column == value
        for column, value in ((sessions.c.secret_hash, secret_hash), (sessions.c.user, of))
        if value is not None
    ]
    if expired_at is not None:
        tests.append(sessions.c.expires <= expired_at)
    return connection.execute(delete(sessions).where(or_(*tests))).rowcount


def api_key(connection: Connection, identifier: int) -> ApiKeyRecord | None:
    return record(ApiKeyRecord, connection.execute(select(api_keys).where(api_keys.c.id == identifier)).one_or_none())


def all_api_keys(connection: Connection) -> tuple[ApiKeyRecord, ...]:
    return records(ApiKeyRecord, connection.execute(select(api_keys).order_by(api_keys.c.id)))


def add_api_key(connection: Connection, **values: Any) -> int:
    result: Any = connection.execute(insert(api_keys).values(**values))
    return int(result.inserted_primary_key[0])


def change_api_key(connection: Connection, identifier: int, **values: Any) -> None:
    connection.execute(update(api_keys).where(api_keys.c.id == identifier).values(**values))


def delete_api_key(connection: Connection, identifier: int) -> None:
    connection.execute(delete(api_keys).where(api_keys.c.id == identifier))


def token(connection: Connection, identifier: str) -> TokenRecord | None:
    return record(TokenRecord, connection.execute(select(tokens).where(tokens.c.id == identifier)).one_or_none())


def all_tokens(connection: Connection) -> tuple[TokenRecord, ...]:
    return records(TokenRecord, connection.execute(select(tokens).order_by(tokens.c.created, tokens.c.id)))


def add_token(connection: Connection, new: TokenRecord) -> None:
    values = {name: getattr(new, name) for name in TokenRecord.__dataclass_fields__}
    connection.execute(insert(tokens).values(**values))


def use_token(connection: Connection, identifier: str) -> None:
    connection.execute(
        update(tokens)
        .where(tokens.c.id == identifier, tokens.c.uses_left.is_not(None))
        .values(uses_left=tokens.c.uses_left - 1)
    )


def delete_token(connection: Connection, identifier: str) -> None:
    connection.execute(delete(tokens).where(tokens.c.id == identifier))
