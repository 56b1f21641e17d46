"""Proof from outside: each point's floor by handshakes of our own, whatever anybody says of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from plimsoll.cli._fleet.points import FleetPoint
from plimsoll.scan.engine import scan_many
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.options import SWEEP, Options
from plimsoll.scan.profiles import floor_profile, judge
from plimsoll.scan.report import EndpointReport, Outcome, State, Target
from plimsoll.tls.versions import Version

WORDS = {Verdict.HOLDS: "proved", Verdict.FAILS: "violated", Verdict.NOT_PROVED: "not proved"}


@dataclass(frozen=True, slots=True)
class Proof:
    """What handshakes showed of one point. `report` is None where its address is not known."""

    point: FleetPoint
    verdict: Verdict
    reasons: tuple[str, ...]
    report: EndpointReport | None

    @property
    def lowest(self) -> Version | None:
        """The lowest version that was accepted."""
        accepted = self.report.accepted if self.report is not None else ()
        return accepted[0] if accepted else None

    @property
    def proved(self) -> Version | None:
        """The floor that is in force: a version that is accepted, and every earlier one refused with evidence."""
        lowest = self.lowest
        if lowest is None or self.report is None or self.report.control.held is False:
            return None
        below = [seen.outcome for version, seen in self.report.versions.items() if version < lowest]
        return lowest if all(outcome is Outcome.REFUSED for outcome in below) else None

    @property
    def evidence(self) -> str:
        """What the verdict rests on, in a sentence."""
        if self.verdict is not Verdict.HOLDS or self.report is None:
            return "; ".join(self.reasons)
        accepted = ", ".join(version.label for version in self.report.accepted)
        alerts: dict[str, list[str]] = {}
        for version, seen in sorted(self.report.versions.items()):
            if seen.outcome is Outcome.REFUSED:
                alerts.setdefault(seen.evidence[0] if seen.evidence else "an alert", []).append(version.label)
        refused = "; ".join(f"{', '.join(labels)}: {alert}" for alert, labels in alerts.items())
        stricter = ""
        if self.proved is not None and self.proved > self.point.asked:
            stricter = f"stricter than asked, by {self.proved}; "
        return f"{stricter}accepted {accepted}; refused {refused}" if refused else f"{stricter}accepted {accepted}"

    def as_json(self) -> dict[str, Any]:
        versions = self.report.versions if self.report is not None else {}
        return {
            "name": self.point.name,
            "point": self.point.point.value,
            "address": self.point.address,
            "port": self.point.port,
            "asked": self.point.asked.value,
            "proved": None if self.proved is None else self.proved.value,
            "verdict": WORDS[self.verdict],
            "evidence": self.evidence,
            "note": self.point.note,
            "versions": {
                version.value: {"outcome": seen.outcome.value, "evidence": list(seen.evidence)}
                for version, seen in versions.items()
            },
        }


def prove(points: Iterable[FleetPoint], *, timeout: float = 5.0, local_address: str = "") -> list[Proof]:
    """One sweep over all points, in their order. Points of one place (two names of one port) are asked once."""
    known = list(points)
    reports: dict[tuple[str, int], EndpointReport] = {}

    def take(report: EndpointReport) -> None:
        reports[(report.target.host, report.target.port)] = report

    targets = dict.fromkeys(_target(point) for point in known if point.address)
    scan_many(targets, Options(mode=SWEEP, timeout=timeout, local_address=local_address), take, total=len(targets))
    return [proof_of(point, reports.get((point.address, point.port))) for point in known]


def _target(point: FleetPoint) -> Target:
    is_name = not (":" in point.address or point.address.rpartition(".")[2].isdecimal())
    return Target(point.address, point.port, server_name=point.address if is_name else "")


def proof_of(point: FleetPoint, report: EndpointReport | None) -> Proof:
    """What the report proves of the point."""
    if report is None:
        return Proof(point, Verdict.NOT_PROVED, ("its address is not known: it has not called yet",), None)
    if report.state in (State.UNREACHABLE, State.NOT_TLS):
        return Proof(point, Verdict.NOT_PROVED, (f"{report.state.value}: {report.note}".removesuffix(": "),), report)
    judged = judge(report, floor_profile(point.asked))
    reasons = tuple(reason for finding in judged.failed + judged.open for reason in finding.reasons)
    return Proof(point, judged.verdict, reasons, report)
