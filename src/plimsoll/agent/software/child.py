"""The child that downloads and verifies: ``python -m plimsoll.agent.software.child``.

It reads one `Question`, a line, on standard input and writes lines of `Answer` on standard output. Its parent keeps
that input open, and the child ends with it.

Rules of this file: a source is believed nothing that was not signed; what it gives is bounded before it is read; what
was refused leaves nothing behind that a later step could take for good; then the next source is asked.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.agent.home import AgentState, Home, HomeError
from plimsoll.agent.software import sources
from plimsoll.agent.software.fetching import (
    BUSY,
    MISMATCH,
    PACKAGE_INVALID,
    PROGRESS_SECONDS,
    SIGNATURE_INVALID,
    SIGNATURE_MISSING,
    Answer,
    Fetched,
    Question,
    Refusal,
    SoftwareError,
    Wish,
    _Failure,
)
from plimsoll.agent.software.incoming import Incoming, PackageRefused, SourceBusy, retry_after
from plimsoll.agent.software.shelf import Busy, Shelf, ShelfError
from plimsoll.messages import METADATA, release
from plimsoll.messages.release import Release, ReleaseError, ReleaseKey
from plimsoll.net.client import Link, LinkError

#: Metadata that is longer than this is not read, in bytes.
MAX_METADATA = 8 << 20


class Turned(Exception):  # noqa: N818 - names a condition
    """A source sends to as many as it can. `after` is when to come back, in seconds."""

    def __init__(self, text: str, after: float) -> None:
        super().__init__(text)
        self.after = after


class Refused(Exception):  # noqa: N818 - names a condition
    """A source is not believed. `number` is the event that says why."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class Fetcher:
    """One wish, source after source."""

    def __init__(self, home: Home, wish: Wish) -> None:
        self._home = home
        self._wish = wish
        self._shelf = Shelf(home.path)
        self._refusals: list[Refusal] = []
        self._told = 0.0

    def run(self) -> Fetched:
        """Raises SoftwareError."""
        try:
            state = self._home.load_state()
            root, trust = self._shelf.root(), self._shelf.trust()
        except (HomeError, ShelfError) as error:
            raise SoftwareError(SIGNATURE_MISSING, str(error)) from None
        if root is None or trust is None:
            lacking = "root metadata" if root is None else "release key"
            raise SoftwareError(
                SIGNATURE_MISSING,
                f"this computer was given no {lacking} of the software repository yet, so it can believe nobody;"
                " nothing was installed. It comes with a heartbeat once the manager has one",
            )
        ends = time.monotonic() + self._wish.patience
        with self._shelf.lock():
            while True:
                fetched, busy = self._round(state, root, trust.keys)
                if fetched is not None:
                    return fetched
                wait = min((one.after for one in busy), default=0.0) * random.uniform(1.0, 1.5)
                if not busy or time.monotonic() + wait > ends:
                    break
                time.sleep(wait)
        if busy:
            text = "; ".join(["every source is busy, nothing was installed", *map(str, busy)])
            raise SoftwareError(SIGNATURE_MISSING, text, self._refusals)
        if not self._refusals:
            raise SoftwareError(SIGNATURE_MISSING, "no relay and no manager is known to download from")
        worst = min(self._refusals, key=lambda one: _GRAVITY.index(one.number))
        text = "; ".join(f"{one.source}: {one.text}" for one in self._refusals)
        raise SoftwareError(worst.number, f"no source gave the package, nothing was installed: {text}", self._refusals)

    def _round(self, state: AgentState, root: bytes, keys: Sequence[ReleaseKey]) -> tuple[Fetched | None, list[Turned]]:
        """Asks each source once, but for those that were refused; who was busy is asked again in the next round."""
        busy: list[Turned] = []
        refused = {one.source for one in self._refusals}
        for link in sources.links(self._home, state, self._shelf, self._wish.timeout):
            where = f"{link.host}:{link.port}"
            if where in refused:
                continue
            with link:
                try:
                    return self._from(link, root, keys), busy
                except Turned as error:
                    busy.append(error)
                except Refused as error:
                    self._refusals.append(Refusal(number=error.number, source=where, text=str(error)))
        return None, busy

    def _from(self, link: Link, root: bytes, keys: Sequence[ReleaseKey]) -> Fetched:
        target = self._target(link, root)
        said = self._vouched(target, keys)
        path = self._shelf.package(said.sha256, said.file)
        if not self._shelf.has(said.sha256, said.file, said.length):
            # One package at a time: the host's disk is not ours to fill.
            self._shelf.prune({said.sha256})
            self._download(link, said, path)
        return Fetched(
            path=str(path), target=said.target, product=said.product, version=said.version, platform=said.platform,
            architecture=said.architecture, file=said.file, length=said.length, sha256=said.sha256, key=said.key,
            source=f"{link.host}:{link.port}", refusals=self._refusals,
        )  # fmt: skip

    def _target(self, link: Link, root: bytes) -> Any:
        """What the signed metadata says of the package that is wanted."""
        from tuf.api import exceptions
        from tuf.ngclient import Updater, UpdaterConfig

        config = UpdaterConfig(
            root_max_length=256 * 1024, timestamp_max_length=16 * 1024, snapshot_max_length=64 * 1024,
            targets_max_length=MAX_METADATA, max_root_rotations=64,
        )  # fmt: skip
        try:
            updater = Updater(str(self._shelf.metadata), "m", fetcher=_metadata_of(link), config=config, bootstrap=root)
            updater.refresh()
            found = updater.get_targetinfo(self._wish.target)
        except exceptions.ExpiredMetadataError as error:
            raise Refused(
                MISMATCH,
                f"its metadata has expired ({error}): it is frozen, or its manager is down, or this host's clock is"
                " wrong",
            ) from None
        except exceptions.BadVersionNumberError as error:
            raise Refused(MISMATCH, f"its metadata is older than what was seen before ({error})") from None
        except exceptions.LengthOrHashMismatchError as error:
            raise Refused(MISMATCH, f"its metadata does not belong together ({error})") from None
        except exceptions.RepositoryError as error:
            raise Refused(SIGNATURE_INVALID, f"its metadata does not hold ({error})") from None
        except exceptions.DownloadLengthMismatchError as error:
            raise Refused(SIGNATURE_INVALID, f"its metadata is longer than any ({error})") from None
        except exceptions.DownloadError as error:
            raise Refused(SIGNATURE_MISSING, f"its metadata could not be had ({_cause(error)})") from None
        if found is None:
            raise Refused(
                SIGNATURE_MISSING, f"its metadata does not know {self._wish.target}: it is not new enough, or"
                " the package is not offered any more"
            )  # fmt: skip
        return found

    def _vouched(self, target: Any, keys: Sequence[ReleaseKey]) -> Release:
        """What the release signature says, where it is about this very target."""
        custom = target.custom if isinstance(target.custom, Mapping) else {}
        text = custom.get("signature")
        if not isinstance(text, str):
            raise Refused(SIGNATURE_MISSING, f"{target.path} comes without a release signature")
        try:
            said = release.verify(text, keys)
        except ReleaseError as error:
            raise Refused(SIGNATURE_INVALID, f"{target.path}: {error}") from None
        signed = (target.path, target.length, target.hashes.get("sha256"))
        if (said.target, said.length, said.sha256) != signed:
            raise Refused(
                MISMATCH, f"{target.path} is signed as {said.target}, {said.length} bytes: one package under the name"
                " of another"
            )  # fmt: skip
        wish = self._wish
        for name, wanted, given in (
            ("version", wish.version, said.version),
            ("length", wish.length, said.length),
            ("SHA-256", wish.sha256, said.sha256),
        ):
            if wanted and wanted != given:
                raise Refused(MISMATCH, f"{target.path} has {name} {given}, and {wanted} was ordered")
        return said

    def _download(self, link: Link, said: Release, path: Path) -> None:
        incoming = Incoming(self._shelf.incoming, said.sha256, said.length)
        for attempt in (1, 2):
            try:
                incoming.fetch(link, self._wish.minimum, lambda had: self._tell(had, said.length))
            except SourceBusy as error:
                raise Turned(str(error), error.after) from None
            except PackageRefused as error:
                if error.spoilt and attempt == 1:
                    # What another source began with was wrong: this one is asked for all of it.
                    incoming.path.unlink(missing_ok=True)
                    continue
                raise Refused(PACKAGE_INVALID, f"{said.file}: {error}") from None
            incoming.put(path)
            return

    def _tell(self, had: int, of: int) -> None:
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            _say(Answer(had=had, of=of))


