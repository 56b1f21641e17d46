"""``python -m plimsoll.agent.unpack PACKAGE FOLDER``: takes a release's tree out of a package whose digest was checked.

A package is a Debian package or a tar archive (gzip or xz); its tree is the folder that holds ``bin/python3``. A child
process does this: archive modules cost memory that a resident agent never needs again. Nothing is written outside the
folder, which must not be there yet; where anything is wrong with the package, nothing of it is left.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from plimsoll.agent.files import sync_folder

if TYPE_CHECKING:
    import tarfile

#: A child that takes longer than this hangs, in seconds.
TIMEOUT = 900.0

#: No release of ours is larger: an archive that unpacks to more is not one. Bytes, and members.
MOST_BYTES = 2 << 30
MOST_MEMBERS = 100_000

_DEB = b"!<arch>\n"
_HEADER = 60

#: The child's status where there is no space.
_FULL = 28
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UnpackError(Exception):
    """The package cannot be used, or, where `full`, there is no space for it. Nothing of it is left."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


def ask(package: Path, folder: Path) -> None:
    """Runs the child. Raises UnpackError."""
    command = [sys.executable, "-P", "-m", "plimsoll.agent.unpack", str(package), str(folder)]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UnpackError(f"unpacking did not end ({type(error).__name__})") from None
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise UnpackError(last[0][:500], full=done.returncode == _FULL)


def unpack(package: Path, folder: Path) -> None:
    """The package's tree, in that folder, durable when it returns. Raises UnpackError."""
    import tarfile

    try:
        folder.mkdir(mode=0o755)
        with package.open("rb") as stream, tarfile.open(fileobj=_archive(stream), mode="r:*") as archive:
            members = _bounded(archive, package.name)
            root = _root([member.name for member in members])
            # Packages carry a Python that is older than tarfile's own filters: ours hold by themselves.
            more: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            archive.extractall(folder, members=_sound(_below(members, root)), **more)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        text = f"{package.name} could not be unpacked into {folder.parent}: {error.strerror or error}"
        raise UnpackError(text, full=error.errno in _NO_SPACE) from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UnpackError(f"{package.name} is no package of ours: {error}") from None
    except UnpackError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _archive(stream: IO[bytes]) -> IO[bytes]:
    """The tar archive in the stream: itself, or what a Debian package carries."""
    if stream.read(len(_DEB)) != _DEB:
        stream.seek(0)
        return stream
    while len(header := stream.read(_HEADER)) == _HEADER:
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return io.BytesIO(stream.read(size))
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise UnpackError("the Debian package carries no files")


def _bounded(archive: tarfile.TarFile, name: str) -> list[tarfile.TarInfo]:
    """All members. What each says of its size is counted before the next is looked for, which means unpacking it."""
    members: list[tarfile.TarInfo] = []
    size = 0
    for member in archive:
        members.append(member)
        size += member.size
        if size > MOST_BYTES or len(members) > MOST_MEMBERS:
            raise UnpackError(f"{name} would unpack to more than any release of ours has")
    return members


def _root(names: list[str]) -> PurePosixPath:
    """The folder that holds ``bin/python3``, the one nearest to the top."""
    found = {PurePosixPath(name).parents[1] for name in names if PurePosixPath(name).parts[-2:] == ("bin", "python3")}
    if not found:
        raise UnpackError("there is no bin/python3 in the package, so it is no release of an agent")
    return min(found, key=lambda path: (len(path.parts), str(path)))


def _below(members: list[tarfile.TarInfo], root: PurePosixPath) -> Iterator[tarfile.TarInfo]:
    """Those in that folder, under their names there."""
    for member in members:
        path = PurePosixPath(member.name)
        if path != root and path.is_relative_to(root):
            if member.islnk():
                member.linkname = str(PurePosixPath(member.linkname).relative_to(root))
            member.name = str(path.relative_to(root))
            yield member


def _sound(members: Iterator[tarfile.TarInfo]) -> Iterator[tarfile.TarInfo]:
    """Files, folders and links that stay below the folder, ours, without rights that no release needs.

    Raises ValueError where one is anything else.
    """
    links: set[PurePosixPath] = set()
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or links & set(path.parents):
            raise ValueError(f"{member.name} leads out of the folder or through a link")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise ValueError(f"{member.name} is neither file, folder nor link")
        if member.issym() or member.islnk():
            beside = str(path.parent) if member.issym() else ""
            if os.path.normpath(os.path.join(beside, member.linkname)).startswith(("/", "..")):  # noqa: PTH118
                raise ValueError(f"{member.name} is a link that leads out of the folder")
            links.add(path)
        member.mode = 0o755 if member.isdir() else (member.mode & 0o755) | 0o600
        member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
        yield member


def _sync(folder: Path) -> None:
    """The tree is whole on the disk: it is started after a power cut, too."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if not path.is_symlink():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
        sync_folder(Path(place))


def main(arguments: list[str]) -> int:
    """The child's entry point."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m plimsoll.agent.unpack PACKAGE FOLDER\n")
        return 2
    try:
        unpack(Path(arguments[0]), Path(arguments[1]))
    except UnpackError as error:
        sys.stderr.write(f"{error}\n")
        return _FULL if error.full else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
