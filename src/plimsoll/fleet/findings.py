"""What a preflight says: findings, each with a name, a reason, how sure it is, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from plimsoll.fleet.kinds import Certainty
from plimsoll.tls.cipher_profiles import CipherProfile
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that can be done about a finding.

    `do` is "upgrade" (`to` which version at least), "exception" (`until` when at the latest, at which `points`),
    "retire", or "look" where the finding's remedy says more than a program can use.
    """

    do: Literal["upgrade", "exception", "retire", "look"]
    to: str | None = None
    until: float | None = None
    points: tuple[Point, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "do": self.do,
            "to": self.to,
            "until": self.until,
            "points": [point.value for point in self.points],
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One part or program that a raise concerns.

    `id` is the part's or program's own id; it stands at most once in each list. `since` is since when the fact that
    decided is known to hold, None for a table's word. `ways` are what can be done, the best first; `remedy` says the
    first in words. Times are seconds since the epoch.
    """

    id: str
    who: str
    kind: str
    version: str | None
    address: str | None
    last_seen: float | None
    reason: str
    certainty: Certainty
    evidence: str
    remedy: str
    points: tuple[Point, ...]
    since: float | None = None
    ways: tuple[Way, ...] = ()

    @property
    def point(self) -> Point:
        """The first of the points where it would be cut off."""
        return self.points[0]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "who": self.who,
            "kind": self.kind,
            "version": self.version,
            "address": self.address,
            "last_seen": self.last_seen,
            "reason": self.reason,
            "certainty": self.certainty.value,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "point": self.point.value,
            "points": [point.value for point in self.points],
            "since": self.since,
            "ways": [way.as_json() for way in self.ways],
        }


@dataclass(frozen=True, slots=True)
class Preflight:
    """The judgement of a raise, of a floor or of a cipher profile (R12).

    `blockers` are parts that would be cut off, `affected` third-party programs that would, `noted` are those that pass
    for a reason worth saying. `clear` counts those that pass, of the `judged`.
    """

    target: Version | CipherProfile
    points: tuple[Point, ...]
    blockers: tuple[Finding, ...]
    affected: tuple[Finding, ...]
    clear: int
    judged: int
    noted: tuple[Finding, ...] = ()

    @property
    def blocked(self) -> bool:
        return bool(self.blockers)

    @property
    def is_clear(self) -> bool:
        """True where nobody at all would be cut off."""
        return not self.blockers and not self.affected

    def as_json(self) -> dict[str, Any]:
        return {
            "to": self.target.value,
            "points": [point.value for point in self.points],
            "clear": self.is_clear,
            "blockers": [finding.as_json() for finding in self.blockers],
            "affected": [finding.as_json() for finding in self.affected],
            "noted": [finding.as_json() for finding in self.noted],
            "judged": self.judged,
        }
