"""Which store belongs to a home, by ``database=``: opened, or refused with what to do."""

from __future__ import annotations

import stat
from pathlib import Path

from plimsoll import RELEASE
from plimsoll.manager import config, database
from plimsoll.manager.ca_keyring import Keyring
from plimsoll.manager.config import Configuration
from plimsoll.manager.database import DatabaseAddress
from plimsoll.manager.node_identity import node_of
from plimsoll.manager.ports import Conflict, ServiceError, Unavailable
from plimsoll.manager.store import Store, facts, migrate

#: The embedded database, and libpq's file with the password of another one.
DATABASE = "plimsoll.db"
PASSWORD = "database.pass"  # noqa: S105 - a file's name


class HomeError(ServiceError):
    """The home cannot be used as it is; the message says why and what to do."""

    status = 409


def store_of(home: Path, configuration: Configuration, *, alone: bool = True) -> Store:
    """The home's store, whatever is in it. A PostgreSQL database is ours until it is closed: `alone` ours only, for
    whoever changes its schema or takes it away; else as one of the managers that share it. Raises HomeError.
    """
    address = database.parse(configuration.database)
    if address is not None:
        return _connected(home, address, None if alone else node_of(home))
    if not (home / DATABASE).exists():
        raise HomeError(f"{home / DATABASE} is missing; restore it from a backup, its floors cannot be guessed")
    return Store.open(home / DATABASE)


def beside(home: Path, configuration: Configuration) -> Store:
    """The same store beside a manager that uses it: it is not ours, and its writers take turns with us. Raises
    HomeError.
    """
    address = database.parse(configuration.database)
    if address is None:
        return store_of(home, configuration)
    return _connected(home, address, None, claim=False)


def _connected(home: Path, address: DatabaseAddress, node: str | None, *, claim: bool = True) -> Store:
    password = home / PASSWORD
    if password.exists() and stat.S_IMODE(password.stat().st_mode) & 0o077:
        # libpq would pass it over and then say that there is no password.
        raise HomeError(
            f"{password} can be read by others than its owner; nothing was changed. Run: chmod 600 {password}"
        )
    store = Store.connect(address, passfile=password if password.exists() else None)
    try:
        if claim:
            store.claim(node)
        _same_installation(home, store)
    except BaseException as error:
        store.close()
        raise _in_words(error, store, home) from error
    return store


def reach_fresh(store: Store) -> None:
    """Looks whether an installation can begin in that database. Raises HomeError; nothing was changed then."""
    try:
        store.must_be_fresh()
    except ServiceError as error:
        raise _in_words(error, store, None) from error


def _in_words(error: BaseException, store: Store, home: Path | None) -> BaseException:
    if isinstance(error, Unavailable):
        cause = error.cause or error.message
        hint = ""
        if "password" in cause:
            place = f"Its password belongs into {home / PASSWORD}" if home else "Give it with --database-password-file"
            hint = f" {place}, see docs/configuration.md"
        return HomeError(f"the database {store.database.where} cannot be used: {cause}; nothing was changed.{hint}")
    return HomeError(error.message) if isinstance(error, Conflict) else error


def _same_installation(home: Path, store: Store) -> None:
    """Agents trust this home's CA: the store of another one would send them away."""
    if store.revision is None:
        raise Conflict(
            f"{store.database.where} holds no installation; restore it from a backup, its floors cannot be guessed"
        )
    stored = store.read(lambda c: facts.get(c, facts.INSTALLATION))
    if stored is None or not Keyring(home / "ca", stored).is_of(stored):
        raise Conflict(
            f"{store.database.where} holds the installation {stored}, whose CA is not the one in {home / 'ca'};"
            f" nothing was changed. Correct database= in {home / config.FILE_NAME}"
        )


def check_release(home: Path, store: Store) -> None:
    """Raises HomeError where the store is not of this release."""
    revision = store.revision
    if revision == migrate.HEAD:
        return
    if revision in migrate.KNOWN:
        raise HomeError(f"{home} is from an earlier release; run: plimsoll manager upgrade --home {home}")
    raise HomeError(f"{home} was written by a later release ({revision}) than this one ({RELEASE}); use that one")
