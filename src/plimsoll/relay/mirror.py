"""What a relay mirrors: packages, fetched once and kept while there is room, and metadata, as fresh as its source.

A relay is not trusted, and trusts nobody for long: packages are named by their digest and checked; metadata is passed
on as it came, for agents to verify, and is asked for again soon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from plimsoll.messages import METADATA
from plimsoll.net.client import Link, LinkError
from plimsoll.net.download import SLOWEST
from plimsoll.net.files import file_answer, span
from plimsoll.net.http import Request, Response, StreamBody, problem
from plimsoll.relay.cache import Cache, NoRoom
from plimsoll.relay.flight import Flight, FlightFailed

_log = logging.getLogger("plimsoll.relay")

#: How long metadata is passed on without asking again, in seconds: the timestamp, and what it names by version.
FRESH = 10.0
VERSIONED = 3600.0
#: How long a source that could not be reached, or has no such file, is not asked for it again, in seconds.
REFUSED = 10.0
#: Metadata that is longer is not passed on, in bytes.
MAX_METADATA = 8 << 20
#: Packages that are fetched at the same time; more wait.
FLIGHTS = 4
#: Packages that are sent at the same time. More are asked to come back, or go elsewhere.
MOST = 1000
#: When they should, in seconds.
AGAIN = 10

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"timestamp\.json|[1-9][0-9]{0,14}\.(root|snapshot|targets)\.json")

T = TypeVar("T")
Links = Callable[[], Iterator[Link]]


class Mirror:
    """In the loop. `links` gives the sources in the order to ask them; each is closed by whoever took it."""

    def __init__(self, cache: Cache, links: Links, slowest: float = SLOWEST, fresh: float = FRESH) -> None:
        self._cache = cache
        self._links = links
        self._slowest = slowest
        self._fresh = fresh
        self._flights: dict[str, Flight] = {}
        self._asking: dict[str, asyncio.Task[bytes | None]] = {}
        self._asked: dict[str, float] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._sending = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: What kept packages from being fetched, for the agent to report.
        self.troubles: dict[str, str] = {}

    async def close(self) -> None:
        """Whoever waits is told that it ends; what came so far stays for the next start."""
        for flight in self._flights.values():
            flight.end(FlightFailed("this relay is stopping"))
        for task in (*self._tasks, *self._asking.values()):
            task.cancel()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # -- packages

    async def package(self, request: Request, sha256: str) -> Response:
        """The package, or the part of it that is asked for, as far as it is here, and as it comes."""
        if _DIGEST.fullmatch(sha256) is None:
            return problem(404, "a package is asked for by its SHA-256")
        if self._sending >= MOST:
            return self._later("this relay sends to as many as it can")
        path = self._cache.package(sha256)
        if path is not None:
            return self._counted(file_answer(request, path, self._sent))
        if self._refused(sha256):
            return problem(404, "the source of this relay does not have that package")
        flight = self._flights.get(sha256) or self._begin(sha256)
        try:
            await asyncio.shield(flight.announced)
        except FlightFailed as error:
            if error.missing:
                return problem(404, "the source of this relay does not have that package")
            return self._later(f"this relay cannot get that package just now ({error})")
        except NoRoom as error:
            return self._later(f"this relay has no room for that package ({error})")
        if flight.landed.done() and (path := self._cache.package(sha256)) is not None:
            return self._counted(file_answer(request, path, self._sent))
        return self._as_it_comes(request, flight)

    def _as_it_comes(self, request: Request, flight: Flight) -> Response:
        start, end, answer = span(request, flight.length)
        if answer.status == 416:
            return answer
        descriptor = flight.open()

        def finished() -> None:
            os.close(descriptor)
            self._sent()

        answer.stream = StreamBody(end - start, flight.pieces(descriptor, start, end))
        answer.finished = finished
        return self._counted(answer)

    def _begin(self, sha256: str) -> Flight:
        flight = Flight(sha256, self._cache.incoming(sha256), partial(self._cache.room, sha256))
        self._flights[sha256] = flight
        task = asyncio.get_running_loop().create_task(self._fly(flight), name="fetch-package")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flight

    async def _fly(self, flight: Flight) -> None:
        sha256 = flight.sha256
        error: Exception | None = None
        try:
            await self._in_thread(flight.fetch, self._links(), self._slowest)
            await self._in_thread(self._cache.keep, sha256)
        except FlightFailed as failed:
            error = failed
            if failed.missing:
                self._asked[sha256] = time.monotonic()
        except (NoRoom, OSError) as failed:
            error = failed if isinstance(failed, NoRoom) else NoRoom(failed.strerror or str(failed))
            if not isinstance(failed, NoRoom):
                # A full disk: what came of it is in the way of everything else.
                self._cache.incoming(sha256).unlink(missing_ok=True)
        except asyncio.CancelledError:
            error = FlightFailed("this relay is stopping")
            raise
        except Exception as failed:  # noqa: BLE001 - it is logged with its trace
            _log.exception("a package could not be fetched")
            error = FlightFailed(str(failed))
        finally:
            self._flights.pop(sha256, None)
            self._cache.release(sha256)
            if error is not None and not (isinstance(error, FlightFailed) and error.missing):
                _log.warning("package %s was not fetched: %s", sha256, error)
                self.troubles["room" if isinstance(error, NoRoom) else "source"] = str(error)
            flight.end(error)

    def _counted(self, answer: Response) -> Response:
        if answer.long:
            self._sending += 1
        return answer

    def _sent(self) -> None:
        self._sending -= 1

    def _later(self, why: str) -> Response:
        answer = problem(503, f"{why}; ask another source, or come back")
        answer.headers["retry-after"] = str(AGAIN)
        return answer

    # -- metadata

    async def metadata(self, request: Request, name: str) -> Response:
        """The source's own, passed on; an older one where the source cannot be reached."""
        if _NAME.fullmatch(name) is None:
            return problem(404, "there is no such metadata")
        path = self._cache.metadata(name)
        if not self._is_fresh(path, self._fresh if name == "timestamp.json" else VERSIONED) and not self._refused(name):
            # However many ask at once, the source is asked once.
            task = self._asking.get(name)
            if task is None:
                task = self._asking[name] = asyncio.create_task(self._ask(name, path), name="fetch-metadata")
                task.add_done_callback(lambda _: self._asking.pop(name, None))
            data = await asyncio.shield(task)
            if data is not None:
                return Response(body=data)
        return file_answer(request, path)

    async def _ask(self, name: str, path: Path) -> bytes | None:
        data = await self._in_thread(self._get, name)
        if data is None:
            self._asked[name] = time.monotonic()
            return None
        try:
            await self._in_thread(_replace, path, data)
        except OSError as error:
            _log.warning("%s was not stored: %s", path, error)
        return data

    def _get(self, name: str) -> bytes | None:
        """In a thread: from the first source that answers; None where none has it."""
        for link in self._links():
            with link:
                try:
                    body = link.stream(f"{METADATA}/{name}", slowest=self._slowest)
                    if body.status == 200:
                        return body.read_all(MAX_METADATA)
                    if body.status == 404:
                        return None
                except (LinkError, ValueError) as error:
                    _log.debug("%s: %s", name, error)
        return None

    def _is_fresh(self, path: Path, seconds: float) -> bool:
        try:
            age = time.time() - path.stat().st_mtime
        except OSError:
            return False
        return 0.0 <= age < seconds

    def _refused(self, name: str) -> bool:
        at = self._asked.get(name)
        if at is None:
            return False
        if time.monotonic() - at < REFUSED:
            return True
        self._asked = {key: when for key, when in self._asked.items() if time.monotonic() - when < REFUSED}
        return False

    async def _in_thread(self, work: Callable[..., T], *given: object) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(FLIGHTS + 2, thread_name_prefix="plimsoll-mirror")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
