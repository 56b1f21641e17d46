"""Whose refusals are a change's doing: a hello of a version that was let in before, since the change raised a floor.

Rules of this file: a hello is a computer's only where it looks like that computer's last own one; where it looks like
several, each of them is a suspect until it is heard again; what looks like nobody's is a stranger's, and blames nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plimsoll.fleet.changes import Stage
from plimsoll.manager.services import floor_state
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.judgement import PROGRAM_DAYS
from plimsoll.manager.services.probers import OWN_SCAN
from plimsoll.manager.store import Connection, sightings
from plimsoll.manager.store import changes as table
from plimsoll.manager.store.changes import ChangeRecord
from plimsoll.net.sightings import Sighting
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version

#: The stages in which 4120 has been raised, for some or for all.
_ON_HEARTBEAT = (Stage.HEARTBEAT_CANARY, Stage.HEARTBEAT, Stage.GUI)
#: How many refusals wait for the next look, at each point, and how many strangers' addresses are remembered.
_KEPT = 10_000
#: In how many of its intervals, and seconds beside them, a suspect's next heartbeat must come.
_INTERVALS = 1.5
_LATE = 5.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    names: tuple[tuple[str, str], ...]
    address: str
    ja4: str
    version: Version | None
    when: float


@dataclass(frozen=True, slots=True)
class _Suspect:
    name: str
    when: float


class RefusalBook:
    """`breaches` are names of computers, `programs` what 4119 refused. In memory alone: who is refused comes again."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting = {point: deque[_Refusal](maxlen=_KEPT) for point in Point}
        self._strangers: dict[str, float] = {}
        self._suspects: dict[str, _Suspect] = {}
        self.breaches: dict[str, None] = {}
        self.programs: dict[str, None] = {}

    def note(self, sighting: Sighting, computers: Sequence[tuple[str, str]]) -> None:
        """In the loop's thread. A refusal, and the (id, name) of each computer whose last own hello it is like."""
        if not computers and sighting.point is not Point.GUI:
            self._strangers[sighting.address] = sighting.last
            if len(self._strangers) > _KEPT:
                del self._strangers[next(iter(self._strangers))]
            return
        version = sighting.negotiated or sighting.offered
        refusal = _Refusal(tuple(computers), sighting.address, sighting.ja4, version, sighting.last)
        self._waiting[sighting.point].append(refusal)

    def clear(self) -> None:
        """Another change, or none: what was seen until now is nobody's."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._suspects, self.breaches, self.programs = {}, {}, {}

    def sort(self, record: ChangeRecord, stage: Stage) -> None:
        """Takes what waits, and keeps what is this change's doing since its stage began."""
        for point, waiting in self._waiting.items():
            while waiting:
                one = waiting.popleft()
                if one.version is None or one.version >= record.target or one.when < record.entered - 1.0:
                    continue
                if one.version < _floor_before(record, point, self._floor_now(point)):
                    continue  # it was refused before, too
                if point is Point.HEARTBEAT and stage in _ON_HEARTBEAT:
                    self._blame(one)
                elif point is Point.GUI and stage is Stage.GUI:
                    self._blame_program(record, one)

    def _blame(self, one: _Refusal) -> None:
        if len(one.names) == 1:
            self.breaches[one.names[0][1]] = None
            return
        for identifier, name in one.names:
            self._suspects.setdefault(identifier, _Suspect(name, one.when))

    def suspects(
        self, connection: Connection, heartbeats: Mapping[int, int], now: float
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Those who were not heard since a refusal that may be theirs, by id: whose next heartbeat is missing, and
        whose is not due yet. `heartbeats` are seconds by policy.
        """
        if not self._suspects:
            return {}, {}
        known = table.last_heard(connection, self._suspects, heartbeats)
        missing: dict[str, str] = {}
        waited: dict[str, str] = {}
        for identifier, suspect in list(self._suspects.items()):
            last, interval = known.get(identifier, (now, 0.0))
            if last > suspect.when:
                del self._suspects[identifier]  # it came in: the refusal was another's
            elif now - suspect.when > _INTERVALS * interval + _LATE:
                missing[identifier] = suspect.name
            else:
                waited[identifier] = suspect.name
        return missing, waited

    def stranger_at(self, address: str, since: float) -> bool:
        """Whether a hello that looks like nobody's was refused there since then."""
        return self._strangers.get(address, 0.0) >= since

    def clock_jumped(self, now: float) -> None:
        """Ages begin anew."""
        self._suspects = {one: _Suspect(suspect.name, now) for one, suspect in self._suspects.items()}
        self._strangers = {}

    def _floor_now(self, point: Point) -> Version:
        return self._core.store.read(floor_state.read).floor(point)

    def _blame_program(self, record: ChangeRecord, one: _Refusal) -> None:
        """A program that was let in lately, and that nobody accepted to lose."""
        since = self._core.clock() - PROGRAM_DAYS
        accepted = set(record.options["accepted"])

        def work(connection: Connection) -> list[str]:
            return [
                f"{row.who or 'a client'} at {row.address}"
                for row in sightings.programs(connection, Point.GUI.value, since, but=OWN_SCAN)
                if (row.address, row.ja4) == (one.address, one.ja4) and f"{row.who}|{row.address}" not in accepted
            ]

        self.programs.update(dict.fromkeys(self._core.store.read(work)))


def _floor_before(record: ChangeRecord, point: Point, now: Version) -> Version:
    moved = record.effects.get("floors", {}).get(point.value)
    return now if moved is None else Version(moved["from"])
