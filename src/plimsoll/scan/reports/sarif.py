"""SARIF 2.1.0: findings of profiles and of the endpoint itself, for systems that gather findings.

A finding that stayed open has SARIF's kind "open": it is neither a pass nor a failure. The fingerprint of a finding
is its rule and its endpoint, so that the same finding of two scans is one.
"""

from __future__ import annotations

import json
import time
from typing import IO, Any, Final

from plimsoll import RELEASE
from plimsoll.scan.findings import Finding, Topic, Weight, findings
from plimsoll.scan.report import EndpointReport
from plimsoll.scan.reports import Verdicts, no_verdicts
from plimsoll.scan.reports.text import printable, utc

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class SarifWriter:
    """Gathers the rules while results stream out: SARIF lists the rules after them just as well."""

    def __init__(self, out: IO[str], verdicts: Verdicts = no_verdicts) -> None:
        self._out = out
        self._verdicts = verdicts
        self._topics: dict[str, Topic] = {}
        self._first = True
        self._started = time.time()

    def begin(self) -> None:
        self._out.write(f'{{"$schema":{json.dumps(_SCHEMA)},"version":"2.1.0","runs":[{{"results":[')

    def add(self, report: EndpointReport) -> None:
        for finding in findings(report, self._verdicts(report)):
            self._topics.setdefault(finding.topic.id, finding.topic)
            self._out.write(("\n" if self._first else ",\n") + json.dumps(_result(finding, report)))
            self._first = False

    def end(self) -> None:
        driver = {
            "name": "plimsoll scan",
            "version": RELEASE,
            "rules": [_rule(topic) for topic in self._topics.values()],
        }
        times = {"startTimeUtc": utc(self._started), "endTimeUtc": utc(time.time())}
        invocation = {"executionSuccessful": True, **times}
        self._out.write(
            f'\n],"columnKind":"unicodeCodePoints","invocations":[{json.dumps(invocation)}],'
            f'"tool":{json.dumps({"driver": driver})}}}]}}\n'
        )


def _rule(topic: Topic) -> dict[str, Any]:
    source = f" Source: {topic.source}." if topic.source else ""
    return {
        "id": topic.id,
        "shortDescription": {"text": f"{topic.sentence}."},
        "fullDescription": {"text": f"{topic.sentence}.{source}"},
    }


def _result(finding: Finding, report: EndpointReport) -> dict[str, Any]:
    place = str(report.target)
    # SARIF wants level "none" for whatever is no failure.
    kind, level = ("open", "none") if finding.weight is Weight.OPEN else ("fail", finding.weight.value)
    return {
        "ruleId": finding.topic.id,
        "kind": kind,
        "level": level,
        "message": {"text": f"{place}: {printable(finding.text)}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": f"tls://{place}"}},
                "logicalLocations": [{"fullyQualifiedName": place, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"ruleEndpoint/v1": f"{finding.topic.id} {place}"},
    }
