"""What peers showed in real handshakes, refused ones too, counted in memory and taken out in batches (design §4).

Recording is on the path of every connection, so it is one dictionary operation; fingerprints are worked out when the
log is drained, once per kind of client.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass

from plimsoll.tls.floors import Point
from plimsoll.tls.hello import ClientHello, FingerprintKey
from plimsoll.tls.ja4 import ja4_of_key
from plimsoll.tls.versions import Version

_log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """How an attempt to connect ended."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    REFUSED_AFTER = "refused-after-handshake"
    FAILED = "failed"
    NOT_TLS = "not-tls"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One kind of client from one address, with how often and when. Times are seconds since the epoch.

    `offered` is the newest version in the hello, `versions` all that it named. `who` is ``computer:<id>``,
    ``apikey:<id>`` or ``user:<name>`` where that became known, never a guess. `user_agent` is what an HTTP request said
    last, where one was reached. A `count` can be 0 or less: it takes back what was counted before it was known whose.
    """

    point: Point
    address: str
    offered: Version | None
    versions: tuple[Version, ...]
    ja4: str
    sni: str | None
    outcome: Outcome
    negotiated: Version | None
    who: str | None
    count: int
    first: float
    last: float
    detail: str = ""
    user_agent: str = ""
    #: The suites in the hello, without GREASE: they are the fingerprint's middle part, said in full.
    suites: tuple[int, ...] = ()


_REFUSED = frozenset({Outcome.REFUSED, Outcome.REFUSED_AFTER})
#: The detail of a handshake that OpenSSL could not serve for want of a suite: a refusal too, though not by the floor.
NO_SHARED_SUITE = "no shared cipher"

#: What tells clients apart whose addresses do not: the fingerprint's key and the name asked for.
Kind = tuple[FingerprintKey | None, str | None]
Key = tuple[Point, str, FingerprintKey | None, str | None, Outcome, Version | None, str | None, str]


def kind_of(hello: ClientHello | None) -> Kind:
    """What a hello is counted by. Working it out costs more than counting: who keeps hellos keeps it with them."""
    return (None, None) if hello is None else (hello.fingerprint_key, hello.server_name)


class _Tally:
    __slots__ = ("count", "first", "last", "user_agent", "versions")

    def __init__(self, now: float, versions: tuple[Version, ...], count: int = 1) -> None:
        self.count = count
        self.first = self.last = now
        self.versions = versions
        self.user_agent = ""


class SightingLog:
    """Counts sightings by kind until they are drained. Bounded: new kinds beyond `capacity` are dropped and counted.

    Each callback in `on_refusal` is told of a kind of refusal, by the floor or for want of a shared suite, once between
    two drains, so that a peer that retries in a loop costs a dictionary operation and no event.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self.capacity = capacity
        self.on_refusal: list[Callable[[Sighting], None]] = []
        self.dropped = 0
        self._tallies: dict[Key, _Tally] = {}

    def __len__(self) -> int:
        return len(self._tallies)

    def record(
        self,
        point: Point,
        address: str,
        hello: ClientHello | None,
        outcome: Outcome,
        now: float,
        *,
        negotiated: Version | None = None,
        who: str | None = None,
        detail: str = "",
        kind: Kind | None = None,
    ) -> Key:
        """Count one attempt. The answer is for `attribute`. `kind` is `kind_of(hello)` where that is known already."""
        fingerprint, sni = kind_of(hello) if kind is None else kind
        key: Key = (point, address, fingerprint, sni, outcome, negotiated, who, detail)
        self._count(key, hello, now)
        return key

    def attribute(self, key: Key, hello: ClientHello | None, who: str | None, now: float, user_agent: str = "") -> Key:
        """It became known who an attempt was that was counted before: count it under that name instead.

        Where it was drained meanwhile, the next drain takes it back.
        """
        tally = self._existing(key, hello, now)
        if tally is not None:
            tally.count -= 1
            if not tally.count:
                del self._tallies[key]
        named: Key = (*key[:6], who, key[7])
        self._count(named, hello, now)
        if user_agent:
            self.describe(named, hello, user_agent, now)
        return named

    def again(self, key: Key, hello: ClientHello | None, now: float) -> None:
        """What was counted before goes on: it is seen now too, and counted where the former count was drained."""
        tally = self._tallies.get(key)
        if tally is None:
            self._count(key, hello, now)
        else:
            tally.last = now

    def describe(self, key: Key, hello: ClientHello | None, user_agent: str, now: float) -> None:
        """What a peer that was counted says of itself in HTTP: kept beside the count, never counted by."""
        tally = self._existing(key, hello, now)
        if tally is not None:
            tally.user_agent = user_agent

    def drain(self) -> list[Sighting]:
        """Take out all that was counted since the last call."""
        tallies, self._tallies = self._tallies, {}
        return [_sighting(key, tally) for key, tally in tallies.items()]

    def _existing(self, key: Key, hello: ClientHello | None, now: float) -> _Tally | None:
        """The tally of what was counted before, an empty one where it was drained since; None beyond the bound."""
        tally = self._tallies.get(key)
        if tally is None and len(self._tallies) < self.capacity:
            tally = self._tallies[key] = _Tally(now, () if hello is None else hello.offered, 0)
        return tally

    def _count(self, key: Key, hello: ClientHello | None, now: float) -> None:
        tally = self._tallies.get(key)
        if tally is not None:
            tally.count += 1
            tally.last = now
            return
        if len(self._tallies) >= self.capacity:
            self.dropped += 1
            return
        tally = self._tallies[key] = _Tally(now, () if hello is None else hello.offered)
        if self.on_refusal and (key[4] in _REFUSED or (key[4] is Outcome.FAILED and key[7] == NO_SHARED_SUITE)):
            self._tell(_sighting(key, tally))

    def _tell(self, sighting: Sighting) -> None:
        for callback in tuple(self.on_refusal):
            try:
                callback(sighting)
            except Exception:  # noqa: BLE001 - it is logged with its trace
                # A listener's fault must not let the refused connection linger, nor stop the gate.
                _log.exception("a listener to refusals failed")


def _sighting(key: Key, tally: _Tally) -> Sighting:
    point, address, fingerprint, sni, outcome, negotiated, who, detail = key
    versions = tally.versions
    return Sighting(
        point=point,
        address=address,
        offered=max(versions, key=lambda version: version.rank, default=None),
        versions=versions,
        ja4="" if fingerprint is None else ja4_of_key(fingerprint),
        sni=sni,
        outcome=outcome,
        negotiated=negotiated,
        who=who,
        count=tally.count,
        first=tally.first,
        last=tally.last,
        detail=detail,
        user_agent=tally.user_agent,
        suites=() if fingerprint is None else fingerprint[1],
    )
