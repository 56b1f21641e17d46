"""`plimsoll manager restore`: a home out of a sealed backup, on this computer or another, with its store in either
kind of database.

Rules of this file: everything is checked before it counts: each byte by the seal, each file and table by its digest,
the tables once more as they were read back. All of it is built beside, and takes its place by one rename; a database
is filled in one transaction, whose commit comes just before. A backup is never written to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from plimsoll import RELEASE
from plimsoll.fleet.component import parse_or_none
from plimsoll.manager import config, database, sealed
from plimsoll.manager.backup import (
    Ends,
    FileBegins,
    FileEnds,
    FilePart,
    Part,
    Rows,
    TableBegins,
    TableEnds,
)
from plimsoll.manager.ca_keyring import Keyring
from plimsoll.manager.database import EMBEDDED, DatabaseAddress
from plimsoll.manager.home import unused
from plimsoll.manager.opening import DATABASE, PASSWORD, HomeError, reach_fresh
from plimsoll.manager.ports import BadInput, Conflict, ServiceError, Unavailable
from plimsoll.manager.sealed import Header, Reader, SealedError
from plimsoll.manager.sealing import Sealer
from plimsoll.manager.services.events import RESTORED
from plimsoll.manager.store import Connection, Store, audit, copying, events, facts, migrate
from plimsoll.manager.store import restored as restored_rows
from plimsoll.manager.upgrade import fold_log

#: Signed for a moment: agents may have seen later ones, so these are signed anew, with the time as their version. Roots
#: stay: their versions count by one, and agents hold them for good.
_SIGNED_ANEW = ("timestamp.json", ".snapshot.json", ".targets.json")
_METADATA = "software/metadata"


@dataclass(frozen=True, slots=True)
class Restored:
    """`paused` counts changes and upgrades that were under way when the backup was made."""

    home: str
    database: str
    release: str
    created: float
    files: int
    tables: int
    rows: int
    paused: int
    software: bool


def restore(
    file: Path, directory: Path, passphrase: bytes, to: str = EMBEDDED, password: str | None = None
) -> Restored:
    """Raises HomeError (the folder or the database is in use, the file is damaged or of a newer release, the passphrase
    is wrong) and BadInput; then nothing was changed.
    """
    address = _address(to, password)
    home = unused(directory)
    if home.is_mount():
        raise HomeError(f"{home} is where a disk is mounted, so nothing can take its place; name a folder in it")
    try:
        with file.open("rb") as source:
            _check_release(file, sealed.read_header(source)[0])
            source.seek(0)
            if address is not None:
                _look_at(address)
            return _build(Reader(source, passphrase), home, address)
    except SealedError as error:
        raise HomeError(f"{file} was not restored: {error}. Nothing was changed") from None
    except OSError as error:
        raise HomeError(f"{file} was not restored: {error}. Nothing was changed") from None


def _address(text: str, password: str | None) -> DatabaseAddress | None:
    try:
        address = database.parse(text)
    except ValueError as error:
        raise BadInput(f"the database's address {error}; nothing was changed") from None
    if address is None and password is not None:
        raise BadInput("the embedded database has no password; nothing was changed")
    return address if address is None or password is None else replace(address, password=password)


def _check_release(file: Path, header: Header) -> None:
    theirs, ours = parse_or_none(header.release), parse_or_none(RELEASE)
    newer = theirs is None or ours is None or theirs > ours
    if newer or header.revision not in migrate.KNOWN:
        raise HomeError(
            f"{file} was made by release {header.release}, which is newer than this one ({RELEASE}); nothing was"
            " changed. Restore it with that release"
        )
    if header.revision != migrate.HEAD:
        raise HomeError(
            f"{file} was made by release {header.release}; nothing was changed. Restore it with that release, then run:"
            " plimsoll manager upgrade"
        )


def _look_at(address: DatabaseAddress) -> None:
    """Before anything is read: a database that is not empty is found at once."""
    with contextlib.closing(Store.connect(address)) as store:
        reach_fresh(store)


def _build(reader: Reader, home: Path, address: DatabaseAddress | None) -> Restored:
    home.parent.mkdir(parents=True, exist_ok=True)
    new = home.parent / f".{home.name}.restoring-{secrets.token_hex(4)}"
    new.mkdir(mode=0o700)
    try:
        return _fill(reader, new, home, address)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(reader: Reader, new: Path, home: Path, address: DatabaseAddress | None) -> Restored:
    parts = _parts(reader)
    files, first = _files(parts, new)
    for folder in ("ca", "tls", "backup"):
        (new / folder).mkdir(mode=0o700, exist_ok=True)
    if not (new / config.FILE_NAME).exists():
        raise SealedError("it has no configuration.properties")
    config.write_value(new / config.FILE_NAME, "database", None if address is None else str(address))
    config.load(new / config.FILE_NAME)
    if address is None:
        (new / DATABASE).touch(mode=0o600)
        store = Store.open(new / DATABASE)
    else:
        store = Store.connect(address)
        if address.password is not None:
            config.write_atomically(new / PASSWORD, address.passfile_line(address.password).encode(), 0o600)
    filling = _Filling(reader, parts, first, new, files)
    try:
        with contextlib.closing(store):
            if address is not None:
                store.claim()
            store.migrate(then=filling)
            if address is None:
                store.close()
                fold_log(new / DATABASE)
            _sync(new)
            if home.exists():
                home.rmdir()
            new.rename(home)
            config.sync_directory(home.parent)
    except (Conflict, Unavailable) as error:
        why = error.cause or error.message if isinstance(error, Unavailable) else error.message
        raise HomeError(f"{why}; no home was made") from None
    except ServiceError as error:
        raise HomeError(error.message) from None
    end, header = filling.end, reader.header
    assert end is not None
    return Restored(
        str(home), str(address or home / DATABASE), header.release, header.created, files, end.tables, end.rows,
        filling.paused, header.software,
    )  # fmt: skip


def _parts(reader: Reader) -> Iterator[Part]:
    decoder = msgspec.msgpack.Decoder(Part)
    while True:
        try:
            part: Part = decoder.decode(sealed.take(reader))
        except msgspec.DecodeError as error:
            raise SealedError(f"it holds what this release does not know ({error})") from None
        yield part
        if isinstance(part, Ends):
            reader.finish()
            return


def _files(parts: Iterator[Part], new: Path) -> tuple[int, TableBegins]:
    """Writes the files; how many, and the first part behind them."""
    for count, part in enumerate(parts):
        if isinstance(part, TableBegins):
            return count, part
        if not isinstance(part, FileBegins):
            break
        _file(parts, new, part)
    raise SealedError("it holds no store")


def _file(parts: Iterator[Part], new: Path, begins: FileBegins) -> None:
    relative = PurePosixPath(begins.path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise SealedError(f"it names a file outside of the home: {begins.path!r}")
    path = new / relative
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, length = hashlib.sha256(), 0
    with open(path, "xb", opener=_private) as out:
        for part in parts:
            if isinstance(part, FilePart):
                out.write(part.data)
                digest.update(part.data)
                length += len(part.data)
                continue
            if part != FileEnds(length, digest.hexdigest()):
                raise SealedError(f"{begins.path} in it is not what it was")
            break
        out.flush()
        os.fsync(out.fileno())
    # What others may read stays so; nobody else is let in.
    path.chmod(begins.mode & 0o755 | 0o600)
    if relative.parent.as_posix() == _METADATA and relative.name.endswith(_SIGNED_ANEW):
        path.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Filling:
    """What is done in the transaction that makes the schema: all rows, checked, and the counters after that."""

    def __init__(self, reader: Reader, parts: Iterator[Part], first: TableBegins, new: Path, files: int) -> None:
        self._reader = reader
        self._parts = parts
        self._first = first
        self._new = new
        self._files = files
        self.end: Ends | None = None
        self.paused = 0

    def __call__(self, connection: Connection) -> None:
        copying.begin(connection)
        if facts.get(connection, facts.INSTALLATION) is not None:
            raise HomeError("another home was made in that database just now")
        known = {table.name: table for table in copying.tables()}
        seen: set[str] = set()
        rows = 0
        begins: Part = self._first
        while isinstance(begins, TableBegins):
            table = known.get(begins.name)
            if table is None or begins.columns != [column.name for column in table.columns]:
                raise SealedError(f"its table {begins.name!r} is none of release {RELEASE}")
            seen.add(begins.name)
            rows += self._table(connection, table)
            begins = next(self._parts)
        if not isinstance(begins, Ends):
            raise SealedError("it holds what does not belong there")
        # The end of the file is proved before anything is committed.
        for _ in self._parts:
            raise SealedError("there is something behind its end")
        if seen != set(known) or (begins.files, begins.tables, begins.rows) != (self._files, len(seen), rows):
            raise SealedError("a part of it is missing")
        self._check(connection)
        self.end = begins
        self._count_on(connection, begins)

    def _table(self, connection: Connection, table: copying.Table) -> int:
        digest = copying.Digest()
        whole: list[copying.Row] = []
        for part in self._parts:
            if isinstance(part, TableEnds):
                break
            if not isinstance(part, Rows):
                raise SealedError(f"its table {table.name} has no end")
            rows: list[copying.Row] = msgspec.msgpack.decode(zlib.decompress(part.packed))
            digest.add(rows)
            if copying.refers_to_itself(table):
                whole += rows
            else:
                copying.write(connection, table, rows)
        copying.write(connection, table, whole)
        summary = digest.summary
        if part != TableEnds(summary.rows, summary.digest) or copying.summarise(connection, table) != summary:
            raise SealedError(f"its table {table.name} is not what it was")
        return summary.rows

    def _check(self, connection: Connection) -> None:
        """Rows and keys belong together."""
        installation = facts.get(connection, facts.INSTALLATION) or ""
        try:
            keys = Keyring(self._new / "ca", installation, Sealer(self._new))
            keys.stored(connection)
        except BadInput as error:
            raise SealedError(error.message) from None
        if installation != self._reader.header.installation or not keys.is_of(installation):
            raise SealedError("its store and its CA are of two installations")

    def _count_on(self, connection: Connection, end: Ends) -> None:
        """Nothing that somebody saw after the backup comes a second time (design §11)."""
        now, header = time.time(), self._reader.header
        numbers = dict(end.numbers)
        # Events are read by number elsewhere; what was told after the backup had numbers too. In SQLite the next
        # number follows the newest event, which is the one below.
        numbers["events"] = event = max(numbers.get("events", 0) + 1, int(now))
        copying.count_on(connection, numbers)
        facts.advance(connection, facts.FLOOR_GENERATION, now)
        facts.advance(connection, facts.POLICY_GENERATION, now)
        facts.put(connection, facts.RESTORED, str(now))
        facts.put(connection, facts.RESTORED_FROM, str(header.created))
        made = time.strftime("%Y-%m-%d at %H:%M:%S UTC", time.gmtime(header.created))
        self.paused = restored_rows.settle(connection, f"paused: the manager was restored from a backup of {made}")
        audit.append(
            connection,
            time=now, who=f"socket:uid {os.getuid()}", via="cli", address="", action="manager.restore",
            target=header.installation, before=None, after={"backup": header.created, "rows": end.rows},
        )  # fmt: skip
        events.add(
            connection,
            id=event, time=now, number=RESTORED, level="warning",
            description=f"The manager was restored from a backup of {made}. What was changed after that is not known"
            " here: computers that joined since wait for approval; revoke again what was revoked since.",
            computer=None, target=header.installation, origin="manager", extra={"paused": self.paused},
        )  # fmt: skip


def _sync(folder: Path) -> None:
    """Names of files are on the disk as well."""
    for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        config.sync_directory(path)
