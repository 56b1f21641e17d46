"""`plimsoll manager backup`: the store and the home's files in one sealed file, while the manager runs.

Rules of this file: the store is read in one transaction that sees one state and keeps no writer waiting; the file
takes its name only when it is whole and on the disk; nothing in the home is changed but the audit trail and the events.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from plimsoll import RELEASE
from plimsoll.manager import config, database, sealed
from plimsoll.manager.config import sync_directory
from plimsoll.manager.opening import DATABASE, PASSWORD, HomeError, beside, check_release
from plimsoll.manager.ports import BadInput
from plimsoll.manager.sealed import Header
from plimsoll.manager.services.events import BACKUP_MADE
from plimsoll.manager.store import Connection, Store, audit, copying, events, facts, migrate
from plimsoll.manager.store import ca as ca_table
from plimsoll.manager.store.ca import RotationRecord

#: What a home has that belongs to its place, to a moment, or to an earlier backup.
LEFT_OUT = ("run", "backup", PASSWORD)
#: Where packages lie: large, and to be had elsewhere.
SOFTWARE = "software/files"
_INCOMING = "software/incoming"
#: In this order, so that what a file of metadata names is there too: the timestamp leads to all others.
_FIRST = ("software/metadata/timestamp.json",)
_PIECE = 1 << 20
#: A rotation of the CA that came between: then all is read again, so many times.
_ATTEMPTS = 3

Progress = Callable[[str], None]


class FileBegins(msgspec.Struct, tag="file", frozen=True):
    path: str
    mode: int


class FilePart(msgspec.Struct, tag="part", frozen=True):
    data: bytes


class FileEnds(msgspec.Struct, tag="end-of-file", frozen=True):
    length: int
    sha256: str


class TableBegins(msgspec.Struct, tag="table", frozen=True):
    name: str
    columns: list[str]


class Rows(msgspec.Struct, tag="rows", frozen=True):
    """`packed` is a list of rows, in MessagePack and deflated."""

    packed: bytes


class TableEnds(msgspec.Struct, tag="end-of-table", frozen=True):
    rows: int
    digest: str


class Ends(msgspec.Struct, tag="end", frozen=True):
    """`numbers` is the highest number that each table gave."""

    files: int
    tables: int
    rows: int
    numbers: dict[str, int]


Part = FileBegins | FilePart | FileEnds | TableBegins | Rows | TableEnds | Ends


@dataclass(frozen=True, slots=True)
class Made:
    file: str
    bytes: int
    files: int
    tables: int
    rows: int
    created: float
    software: bool


class _ChangedError(Exception):
    """The CA was rotated while its keys and the store were read."""


def back_up(directory: Path, file: Path, passphrase: bytes, *, software: bool = True, cost: int = sealed.COST) -> Made:
    """Of a home whose manager runs, or does not. Raises HomeError and BadInput; then there is no such file.

    `cost` is scrypt's.
    """
    check_passphrase(passphrase)
    home = directory.absolute()
    if not (home / config.FILE_NAME).exists():
        raise HomeError(f"{home} is not a manager's home: it has no {config.FILE_NAME}")
    if file.exists():
        raise BadInput(f"{file} is there already; nothing was written. Name a new file")
    configuration = config.load(home / config.FILE_NAME)
    where = database.parse(configuration.database)
    with contextlib.closing(beside(home, configuration)) as store:
        check_release(home, store)
        for attempt in range(_ATTEMPTS):
            try:
                made = _write(
                    home, store, file, passphrase, software, "sqlite" if where is None else "postgresql", cost
                )
                break
            except _ChangedError:
                if attempt == _ATTEMPTS - 1:
                    raise HomeError(
                        "the CA is being rotated just now; nothing was written. Try again in a minute"
                    ) from None
        _tell(store, made)
    return made


def check_passphrase(passphrase: bytes) -> None:
    if len(passphrase) < sealed.SHORTEST:
        raise BadInput(
            f"a passphrase has at least {sealed.SHORTEST} characters; nothing was written. The keys of the CA are in"
            " the file"
        )


def _write(home: Path, store: Store, file: Path, passphrase: bytes, software: bool, kind: str, cost: int) -> Made:
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeError(f"{file} cannot be written: {error.strerror}; nothing was written") from None
    try:
        with os.fdopen(handle, "wb") as out:
            made = store.read(lambda c: _dump(c, home, out, file, passphrase, software, kind, cost))
            out.flush()
            os.fsync(out.fileno())
        if store.read(ca_table.newest) != made[1]:
            raise _ChangedError
        partial.rename(file)
        sync_directory(file.absolute().parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise HomeError(f"{file} could not be written: {error}; nothing was kept") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return made[0]


def _dump(
    connection: Connection,
    home: Path,
    out: BinaryIO,
    file: Path,
    passphrase: bytes,
    software: bool,
    kind: str,
    cost: int,
) -> tuple[Made, RotationRecord | None]:
    copying.begin(connection)
    # The first question fixes what this transaction sees; the files are read after it.
    installation = facts.get(connection, facts.INSTALLATION) or ""
    rotation = ca_table.newest(connection)
    created = time.time()
    header = Header(RELEASE, migrate.HEAD, installation, created, kind, software, sealed.new_scrypt(cost))
    writer = sealed.Writer(out, header, passphrase)

    def put(part: Part) -> None:
        sealed.put(writer, msgspec.msgpack.encode(part))

    files = 0
    for path in files_of(home, software):
        files += _put_file(home, path, put)
    rows = 0
    tables = copying.tables()
    for table in tables:
        put(TableBegins(str(table.name), [str(column.name) for column in table.columns]))
        digest = copying.Digest()
        for some in copying.read(connection, table):
            digest.add(some)
            put(Rows(zlib.compress(msgspec.msgpack.encode(some), 3)))
        summary = digest.summary
        put(TableEnds(summary.rows, summary.digest))
        rows += summary.rows
    put(Ends(files, len(tables), rows, dict(copying.counted(connection))))
    writer.finish()
    return Made(str(file), out.tell(), files, len(tables), rows, created, software), rotation


def _put_file(home: Path, path: str, put: Callable[[Part], None]) -> int:
    try:
        source = (home / path).open("rb")
    except FileNotFoundError:
        return 0  # a name that was replaced, or metadata that ran out, since the folder was read
    with source:
        put(FileBegins(path, stat.S_IMODE(os.fstat(source.fileno()).st_mode)))
        digest, length = hashlib.sha256(), 0
        while data := source.read(_PIECE):
            digest.update(data)
            length += len(data)
            put(FilePart(data))
        put(FileEnds(length, digest.hexdigest()))
    return 1


def files_of(home: Path, software: bool) -> Iterator[str]:
    """What belongs to the installation, by its path in the home. No links are followed."""
    found: list[str] = []
    for folder, folders, names in os.walk(home):
        at = Path(folder).relative_to(home)
        folders[:] = sorted(name for name in folders if _wanted(at / name, software))
        found += [
            str(at / name)
            for name in names
            if _wanted(at / name, software) and (home / at / name).is_file() and not (home / at / name).is_symlink()
        ]
    yield from sorted(found, key=lambda path: (path not in _FIRST, path))


def _wanted(path: Path, software: bool) -> bool:
    text = path.as_posix()
    # Names that begin with a dot are files that are being written.
    if text in LEFT_OUT or path.name.startswith((DATABASE, ".")) or text == _INCOMING:
        return False
    return software or text != SOFTWARE


def _tell(store: Store, made: Made) -> None:
    def work(connection: Connection) -> None:
        audit.append(
            connection,
            time=time.time(), who=f"socket:uid {os.getuid()}", via="cli", address="", action="manager.backup",
            target=made.file, before=None, after={"rows": made.rows, "files": made.files, "software": made.software},
        )  # fmt: skip
        events.add(
            connection,
            time=time.time(), number=BACKUP_MADE, level="info",
            description=f"A backup was made: {made.file}, {made.bytes} bytes, {made.rows} rows and {made.files} files.",
            computer=None, target=made.file, origin="manager", extra={},
        )  # fmt: skip

    store.write(work)
