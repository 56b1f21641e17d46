"""Who would be cut off if a floor were raised (R12, G1): a pure judgement, always in the same order.

Parts block, third-party programs are affected. A hundred thousand parts take well under a second, because parts that
look the same are judged once.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping

from plimsoll.fleet import capabilities, wording
from plimsoll.fleet.findings import Finding, Preflight, Way
from plimsoll.fleet.kinds import KIND_ORDER, Certainty
from plimsoll.fleet.parts import Fleet, Part, PolicyFloor, Program
from plimsoll.fleet.verdicts import Verdict, judge_part, points_met
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import FLOORS, Version

__all__ = ["Certainty", "Finding", "Preflight", "judge"]


def judge(
    fleet: Fleet,
    target: Version,
    points: Collection[Point],
    floors: Mapping[Point, Version] | None = None,
    table: capabilities.CapabilityTable | None = None,
) -> Preflight:
    """The judgement of raising the floor of these points to the target.

    `floors` are the floors in force: a point that already holds the target or more is not raised, and lowering has no
    blockers. Without them, every point counts as raised from the bottom: "could these points hold that floor?"
    """
    raised = frozenset(point for point in points if _is_raise(point, target, floors))
    judged, blockers, noted = _judge_parts(fleet, target, raised, table or capabilities.table())
    programs, affected, more = _judge_programs(fleet, target, raised)
    more += _judge_policies(fleet.policies, target, raised)
    return Preflight(
        target=target,
        points=tuple(point for point in Point if point in points),
        blockers=in_order(blockers),
        affected=in_order(affected),
        clear=judged + programs - len(blockers) - len(affected),
        judged=judged + programs,
        noted=in_order(noted + more),
    )


def _is_raise(point: Point, target: Version, floors: Mapping[Point, Version] | None) -> bool:
    """The lowest floor cuts nobody off, and neither does one that is already held."""
    if target is FLOORS[0]:
        return False
    return floors is None or point not in floors or floors[point] < target


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By kind in the order of upgrading, then by name: the order never depends on that of the input."""
    return tuple(sorted(findings, key=_sort_key))


def _sort_key(finding: Finding) -> tuple[int, str, str, str, str]:
    place = KIND_ORDER.get(finding.kind, len(KIND_ORDER))
    return place, finding.who.casefold(), finding.who, finding.id, finding.address or ""


def _judge_parts(
    fleet: Fleet, target: Version, raised: frozenset[Point], table: capabilities.CapabilityTable
) -> tuple[int, list[Finding], list[Finding]]:
    verdicts: dict[Hashable, Verdict] = {}
    judged = 0
    blockers: list[Finding] = []
    noted: list[Finding] = []
    for part in fleet.parts:
        likeness = _likeness(part)
        verdict = verdicts.get(likeness)
        if verdict is None:
            verdict = judge_part(part, target, points_met(part, raised), table, fleet.at)
            verdicts[likeness] = verdict
        if not verdict.points:
            continue
        judged += 1
        if verdict.blocks:
            blockers.append(_finding(part, verdict))
        elif verdict.reason:
            noted.append(_finding(part, verdict))
    return judged, blockers, noted


def _likeness(part: Part) -> Hashable:
    """All that a verdict depends on; parts that agree in it share one."""
    return (
        part.kind,
        part.version,
        part.points,
        part.offered,
        part.negotiated,
        part.refused,
        part.suites_shared,
        part.seen,
        part.relay and (part.relay.observed, part.relay.sent, part.relay.acknowledged, part.relay.kept),
        part.platform,
        part.database,
        part.exceptions,
    )


def _finding(part: Part, verdict: Verdict) -> Finding:
    certainty = verdict.certainty
    since = None
    if certainty is Certainty.SEEN_OFFERING:
        since = part.since or part.observed_at
    elif certainty is Certainty.SEEN_REFUSED:
        since = part.refused_at
    return Finding(
        id=part.id,
        who=part.name,
        kind=part.kind,
        version=part.version,
        address=part.address,
        last_seen=part.last_seen,
        reason=verdict.reason,
        certainty=certainty,
        evidence=wording.evidence(part, certainty, verdict.tabled),
        remedy=verdict.remedy,
        points=verdict.points,
        since=since,
        ways=verdict.ways,
    )


def _judge_programs(
    fleet: Fleet, target: Version, raised: frozenset[Point]
) -> tuple[int, list[Finding], list[Finding]]:
    judged = 0
    affected: list[Finding] = []
    noted: list[Finding] = []
    for program in fleet.programs:
        if program.point not in raised:
            continue
        judged += 1
        reason, cut_off = _judge_program(program, target)
        if cut_off:
            affected.append(_program_finding(program, target, reason, _program_ways(program, target, fleet.at)))
        elif reason:
            noted.append(_program_finding(program, target, reason))
    return judged, affected, noted


def _judge_program(program: Program, target: Version) -> tuple[str, bool]:
    """The reason, empty where there is none to state, and whether the program would be cut off."""
    if program.offered is None:
        return "nobody knows what it offers: that warns, never blocks", False
    if program.suites_shared is False:
        return f"it offers {program.offered}, but shares no cipher suite with us", True
    if program.offered >= target:
        return "", False
    reason = f"it offers at most {program.offered}"
    rules = tuple(rule for rule in program.exceptions if rule.point is program.point and rule.floor <= program.offered)
    return (f"{reason}, but is {wording.excused(rules)}", False) if rules else (reason, True)


def _program_ways(program: Program, target: Version, now: float | None) -> tuple[Way, ...]:
    return (Way("upgrade", to=f"one that speaks {target}"), *wording.without_upgrade((program.point,), now))


def _judge_policies(policies: Iterable[PolicyFloor], target: Version, raised: frozenset[Point]) -> list[Finding]:
    """Policies that a raise of the base policy does not reach: nobody is cut off there, and the floor is not held."""
    noted: list[Finding] = []
    for policy in policies:
        for point, own, reached in (
            (Point.RELAY, policy.relay, policy.relays),
            (Point.AGENT, policy.agent, policy.listeners),
        ):
            if point not in raised or own is None or own >= target or not reached:
                continue
            noted.append(
                Finding(
                    id=f"policy:{policy.name}:{point.value}",
                    who=policy.name,
                    kind="policy",
                    version=None,
                    address=None,
                    last_seen=None,
                    reason=wording.policy_reason(policy, point, own, reached),
                    certainty=Certainty.CONFIGURED,
                    evidence="the policy as it is stored",
                    remedy="set the floor in this policy, or let it inherit the base policy's; then send it",
                    points=(point,),
                )
            )
    return noted


def _program_finding(program: Program, target: Version, reason: str, ways: tuple[Way, ...] = ()) -> Finding:
    if program.offered is None:
        certainty = Certainty.NEVER_SEEN
    else:
        certainty = Certainty.SEEN_OFFERING if program.refused_at is None else Certainty.SEEN_REFUSED
    return Finding(
        id=program.id,
        who=program.who,
        kind="program",
        version=program.user_agent,
        address=program.address,
        last_seen=program.observed_at,
        reason=reason,
        certainty=certainty,
        evidence=wording.program_evidence(program),
        remedy=f"update the program, or the TLS library that it uses, to one that speaks {target}; tell its owner",
        points=(program.point,),
        since=program.since or (program.refused_at if certainty is Certainty.SEEN_REFUSED else program.observed_at),
        ways=ways,
    )
