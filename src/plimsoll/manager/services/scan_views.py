"""How a scan, its endpoints, a comparison and the view for PCI DSS are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from plimsoll.manager.store.scans import EndpointRecord, ScanRecord
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import Target
from plimsoll.scan.reports.json_report import WrittenGrade, WrittenVerdict
from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class ScanView:
    """A scan as it stands. Times are seconds since 1970.

    `state` is queued, running, done, cancelled, interrupted (its manager ended) or failed. `asked` says what was asked
    for; `done` of `total` endpoints have been asked. `failing` of them break a rule of a profile, `findings` are the
    rules that are broken in all, and of `unproved` ones nothing is broken but something is not proved.
    """

    id: int
    created: float
    who: str
    label: str
    state: str
    asked: Mapping[str, Any]
    left_out: tuple[Mapping[str, Any], ...]
    total: int
    done: int
    failing: int
    unproved: int
    findings: int
    started: float | None
    ended: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a profile says of an endpoint: "holds", "does not hold" or "not proved", and why."""

    profile: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint of a scan. `point`, `computer` and `name` say whose port it is, where it is the fleet's.

    `state` is "waiting", or what the scan found: complete, incomplete, unreachable, not TLS. `letter` is the worst
    grade of its suites.
    """

    position: int
    target: Target
    point: str
    computer: str | None
    name: str
    state: str
    note: str
    accepted: tuple[str, ...]
    letter: str
    verdicts: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class ChangedEndpoint:
    """What changed at one endpoint: (kind, subject, text) of each change, as in the reports of `plimsoll scan`."""

    target: Target
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class DiffView:
    """A scan compared with an earlier one. `same` endpoints did not change; `new` ones are in this scan only, `gone`
    ones in the earlier one only. `kinds` counts the changes: opened, closed, changed, unproved.
    """

    scan: int
    earlier: int
    changed: tuple[ChangedEndpoint, ...]
    same: int
    new: tuple[Target, ...]
    gone: tuple[Target, ...]
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PciEndpoint:
    """One endpoint under PCI DSS. `verdict` as in `Judged`; only "holds" passes."""

    target: Target | None
    point: str
    computer: str | None
    name: str
    in_scope: bool
    verdict: str
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.verdict == Verdict.HOLDS.value


@dataclass(frozen=True, slots=True)
class PciView:
    """`verdict` is over what is in scope, None where nothing is. `missing` are computers in scope that have no endpoint
    in this scan.
    """

    scan: int
    profile: str
    verdict: str | None
    note: str
    endpoints: tuple[PciEndpoint, ...]
    missing: tuple[PciEndpoint, ...]


class Outcome(msgspec.Struct):
    outcome: str


class Line(msgspec.Struct):
    """What is kept beside an endpoint's report, read from its line."""

    target: Target
    state: str
    note: str = ""
    versions: dict[str, Outcome] = {}
    grades: dict[str, WrittenGrade] = {}
    verdicts: tuple[WrittenVerdict, ...] = ()

    @property
    def accepted(self) -> list[str]:
        found = sorted(Version(name) for name, seen in self.versions.items() if seen.outcome == "accepted")
        return [version.value for version in found]

    @property
    def letter(self) -> str:
        """As `grade.least_strength`: the worst of all, "unknown" being worse than F."""
        return max((letter for one in self.grades.values() for letter in one.letters), default="")

    def judged(self) -> dict[str, dict[str, Any]]:
        return {
            one.profile: {
                "verdict": one.verdict,
                "reasons": [
                    f"{found.sentence}: {'; '.join(found.reasons)}"
                    for found in one.findings
                    if found.verdict != Verdict.HOLDS.value
                ],
                "broken": sum(found.verdict == Verdict.FAILS.value for found in one.findings),
            }
            for one in self.verdicts
        }


def scan_view(record: ScanRecord, state: str, done: int | None = None) -> ScanView:
    return ScanView(
        id=record.id,
        created=record.created,
        who=record.who,
        label=record.label,
        state=state,
        asked=record.asked,
        left_out=tuple(record.left_out),
        total=record.total,
        done=record.done if done is None else done,
        failing=record.failing,
        unproved=record.unproved,
        findings=record.findings,
        started=record.started,
        ended=record.ended,
        text=record.text,
    )


def target_of(record: EndpointRecord) -> Target:
    return Target(record.host, record.port, record.opening, record.server_name)


def endpoint_view(record: EndpointRecord) -> EndpointView:
    verdicts = record.verdicts or {}
    return EndpointView(
        position=record.position,
        target=target_of(record),
        point=record.point,
        computer=record.computer,
        name=record.name,
        state=record.state or "waiting",
        note=record.note,
        accepted=tuple(record.accepted or ()),
        letter=record.letter,
        verdicts=tuple(Judged(name, one["verdict"], tuple(one["reasons"])) for name, one in verdicts.items()),
    )


def over_all(endpoints: Sequence[PciEndpoint]) -> str | None:
    """The verdict over what is in scope."""
    found = [Verdict(one.verdict) for one in endpoints if one.in_scope]
    return Verdict.of_all(found).value if found else None
