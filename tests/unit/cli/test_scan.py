"""`plimsoll scan` as a command: what it starts with, exit codes, forms, changes, going on after an interruption."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.answers import small_fleet
from tests.unit.cli.fake import FakeManager, Shell
from tests.unit.scan.made import accepted, endpoint

from plimsoll.cli import scan
from plimsoll.scan.options import Options
from plimsoll.scan.report import EndpointReport, Outcome, State, Target, VersionReport
from plimsoll.scan.reports.json_report import JsonWriter, load
from plimsoll.tls.versions import Version

GOOD = endpoint(target=Target("127.0.0.1", 1001))
OLD_TLS = endpoint(accepted(Version.TLS1_0, [0xC009]), target=Target("127.0.0.1", 1001))
OPEN = endpoint(VersionReport(Version.TLS1_0, Outcome.INCONCLUSIVE, ("reset",)), target=Target("127.0.0.1", 1001))
GONE = EndpointReport(Target("127.0.0.1", 1002), State.UNREACHABLE, note="connection refused")


@pytest.fixture
def document(tmp_path: Path) -> Callable[..., str]:
    """Writes reports as an earlier scan's document."""

    def write(*reports: EndpointReport, name: str = "scan.json") -> str:
        out = io.StringIO()
        writer = JsonWriter(out)
        writer.begin()
        for report in reports:
            writer.add(report)
        writer.end()
        (tmp_path / name).write_text(out.getvalue())
        return str(tmp_path / name)

    return write


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# Start


