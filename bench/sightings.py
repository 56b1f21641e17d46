"""The size of a year of sightings, and how long questions about them take: a real store on disk, at full size.

Two ways to the same figure. A part of the fleet goes through the service for the whole time, hour by hour, tidied each
day as the manager does, and is multiplied. Then the whole fleet's year is laid down as that leaves it, and looked at.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from plimsoll.manager.home import Home, init_home, open_home
from plimsoll.manager.ports import Presence, socket_principal
from plimsoll.manager.services import Services
from plimsoll.manager.services.sightings import SightingFilter
from plimsoll.manager.store import sightings as table
from plimsoll.manager.store.sightings import SightingRecord
from plimsoll.net.sightings import Outcome, Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

COMPUTERS = 10_000
#: Through the service, for all days.
PART = 60
#: As `sightingsDays` and `sightingsHourlyDays` are by default: longer than the year that is asked for.
DAYS = 400
HOURLY = 14
HEARTBEATS = 6
#: One computer in so many still offers TLS 1.0 only, and was refused for a day.
_OLD_EVERY = 50
ROUNDS = 5
BUDGET = 2 << 30


@dataclass(frozen=True, slots=True)
class Figures:
    part_year: int
    whole_year: int
    rows: int
    absorbed: float
    tidied: float
    asked: dict[str, float]


class _Seen:
    """What a running manager would hand over."""

    def __init__(self) -> None:
        self.waiting: list[Sighting] = []

    def presence(self) -> Iterator[Presence]:
        return iter(())

    def sightings(self) -> list[Sighting]:
        given, self.waiting = self.waiting, []
        return given


def kinds(number: int) -> Iterator[Sighting]:
    """How one computer looks: a full and a resumed handshake differ, and it moves to another address now and then."""
    chance = random.Random(number)
    offered = Version.TLS1_0 if number % _OLD_EVERY == 0 else chance.choice((Version.TLS1_2, Version.TLS1_3))
    versions = tuple(version for version in reversed(Version) if version <= offered)
    print_ = f"t{12 + offered.rank % 2}i{chance.randrange(10, 60)}08h1"
    for resumed in (0, 1):
        yield Sighting(
            point=Point.HEARTBEAT,
            address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            offered=offered,
            versions=versions,
            ja4=f"{print_}_{chance.getrandbits(48):012x}_{resumed:012x}",
            sni="manager.example.test",
            outcome=Outcome.ADMITTED,
            negotiated=offered,
            who=f"computer:{chance.getrandbits(128):032x}",
            count=HEARTBEATS // 2,
            first=0.0,
            last=0.0,
            user_agent="",
        )


def size(home: Home) -> int:
    """What the store's file takes, without what is free in it."""

    def pages(name: str) -> int:
        return int(home.store.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar_one()))

    return (pages("page_count") - pages("freelist_count")) * pages("page_size")


def part(folder: Path) -> tuple[int, float]:
    """Bytes of a year of the whole fleet, as the part's multiple; seconds that a thousand sightings took to store."""
    init_home(folder / "home")
    home, seen, now = open_home(folder / "home"), _Seen(), [0.0]
    try:
        services = Services(home.store, home, observed=seen, clock=lambda: now[0])
        start = (time.time() // 86400) * 86400 - DAYS * 86400
        empty, fleet, spent = size(home), [one for number in range(PART) for one in kinds(number)], 0.0
        for hour in range(DAYS * 24):
            now[0] = start + hour * 3600.0
            seen.waiting = [replace(one, first=now[0] + 5, last=now[0] + 3000) for one in fleet]
            begun = time.perf_counter()
            services.sightings.absorb()
            spent += time.perf_counter() - begun
            if hour % 24 == 1:
                services.sightings.tidy()
        return (size(home) - empty) * COMPUTERS // PART, spent / (DAYS * 24 * len(fleet)) * 1000
    finally:
        home.close()


def whole(folder: Path, say: Callable[[str], None]) -> tuple[int, int, float, dict[str, float]]:
    """Bytes, rows, seconds of one day's tidying, and seconds of each question, at full size."""
    init_home(folder / "home")
    home = open_home(folder / "home")
    try:
        services = Services(home.store, home)
        empty = size(home)
        _lay_down(home)
        say("questions about it")
        services.sightings.tidy(force=True)
        taken, rows = size(home) - empty, _rows(home)
        times = {name: statistics.median(_timed(ask) for _ in range(ROUNDS)) for name, ask in _questions(services)}
        moved = replace(home.config, sightings_hourly_days=HOURLY - 1)
        home.config = moved
        return taken, rows, _timed(lambda: services.sightings.tidy(force=True)), times
    finally:
        home.close()


def _lay_down(home: Home) -> None:
    """The rows of a year, day by day, so that they lie in the file as the days left them."""
    today = int(time.time() // 86400)
    begun = (today - DAYS) * 86400.0
    records = [_record(one, begun) for number in range(COMPUTERS) for one in kinds(number)]
    home.store.write(lambda c: table.add(c, records))
    ids = sorted(record.id for record in records)
    statement = "insert or replace into sighting_counts (sighting, start, hours, count) values (?, ?, ?, ?)"
    for day in range(today - DAYS, today):
        hourly = day >= today - HOURLY
        for start in range(day * 24, day * 24 + 24, 1 if hourly else 24):
            rows = [(one, start, 1 if hourly else 24, HEARTBEATS if hourly else 24 * HEARTBEATS) for one in ids]
            home.store.write(lambda c, rows=rows: c.exec_driver_sql(statement, rows))  # type: ignore[misc]  # a default


def _record(one: Sighting, begun: float) -> SightingRecord:
    return SightingRecord(
        one.point.value, one.address, one.ja4, one.outcome.value, one.negotiated.value if one.negotiated else "",
        one.who or "", one.offered, [version.value for version in one.versions], one.sni or "", one.count, begun,
        time.time() - 60, one.detail,
    )  # fmt: skip


def _rows(home: Home) -> int:
    return int(home.store.read(lambda c: c.exec_driver_sql("select count(*) from sighting_counts").scalar_one()))


def _questions(services: Services) -> list[tuple[str, Callable[[], object]]]:
    who, service = socket_principal(0), services.sightings
    one = next(kinds(7)).who
    asked = {
        "the newest": SightingFilter(),
        "below TLSv1.2": SightingFilter(below="TLSv1.2", limit=1000),
        "refused": SightingFilter(refused=True),
        "one computer": SightingFilter(who=one),
        "one address": SightingFilter(who="10.0.0.7"),
        "since 7 days": SightingFilter(since="7d", limit=1000),
    }
    found: list[tuple[str, Callable[[], object]]] = [
        (name, lambda wanted=wanted: service.list(who, wanted))  # type: ignore[misc]  # a default holds it
        for name, wanted in asked.items()
    ]
    return [*found, ("by peer", lambda: service.peers(who)), ("preflight", services.judgement.fleet)]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(folder: Path, say: Callable[[str], None]) -> Figures:
    say(f"{PART} computers for {DAYS} days, hour by hour")
    extrapolated, absorbed = part(folder / "part")
    say(f"{COMPUTERS:,} computers for {DAYS} days")
    taken, rows, tidied, asked = whole(folder / "whole", say)
    return Figures(extrapolated, taken, rows, absorbed, tidied, asked)
