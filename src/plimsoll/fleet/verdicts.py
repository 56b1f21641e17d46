"""The judgement of one part against one target (R12): can it go on where the floor is raised?

What was observed in a part's own handshake beats the table, in both directions; everything else only fills in where
nothing was observed. The verdict holds for every part that looks the same, so `preflight` reaches each one only once.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.fleet import wording
from plimsoll.fleet.capabilities import CapabilityTable
from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.findings import Way
from plimsoll.fleet.kinds import Capability, Certainty
from plimsoll.fleet.parts import Part
from plimsoll.fleet.relay_floor import relay_floor
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import Version

#: A relay that was seen to refuse early TLS can enforce a floor, whatever the table says of its version.
_ENFORCEMENT_SEEN_FROM = Version.TLS1_2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a part. `blocks` with a reason, or passes, with a reason worth noting or with none."""

    blocks: bool
    points: tuple[Point, ...]
    certainty: Certainty = Certainty.TABLED
    reason: str = ""
    remedy: str = ""
    tabled: Capability | None = None
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True, slots=True)
class _Problem:
    reason: str
    certainty: Certainty
    remedy: str


def points_met(part: Part, raised: frozenset[Point]) -> frozenset[Point]:
    """The raised points that concern the part.

    A relay's own 4122 concerns it always, every point concerns the manager. A computer that is called on 4118 is held
    to the heartbeat floor too: that floor also governs the manager's calls.
    """
    if part.kind == "manager":
        return raised
    if part.kind == "database":
        return raised & {Point.HEARTBEAT}
    met = part.points & raised
    if Point.AGENT in part.points:
        met |= raised & {Point.HEARTBEAT}
    if part.kind == "relay":
        met |= raised & {Point.RELAY}
    return met


def judge_part(
    part: Part, target: Version, met: frozenset[Point], table: CapabilityTable, now: float | None = None
) -> Verdict:
    """Whether the part would be cut off, or would keep the floor from being held, at the points that it meets."""
    points = tuple(point for point in Point if point in met)
    if not points:
        return Verdict(False, points)
    if part.kind == "database":
        return _database(part, target, points)
    tabled = _tabled(part, table)
    speaks = _cannot_speak(part, target, tabled, table)
    excused = () if speaks is None else _excused_by(part, points, tabled)
    if speaks is not None:
        left = tuple(point for point in points if point not in {rule.point for rule in excused})
        if left:
            ways = _ways(part, target, left, table, now)
            return Verdict(True, left, speaks.certainty, speaks.reason, speaks.remedy, tabled, ways)
    enforces = _cannot_enforce(part, target, met, tabled, table)
    if enforces is not None:
        held = points if part.kind == "manager" else (Point.RELAY,)
        needed = table.first_able(part.kind, target, enforcing=True)
        ways = (Way("look") if needed is None else Way("upgrade", to=str(needed)),)
        return Verdict(True, held, enforces.certainty, enforces.reason, enforces.remedy, tabled, ways)
    if speaks is not None:
        note = f"{speaks.reason}, but is {wording.excused(excused)}"
        return Verdict(False, points, speaks.certainty, note, speaks.remedy, tabled)
    return _passes(part, target, points, tabled)


def _ways(
    part: Part, target: Version, points: tuple[Point, ...], table: CapabilityTable, now: float | None
) -> tuple[Way, ...]:
    unknown = part.offered is None and (not part.seen or parse_or_none(part.version) is None)
    if part.suites_shared is False or unknown:
        return (Way("look"), *(() if part.kind == "manager" else wording.without_upgrade(points, now)))
    return wording.ways(part, target, table, points, now, enforcing=part.kind in ("manager", "relay"))


def _tabled(part: Part, table: CapabilityTable) -> Capability | None:
    version = parse_or_none(part.version)
    return None if version is None else table.lookup(part.kind, version)


def _cannot_speak(part: Part, target: Version, tabled: Capability | None, table: CapabilityTable) -> _Problem | None:
    if part.suites_shared is False:
        reason = f"it shares no cipher suite with us, though it offers {part.offered or 'TLS'}"
        certainty = Certainty.SEEN_REFUSED if part.offered is None else Certainty.SEEN_OFFERING
        return _Problem(reason, certainty, wording.suites(target))
    if part.offered is not None:
        return _seen_short(part, part.offered, target, table)
    if part.kind != "manager" and not part.seen:
        return _Problem(
            "unknown: it has never been seen here, so nobody can say what it speaks",
            Certainty.NEVER_SEEN,
            wording.missing(part),
        )
    if tabled is None:
        what = f"its version {part.version!r} is not known" if part.version else "its version is not known"
        reason = f"unknown: {what}, and no handshake of its own was seen"
        return _Problem(reason, Certainty.NEVER_SEEN, wording.missing(part))
    if tabled.speaks_to >= target:
        return None
    refused = part.refused is not None and part.refused < target
    return _Problem(
        f"{wording.subject(part)} speaks at most {tabled.speaks_to}",
        Certainty.SEEN_REFUSED if refused else Certainty.TABLED,
        wording.upgrade(part, target, table, enforcing=part.kind in ("manager", "relay")),
    )


