"""The upstream address: one bundle on a web server, fetched when it has changed (R9: software comes in by itself).

Rules of this file: what is fetched counts by its signatures, so plain HTTP is as good as HTTPS; it is asked for only
where the server says that it is another one than last time; that it is not reached is told once.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Protocol
from urllib.parse import urlsplit

from plimsoll import RELEASE
from plimsoll.manager.config import write_atomically
from plimsoll.manager.ports import SYSTEM, Conflict, ServiceError, internal
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.software import tell_refused
from plimsoll.manager.services.software_bundles import SoftwareBundleService
from plimsoll.messages.bundle import Reader

#: Seconds between two looks.
EVERY = 3600.0
#: Seconds for which the server may be silent.
PATIENCE = 60.0
#: What is remembered of the bundle that came in last: a file below ``HOME/software``.
STATE = "upstream.json"

_VALIDATORS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


class SoftwareUpstreamService:
    def __init__(self, core: Core, bundles: SoftwareBundleService) -> None:
        self._core = core
        self._bundles = bundles
        self._looking = threading.Lock()
        self._next = 0.0
        self._problem = ""

    @internal
    def tick(self) -> bool:
        """For a loop that comes often: looks where the last look is an hour ago. Whether something came in."""
        now = self._core.clock()
        if not self._core.home.config.software_upstream or self._next - EVERY <= now < self._next:
            return False
        self._next = now + EVERY
        return self.look() > 0

    @internal
    def look(self) -> int:
        """Asks now. How many packages came in; what was refused is told once."""
        url = self._core.home.config.software_upstream
        if not url:
            return 0
        with self._looking:
            try:
                found = self._fetch(url)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._trouble(f"{url}: {_reason(error)}; nothing was imported from there")
                return 0
            except ServiceError as error:
                # A bundle that does not hold has told so itself.
                self._trouble(f"{url}: {error.message}" if isinstance(error, Conflict) else "")
                return 0
            self._problem = ""
            return found

    def _fetch(self, url: str) -> int:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("softwareUpstream= takes an address that begins with https:// or http://")
        request = urllib.request.Request(url, headers={"User-Agent": f"plimsoll/{RELEASE}", **self._remembered(url)})
        with self._opened(request) as answer:
            if answer is None:
                return 0
            done = self._bundles.take_in(SYSTEM, answer, origin=f"from {url}")
            said = {there: answer.headers[name] for name, there in _VALIDATORS.items() if answer.headers[name]}
        self._core.home.path.joinpath("software").mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._core.home.path / "software" / STATE, json.dumps({"url": url, "asks": said}).encode())
        return sum(one.new for one in done)

    @contextlib.contextmanager
    def _opened(self, request: urllib.request.Request) -> Iterator[_Answer | None]:
        """The answer, or None where the bundle is the one that came in last."""
        handlers: list[urllib.request.BaseHandler] = []
        if request.type == "https":
            ca = self._core.home.config.software_upstream_ca
            context = ssl.create_default_context(cafile=ca or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            handlers.append(urllib.request.HTTPSHandler(context=context))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.HTTPStatus.NOT_MODIFIED:
                    raise
            yield None

    def _remembered(self, url: str) -> dict[str, str]:
        """The conditions under which the server has something new, where it was this address last time."""
        try:
            said = json.loads((self._core.home.path / "software" / STATE).read_bytes())
            return dict(said["asks"]) if said["url"] == url else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _trouble(self, why: str) -> None:
        if why and why != self._problem:
            tell_refused(self._core, why)
        self._problem = why


class _Answer(Reader, Protocol):
    headers: http.client.HTTPMessage


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered with {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"it was not reached: {error.reason}"
    return str(error) or type(error).__name__
