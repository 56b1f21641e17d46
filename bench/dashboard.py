"""The time of the dashboard over a large fleet: the whole application, from the request to the last byte."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from bench.preflight import rows, seen
from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.app import settle
from plimsoll.manager.database import EMBEDDED
from plimsoll.manager.home import init_home, open_home
from plimsoll.manager.ports import socket_principal
from plimsoll.manager.services import Services
from plimsoll.manager.store import handshake_totals, sightings
from plimsoll.manager.store.tables import computers

COMPUTERS = 100_000
ROUNDS = 15
#: The lists of the console: the first page, narrowed ones, searches (one that finds nobody reads all), what waits.
LISTS = (
    "/computers",
    "/computers?offered=TLSv1&kind=agent",
    "/computers?q=host-09999",
    "/computers?q=nobody+is+called+so",
    "/computers?sort=last-seen",
    "/computers?pending=1",
    "/computers/77/tls",
    "/policies",
)
PATHS = ("/", "/?span=90d", "/picture?floor=TLSv1.2", "/picture/members?group=agents+before+10.0")


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds: of each path at the median and at worst; of a look at the whole fleet, for which no request waits."""

    pages: dict[str, tuple[float, float]]
    look: float

    @property
    def slowest(self) -> float:
        return max(median for median, _ in self.pages.values())


def measure(folder: Path, count: int = COMPUTERS, address: str | None = None) -> Figures:
    """`address` is an empty database of PostgreSQL; without one the store is a file."""
    init_home(folder / "home", store=address or EMBEDDED)
    home = open_home(folder / "home")
    try:
        services = Services(home.store, home)
        services.floors.start()
        fleet = list(rows(count))
        home.store.write(lambda connection: connection.execute(insert(computers), fleet))
        known = list(seen(fleet))
        home.store.write(lambda connection: sightings.add(connection, known))
        home.store.write(lambda connection: handshake_totals.add(connection, known))
        fleet.clear()
        known.clear()
        app = create_app(Backend(services, home.installation, local=socket_principal(0)))
        settle()  # as a manager does when it has started
        start = time.perf_counter()
        services.overview.tick()  # the loop's part
        look = time.perf_counter() - start
        return Figures(asyncio.run(_pages(app)), look)
    finally:
        gc.unfreeze()
        home.close()


async def _pages(app: Any) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://manager") as client:
        for path in (*PATHS, *LISTS):
            times = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                answer = await client.get(path)
                times.append(time.perf_counter() - start)
                assert answer.status_code == 200, (path, answer.status_code)
            found[path] = statistics.median(times), max(times)
    return found