def _seen_short(part: Part, offered: Version, target: Version, table: CapabilityTable) -> _Problem | None:
    """The problem with a part whose own hello was seen, or None where that hello reaches the target."""
    remedy = wording.upgrade(part, target, table, enforcing=part.kind in ("manager", "relay"))
    if offered < target:
        # A refusal that looks like its own is newer than its last handshake, else it is not kept as a part's.
        refused = part.refused is not None and part.refused < target
        certainty = Certainty.SEEN_REFUSED if refused else Certainty.SEEN_OFFERING
        return _Problem(f"it offers at most {offered}", certainty, remedy)
    if part.negotiated is not None and part.negotiated < target:
        reason = f"it offers {offered}, but its handshake settled on {part.negotiated}"
        return _Problem(reason, Certainty.SEEN_OFFERING, remedy)
    return None


def _cannot_enforce(
    part: Part, target: Version, met: frozenset[Point], tabled: Capability | None, table: CapabilityTable
) -> _Problem | None:
    """R12: the manager everywhere, and a relay on its own 4122, must be able to refuse earlier versions."""
    if part.kind != "manager" and (part.kind != "relay" or Point.RELAY not in met):
        return None
    if part.relay is not None and part.relay.observed is not None and part.relay.observed >= _ENFORCEMENT_SEEN_FROM:
        return None
    if tabled is not None and tabled.enforces:
        return None
    if tabled is None:
        reason = "unknown: its version is not known, so nobody can say whether it can enforce a floor"
        return _Problem(reason, Certainty.NEVER_SEEN, wording.upgrade(part, target, table, enforcing=True))
    version = parse_or_none(part.version)
    doubt = ""
    if version is not None and version.update is None and tabled.speaks_to >= Version.TLS1_2:
        doubt = "; its update level is not known"
    reason = f"{wording.subject(part)} speaks {tabled.speaks_to}, but cannot enforce it{doubt}"
    return _Problem(reason, Certainty.TABLED, wording.upgrade(part, target, table, enforcing=True))


def _excused_by(part: Part, points: tuple[Point, ...], tabled: Capability | None) -> tuple[Rule, ...]:
    """The part's exceptions that reach down to what it speaks.

    Nothing excuses an unknown part, nor a relay from serving the floor on its own 4122: exceptions are for callers.
    """
    newest = part.offered or (tabled.speaks_to if tabled is not None and part.seen else None)
    if newest is None or part.suites_shared is False:
        return ()
    callers = tuple(point for point in points if not (part.kind == "relay" and point is Point.RELAY))
    return tuple(rule for rule in part.exceptions if rule.point in callers and rule.floor <= newest)


def _passes(part: Part, target: Version, points: tuple[Point, ...], tabled: Capability | None) -> Verdict:
    """The part passes; the reason is filled where somebody could have expected otherwise."""
    if part.offered is not None and tabled is not None and tabled.speaks_to < target:
        reason = (
            f"{wording.subject(part)} counts as {tabled.speaks_to} at most, "
            f"but was seen offering {part.offered}: what was observed beats the table"
        )
        return Verdict(False, points, Certainty.SEEN_OFFERING, reason, "nothing to do", tabled)
    if part.offered is not None and tabled is None and part.kind != "manager":
        reason = f"its version is not known, but it was seen offering {part.offered}"
        return Verdict(False, points, Certainty.SEEN_OFFERING, reason, "nothing to do", tabled)
    if part.refused is not None and part.refused < target:
        reason = f"a hello like its own offered {part.refused} only; without its certificate that warns, never blocks"
        return Verdict(False, points, Certainty.SEEN_REFUSED, reason, "look at what else runs at its address", tabled)
    drift = _serves_less(part, points)
    if drift:
        return Verdict(False, points, Certainty.SEEN_OFFERING, drift, "send its policy again, then look at it", tabled)
    if part.kind == "relay" and Point.RELAY in points and tabled is not None and not tabled.enforces:
        reason = f"{wording.subject(part)} counts as not able to enforce, but a handshake showed that it does"
        return Verdict(False, points, Certainty.SEEN_REFUSED, reason, "nothing to do", tabled)
    return Verdict(False, points, tabled=tabled)


def _serves_less(part: Part, points: tuple[Point, ...]) -> str:
    """Said of a relay whose handshake shows a lower floor than it should hold (R17)."""
    relay = part.relay
    if relay is None or Point.RELAY not in points or relay.observed is None:
        return ""
    held = relay_floor(part.version, relay.sent if relay.acknowledged else None, relay.kept)
    if relay.observed >= held.floor:
        return ""
    return f"it should hold {held.floor} ({held.origin}), but a handshake with its port shows {relay.observed}"


def _database(part: Part, target: Version, points: tuple[Point, ...]) -> Verdict:
    """R4: only an SQL Server whose TLS connection cannot do TLS 1.2 blocks."""
    database = part.database
    harmless = database is None or database.engine != "sqlserver" or not database.encrypted
    if harmless or database is None or target < Version.TLS1_2:
        return Verdict(False, points)
    remedy = "upgrade SQL Server to a version that supports TLS 1.2"
    if database.speaks is None:
        reason = "unknown: nobody has checked whether this SQL Server supports TLS 1.2"
        return Verdict(True, points, Certainty.NEVER_SEEN, reason, f"check that it does, else {remedy}")
    if database.speaks < Version.TLS1_2:
        reason = f"SQL Server that supports {database.speaks} at most"
        seen = Certainty.TABLED if part.offered is None else Certainty.SEEN_OFFERING
        return Verdict(True, points, seen, reason, remedy)
    return Verdict(False, points)