def imported(*arguments: str) -> set[str]:
    """The modules that one run of the program loads."""
    command = [sys.executable, "-X", "importtime", "-m", "plimsoll.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_help_loads_next_to_nothing() -> None:
    loaded = imported("scan", "--help")
    assert "argparse" in loaded
    assert not {name for name in loaded if name.partition(".")[0] in {"typer", "click", "rich", "httpx", "msgspec"}}
    assert not {name for name in loaded if name.startswith(("plimsoll.scan", "plimsoll.manager", "plimsoll.fleet"))}
    assert not loaded & {"ssl", "asyncio", "json", "logging"}


def test_a_scan_loads_only_what_its_form_needs() -> None:
    loaded = imported("scan", f"127.0.0.1:{closed_port()}", "--mode", "suites")
    assert "plimsoll.scan.reports.table" in loaded
    foreign = {"typer", "rich", "httpx", "msgspec", "cryptography", "cyclonedx", "asyncio", "ssl"}
    assert not {name for name in loaded if name.partition(".")[0] in foreign}
    others = {"json_report", "sarif", "csv_report", "cbom", "prometheus", "diff", "nmap_text"}
    assert not loaded & {f"plimsoll.scan.reports.{name}" for name in others}


def test_the_tree_of_commands_lists_it_and_passes_its_words_on(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(FakeManager(small_fleet()))
    assert shell.run("plimsoll --help").code == 0
    assert re.search(r"^\W*scan\s+What TLS endpoints really accept", capsys.readouterr().out, re.MULTILINE)
    assert shell.run("plimsoll scan --help").code == 0
    assert "--require PROFILE" in capsys.readouterr().out
    assert shell.run("plimsoll scan --format none x").code == 2


def test_help_tells_every_option_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert scan.main(["--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--fleet", "--require", "--diff", "--resume", "--prometheus", "--ca", "--opening", "--rate"):
        assert option in text
    assert "4 not proved" in text


# Wrong usage


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say what to scan"),
        (["no_such/name"], "does not appear to be"),
        (["a.test:99999"], "is not a port"),
        (["a.test", "--require", "nonsense"], "unknown profile 'nonsense'"),
        (["a.test", "--opening", "gopher"], "the opening 'gopher' is not known"),
        (["a.test", "--diff", "/nowhere.json"], "No such file"),
        (["a.test", "--from", "/nowhere.json"], "goes without targets"),
        (["--from", "/nowhere.json"], "No such file"),
        (["a.test", "--output", "/nowhere/x"], "cannot be written"),
        (["a.test", "--file", "/nowhere.txt"], "No such file"),
        (["a.test", "--ca", "/nowhere.pem"], "No such file"),
        (["--profile", "nonsense"], "unknown profile"),
        (["--fleet", "--home", "/nowhere"], "no manager home at /nowhere"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_scanned(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = scan.main(words)
    told = capsys.readouterr()
    assert code == (7 if "--fleet" in words else 2)
    assert says in told.err
    assert told.err.startswith("plimsoll scan: ")
    assert not told.out


@pytest.mark.parametrize("words", [["--timeout", "0"], ["--rate", "-1"], ["--parallel", "x"], ["--format", "xml"]])
def test_numbers_and_names_that_cannot_be(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert scan.main(["a.test", *words]) == 2
    assert words[0] in capsys.readouterr().err


# Exit codes


@pytest.mark.parametrize(
    ("reports", "words", "code"),
    [
        ([GOOD], [], 0),
        ([OPEN], [], 0),
        ([GOOD, GONE], [], 0),
        ([GONE], [], 4),
        ([GOOD], ["--require", "floor:TLSv1.2"], 0),
        ([OLD_TLS], ["--require", "floor:TLSv1.2"], 3),
        ([OLD_TLS], ["--require", "floor:TLSv1"], 0),
        ([OPEN], ["--require", "floor:TLSv1.2"], 4),
        ([GOOD, GONE], ["--require", "floor:TLSv1.2"], 4),
        ([OLD_TLS, GONE], ["--require", "floor:TLSv1.2"], 3),
        ([GOOD], ["--require", "floor:TLSv1.2", "--require", "floor:TLSv1.3"], 3),
        ([], ["--require", "floor:TLSv1.2"], 4),
    ],
)
def test_the_exit_code_says_what_is_proved(
    reports: list[EndpointReport], words: list[str], code: int, document: Callable[..., str]
) -> None:
    assert scan.main(["--from", document(*reports), *words]) == code


def test_nobody_there_is_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert scan.main([f"127.0.0.1:{closed_port()}", "--require", "floor:TLSv1.2"]) == 4
    out = capsys.readouterr().out
    assert "unreachable" in out
    assert "floor:TLSv1.2 is not proved" in out


# Forms


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("table", "127.0.0.1:1001"),
        ("nmap", "Starting Plimsoll"),
        ("nmap-xml", "<?xml"),
        ("json", '{"schema":"plimsoll-scan/1"'),
        ("sarif", '{"$schema":'),
        ("csv", "host,port,"),
        ("cbom", "{\n"),
    ],
)
def test_an_earlier_report_is_told_in_every_form(
    form: str, begins: str, document: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = document(GOOD)
    assert scan.main(["--from", path, "--format", form, "--colour", "never"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(begins)
    assert scan.main(["--from", path, "--format", form, "--output", str(tmp_path / "out")]) == 0
    written = (tmp_path / "out").read_bytes().decode()
    assert written.splitlines()[1:2] == out.splitlines()[1:2] or form in ("cbom", "nmap-xml")


def test_the_earlier_report_is_never_overwritten(document: Callable[..., str]) -> None:
    path = document(GOOD)
    before = Path(path).read_text()
    assert scan.main(["--from", path, "--output", path]) == 2
    assert scan.main(["127.0.0.1:1", "--diff", path, "--output", path]) == 2
    assert Path(path).read_text() == before


def test_profiles_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert scan.main(["--profile", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][-1] == "pq-ready"
    assert scan.main(["--profile", "floor:TLSv1.3"]) == 0
    assert "  tlsv1.2-refused: TLSv1.2 is refused [" in capsys.readouterr().out


def test_the_textfile_is_written_beside_the_result(document: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "scan.prom"
    assert scan.main(["--from", document(GOOD), "--prometheus", str(path)]) == 0
    assert 'plimsoll_scan_accepted{endpoint="127.0.0.1:1001",version="TLSv1.2"} 1' in path.read_text()


# Changes


def test_changes_stand_in_place_of_the_table(document: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    old, new = document(GOOD, name="old.json"), document(OLD_TLS, name="new.json")
    assert scan.main(["--from", new, "--diff", old]) == 3
    assert capsys.readouterr().out.splitlines()[:2] == ["127.0.0.1:1001", "  + TLSv1.0 is accepted, was refused"]
    assert scan.main(["--from", old, "--diff", new]) == 0
    assert "- TLSv1.0 is refused, was accepted" in capsys.readouterr().out
    assert scan.main(["--from", document(OPEN, name="open.json"), "--diff", old]) == 4
    assert scan.main(["--from", old, "--diff", old]) == 0


def test_changes_are_in_the_json_and_told_beside_it(
    document: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = document(GOOD, GONE, name="old.json"), document(OLD_TLS, name="new.json")
    assert scan.main(["--from", new, "--diff", old, "--format", "json"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["endpoints"][0]["changes"][0]["kind"] == "opened"
    assert "only in the earlier scan" in told.err


# Going on


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """An engine that takes everybody for good; it is interrupted at port 1003, once."""
    asked: list[Target] = []

    def scan_many(targets: Any, options: Options, on_report: Any, progress: Any = None, *, total: int = 0) -> None:
        for target in targets:
            if target.port == 1003 and 1003 not in [one.port for one in asked]:
                asked.append(target)
                raise KeyboardInterrupt
            asked.append(target)
            on_report(replace(GOOD, target=target))

    monkeypatch.setattr("plimsoll.scan.engine.scan_many", scan_many)
    return asked


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_an_interrupted_scan_goes_on_where_it_was(
    form: str, engine: list[Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["127.0.0.1:1000,1001,1002,1003,1004,1005", "--format", form]
    words += ["--resume", str(tmp_path / "journal"), "--output", str(tmp_path / "out")]
    assert scan.main(words) == 130
    assert "--resume" in capsys.readouterr().err
    with (tmp_path / "out").open("a") as file:
        file.write(',\n{"target":{"host":"torn' if form == "json" else "torn")
    assert scan.main(words) == 0
    assert [target.port for target in engine] == [1000, 1001, 1002, 1003, 1003, 1004, 1005]
    text = (tmp_path / "out").read_bytes().decode()
    assert "torn" not in text
    ports = [int(port) for port in re.findall(r'127\.0\.0\.1(?:","port":|,|:)(100\d)', text)]
    assert list(dict.fromkeys(ports)) == [1000, 1001, 1002, 1003, 1004, 1005]
    assert len(ports) == (36 if form == "csv" else 6)
    if form == "json":
        assert len(list(load(tmp_path / "out"))) == 6
    assert scan.main(words) == 0
    assert len(engine) == 7


def test_what_was_written_and_not_noted_is_not_there_twice(engine: list[Target], tmp_path: Path) -> None:
    words = ["127.0.0.1:1000,1001,1002,1003,1004", "--format", "json"]
    words += ["--resume", str(tmp_path / "journal"), "--output", str(tmp_path / "out")]
    assert scan.main(words) == 130
    journal = tmp_path / "journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert scan.main(words) == 0
    assert [report.target.port for report in load(tmp_path / "out")] == [1000, 1001, 1002, 1003, 1004]


def test_a_resumed_scan_concludes_from_all_of_it(
    engine: list[Target], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first run found counts in the second one's exit code; where it cannot, nothing is proved."""
    words = ["127.0.0.1:1000,1003,1004", "--require", "floor:TLSv1.3", "--prometheus", str(tmp_path / "prom")]
    words += ["--resume", str(tmp_path / "journal"), "--output", str(tmp_path / "out")]
    assert scan.main([*words, "--format", "json"]) == 130
    text = (tmp_path / "out").read_bytes()
    monkeypatch.setattr("plimsoll.scan.engine.scan_many", lambda *_, **__: None)
    assert scan.main([*words, "--format", "json"]) == 3
    assert 'endpoint="127.0.0.1:1000",version="TLSv1.2"} 1' in (tmp_path / "prom").read_text()
    (tmp_path / "out").write_bytes(text)
    capsys.readouterr()
    assert scan.main([*words, "--format", "csv"]) == 4
    assert "1 endpoints of the interrupted run were not judged again" in capsys.readouterr().err


def test_a_form_that_cannot_go_on_says_so(
    engine: list[Target], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["127.0.0.1:1000,1003", "--resume", str(tmp_path / "journal"), "--output", str(tmp_path / "out")]
    assert scan.main([*words, "--format", "json"]) == 130
    before = (tmp_path / "out").read_text()
    assert scan.main([*words, "--format", "sarif"]) == 2
    assert "resume with --format json" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == before


def test_progress_says_how_much_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    port = closed_port()
    assert scan.main([f"127.0.0.1:{port}", f"127.0.0.2:{port}", "--progress"]) == 4
    told = capsys.readouterr()
    assert "of 2 endpoints" in told.err
    assert "of 2 endpoints" not in told.out
    assert scan.main([f"127.0.0.1:{port}", f"127.0.0.2:{port}"]) == 4
    assert not capsys.readouterr().err


def test_targets_from_standard_input(
    engine: list[Target], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("10.0.0.1:1 # the first\n\n10.0.0.2:1 [::1]:2\n"))
    assert scan.main(["-", "--sweep"]) == 0
    assert [str(target) for target in engine] == ["10.0.0.1:1", "10.0.0.2:1", "[::1]:2"]
    assert "3 endpoints" in capsys.readouterr().out


def test_options_reach_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Options] = []
    monkeypatch.setattr("plimsoll.scan.engine.scan_many", lambda targets, options, *_, **__: given.append(options))
    words = "--sweep --timeout 2 --rate 7 --at-once 3 --per-host 1 --parallel 9 --source 127.0.0.9"
    scan.main(["a.test", *words.split()])
    assert given == [
        Options(
            mode="sweep", timeout=2, rate=7, concurrency=3, per_host=3, overall=9, local_address="127.0.0.9",
            features=False, groups=False,
        )
    ]  # fmt: skip
