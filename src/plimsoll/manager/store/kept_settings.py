"""Settings that are kept for the programs that set them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, func, insert, select, update

from plimsoll.manager.store.tables import kept_settings

_T = kept_settings.c


def of(connection: Connection, scope: str, owners: Collection[int]) -> dict[int, dict[str, str]]:
    """Of each owner that has any: value by name."""
    found: dict[int, dict[str, str]] = {}
    query = select(_T.owner, _T.name, _T.value).where(_T.scope == scope, _T.owner.in_(owners)).order_by(_T.name)
    for owner, name, value in connection.execute(query):
        found.setdefault(owner, {})[name] = value
    return found


def value(connection: Connection, scope: str, owner: int, name: str) -> str | None:
    query = select(_T.value).where(_T.scope == scope, _T.owner == owner, _T.name == name)
    return connection.execute(query).scalar_one_or_none()


def everything(connection: Connection, scope: str) -> dict[int, dict[str, str]]:
    """Of every owner that has any."""
    found: dict[int, dict[str, str]] = {}
    query = select(_T.owner, _T.name, _T.value).where(_T.scope == scope).order_by(_T.owner, _T.name)
    for owner, name, value in connection.execute(query):
        found.setdefault(owner, {})[name] = value
    return found


def count(connection: Connection, scope: str, owner: int) -> int:
    return connection.scalar(select(func.count()).where(_T.scope == scope, _T.owner == owner)) or 0


def put(connection: Connection, scope: str, owner: int, name: str, value: str) -> None:
    where = (_T.scope == scope, _T.owner == owner, _T.name == name)
    if not connection.execute(update(kept_settings).where(*where).values(value=value)).rowcount:
        connection.execute(insert(kept_settings).values(scope=scope, owner=owner, name=name, value=value))


def drop(connection: Connection, scope: str, owner: int, name: str | None = None) -> None:
    """One, or all of an owner."""
    query = delete(kept_settings).where(_T.scope == scope, _T.owner == owner)
    connection.execute(query if name is None else query.where(_T.name == name))