#: Which of several refusals names the whole: a forged signature is graver than a package that did not come.
_GRAVITY = (SIGNATURE_INVALID, MISMATCH, PACKAGE_INVALID, SIGNATURE_MISSING)


def _metadata_of(link: Link) -> Any:
    """The framework's way to metadata, over our own connection."""
    from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError
    from tuf.ngclient.fetcher import FetcherInterface

    class FromLink(FetcherInterface):
        def _fetch(self, url: str) -> Iterator[bytes]:
            raise NotImplementedError

        def download_bytes(self, url: str, max_length: int) -> bytes:
            try:
                body = link.stream(f"{METADATA}/{url.rpartition('/')[2]}")
                if body.status == 503:
                    raise Turned(f"{link.host}:{link.port} is busy", retry_after(body.headers))
                if body.status != 200:
                    raise DownloadHTTPError(f"HTTP status {body.status}", body.status)
                return body.read_all(max_length)
            except ValueError as error:
                raise DownloadLengthMismatchError(str(error)) from None
            except LinkError as error:
                raise DownloadError(str(error)) from error

    return FromLink()


def _cause(error: Exception) -> str:
    return str(error.__cause__ or error)


def _follow(home: Home, statements: list[str]) -> int:
    shelf = Shelf(home.path)
    try:
        current = shelf.trust()
    except ShelfError as error:
        raise SoftwareError(SIGNATURE_INVALID, str(error)) from None
    if current is None:
        raise SoftwareError(SIGNATURE_MISSING, "no release key counts on this computer yet: there is none to follow")
    for text in statements:
        try:
            current = release.follow(current, text)
        except ReleaseError as error:
            raise SoftwareError(
                SIGNATURE_INVALID,
                f"other release keys were brought and not believed: {error}. Those that counted before still do",
            ) from None
        shelf.put_trust(current)
    return current.number


def _say(answer: Answer) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise SystemExit(1) from None  # nobody listens any more


def _end_with_parent() -> None:
    """Also where that was killed: nobody would take the answer. What is half written is gone on with next time."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> int:
    """The child's entry point."""
    try:
        question = msgspec.json.decode(sys.stdin.buffer.readline(), type=Question)
    except msgspec.MsgspecError:
        sys.stderr.write("the download helper cannot read its question\n")
        return 1
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    home = Home(question.home)
    try:
        if question.wish is not None:
            _say(Answer(fetched=Fetcher(home, question.wish).run()))
        else:
            _say(Answer(statement=_follow(home, question.follow)))
    except SoftwareError as error:
        _say(Answer(failure=_Failure(number=error.number, text=str(error), refusals=list(error.refusals))))
    except Busy as error:
        _say(Answer(failure=_Failure(number=BUSY, text=f"{error}; nothing was installed. Try again later")))
    except OSError as error:
        _say(Answer(failure=_Failure(number=PACKAGE_INVALID, text=f"{error}; nothing was installed")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
