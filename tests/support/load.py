"""A steady load of small requests on one port: a third each on new, resumed and kept-alive connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plimsoll.testing.caps import client_context
from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import PeerError, TlsPipe
from plimsoll.tls.versions import Version

KINDS = ("new", "resumed", "kept-alive")
KEPT = 4


@dataclass
class Load:
    """`rate` requests a second of TLS 1.2 until `stop`. `failures` must stay empty."""

    port: int
    ca: Path
    path: str
    rate: float = 50.0
    headers: Mapping[str, str] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    really_resumed: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = client_context(str(self.ca), oldest=Version.TLS1_2, newest=Version.TLS1_2)
        self._session: ssl.SSLSession | None = None
        self._stopping = asyncio.Event()
        self._kept: list[HttpPipe] = []
        self._locks = [asyncio.Lock() for _ in range(KEPT)]

    async def __aenter__(self) -> Load:
        self._kept = [await self._open(None) for _ in range(KEPT)]
        self._session = self._kept[0].pipe.tls.session
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await self._task
        for http in self._kept:
            await http.pipe.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        started, number = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                group.create_task(self._one(number))
                number += 1
                # By the clock and not by pauses: a slow answer must not thin the load out.
                await asyncio.sleep(max(0.0, started + number / self.rate - loop.time()))

    async def _one(self, number: int) -> None:
        kind = KINDS[number % len(KINDS)]
        try:
            if kind == "kept-alive":
                slot = number // len(KINDS) % KEPT
                async with self._locks[slot]:
                    await self._ask(self._kept[slot])
            else:
                http = await self._open(self._session if kind == "resumed" else None)
                self.really_resumed += bool(http.pipe.tls.session_reused)
                await self._ask(http)
                if kind == "resumed":
                    self._session = http.pipe.tls.session or self._session
                await http.pipe.close()
        except PeerError as error:
            self.failures.append(f"request {number}, {kind}: {error}")
        else:
            self.done[kind] += 1

    async def _open(self, session: ssl.SSLSession | None) -> HttpPipe:
        return HttpPipe(await TlsPipe.open("127.0.0.1", self.port, self._context, session=session))

    async def _ask(self, http: HttpPipe) -> None:
        answer = await http.request("GET", self.path, headers=self.headers)
        if answer.status != 200:
            raise PeerError(f"http {answer.status}", answer.body[:200].decode("utf-8", "replace"))
