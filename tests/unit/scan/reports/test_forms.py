"""SARIF, CSV, CycloneDX and the textfile of Prometheus, each read back by other means than ours where there are any."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.unit.scan.made import accepted, certificate, endpoint

from plimsoll.scan.findings import Weight, findings
from plimsoll.scan.profiles import ProfileVerdict, judge
from plimsoll.scan.report import EndpointReport, Outcome, State, Target, VersionReport
from plimsoll.scan.reports import Writer
from plimsoll.scan.reports.cbom import CbomWriter
from plimsoll.scan.reports.csv_report import COLUMNS, CsvWriter
from plimsoll.scan.reports.prometheus import PrometheusWriter
from plimsoll.scan.reports.sarif import SarifWriter
from plimsoll.tls.versions import Version

WEAK = endpoint(
    accepted(Version.TLS1_0, [0xC009, 0xC008, 0xC00A]),
    VersionReport(Version.TLS1_1, Outcome.INCONCLUSIVE, ("connection reset to all suites",)),
    certificates=[
        certificate(subject='=HYPERLINK("x")', trust="self-signed", name_matches=False, faults=("signed with SHA-1",))
    ],
    state=State.INCOMPLETE,
    started=1.7e9,
)
GONE = EndpointReport(
    Target("gone.test", 443),
    State.UNREACHABLE,
    note="connection refused",
    versions={version: VersionReport(version, Outcome.NOT_ASKED) for version in Version},
)


def floor(report: EndpointReport) -> tuple[ProfileVerdict, ...]:
    return (judge(report, "floor:TLSv1.2"),)


def run(writer: Writer, *reports: EndpointReport) -> None:
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()


def sarif(*reports: EndpointReport, **options: Any) -> Any:
    out = io.StringIO()
    run(SarifWriter(out, **options), *reports)
    return json.loads(out.getvalue())


def test_findings_weigh_what_is_wrong_and_what_is_open() -> None:
    found = {(one.topic.id, one.weight) for one in findings(WEAK, floor(WEAK))}
    assert found == {
        ("floor:TLSv1.2/tlsv1-refused", Weight.ERROR),
        ("floor:TLSv1.2/tlsv1.1-refused", Weight.OPEN),
        ("prohibited-version", Weight.ERROR),
        ("suite-warning", Weight.WARNING),
        ("question-open", Weight.OPEN),
        ("certificate-trust", Weight.WARNING),
        ("certificate-name", Weight.WARNING),
        ("certificate-fault", Weight.WARNING),
    }
    assert not findings(endpoint(), floor(endpoint()))
    assert [one.weight for one in findings(GONE)] == [Weight.OPEN]


def test_sarif_has_the_form_of_2_1_0() -> None:
    log = sarif(WEAK, endpoint(), GONE, verdicts=floor)
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    assert all(rule["shortDescription"]["text"] for rule in only["tool"]["driver"]["rules"])
    assert {result["ruleId"] for result in only["results"]} == set(rules)
    for result in only["results"]:
        assert (result["kind"], result["level"]) in {
            ("fail", "error"), ("fail", "warning"), ("fail", "note"), ("open", "none"),
        }  # fmt: skip
        (place,) = result["locations"]
        assert re.fullmatch(r"tls://(target|gone)\.test:443", place["physicalLocation"]["artifactLocation"]["uri"])
        assert result["message"]["text"].startswith(place["logicalLocations"][0]["fullyQualifiedName"])
    assert all(re.fullmatch(r"\d{4}-.*Z", only["invocations"][0][key]) for key in ("startTimeUtc", "endTimeUtc"))


def test_an_open_question_is_no_failure_in_sarif_and_no_pass() -> None:
    results = sarif(GONE, verdicts=floor)["runs"][0]["results"]
    assert results
    assert {result["kind"] for result in results} == {"open"}
    assert sarif(endpoint(), verdicts=floor)["runs"][0]["results"] == []


def test_sarif_tells_faults_without_any_profile() -> None:
    results = sarif(WEAK)["runs"][0]["results"]
    assert "prohibited-version" in {result["ruleId"] for result in results}


def test_csv_has_a_line_for_each_version_and_no_formulas() -> None:
    out = io.StringIO(newline="")
    run(CsvWriter(out, floor), WEAK, GONE)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 12
    old = rows[2]
    assert (old["version"], old["outcome"], old["letters"]) == ("TLSv1.0", "accepted", "A; C; A")
    assert old["time"] == "2023-11-14T22:13:20Z"
    assert old["verdicts"] == "floor:TLSv1.2: does not hold"
    assert rows[4]["certificate_subject"] == '\'=HYPERLINK("x")'
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_csv_goes_on_without_a_second_heading() -> None:
    out = io.StringIO()
    run(CsvWriter(out, heading=False), endpoint())
    assert out.getvalue().startswith("target.test,443,")


def test_cbom_is_cyclonedx_1_7_and_equal_assets_are_one() -> None:
    out = io.StringIO()
    other = endpoint(target=Target("127.0.0.1", 8443))
    run(CbomWriter(out), WEAK, endpoint(), other, GONE)
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(out.getvalue()) is None
    bom = json.loads(out.getvalue())
    assert bom["specVersion"] == "1.7"
    kinds = Counter(one["cryptoProperties"]["assetType"] for one in bom["components"])
    # TLS 1.0, 1.2 and 1.3, of which the last two are the same at all three endpoints.
    assert kinds["protocol"] == 3
    assert kinds["certificate"] == 1
    algorithms = {one["name"]: one["cryptoProperties"]["algorithmProperties"] for one in bom["components"]
                  if one["cryptoProperties"]["assetType"] == "algorithm"}  # fmt: skip
    assert algorithms["X25519MLKEM768"]["primitive"] == "combiner"
    assert algorithms["x25519"] == {"primitive": "key-agree", "curve": "x25519"}
    assert algorithms["AES-128-GCM"]["mode"] == "gcm"
    assert algorithms["AES-128-GCM"]["classicalSecurityLevel"] == 128
    assert algorithms["3DES-CBC"]["classicalSecurityLevel"] == 112
    assert algorithms["HMAC-SHA1"]["primitive"] == "mac"
    services = {service["name"]: service["bom-ref"] for service in bom["services"]}
    assert set(services) == {"target.test:443", "127.0.0.1:8443"}
    needs = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert len(needs[services["127.0.0.1:8443"]]) == 3


def samples(path: Path) -> dict[str, float]:
    """The textfile, read by the grammar of the exposition format; names, types and grouping are checked on the way."""
    found: dict[str, float] = {}
    families: list[str] = []
    for line in path.read_text().splitlines():
        if matched := re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line):
            if matched[1] == "TYPE":
                families.append(matched[2])
            continue
        matched = re.fullmatch(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)', line)
        assert matched, line
        assert matched[1] == families[-1]
        found[matched[1] + (matched[2] or "")] = float(matched[3])
    assert len(families) == len(set(families))
    return found


def test_prometheus_tells_what_is_not_proved_beside_what_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "scan.prom"
    run(PrometheusWriter(path, floor), WEAK, GONE)
    found = samples(path)
    assert found['plimsoll_scan_accepted{endpoint="target.test:443",version="TLSv1.0"}'] == 1
    assert found['plimsoll_scan_accepted{endpoint="target.test:443",version="SSLv3"}'] == 0
    assert 'plimsoll_scan_accepted{endpoint="target.test:443",version="TLSv1.1"}' not in found
    assert found['plimsoll_scan_not_proved{endpoint="target.test:443",version="TLSv1.1"}'] == 1
    assert found['plimsoll_scan_reached{endpoint="gone.test:443"}'] == 0
    assert found['plimsoll_scan_not_proved{endpoint="gone.test:443",version="TLSv1.0"}'] == 1
    assert found['plimsoll_scan_profile{endpoint="gone.test:443",profile="floor:TLSv1.2",verdict="not proved"}'] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["scan.prom"]


def test_prometheus_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "scan.prom"
    path.write_text("as it was\n")
    writer = PrometheusWriter(path)
    writer.begin()
    writer.add(endpoint())
    assert path.read_text() == "as it was\n"
    writer.end()
    assert samples(path)
    with pytest.raises(OSError, match="No such file"):
        run(PrometheusWriter(tmp_path / "missing" / "scan.prom"), endpoint())
