"""Software at 4120: metadata and packages for relays, and for agents that have no relay; and news of both.

The manager is the last source, not the first: it sends to so many at a time and asks the rest to come back.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from plimsoll.manager.heartbeat.relay_lists import RelayLists
from plimsoll.manager.registry import Known
from plimsoll.messages import METADATA, TARGETS, SoftwareNews, SoftwareState
from plimsoll.net.files import file_answer
from plimsoll.net.http import Request, Response, problem

#: Packages that are sent at the same time; heartbeats share the same loop.
MOST = 64
#: When one who was turned away should come back, in seconds: spread, and about as long as a package takes.
AGAIN = (5.0, 30.0)
#: After a raise a download may go on for this long (design §4).
DOWNLOAD_GRACE = 60.0

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Files(Protocol):
    """Where files lie; quick, since it is asked in the loop."""

    def metadata(self, name: str) -> Path | None: ...

    def package(self, sha256: str) -> Path | None: ...


class Handout:
    """`news` is what heartbeats take home, the call what METADATA and TARGETS answer."""

    def __init__(self, files: Files, lists: RelayLists, rng: random.Random | None = None, most: int = MOST) -> None:
        self._files = files
        self._lists = lists
        self._rng = rng or random.Random()
        self._most = most
        self._sending = 0
        self._trust: tuple[str, ...] = ()
        self._root = ""

    def put(self, trust: Sequence[str], root: str) -> None:
        """The chain of statements, and the root to begin with, as they are now."""
        self._trust, self._root = tuple(trust), root

    def news(self, known: Known, state: SoftwareState | None) -> SoftwareNews | None:
        """What this computer does not hold yet; None where it holds all, or could not read it."""
        if state is None:
            return None
        digest, relays = self._lists.of(known)
        news = SoftwareNews()
        if state.trust < len(self._trust):
            news.trust = list(self._trust[max(0, state.trust) :])
        if not state.root and self._root:
            news.root = self._root
        if state.sources != digest:
            news.sources, news.relays = digest, relays
        return news if news.trust or news.root or news.relays is not None else None

    def takes(self, path: str) -> bool:
        return path.startswith((f"{METADATA}/", f"{TARGETS}/"))

    def __call__(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return problem(405, "software is only read")
        name = request.path.rpartition("/")[2]
        if request.path == f"{METADATA}/{name}":
            path = self._files.metadata(name)
            return problem(404, "there is no such metadata") if path is None else file_answer(request, path)
        path = self._files.package(name) if _DIGEST.fullmatch(name) and request.path == f"{TARGETS}/{name}" else None
        if path is None:
            return problem(404, "there is no such package; was it deleted?")
        if self._sending >= self._most:
            busy = problem(503, "this manager sends software to as many as it can; ask a relay, or come back")
            busy.headers["retry-after"] = str(round(self._rng.uniform(*AGAIN)))
            return busy
        request.connection.grace = DOWNLOAD_GRACE
        answer = file_answer(request, path, self._finished)
        if answer.file is not None:
            self._sending += 1
        return answer

    def _finished(self) -> None:
        self._sending -= 1
