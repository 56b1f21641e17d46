"""The time of one page of a search over a large fleet: the whole application, from the request to the last byte."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert

from bench.preflight import rows
from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.app import settle
from plimsoll.manager.database import EMBEDDED
from plimsoll.manager.home import init_home, open_home
from plimsoll.manager.ports import socket_principal
from plimsoll.manager.services import Services
from plimsoll.manager.store.tables import computers

COMPUTERS = 100_000
PAGE = 5_000


def measure(folder: Path, count: int = COMPUTERS, address: str | None = None) -> tuple[float, float, int]:
    """Seconds of a page, at the median and at worst, and how many computers all pages together had.

    `address` is an empty database of PostgreSQL; without one the store is a file.
    """
    init_home(folder / "home", store=address or EMBEDDED)
    home = open_home(folder / "home")
    try:
        services = Services(home.store, home)
        services.floors.start()
        home.store.write(lambda connection: connection.execute(insert(computers), list(rows(count))))
        app = create_app(Backend(services, home.installation, local=socket_principal(0)))
        settle()  # as a manager does when it has started
        times, found = asyncio.run(_pages(app))
        return statistics.median(times), max(times), found
    finally:
        gc.unfreeze()
        home.close()


async def _pages(app: Any) -> tuple[list[float], int]:
    times: list[float] = []
    found = last = 0
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://manager") as client:
        while True:
            after = {"fieldName": "ID", "idTest": "greater-than", "idValue": last}
            start = time.perf_counter()
            answer = await client.post("/api/computers/search", json={"maxItems": PAGE, "searchCriteria": [after]})
            took = time.perf_counter() - start
            page = answer.json()["computers"]
            if not page:
                return times, found
            times.append(took)
            found += len(page)
            last = page[-1]["ID"]
