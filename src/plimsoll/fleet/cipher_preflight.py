"""Who would be cut off if a point served a stricter cipher profile: a pure judgement by what hellos offered (R12).

A peer that offers TLS 1.3 with a suite of it ends there, whatever the profile; one that offers nothing newer than
TLS 1.1 meets the floor, not the profile. Between them counts whether its list of suites has one that would be served.
What nobody knows is said to be unknown, and blocks where the peer is a part of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from plimsoll.fleet.component import parse_or_none
from plimsoll.fleet.findings import Finding, Preflight, Way
from plimsoll.fleet.kinds import Certainty
from plimsoll.fleet.parts import Fleet, Part, Program
from plimsoll.fleet.preflight import in_order
from plimsoll.fleet.wording import moment
from plimsoll.tls.cipher_profiles import TLS13_SUITES, CipherProfile, CipherSuite, shared
from plimsoll.tls.floors import Point
from plimsoll.tls.ja4 import suites_mark
from plimsoll.tls.versions import Version

#: Agents and relays from this release on offer all suites of `intermediate`, and TLS 1.3 (`net.contexts`).
_OURS = (12, 0)
#: How many suites a sentence names.
_NAMED = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the profile, and the suites that each point would really serve under it, with its certificates.

    `offers` are the suites that kinds of clients were seen offering, by the mark of their fingerprint.
    """

    profile: CipherProfile
    served: Mapping[Point, Sequence[CipherSuite]]
    offers: Mapping[str, Collection[int]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Cut off or not; the reason is empty where there is nothing to say."""

    cut_off: bool
    reason: str = ""
    certainty: Certainty = Certainty.SEEN_OFFERING
    evidence: str = ""
    remedy: str = ""


_PASSES = _Answer(False)


def judge(fleet: Fleet, question: Question) -> Preflight:
    """The judgement of the points in `served`. The order of its lists never depends on that of the fleet."""
    judged = 0
    blockers: list[Finding] = []
    affected: list[Finding] = []
    noted: list[Finding] = []
    if Point.HEARTBEAT in question.served:
        for part in fleet.parts:
            if part.kind in ("manager", "database") or Point.HEARTBEAT not in part.points:
                continue
            judged += 1
            answer = _part(part, question)
            if answer.cut_off or answer.reason:
                (blockers if answer.cut_off else noted).append(_of_part(part, answer))
    for program in fleet.programs:
        if program.point not in question.served:
            continue
        judged += 1
        answer = _program(program, question)
        if answer.cut_off or answer.reason:
            (affected if answer.cut_off else noted).append(_of_program(program, answer))
    return Preflight(
        target=question.profile,
        points=tuple(point for point in Point if point in question.served),
        blockers=in_order(blockers),
        affected=in_order(affected),
        clear=judged - len(blockers) - len(affected),
        judged=judged,
        noted=in_order(noted),
    )


def _part(part: Part, question: Question) -> _Answer:
    if part.offered is None:
        return _unseen(part)
    answer = _offering(part.offered, part.ja4, part.observed_at, question, question.served[Point.HEARTBEAT])
    if answer is not None:
        return answer
    if _is_ours(part):
        return _PASSES
    return _Answer(
        True,
        f"unknown: it offers {part.offered}, but which suites was not kept",
        Certainty.NEVER_SEEN,
        f"its own handshake offered up to {part.offered} {moment(part.observed_at)}; its suites are not on record",
        "wait for its next handshake, which says them, and ask again",
    )


def _unseen(part: Part) -> _Answer:
    if part.seen and _is_ours(part):
        return _PASSES
    return _Answer(
        True,
        "unknown: no handshake of its own was seen, so nobody can say which suites it offers",
        Certainty.NEVER_SEEN,
        "no handshake of its own on record",
        "start it and wait for its heartbeat, or delete it if it is gone",
    )


def _is_ours(part: Part) -> bool:
    version = parse_or_none(part.version)
    return part.kind in ("agent", "relay") and version is not None and version.major_minor >= _OURS


def _program(program: Program, question: Question) -> _Answer:
    if program.offered is None:
        return _Answer(False, "nobody knows what it offers: that warns, never blocks", Certainty.NEVER_SEEN)
    served = question.served[program.point]
    answer = _offering(program.offered, program.ja4, program.observed_at, question, served)
    if answer is not None:
        return answer
    return _Answer(
        False,
        f"it offers {program.offered}, but which suites was not kept: that warns, never blocks",
        Certainty.NEVER_SEEN,
        "its suites are not on record",
        "wait until it comes again, and ask again",
    )


def _offering(
    offered: Version, ja4: str, seen: float | None, question: Question, served: Sequence[CipherSuite]
) -> _Answer | None:
    """What its hello decides; None where its suites are not known."""
    if offered < Version.TLS1_2:
        reason = f"it offers at most {offered}: the floor and exceptions decide on it, and no profile changes that"
        return _Answer(False, reason, evidence=f"offered up to {offered} {moment(seen)}", remedy="see its floor")
    suites = question.offers.get(suites_mark(ja4))
    if offered >= Version.TLS1_3 and (suites is None or not suites or any(one in suites for one in TLS13_SUITES)):
        return _PASSES
    if suites is None:
        return None
    if shared(suites, served):
        return _PASSES
    known = shared(suites, CipherProfile.LEGACY.suites)
    names = ", ".join(suite.openssl for suite in known[:_NAMED])
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    if not known:
        reason = "it shares no cipher suite with us under any profile"
        remedy = "give it an ECDHE suite with AES-GCM; suites with 3DES or RC4 only are never supported"
        return _Answer(True, reason, evidence=_evidence(offered, len(suites), seen), remedy=remedy)
    reason = f"it shares no cipher suite with {question.profile}; of ours it offers {names}{more}"
    kept = next((one for one in CipherProfile if shared(suites, one.suites)), CipherProfile.LEGACY)
    remedy = "give it an ECDHE suite with AES-GCM (its TLS library or its settings)"
    remedy += f", or keep {kept}, the strictest profile that has one for it" if kept is not question.profile else ""
    return _Answer(True, reason, evidence=_evidence(offered, len(suites), seen), remedy=remedy)


def _evidence(offered: Version, count: int, seen: float | None) -> str:
    return f"its own hello offered up to {offered} with {count} suite{'s' if count != 1 else ''}, {moment(seen)}"


def _of_part(part: Part, answer: _Answer) -> Finding:
    return Finding(
        id=part.id,
        who=part.name,
        kind=part.kind,
        version=part.version,
        address=part.address,
        last_seen=part.last_seen,
        reason=answer.reason,
        certainty=answer.certainty,
        evidence=answer.evidence,
        remedy=answer.remedy,
        points=(Point.HEARTBEAT,),
        since=part.observed_at if answer.certainty is Certainty.SEEN_OFFERING else None,
        ways=(Way("look"), Way("retire")) if answer.cut_off else (),
    )


def _of_program(program: Program, answer: _Answer) -> Finding:
    return Finding(
        id=program.id,
        who=program.who,
        kind="program",
        version=program.user_agent,
        address=program.address,
        last_seen=program.observed_at,
        reason=answer.reason,
        certainty=answer.certainty,
        evidence=answer.evidence or "no readable hello on record",
        remedy=answer.remedy or "nothing to do",
        points=(program.point,),
        since=program.since,
        ways=(Way("look"), Way("retire")) if answer.cut_off else (),
    )
