"""A further manager of an installation: what it needs of the first one, as a sealed file, and a home made of it.

All managers are equal afterwards. They share the database, the CA's keys and what else the first home holds that only
one may have (`SHARED`), and the folder of the software packages; each has its own ports, its own certificates for
these, and its own configuration.properties.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from plimsoll import RELEASE
from plimsoll.manager import config, database, sealed
from plimsoll.manager.home import PROPERTIES, check_name, check_ports, make_folders, unused
from plimsoll.manager.node_identity import JOINED
from plimsoll.manager.opening import PASSWORD, HomeError, check_release, store_of
from plimsoll.manager.ports import BadInput
from plimsoll.manager.sealed import Header, SealedError
from plimsoll.manager.sealing import KEY_FILE, Sealer
from plimsoll.manager.store import migrate

#: Files and folders of a home that every manager of the installation has alike.
SHARED = ("ca", KEY_FILE, PASSWORD)
#: Larger ones are no keys.
_MOST = 1 << 20


class _File(msgspec.Struct):
    path: str
    data: bytes


class _Content(msgspec.Struct):
    """What the sealed file holds. `software` is where all managers find the packages."""

    database: str
    software: str
    files: list[_File]


@dataclass(frozen=True, slots=True)
class Joined:
    """`database` is the shared one's address, without any password."""

    home: str
    gui_port: int
    heartbeat_port: int
    database: str
    ca_certificate: str


def write_node_file(directory: Path, out: Path, passphrase: bytes) -> None:
    """Writes what a further manager needs, under the passphrase. The manager of this home may run.

    Raises HomeError where the installation cannot have a further one, or the file is there already, and BadInput for a
    passphrase that is too short.
    """
    home = directory.absolute()
    if not (home / config.FILE_NAME).exists():
        raise HomeError(f"{home} is not a manager's home: it has no {config.FILE_NAME}")
    if len(passphrase) < sealed.SHORTEST:
        raise BadInput(f"the passphrase has fewer than {sealed.SHORTEST} characters; nothing was written")
    configuration = config.load(home / config.FILE_NAME)
    if database.parse(configuration.database) is None:
        raise HomeError(
            f"{home} keeps its store in a file, which serves one manager; nothing was written. Move it first: plimsoll"
            " manager migrate-database --to postgresql://…"
        )
    if not configuration.software_directory:
        raise HomeError(
            "several managers hand out the same packages; nothing was written. Move the folder"
            f" {home / 'software'} to where all of them find it under the same name, write that name as"
            f" softwareDirectory= into {home / config.FILE_NAME}, and restart the manager"
        )
    Sealer(home).begin()
    files = [_File(name, path.read_bytes()) for name, path in _shared(home)]
    content = _Content(configuration.database, configuration.software_directory, files)
    header = Header(RELEASE, migrate.HEAD, "node", time.time(), "node", False, sealed.new_scrypt())
    with _written(out) as part, part.open("wb") as file:
        writer = sealed.Writer(file, header, passphrase)
        sealed.put(writer, msgspec.msgpack.encode(content))
        writer.finish()
        file.flush()
        os.fsync(file.fileno())


def _shared(home: Path) -> Iterator[tuple[str, Path]]:
    for name in SHARED:
        place = home / name
        if place.is_file():
            yield name, place
        elif place.is_dir():
            for path in sorted(place.rglob("*")):
                if path.is_file():
                    yield path.relative_to(home).as_posix(), path


@contextlib.contextmanager
def _written(out: Path) -> Iterator[Path]:
    """A file beside it that becomes it at the end, for its owner alone."""
    if out.exists():
        raise HomeError(f"{out} is there already; nothing was written")
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        part.touch(mode=0o600, exist_ok=False)
        yield part
        part.replace(out)
    except OSError as error:
        raise HomeError(f"{out} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def join(
    directory: Path,
    file: Path,
    passphrase: bytes,
    gui_port: int = 4119,
    heartbeat_port: int = 4120,
    listen: str = "0.0.0.0",
    name: str | None = None,
) -> Joined:
    """Makes the home of a further manager. Raises HomeError (the folder is in use, the file is damaged or under another
    passphrase, the database cannot be reached or is another installation's) and BadInput; nothing was made then.
    """
    check_ports(gui_port, heartbeat_port)
    check_name(name)
    home = unused(directory)
    content = _read(file, passphrase)
    address = database.parse(content.database)
    assert address is not None, "a node file names a database of its own"
    if not Path(content.software).is_dir():
        raise HomeError(
            f"the shared folder of the software packages, {content.software}, is not here; nothing was made. Mount it"
            " under the same name as at the other managers"
        )
    text = PROPERTIES.format(service="Plimsoll", gui=gui_port, heartbeat=heartbeat_port, listen=listen)
    text += f"publicName={name}\n" if name else ""
    text += f"database={address}\nsoftwareDirectory={content.software}\n"
    configuration = config.parse(home / config.FILE_NAME, text)
    existed = home.exists()
    try:
        make_folders(home)
        for one in content.files:
            _put(home, one)
        config.write_atomically(home / JOINED, f"{RELEASE} {time.time():.0f}\n".encode(), 0o600)
        with contextlib.closing(store_of(home, configuration, alone=False)) as store:
            check_release(home, store)
        config.write_atomically(home / config.FILE_NAME, text.encode(), 0o600)
    except BaseException:
        for path in home.iterdir() if existed else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not existed:
            shutil.rmtree(home, ignore_errors=True)
        raise
    shown = replace(address, password=None)
    return Joined(str(home), gui_port, heartbeat_port, str(shown), str(home / "ca" / "ca.pem"))


def _read(file: Path, passphrase: bytes) -> _Content:
    try:
        with file.open("rb") as source:
            reader = sealed.Reader(source, passphrase)
            content = msgspec.msgpack.decode(sealed.take(reader), type=_Content)
            reader.finish()
    except OSError as error:
        raise HomeError(f"{file} cannot be read: {error.strerror or error}; nothing was made") from None
    except SealedError as error:
        raise HomeError(f"{file}: {error}; nothing was made") from None
    except msgspec.DecodeError:
        raise HomeError(f"{file} is a backup, and no node file; nothing was made") from None
    return content


def _put(home: Path, one: _File) -> None:
    path = PurePosixPath(one.path)
    if path.is_absolute() or ".." in path.parts or path.parts[0] not in SHARED or len(one.data) > _MOST:
        raise HomeError(f"the node file holds {one.path!r}, which is none of its business; nothing was made")
    target = home / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.write_atomically(target, one.data, 0o600)
