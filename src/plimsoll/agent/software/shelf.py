"""HOME/software on an agent: what it believes, where it asks, and what it has downloaded.

    trust.txt            the statement of release keys that counts here (`messages.release`)
    root.json            the root metadata that this agent began with
    sources.json         the relays to ask, in order (`Sources`)
    metadata/            the newest metadata that was verified; it is what an older one is recognised by
    incoming/<digest>    a package while it comes
    packages/<digest>/   a package that was verified, under its own name

What is believed is taken once and then only follows itself: a root from its predecessor, a statement of release keys
from a key of the one before it.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from plimsoll.agent.files import read_optional, write_atomic
from plimsoll.messages import SoftwareNews, SoftwareState, release
from plimsoll.messages.release import ReleaseError, TrustStatement

#: More relays than this are not stored: a list is for trying in order, not for scanning.
MAX_RELAYS = 64
#: No root metadata that we begin with is longer, in characters.
MAX_ROOT = 256 * 1024


class ShelfError(Exception):
    """What is stored cannot be read. The message says what to do."""


class Busy(Exception):  # noqa: N818 - names a condition
    """Another process of this host downloads just now."""


class Sources(msgspec.Struct, kw_only=True):
    """Relays as ``host:port``, in the order to try them; `digest` names the manager's list that this is."""

    digest: str = ""
    relays: list[str] = []


class Shelf:
    """The folder. Standard library and msgspec only: the resident agent keeps one."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "software"
        self.metadata = self.folder / "metadata"
        self.incoming = self.folder / "incoming"
        self.packages = self.folder / "packages"

    # -- what is believed

    def trust(self) -> TrustStatement | None:
        """The statement that counts; None before the first. Raises ShelfError."""
        data = read_optional(self.folder / "trust.txt")
        if data is None:
            return None
        try:
            return release.read_trust(data.decode("ascii"))
        except (ReleaseError, UnicodeDecodeError) as error:
            raise ShelfError(
                f"{self.folder / 'trust.txt'} is damaged ({error}): no software is installed. Restore it from a backup,"
                " or say anew whose signature counts: plimsoll agent trust-release-key FILE"
            ) from None

    def put_trust(self, statement: TrustStatement) -> None:
        self._create()
        write_atomic(self.folder / "trust.txt", statement.text.encode())

    def root(self) -> bytes | None:
        return read_optional(self.folder / "root.json")

    def state(self) -> SoftwareState:
        """What a heartbeat says. Something damaged counts as had: it must not be replaced in silence."""
        try:
            statement = self.trust()
            number = 0 if statement is None else statement.number
        except ShelfError:
            number = 1 << 30
        return SoftwareState(trust=number, root=self.root() is not None, sources=self.sources().digest)

    def take(self, news: SoftwareNews) -> list[str]:
        """Stores what is new and needs no proof: a list of relays, a first root, a first statement.

        Returns the statements that need one: who follows whom is for `fetching.follow`.
        """
        self._create()
        if news.relays is not None:
            sources = Sources(digest=news.sources, relays=list(news.relays[:MAX_RELAYS]))
            write_atomic(self.folder / "sources.json", msgspec.json.encode(sources))
        if news.root and len(news.root) <= MAX_ROOT and self.root() is None:
            write_atomic(self.folder / "root.json", news.root.encode())
        following = list(news.trust)
        if following and self.trust() is None:
            self.put_trust(release.read_trust(following.pop(0)))
        return following

    # -- where to ask

    def sources(self) -> Sources:
        data = read_optional(self.folder / "sources.json")
        try:
            return Sources() if data is None else msgspec.json.decode(data, type=Sources)
        except msgspec.MsgspecError:
            return Sources()  # the manager gives it again

    # -- packages

    def package(self, sha256: str, file: str) -> Path:
        """Where the verified package of that digest and name lies, if it does."""
        return self.packages / sha256 / file

    def has(self, sha256: str, file: str, length: int) -> bool:
        """Whether it is there, and still what it was: read again, since a disk forgets and a person meddles."""
        path = self.package(sha256, file)
        try:
            if path.stat().st_size != length:
                return False
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def prune(self, keep: Collection[str]) -> None:
        """Removes packages of other digests, and what is left of downloads that were broken off."""
        for folder in self.packages.iterdir() if self.packages.is_dir() else ():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        for path in self.incoming.iterdir() if self.incoming.is_dir() else ():
            if path.name not in keep:
                path.unlink(missing_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One download at a time. Raises Busy."""
        self._create()
        with (self.folder / "lock").open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy("another process downloads software on this host just now") from None
            yield

    def _create(self) -> None:
        for folder in (self.folder, self.metadata, self.incoming, self.packages):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def usable(relays: Sequence[str]) -> list[tuple[str, int]]:
    """Hosts and ports of the addresses that this release can read; an IPv6 host stands in brackets."""
    found = []
    for text in relays:
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            found.append((host, int(port)))
    return found
