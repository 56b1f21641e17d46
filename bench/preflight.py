"""The time of a preflight over a large fleet: a real store on disk, the service that every door calls."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from plimsoll.manager.home import init_home, open_home
from plimsoll.manager.ports import socket_principal
from plimsoll.manager.services import Services
from plimsoll.manager.store import sightings
from plimsoll.manager.store.sightings import SightingRecord
from plimsoll.manager.store.tables import computers
from plimsoll.tls.versions import Version

COMPUTERS = 100_000
ROUNDS = 5
#: One computer in so many is from before 10.0, and so a blocker.
_OLD_EVERY = 10
_RELAYS_EVERY = 500
#: What else stands in a row, so that it is as long as a real one.
_INVENTORY = {"os": "Debian GNU/Linux 12 (bookworm)", "tls": "OpenSSL 3.0.11 19 Sep 2023", "more": "x" * 300}
_POLICY = {"name": "Base Policy", "generation": 1_790_000_000, "heartbeat_seconds": 600, "agent_floor": "TLSv1.2"}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Computers as years of use leave them: several releases, some at 9.6, some never seen in a handshake."""
    chance = random.Random(12)
    now = time.time()
    for number in range(count):
        old = number % _OLD_EVERY == 0
        relay = number % _RELAYS_EVERY == 1
        newest = Version.TLS1_0 if old else chance.choice((Version.TLS1_2, Version.TLS1_3))
        seen = chance.random() < 0.9
        yield {
            "id": f"{number:08d}-{chance.getrandbits(48):012x}",
            "number": number + 1,
            "kind": "relay" if relay else "agent",
            "hostname": f"host-{number:06d}.example.test",
            "sort_name": f"host-{number:06d}.example.test",
            "version": chance.choice(("9.6.2", "9.5.3") if old else ("10.0.0", "11.3.1", "12.0.0")),
            "platform": chance.choice(("debian-12", "rhel-7", "windows-2019")),
            "ja4": "t12i200700_d41ae481755e_fc7e9f0ad9ea" if seen else "",
            "address": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "policy_id": 1,
            "fingerprint": f"{number:064x}",
            "last_seen": now - chance.random() * 600,
            "online": True,
            "activated": now - 1e6,
            "relay_port": 4122 if relay else None,
            "offered": newest if seen else None,
            "negotiated": newest if seen else None,
            "observed_at": now - chance.random() * 600 if seen else None,
            "inventory": _INVENTORY,
            "policy_given": _POLICY,
        }


def seen(fleet: list[dict[str, Any]]) -> Iterator[SightingRecord]:
    """What is on record of each, and now and then a refusal of an old one."""
    for number, row in enumerate(fleet):
        if row["offered"] is None:
            continue
        at, offered = row["observed_at"], row["offered"]
        known = SightingRecord(
            "heartbeat", row["address"], "t12i200700_d41ae481755e_fc7e9f0ad9ea", "admitted", offered.value,
            f"computer:{row['id']}", offered, [offered.value], "", 6, at - 1e6, at, "",
        )  # fmt: skip
        yield known
        if number % (_OLD_EVERY * 10) == 0:
            yield replace(known, outcome="refused", negotiated="", who="", last=at + 1)


def measure(folder: Path, count: int = COMPUTERS) -> tuple[list[float], int]:
    """Seconds of each preflight, the first one after the start included, and how many blockers it named."""
    init_home(folder / "home")
    home = open_home(folder / "home")
    try:
        services = Services(home.store, home)
        services.floors.start()
        fleet = list(rows(count))
        home.store.write(lambda connection: connection.execute(insert(computers), fleet))
        home.store.write(lambda connection: sightings.add(connection, list(seen(fleet))))
        fleet.clear()  # what a manager does not hold either, and the garbage collector would look through
        # As `plimsoll manager run` does once it is up.
        gc.collect()
        gc.freeze()
        who = socket_principal(0)
        times, blockers = [], 0
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found = services.judgement.preflight(who, "TLSv1.2")
            times.append(time.perf_counter() - start)
            blockers = len(found.blockers)
        return times, blockers
    finally:
        gc.unfreeze()
        home.close()
