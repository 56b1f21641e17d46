"""Sightings as knowledge: who came to which point with which TLS, when, how often, and what came of it.

They are taken from memory in batches, counted by the hour, rolled up to days, and forgotten after a time that
`configuration.properties` sets. A name is a certificate's, a key's or a session's; where a nameless hello was refused,
the computer that it looks like is said apart from that, as attribution (design §11).
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from plimsoll.manager.ports import BadInput, NotFound, Permission, Principal, ServiceError, internal, permits
from plimsoll.manager.services.core import Core
from plimsoll.manager.services.floors import parse_floor
from plimsoll.manager.services.probers import OWN_SCAN, Probers
from plimsoll.manager.store import Connection, access, ciphers, facts, handshake_totals
from plimsoll.manager.store import computers as computer_table
from plimsoll.manager.store import sightings as table
from plimsoll.manager.store.sightings import PeerRecord, SightingRecord, Wanted
from plimsoll.tls.floors import Point
from plimsoll.tls.ja4 import suites_mark
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from plimsoll.net.sightings import Sighting

T = TypeVar("T")

#: Sightings that wait for a store that failed; more are not kept.
_UNSTORED = 50_000
#: How many kinds of handshakes are kept apart; beyond that nameless new ones are counted together.
MOST = 1_000_000
#: How many lists of offered suites are kept: a fleet knows dozens, and a stranger can make up any number.
MOST_OFFERS = 10_000
#: How many sightings one transaction of the daily tidying looks at: heartbeats wait that long.
_PIECE = 400
_DAY = 86400.0
#: For `who`: those who never showed a name.
ANONYMOUS = "anonymous"
MOST_ASKED = 5000

_COMPUTER, _KEY, _USER = "computer:", "apikey:", "user:"
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class SightingFilter:
    """What to show; every field narrows. `who` is a computer, an API key, a user, an address, or ``anonymous``.

    `below` keeps those that offered less than that version at most, `since` those seen since then: ``24h``, ``7d``,
    a date, a time, or seconds since 1970.
    """

    point: str | None = None
    who: str | None = None
    below: str | None = None
    refused: bool = False
    since: str | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class SightingView:
    """Handshakes that are alike. `name` is what `who` is called.

    `attribution` says how sure the name is: ``shown`` by the peer itself, ``certain`` or ``one of`` by address and
    fingerprint of a refused hello, None where there is no name.
    """

    point: str
    address: str
    ja4: str
    offered: Version | None
    versions: tuple[Version, ...]
    sni: str
    outcome: str
    negotiated: Version | None
    who: str | None
    name: str | None
    attribution: str | None
    candidates: tuple[str, ...]
    user_agent: str
    count: int
    first: float
    last: float
    detail: str


@dataclass(frozen=True, slots=True)
class PeerView:
    """One peer at one point: the newest version that it offered, that it agreed on, and that it was refused with.

    `count` is all it tried, `admitted` and `refusals` what came of that.
    """

    point: str
    who: str | None
    name: str | None
    address: str
    offered: Version | None
    negotiated: Version | None
    refused: Version | None
    count: int
    admitted: int
    refusals: int
    first: float
    last: float
    ja4: tuple[str, ...]
    sni: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """Handshakes that began in the `seconds` from `start` (since 1970) on. `failed` were neither agreed nor refused."""

    start: float
    seconds: float
    versions: Mapping[Version, int]
    refused: int
    failed: int

    @property
    def count(self) -> int:
        return sum(self.versions.values()) + self.refused + self.failed


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one tidying did: hours that became part of days, sightings that were forgotten."""

    hours: int
    forgotten: int


