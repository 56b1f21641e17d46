"""Bundles: packages and their release signatures in one signed file, for sites without internet.

A bundle is a plain tar archive (POSIX ustar, so `tar tf` lists it). Its first member is the index, a text in the form
of a release signature: it names every package with its length and digest, and a release key signs it, so that a bundle
from which something was taken out is none. After it comes each package, its release signature before it.

It is read in one pass from a stream that may be hostile: header by header, with nothing in memory but a piece of a
package, and no kind of member but the plain file. An archive's other kinds (links, long names, sparse files) are where
readers of archives have been made to write elsewhere, or to hold what does not fit.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from plimsoll.messages import release
from plimsoll.messages.release import Release, ReleaseError, ReleaseKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: How the file is named, and how its index is.
SUFFIX = ".bundle"
INDEX = "plimsoll-bundle.txt"
#: No bundle has more packages, and no index is longer, in bytes.
MAX_PACKAGES = 256
MAX_INDEX = 128 * 1024
#: No bundle is longer, in bytes: every system's packages of one release, several times over.
MAX_BUNDLE = 64 << 30

_HEAD = "plimsoll software bundle 1"
_BLOCK = tarfile.BLOCKSIZE
#: ustar's field for a name, in bytes.
_LONGEST_NAME = 100
_PIECE = 1 << 20


class Reader(Protocol):
    """Anything that reads: fewer bytes than were asked for only at its end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Member:
    """A package as the index names it. `length` is in bytes, `sha256` in hex."""

    file: str
    length: int
    sha256: str


def write(out: BinaryIO, packages: Sequence[tuple[Path, str]], key: Ed25519PrivateKey) -> tuple[Release, ...]:
    """Makes a bundle of these files, each with the text of its release signature, in this order.

    Each signature must be about the file beside it, or nothing was written; whose keys they are is for the importer.
    Raises ReleaseError, OSError.
    """
    said = [_described(path, text) for path, text in packages]
    if not 0 < len(said) <= MAX_PACKAGES:
        raise ReleaseError(f"a bundle has 1 to {MAX_PACKAGES} packages, not {len(said)}")
    if len({one.file for one in said}) < len(said):
        raise ReleaseError("two packages of a bundle have the same file name")
    lines = [_HEAD, *(f"package: {one.sha256} {one.length} {one.file}" for one in said)]
    index = release.signed_text(lines, key)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        _add_text(archive, INDEX, index)
        for one, (path, text) in zip(said, packages, strict=True):
            _add_text(archive, f"{one.file}.sig", text)
            with path.open("rb") as opened:
                archive.addfile(_member(one.file, one.length), opened)
    return tuple(said)


class Bundle:
    """A bundle while it is read. Raises ReleaseError where it is none, or no key of these signed its index."""

    def __init__(self, stream: Reader, keys: Sequence[ReleaseKey]) -> None:
        self._stream = stream
        length = self._header(INDEX)
        if length > MAX_INDEX:
            raise ReleaseError(f"the bundle's index is longer than {MAX_INDEX} bytes")
        text = self._text(length)
        self.members = _index(text, keys)

    def packages(self) -> Iterator[tuple[Member, str, Iterator[bytes]]]:
        """Each package: what the index says, its release signature's text, and its bytes in pieces.

        The pieces of one end before the next begins; what was not read of them is passed over. Raises ReleaseError.
        """
        for member in self.members:
            length = self._header(f"{member.file}.sig")
            if length > release.MAX_TEXT:
                raise ReleaseError(f"the signature of {member.file} is longer than {release.MAX_TEXT} bytes")
            text = self._text(length)
            if self._header(member.file) != member.length:
                raise ReleaseError(f"{member.file} is not as long as the bundle's index says")
            pieces = self._pieces(member.length)
            yield member, text, pieces
            for _ in pieces:
                pass

    def _header(self, name: str) -> int:
        """The length of the next member, which must have that name."""
        block = self._exactly(_BLOCK)
        try:
            found = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.TarError, ValueError):
            raise ReleaseError("that is no bundle: it is no tar archive, or it was cut off or altered") from None
        if found.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or found.name != name or found.size < 0:
            raise ReleaseError(f"that is no bundle, or it was altered: {name} was expected, and {found.name!r} came")
        return found.size

    def _text(self, length: int) -> str:
        data = b"".join(self._pieces(length))
        try:
            return data.decode("ascii")
        except UnicodeDecodeError:
            raise ReleaseError("the bundle's index or a signature in it is no text; it was altered") from None

    def _pieces(self, length: int) -> Iterator[bytes]:
        """The content of a member, with what fills its last block taken away."""
        left = length
        while left:
            piece = self._exactly(min(_PIECE, left))
            left -= len(piece)
            if not left:
                self._exactly(-length % _BLOCK)
            yield piece

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size) if size else b""
        if len(data) < size:
            raise ReleaseError("the bundle was cut off")
        return data


def _index(text: str, keys: Sequence[ReleaseKey]) -> tuple[Member, ...]:
    fields = release.fields_of(text, _HEAD, "bundle's index", repeated=("package",), longest=MAX_INDEX)
    if "key" not in fields or "signature" not in fields:
        raise ReleaseError("the bundle's index is not signed")
    release.hold(text, fields["key"][0], keys, "bundle's index")
    members = tuple(_named(line) for line in fields.get("package", ()))
    if not 0 < len(members) <= MAX_PACKAGES:
        raise ReleaseError(f"a bundle has 1 to {MAX_PACKAGES} packages, not {len(members)}")
    return members


def _named(line: str) -> Member:
    digest, _, rest = line.partition(" ")
    length, _, file = rest.partition(" ")
    if not length.isdigit() or len(length) > 15 or not 0 < int(length) <= release.MAX_LENGTH:
        raise ReleaseError("the bundle's index names a package without its length")
    return Member(file, int(length), digest)


def _described(path: Path, text: str) -> Release:
    """What the signature says, where the file is that very one."""
    said = release.read(text)
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != said.sha256 or path.name != said.file:
        raise ReleaseError(f"{path.name} is not the file that its release signature is about ({said.file})")
    if len(f"{said.file}.sig") > _LONGEST_NAME:
        raise ReleaseError(f"{said.file}: a name in a bundle has at most {_LONGEST_NAME - 4} characters")
    return said


def _member(name: str, length: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.mode = length, 0o644
    return made


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode("ascii")
    archive.addfile(_member(name, len(data)), io.BytesIO(data))
