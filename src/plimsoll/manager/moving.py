"""`plimsoll manager migrate-database`: the store of a stopped home goes from one database to another.

Everything is written and checked in one transaction of the new database; only after its commit does one rename switch
``database=`` over. So a kill leaves the home on the old database, or on the new one with everything in it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from plimsoll import RELEASE
from plimsoll.manager import config, database
from plimsoll.manager.database import EMBEDDED, DatabaseAddress
from plimsoll.manager.home import lock_home
from plimsoll.manager.opening import DATABASE, PASSWORD, HomeError, check_release, reach_fresh, store_of
from plimsoll.manager.ports import BadInput, Conflict, Unavailable
from plimsoll.manager.services.events import DATABASE_MOVED
from plimsoll.manager.store import Connection, Store, audit, copying, events, facts
from plimsoll.manager.upgrade import fold_log

#: Told of each table when it is over: its name, and how many rows it has.
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """`kept` is where the old database still is: a file, or an address."""

    source: str
    target: str
    tables: int
    rows: int
    kept: str


def move_database(
    directory: Path, to: str, password: str | None = None, progress: Progress = lambda table, rows: None
) -> Moved:
    """Raises HomeError (the manager runs, the database is not empty, the copy is not equal, ...) and BadInput for what
    is no address; then the home is as it was.
    """
    address = _address(to, password)
    home, lock = lock_home(directory)
    try:
        configuration = config.load(home / config.FILE_NAME)
        former = database.parse(configuration.database)
        if address is None and former is None:
            raise HomeError(f"{home} keeps its store in {home / DATABASE} already; nothing was changed")
        with contextlib.closing(store_of(home, configuration)) as source:
            check_release(home, source)
            if address is None:
                tables, rows = _into_file(home, source, progress)
            else:
                tables, rows = _into_database(home, source, address, progress)
        if address is not None and address.password is not None:
            config.write_atomically(home / PASSWORD, address.passfile_line(address.password).encode(), 0o600)
        config.write_value(home / config.FILE_NAME, "database", EMBEDDED if address is None else str(address))
        kept = _put_away(home) if former is None else str(former)
    finally:
        lock.release()
    return Moved(str(former or home / DATABASE), str(address or home / DATABASE), tables, rows, kept)


def _address(text: str, password: str | None) -> DatabaseAddress | None:
    try:
        address = database.parse(text)
    except ValueError as error:
        raise BadInput(f"the database's address {error}; nothing was changed") from None
    if address is None and password is not None:
        raise BadInput("the embedded database has no password; nothing was changed")
    return address if address is None or password is None else replace(address, password=password)


def _into_database(home: Path, source: Store, address: DatabaseAddress, progress: Progress) -> tuple[int, int]:
    # Where no password is given, one that was written down before counts.
    kept = home / PASSWORD
    passfile = kept if address.password is None and kept.exists() else None
    with contextlib.closing(Store.connect(address, passfile=passfile)) as target:
        _must_be_fresh(source, target)
        try:
            target.claim()
            return _copy(source, target, progress)
        except (Conflict, Unavailable) as error:
            told = error.cause or error.message if isinstance(error, Unavailable) else error.message
            raise HomeError(f"{told}; nothing was switched, and {home} is as it was") from None


def _must_be_fresh(source: Store, target: Store) -> None:
    try:
        reach_fresh(target)
    except HomeError:
        with contextlib.suppress(Unavailable):
            if target.revision is not None and target.read(_installation) == source.read(_installation):
                raise HomeError(
                    f"{target.database.where} holds a copy of this installation already, from an earlier attempt or an"
                    " earlier time; nothing was changed. Drop that database, make it anew, and try again"
                ) from None
        raise


def _installation(connection: Connection) -> str | None:
    return facts.get(connection, facts.INSTALLATION)


def _into_file(home: Path, source: Store, progress: Progress) -> tuple[int, int]:
    if (home / DATABASE).exists():
        raise HomeError(
            f"{home / DATABASE} is there already; nothing was changed. Move it away: it is older than the store is now"
        )
    new = home / f"{DATABASE}.moving"
    for leftover in (new, *(Path(f"{new}{end}") for end in ("-wal", "-shm", "-journal"))):
        leftover.unlink(missing_ok=True)
    new.touch(mode=0o600)
    with contextlib.closing(Store.open(new)) as target:
        done = _copy(source, target, progress)
    fold_log(new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(home / DATABASE)
    config.sync_directory(home)
    return done


def _copy(source: Store, target: Store, progress: Progress) -> tuple[int, int]:
    total: list[int] = []

    def read(old: Connection) -> None:
        copying.begin(old)
        numbers = copying.counted(old)

        def fill(new: Connection) -> None:
            copying.begin(new)
            total.extend(_copy_table(old, new, table, progress) for table in copying.tables())
            copying.count_on(new, numbers)
            _tell(new, source, target, sum(total))

        target.migrate(then=fill)

    source.read(read)
    return len(total), sum(total)


def _copy_table(old: Connection, new: Connection, table: copying.Table, progress: Progress) -> int:
    digest = copying.Digest()
    whole: list[copying.Row] = []
    for rows in copying.read(old, table):
        digest.add(rows)
        if copying.refers_to_itself(table):
            whole += rows
        else:
            copying.write(new, table, rows)
    copying.write(new, table, whole)
    found, wanted = copying.summarise(new, table), digest.summary
    if found != wanted:
        raise HomeError(
            f"the copy of {table.name} is not equal to it ({found.rows} rows of {wanted.rows}, digests"
            f" {found.digest[:12]} and {wanted.digest[:12]}); nothing was switched, and the new database holds nothing"
        )
    progress(table.name, wanted.rows)
    return wanted.rows


def _tell(connection: Connection, source: Store, target: Store, rows: int) -> None:
    now = time.time()
    before, after = source.database.where, target.database.where
    audit.append(
        connection,
        time=now, who="system:manager", via="cli", address="", action="database.move", target=RELEASE,
        before={"database": before}, after={"database": after, "rows": rows},
    )  # fmt: skip
    events.add(
        connection,
        time=now, number=DATABASE_MOVED, level="info",
        description=f"The store was moved from {before} to {after}: {rows} rows, each table checked by its digest.",
        computer=None, target=after, origin="manager", extra={},
    )  # fmt: skip


def _put_away(home: Path) -> str:
    """The file goes to backup/, where nobody takes it for the store; a kill before that leaves it in its place."""
    fold_log(home / DATABASE)
    folder = home / "backup"
    folder.mkdir(mode=0o700, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = folder / f"plimsoll-before-move-{stamp}.db"
    (home / DATABASE).replace(kept)
    config.sync_directory(home)
    return str(kept)