class SightingsService:
    """`apply_presence` takes to the store whom the heartbeats showed; it comes with every batch.

    `count` is told of each new batch but our own scans, in the batch's transaction.
    """

    def __init__(
        self,
        core: Core,
        apply_presence: Callable[..., object],
        count: Callable[[Connection, Sequence[Sighting]], None] = lambda connection, seen: None,
        most: int = MOST,
    ) -> None:
        self._core = core
        self._apply_presence = apply_presence
        self._count = count
        self._most = most
        self._unstored: list[SightingRecord] = []
        #: Lists of suites that wait for the store, and the marks of those that it has since the last tidying.
        self._offers: dict[str, ciphers.Offer] = {}
        self._stored_offers: set[tuple[str, bool]] = set()
        self._probers = Probers()
        #: Told of an address that was registered here: for other managers, at whose gates our scan shows too.
        self.registered: Callable[[str, int], None] = lambda address, seconds: None
        #: An upper bound of the kinds in the store, so that they are counted rarely.
        self._kinds: int | None = None

    @permits(Permission.COMPUTERS_READ)
    def list(self, principal: Principal, wanted: SightingFilter = SightingFilter()) -> tuple[SightingView, ...]:
        """Newest first, after taking what is observed and not stored yet. Raises BadInput and NotFound."""

        def work(connection: Connection) -> tuple[SightingView, ...]:
            records = table.find(connection, self._wanted(connection, wanted), wanted.limit)
            return tuple(_views(connection, records))

        return self._asked(wanted, work)

    @permits(Permission.COMPUTERS_READ)
    def peers(self, principal: Principal, wanted: SightingFilter = SightingFilter()) -> tuple[PeerView, ...]:
        """The same by point and peer. Raises BadInput and NotFound."""

        def work(connection: Connection) -> tuple[PeerView, ...]:
            records = table.peers(connection, self._wanted(connection, wanted), wanted.limit)
            return tuple(_peer_views(connection, records))

        return self._asked(wanted, work)

    @permits(Permission.COMPUTERS_READ)
    def over_time(self, principal: Principal, hours: int, each: int = 1) -> tuple[Bucket, ...]:
        """Handshakes by what was agreed, and refusals, of the last so many hours: a bucket for every `each` of them.

        Buckets of 24 are days of UTC. What no handshake fell into is there with nothing in it.
        """
        now = int(self._core.clock() // table.HOUR)
        last = now - now % each
        starts = range(last - hours + each, last + 1, each)
        found = self._core.store.read(lambda c: handshake_totals.since(c, starts[0], each))
        versions: dict[int, dict[Version, int]] = {start: {} for start in starts}
        refused, failed = dict.fromkeys(starts, 0), dict.fromkeys(starts, 0)
        for one in found:
            if one.start not in versions:
                continue  # the clock went back: of a time to come
            if one.outcome == table.ADMITTED and one.negotiated:
                version = Version(one.negotiated)
                versions[one.start][version] = versions[one.start].get(version, 0) + one.count
            elif one.outcome in table.REFUSED:
                refused[one.start] += one.count
            else:
                failed[one.start] += one.count
        return tuple(
            Bucket(float(at * table.HOUR), float(each * table.HOUR), versions[at], refused[at], failed[at])
            for at in starts
        )

    @internal
    def newest_refusals(self, since: float, limit: int) -> tuple[SightingView, ...]:
        """The newest at all points, but our own scans, with the names of those that they look like."""

        def work(connection: Connection) -> tuple[SightingView, ...]:
            return tuple(_views(connection, table.newest_refusals(connection, since, limit, but=OWN_SCAN)))

        return self._core.store.read(work)

    @permits(Permission.FLOORS_CHANGE)
    def register_prober(self, principal: Principal, address: str, seconds: int) -> tuple[str, float]:
        """Our own scans come from there: for that time its nameless handshakes are no programs. Until when."""
        # What was seen before this moment is somebody else's.
        self.absorb()
        registered = self._probers.register(address, seconds, self._core.clock())
        self.registered(registered[0], seconds)
        self._core.write(lambda unit: unit.audit(principal, "prober.register", registered[0], None, seconds))
        return registered

    @internal
    def note_prober(self, address: str, seconds: int) -> None:
        """Another manager's scan comes from there."""
        try:
            self._probers.register(address, seconds, self._core.clock())
        except ServiceError as error:
            logging.getLogger(__name__).warning("a scan of another manager is listed as a client: %s", error.message)

    @internal
    def is_own_scan(self, sighting: Sighting) -> bool:
        """Whether a nameless peer came from a registered source in its time: then it is no program and no breach."""
        return self._probers.ours(sighting)

    @internal
    def absorb(self) -> None:
        """Stores what `Observed` holds: presence and sightings, each batch in one transaction."""
        presence = tuple(self._core.observed.presence())
        if presence:
            self._apply_presence(presence)
        waiting, self._unstored = self._unstored, []
        # Those of earlier calls that the store refused come first; what is beyond the bound is lost, the newest first.
        seen = list(self._core.observed.sightings())
        batch = [*waiting, *map(self._record, seen)][:_UNSTORED]
        self._note_offers(seen)
        offers = list(self._offers.values())

        def work(connection: Connection) -> None:
            table.add(connection, batch, full=self._is_full(connection, len(batch)))
            handshake_totals.add(connection, [one for one in batch if one.who != OWN_SCAN])
            ciphers.add_offers(connection, offers, self._core.clock(), MOST_OFFERS)
            self._count(connection, [one for one in seen if not self._probers.ours(one)])

        if batch:
            try:
                self._core.store.write(work)
            except ServiceError:
                self._unstored += batch
                raise
            stored = {(offer.mark, offer.named) for offer in offers}
            self._stored_offers |= stored
            self._offers = {mark: offer for mark, offer in self._offers.items() if (mark, offer.named) not in stored}

    @internal
    def tidy(self, force: bool = False) -> Tidied:
        """Once a day: hours that are old enough become days, and what is past its time is forgotten.

        In pieces, so that nobody waits; one that was cut off is begun again, which changes nothing that it did.
        """
        now = self._core.clock()
        today = int(now // _DAY)
        if not force and self._core.store.read(lambda c: facts.counter(c, facts.SIGHTINGS_TIDIED)) >= today:
            return Tidied(0, 0)
        settings = self._core.home.config
        before = now - settings.sightings_days * _DAY
        hourly = (today - min(settings.sightings_hourly_days, settings.sightings_days)) * table.DAY
        hours = forgotten = 0
        at: int | None = None
        while piece := self._piece(at):
            rolled, gone = self._tidy_piece(*piece, hourly, before)
            hours, forgotten, at = hours + rolled, forgotten + gone, piece[1]
        self._core.store.write(lambda c: facts.put(c, facts.SIGHTINGS_TIDIED, str(today)))
        self._core.store.write(lambda c: ciphers.forget_offers(c, before))
        self._core.store.write(lambda c: handshake_totals.forget(c, before))
        # Those that are seen again are noted again, and so stay.
        self._stored_offers = set()
        self._kinds = None
        return Tidied(hours, forgotten)

    def _note_offers(self, seen: Iterable[Sighting]) -> None:
        """Once a day for each kind of client, and once more where it gets a name."""
        if len(self._stored_offers) > 2 * MOST_OFFERS:
            self._stored_offers = set()
        for sighting in seen:
            mark, named = suites_mark(sighting.ja4), bool(sighting.who)
            known = self._offers.get(mark)
            if not mark or not sighting.suites or (mark, named) in self._stored_offers:
                continue
            if (known is None and len(self._offers) < MOST_OFFERS) or (known is not None and named > known.named):
                suites = tuple(sorted(number for number in sighting.suites if number <= 0xFFFF))
                self._offers[mark] = ciphers.Offer(mark, suites, named)

    def _piece(self, after: int | None) -> tuple[int, int] | None:
        return self._core.store.read(lambda c: table.piece_after(c, after, _PIECE))

    def _tidy_piece(self, first: int, last: int, hourly: int, before: float) -> tuple[int, int]:
        def work(connection: Connection) -> tuple[int, int]:
            gone = table.forget(connection, first, last, before)
            return table.roll_up(connection, first, last, hourly), gone

        return self._core.store.write(work)

    def _is_full(self, connection: Connection, more: int) -> bool:
        if self._kinds is None or self._kinds + more > self._most:
            self._kinds = table.rows(connection)
        self._kinds += more
        return self._kinds > self._most

    def _record(self, sighting: Sighting) -> SightingRecord:
        record = _record(sighting)
        return replace(record, who=OWN_SCAN) if self._probers.ours(sighting) else record

    # Asking

    def _asked(self, wanted: SightingFilter, work: Callable[[Connection], T]) -> T:
        if not 1 <= wanted.limit <= MOST_ASKED:
            raise BadInput(f"limit must be from 1 to {MOST_ASKED}, not {wanted.limit}")
        self.absorb()
        return self._core.store.read(work)

    def _wanted(self, connection: Connection, asked: SightingFilter) -> Wanted:
        below = None if asked.below is None else parse_floor(asked.below)
        found = Wanted(
            point=None if asked.point is None else parse_point(asked.point),
            offering=None if below is None else [version for version in Version if version < below],
            outcomes=table.REFUSED if asked.refused else None,
            since=None if asked.since is None else parse_since(asked.since, self._core.clock()),
        )
        return found if asked.who is None else _of(connection, asked.who, found)


def parse_point(text: str) -> str:
    """One point's name. Raises BadInput, which lists them."""
    names = [point.value for point in Point]
    if text not in names:
        raise BadInput(f"unknown point {text!r}; valid are {', '.join(names)}")
    return text


def parse_since(text: str, now: float) -> float:
    """``30m``, ``24h``, ``7d``, a date, an ISO time (UTC unless it says otherwise), or seconds since 1970."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        if re.fullmatch(r"[0-9]{9,11}(\.[0-9]+)?", text):
            since = float(text)
        else:
            moment = datetime.fromisoformat(text)
            since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadInput(
            f"since={text!r} is no time; write how long ago (30m, 24h, 7d), a date (2026-11-24) or a time"
            " (2026-11-24T10:00:00Z)"
        ) from None
    if since > now:
        raise BadInput(f"since={text!r} lies in the future; nothing was seen since then")
    return since


def _of(connection: Connection, who: str, wanted: Wanted) -> Wanted:
    """Narrowed to that peer: by the name that a sighting carries, by what people call it, or by its address."""
    if who == ANONYMOUS:
        return replace(wanted, names=[""])
    if who == OWN_SCAN or who.startswith((_KEY, _USER)):
        return replace(wanted, names=[who])
    try:
        return replace(wanted, names=[], address=str(ipaddress.ip_address(who)))
    except ValueError:
        pass
    machines = computer_table.named(connection, who.removeprefix(_COMPUTER))
    names = [_COMPUTER + identifier for identifier, _, _ in machines]
    if not machines and who.startswith(_COMPUTER):
        names.append(who)  # one that was deleted
    folded = who.casefold()
    names += [f"{_KEY}{key.id}" for key in access.all_api_keys(connection) if key.name.casefold() == folded]
    names += [f"{_USER}{user.name}" for user in access.all_users(connection) if user.name.casefold() == folded]
    if not names:
        raise NotFound(
            f"nobody is called {who!r}: there is no such computer, API key, user or address (apikey:ID, user:NAME and"
            " computer:ID name deleted ones, anonymous those without a name)"
        )
    hellos = {(address, ja4) for _, address, ja4 in machines if address and ja4}
    return replace(wanted, names=names, hellos=hellos)


def names_of(connection: Connection, whos: Collection[str]) -> Mapping[str, str]:
    """What each of these is called by people."""
    ids = [who.removeprefix(_COMPUTER) for who in whos if who.startswith(_COMPUTER)]
    found = {_COMPUTER + one: name for one, name in computer_table.names(connection, ids).items()}
    if any(who.startswith(_KEY) for who in whos):
        found |= {f"{_KEY}{key.id}": key.name for key in access.all_api_keys(connection)}
    found |= {who: who.removeprefix(_USER) for who in whos if who.startswith(_USER)}
    return found


def _views(connection: Connection, records: Sequence[SightingRecord]) -> Iterable[SightingView]:
    names = dict(names_of(connection, {record.who for record in records}))
    # A computer's hello is known from its heartbeats; elsewhere its address alone would be a guess.
    turned_away = [one for one in records if one.point == Point.HEARTBEAT.value and one.outcome != table.ADMITTED]
    nameless = {one.address for one in turned_away if not one.who}
    looks = computer_table.by_hello(connection, sorted(nameless)) if nameless else {}
    called = computer_table.names(connection, sorted({one for ids in looks.values() for one in ids}))
    for record in records:
        guessed = not record.who and record.point == Point.HEARTBEAT.value and record.outcome != table.ADMITTED
        candidates = looks.get((record.address, record.ja4), []) if guessed else []
        yield _view(record, names.get(record.who), tuple(called[one] for one in candidates))


def _view(record: SightingRecord, name: str | None, candidates: tuple[str, ...]) -> SightingView:
    attribution = "shown" if record.who else None
    if candidates:
        attribution = "certain" if len(candidates) == 1 else "one of"
        name = candidates[0] if len(candidates) == 1 else None
    return SightingView(
        point=record.point,
        address=record.address,
        ja4=record.ja4,
        offered=record.offered,
        versions=tuple(map(Version, record.versions)),
        sni=record.sni,
        outcome=record.outcome,
        negotiated=Version(record.negotiated) if record.negotiated else None,
        who=record.who or None,
        name=name,
        attribution=attribution,
        candidates=candidates,
        user_agent=record.user_agent,
        count=record.count,
        first=record.first,
        last=record.last,
        detail=record.detail,
    )


def _peer_views(connection: Connection, records: Sequence[PeerRecord]) -> Iterable[PeerView]:
    names = names_of(connection, {record.who for record in records})
    prints = table.fingerprints(connection, records)
    for record in records:
        key = (record.point, record.who, "" if record.who else record.address)
        yield PeerView(
            point=record.point,
            who=record.who or None,
            name=names.get(record.who),
            address=record.address,
            offered=record.offered,
            negotiated=Version(record.negotiated) if record.negotiated else None,
            refused=record.refused,
            count=record.count,
            admitted=record.admitted,
            refusals=record.refusals,
            first=record.first,
            last=record.last,
            ja4=tuple(sorted(prints.get(key, ()))),
            sni=record.sni,
            user_agent=record.user_agent,
        )


def _record(sighting: Sighting) -> SightingRecord:
    return SightingRecord(
        point=sighting.point.value,
        address=sighting.address,
        ja4=sighting.ja4,
        outcome=sighting.outcome.value,
        negotiated=sighting.negotiated.value if sighting.negotiated else "",
        who=sighting.who or "",
        offered=sighting.offered,
        versions=[version.value for version in sighting.versions],
        sni=sighting.sni or "",
        count=sighting.count,
        first=sighting.first,
        last=sighting.last,
        detail=sighting.detail,
        user_agent=sighting.user_agent,
    )
