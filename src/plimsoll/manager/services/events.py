"""System events: numbered as in the reference, listed, exported, told to the hub."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plimsoll.manager.ports import Permission, Principal, Unavailable, internal, permits
from plimsoll.manager.store import events as table

if TYPE_CHECKING:
    from plimsoll.manager.services.core import Core, Unit

log = logging.getLogger(__name__)

#: Names of the numbers: the reference's where it has one, from 1950 on our own.
NAMES: Mapping[int, str] = {
    120: "Heartbeat Server Failed",
    250: "Computer Created",
    251: "Computer Deleted",
    600: "User Signed In",
    601: "User Signed Out",
    603: "User Locked Out",
    704: "Agent Activated",
    716: "Reactivation Attempted by Unknown Agent",
    724: "Insufficient Disk Space",
    730: "Offline",
    731: "Back Online",
    734: "Clock Change",
    742: "Communications Problem",
    743: "Communications Problem Resolved",
    770: "Agent/Appliance Heartbeat Rejected",
    771: "Contact by Unrecognized Client",
    790: "Agent-Initiated Activation Requested",
    930: "Certificate Accepted",
    931: "Certificate Deleted",
    1950: "TLS Floor Changed",
    1951: "TLS Floor Differs From Policy",
    1952: "Policy Sent",
    1953: "Certificate Revoked",
    1954: "Two Hosts Use One Identity",
    1955: "TLS Exception Added",
    1956: "TLS Exception Ended",
    1957: "TLS Exception Ends Soon",
    1958: "Shadow Floor Changed",
    1959: "TLS Floor Agrees With Policy Again",
    1960: "Change Started",
    1961: "Change Reached a Stage",
    1962: "Change Halted",
    1963: "Change Taken Back",
    1964: "Change Ended",
    1965: "Change Concerns a Client",
    1970: "Software Imported",
    1971: "Software Refused",
    1972: "Software Deleted",
    1973: "Release Keys Changed",
    1974: "Software Metadata Not Signed",
    1975: "Software Root Changed",
    1980: "Notifications Do Not Arrive",
    1981: "Notifications Arrive Again",
    1990: "Upgrade Started",
    1991: "Upgrade Reached a Wave",
    1992: "Upgrade Halted",
    1993: "Upgrade Ended",
    1994: "Upgrade Aborted",
    1995: "Upgrade Failed on a Computer",
    2015: "Scheduled Task Ran",
    2016: "Scheduled Task Failed",
    2017: "API Requests Limited",
    2020: "Cipher Profile Changed",
    2030: "CA Rotation Started",
    2031: "CA Rotation Switched",
    2032: "CA Rotation Retired the Old CA",
    2033: "CA Rotation Goes Back",
    2034: "CA Rotation Went Back",
    2035: "CA Rotation Waits for Computers",
    2036: "CA Rotation Is Ready for the Next Phase",
    2037: "CA Rotation Left Computers Behind",
    2038: "CA Ends",
    2039: "CA Renewed",
    2040: "TLS Scan Finished",
    2041: "TLS Scan Interrupted",
    2042: "TLS Scan Cancelled",
    2043: "TLS Scan Failed",
    2050: "Sessions Ended",
    2051: "Second Factor Added",
    2052: "Second Factor Removed",
    2053: "Recovery Code Used",
    2054: "Identity Provider Changed",
    2055: "Identity Provider's Sign-In Refused",
    2056: "User Came From Identity Provider",
    2057: "Administrator Reset",
    2060: "Database Moved",
    2065: "Manager Started",
    2066: "Manager Does Not Know the Current Floors",
    2067: "Manager Knows the Current Floors Again",
    2061: "Backup Made",
    2062: "Manager Restored From a Backup",
    4002: "Command Session Initiated",
    4011: "Failure to Contact Manager",
    4012: "Heartbeat Failed",
    5000: "Agent Started",
    5003: "Agent Stopped",
    5004: "Clock Change",
    5320: "CA Not Taken Over",
    5321: "Renewed CA Taken Over",
    5300: "Package Signature Validation Failed",
    5301: "Package Validation Failed",
    5302: "Package Signature Download Failed",
    5303: "Package Mismatch",
}

PROBLEM = 742
PROBLEM_RESOLVED = 743
#: A problem that was told longer ago than that is no news, whether it was resolved or not.
PROBLEM_DAYS = 30
CREATED = 250
DELETED = 251
SIGNED_IN = 600
LOCKED_OUT = 603
ACTIVATED = 704
UNKNOWN_AGENT = 716
CERTIFICATE_ACCEPTED = 930
FLOOR_CHANGED = 1950
FLOOR_DIFFERS = 1951
POLICY_SENT = 1952
REVOKED = 1953
CLONE = 1954
EXCEPTION_ADDED = 1955
EXCEPTION_ENDED = 1956
EXCEPTION_ENDS_SOON = 1957
SHADOW_CHANGED = 1958
FLOOR_AGREES = 1959
CHANGE_STARTED = 1960
CHANGE_STAGE = 1961
CHANGE_HALTED = 1962
CHANGE_TAKEN_BACK = 1963
CHANGE_ENDED = 1964
CHANGE_NOTICE = 1965
DISK_FULL = 724
SOFTWARE_IMPORTED = 1970
SOFTWARE_REFUSED = 1971
SOFTWARE_DELETED = 1972
RELEASE_KEYS_CHANGED = 1973
METADATA_NOT_SIGNED = 1974
SOFTWARE_ROOT_CHANGED = 1975
NOTIFY_FAILS = 1980
DATABASE_MOVED = 2060
BACKUP_MADE = 2061
NODE_STARTED = 2065
NODE_UNSURE = 2066
NODE_SURE = 2067
RESTORED = 2062
NOTIFY_RECOVERED = 1981
UPGRADE_STARTED = 1990
UPGRADE_WAVE = 1991
UPGRADE_HALTED = 1992
UPGRADE_ENDED = 1993
UPGRADE_ABORTED = 1994
UPGRADE_FAILED = 1995
TASK_RAN = 2015
TASK_FAILED = 2016
REQUESTS_LIMITED = 2017
CIPHERS_CHANGED = 2020
CA_STARTED = 2030
CA_SWITCHED = 2031
CA_RETIRED = 2032
CA_GOES_BACK = 2033
CA_WENT_BACK = 2034
CA_WAITS = 2035
CA_READY = 2036
CA_LEFT_BEHIND = 2037
CA_ENDS = 2038
CA_RENEWED = 2039
SCAN_FINISHED = 2040
SCAN_INTERRUPTED = 2041
SCAN_CANCELLED = 2042
SCAN_FAILED = 2043
SESSIONS_ENDED = 2050
FACTOR_ADDED = 2051
FACTOR_REMOVED = 2052
RECOVERY_USED = 2053
PROVIDER_CHANGED = 2054
PROVIDER_REFUSED = 2055
PROVIDER_USER = 2056
ADMINISTRATOR_RESET = 2057

OFFLINE = 730
BACK_ONLINE = 731
#: Events that stay open until one of these comes for the same computer or target.
ENDS: Mapping[int, frozenset[int]] = {
    PROBLEM: frozenset({PROBLEM_RESOLVED}),
    OFFLINE: frozenset({BACK_ONLINE, DELETED}),
    CHANGE_HALTED: frozenset({CHANGE_STAGE, CHANGE_TAKEN_BACK, CHANGE_ENDED}),
    NOTIFY_FAILS: frozenset({NOTIFY_RECOVERED}),
    UPGRADE_HALTED: frozenset({UPGRADE_WAVE, UPGRADE_ENDED, UPGRADE_ABORTED}),
}

LEVELS = ("info", "warning", "error")

#: How many events one page of an export reads.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class NewEvent:
    """`level` is info, warning or error. `computer` is an id; `extra` holds facts that a program may want."""

    number: int
    level: str
    description: str
    computer: str | None = None
    target: str = ""
    time: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    origin: str = "manager"


@dataclass(frozen=True, slots=True)
class EventView:
    id: int
    time: float
    number: int
    name: str
    level: str
    description: str
    computer: str | None
    target: str
    origin: str
    extra: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As REST, streams, exports and webhooks show it."""
        return {
            "ID": self.id,
            "time": self.time,
            "number": self.number,
            "name": self.name,
            "level": self.level,
            "description": self.description,
            "computer": self.computer,
            "target": self.target,
            "origin": self.origin,
            "extra": self.extra,
        }


