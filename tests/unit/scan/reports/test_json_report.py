"""The JSON document: what is written is read back, validates against the shipped schema, and goes on when cut off."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.unit.scan.made import certificate, endpoint

from plimsoll.scan.profiles import ProfileVerdict, judge
from plimsoll.scan.report import EndpointReport, Features, State, Target
from plimsoll.scan.reports.diff import compare
from plimsoll.scan.reports.json_report import (
    SCHEMA_FILE,
    Archive,
    JsonWriter,
    ReportError,
    Unfinished,
    load,
    schema_text,
    started,
)

OLD = Path(__file__).parent / "plimsoll-scan-1.json"


def several(count: int = 3) -> list[EndpointReport]:
    return [endpoint(target=Target("127.0.0.1", 1000 + number)) for number in range(count)]


def verdicts(report: EndpointReport) -> tuple[ProfileVerdict, ...]:
    return (judge(report, "floor:TLSv1.2"), judge(report, "mozilla-modern"))


def written(reports: list[EndpointReport], **options: Any) -> str:
    out = io.StringIO()
    writer = JsonWriter(out, **options)
    writer.begin()
    for report in reports:
        writer.add(report)
    writer.end()
    return out.getvalue()


def shipped() -> Any:
    return json.loads(resources.files("plimsoll.scan").joinpath("data", SCHEMA_FILE).read_text(encoding="utf-8"))


def test_the_shipped_schema_is_that_of_the_types() -> None:
    """Never remove or rename a field within a schema number."""
    text = resources.files("plimsoll.scan").joinpath("data", SCHEMA_FILE).read_text(encoding="utf-8")
    assert text == schema_text(), f"after a new field, write json_report.schema_text() to scan/data/{SCHEMA_FILE}"


def test_what_is_written_validates_against_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(shipped())
    full = endpoint(
        certificates=[certificate(chain=(b"\x30\x82", b"\xff")), certificate(fingerprint="cd" * 32)],
        features=Features(alpn=("h2",), resumption={"TLSv1.2": True}, tickets=False),
        address="::1",
    )
    unreachable = EndpointReport(Target("gone.test", 443), State.UNREACHABLE, note="connection refused")
    text = written(
        [full, unreachable, *several()], verdicts=verdicts, differences=lambda report: compare(endpoint(), report)
    )
    document = json.loads(text)
    jsonschema.validate(document, shipped())
    assert document["count"] == len(document["endpoints"]) == 5
    first = document["endpoints"][0]
    assert first["grades"]["TLSv1.3"] == {"letters": ["A", "A", "A"], "warnings": []}
    assert [verdict["verdict"] for verdict in first["verdicts"]] == ["holds", "does not hold"]
    assert {change["subject"] for change in first["changes"]} == {"certificate"}
    assert document["endpoints"][1]["verdicts"][0]["verdict"] == "not proved"


def test_the_schema_refuses_what_is_no_report() -> None:
    document = json.loads(written(several(1)))
    document["endpoints"][0]["versions"]["TLSv1.2"]["outcome"] = "maybe"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, shipped())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    reports = [*several(), endpoint(certificates=[certificate(chain=(b"\x00\xff",))])]
    path.write_text(written(reports, verdicts=verdicts))
    assert list(load(path)) == reports
    assert started(path) > 1.7e9


def test_a_document_of_the_first_release_is_read_for_ever() -> None:
    """The file stays as it is: what this release wrote must be readable by all later ones."""
    (report,) = load(OLD)
    assert report.target == Target("target.test", 443, server_name="target.test")
    assert [version.value for version in report.accepted] == ["TLSv1.2", "TLSv1.3"]
    assert report.certificates[0].chain == (b"leaf",)


def test_no_document_is_kept_in_memory_by_writing(tmp_path: Path) -> None:
    """Each report is out before the next one comes."""
    out = io.StringIO()
    writer = JsonWriter(out)
    writer.begin()
    for number, report in enumerate(several(), 1):
        writer.add(report)
        assert out.getvalue().count('"target"') == number


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no plimsoll-scan/1 document"),
        ("{}", "is no plimsoll-scan/1 document"),
        ('{"schema":"plimsoll-scan/2","endpoints":[\n', "is no plimsoll-scan/1 document"),
        ('{"schema":"plimsoll-scan/1",oops\n', "has a head that cannot be read"),
        ('{"schema":"plimsoll-scan/1","started":1.0,"endpoints":[\n', "was cut off"),
        ('{"schema":"plimsoll-scan/1","started":1.0,"endpoints":[\n{"target":1}\n', "cannot be read"),
    ],
)
def test_what_is_no_document_is_said_to_be_none(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "scan.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=says):
        list(load(path))
    with pytest.raises(ReportError):
        Archive(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file"):
        list(load(tmp_path / "none.json"))


def test_the_archive_finds_reports_by_their_endpoint(tmp_path: Path) -> None:
    path = tmp_path / "scan.json"
    reports = several(50)
    path.write_text(written(reports, verdicts=verdicts))
    with Archive(path) as archive:
        for report in reversed(reports[10:]):
            assert archive.find(report.target) == report
        assert archive.find(Target("127.0.0.1", 1)) is None
        assert archive.find(replace(reports[0].target, server_name="other.test")) is None
        assert {target.port for target in archive.rest()} == {1000 + number for number in range(10)}


def test_a_document_that_was_cut_off_anywhere_goes_on(tmp_path: Path) -> None:
    reports = several(3)
    text = written(reports)
    head = text.index("\n")
    path = tmp_path / "scan.json"
    for cut in range(head, len(text), 97):
        path.write_text(text[:cut])
        found = Unfinished(path)
        out = io.StringIO()
        writer = JsonWriter(out, already=found.count)
        writer.begin()
        for report in reports[found.count :]:
            writer.add(report)
        writer.end()
        path.write_text(text[: found.length] + out.getvalue())
        assert list(load(path)) == reports, cut
        assert json.loads(path.read_text())["count"] == 3
        assert (found.last is None) == (found.count == 0)