def event_name(number: int) -> str:
    return NAMES.get(number, f"Event {number}")


def event_view(record: table.EventRecord) -> EventView:
    return EventView(
        record.id,
        record.time,
        record.number,
        event_name(record.number),
        record.level,
        record.description,
        record.computer,
        record.target,
        record.origin,
        record.extra,
    )


def open_alerts(events: Iterable[EventView]) -> list[EventView]:
    """What began and has not ended, the newest first. `events` are oldest first."""
    begun: dict[tuple[int, str], EventView] = {}
    for event in events:
        whose = event.computer or event.target
        for beginning, ends in ENDS.items():
            if event.number in ends:
                begun.pop((beginning, whose), None)
        if event.number in ENDS:
            begun[event.number, whose] = event
    return sorted(begun.values(), key=lambda one: one.id, reverse=True)


class EventsService:
    """Events are told to the hub after they are stored, never before."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.EVENTS_READ)
    def list(
        self, principal: Principal, after: int | None = None, limit: int = 100, computer: str | None = None
    ) -> tuple[EventView, ...]:
        """With `after` an id: what came later, oldest first. Without: the newest `limit`, oldest first too."""
        found = self._core.store.read(
            lambda c: table.find(c, after=after, limit=min(max(limit, 1), 5000), computer=computer)
        )
        return tuple(map(event_view, found))

    @permits(Permission.EVENTS_READ)
    def page(
        self,
        principal: Principal,
        *,
        before: int | None = None,
        limit: int = 100,
        words: str = "",
        level: str = "",
        computer: str | None = None,
    ) -> tuple[EventView, ...]:
        """Newest first, those before an id. Each of the words, at most ten, stands in an event's text, target or name,
        or is its number.
        """
        wanted = words.split()[:10]
        numbers = {
            word: [
                number for number, name in NAMES.items() if word == str(number) or word.casefold() in name.casefold()
            ]
            for word in wanted
        }
        found = self._core.store.read(
            lambda c: table.search(
                c,
                before=before,
                limit=min(max(limit, 1), 5000),
                words=wanted,
                numbers=numbers,
                level=level,
                computer=computer,
            )
        )
        return tuple(map(event_view, found))

    @permits(Permission.EVENTS_READ)
    def export(self, principal: Principal, after: int = 0) -> Iterator[EventView]:
        """All of them, oldest first, read in pages so that a large export holds no transaction open."""
        return self._pages(after)

    def _pages(self, after: int) -> Iterator[EventView]:
        while True:
            page = self._page(after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].id

    def _page(self, after: int) -> tuple[EventView, ...]:
        return tuple(map(event_view, self._core.store.read(lambda c: table.find(c, after=after, limit=_PAGE))))

    @internal
    def open_problems(self) -> dict[str, tuple[str, float]]:
        """Computers that could not talk to us when we last heard of them (742 without a 743): why, and since when."""
        since = self._core.clock() - PROBLEM_DAYS * 86400.0
        return self._core.store.read(lambda c: table.open_problems(c, PROBLEM, PROBLEM_RESOLVED, since))

    @internal
    def record(self, *events: NewEvent) -> tuple[EventView, ...]:
        """Stores them in one transaction, then tells the hub."""

        def work(unit: Unit) -> tuple[EventView, ...]:
            return tuple(unit.event(event) for event in events)

        return self._core.write(work)

    @internal
    def record_later(self, events: Iterable[NewEvent]) -> None:
        """With the next group commit; where the store is down, it is tried again with the next call."""
        kept = (*self._core.late_events, *events)
        self._core.late_events.clear()
        if not kept:
            return

        def work(unit: Unit) -> None:
            for event in kept:
                unit.event(event)

        def check(done: Future[None]) -> None:
            if done.exception() is not None:
                log.warning("%d events wait for the store: %s", len(kept), done.exception())
                self._core.late_events.extend(kept)

        try:
            self._core.enqueue(work).add_done_callback(check)
        except Unavailable:
            self._core.late_events.extend(kept)
