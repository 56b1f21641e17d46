"""The scan's command against real servers, and the proof of a live fleet from outside."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.support import nmap_xml
from tests.support.agents import activate, agent
from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import eventually, free_ports, run

from plimsoll.cli._errors import Code
from plimsoll.scan.reports.json_report import SCHEMA_FILE, load

OLD = ("-cipher", "ALL:@SECLEVEL=0")
STRICT = ("-no_ssl3", "-no_tls1", "-no_tls1_1")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and its certificate for target.test."""
    path = tmp_path_factory.mktemp("key") / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=target.test"]
    command += ["-addext", "subjectAltName=DNS:target.test", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("a") as file:
        file.write(Path(f"{path}.crt").read_text())
    return path


@contextmanager
def s_server(key: Path, port: int, *options: str) -> Iterator[str]:
    """OpenSSL's own server."""
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(key), "-key", str(key), "-quiet"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:

            def listens() -> bool:
                with closing(socket.socket()) as plain:
                    return plain.connect_ex(("127.0.0.1", port)) == 0

            eventually(listens, "s_server listens")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def scan(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return run([PLIMSOLL, "scan", *words])


@pytest.mark.rule("R17")
def test_the_floor_of_a_real_server(key: Path, tmp_path: Path) -> None:
    """Before and after it was raised, and what changed between the two."""
    (port,) = free_ports(1)
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    with s_server(key, port, *OLD) as place:
        done = scan(place, "--require", "floor:TLSv1.2")
        assert done.returncode == Code.BLOCKERS, done.stderr
        assert "TLSv1.0  accepted" in done.stdout
        assert "\x1b" not in done.stdout
        assert "! tlsv1-refused: TLSv1.0 is accepted" in done.stdout
        assert scan(place, "--format", "json", "--output", before).returncode == 0
    with s_server(key, port, *STRICT) as place:
        done = scan(place, "--require", "floor:TLSv1.2", "--format", "json", "--output", after)
        assert done.returncode == 0, done.stderr + after.read_text()
        done = scan(place, "--diff", before)
        assert (done.returncode, done.stderr) == (0, "")
        assert "  - TLSv1.0 is refused, was accepted\n" in done.stdout
        assert scan(place, "--sweep", "--require", "floor:TLSv1.2").returncode == 0
        assert scan(place, "--require", "floor:TLSv1.3").returncode == Code.BLOCKERS
    done = scan("--from", before, "--diff", after)
    assert done.returncode == Code.BLOCKERS
    assert "  + TLSv1.0 is accepted, was refused\n" in done.stdout
    done = scan(place, "--require", "floor:TLSv1.2", "--diff", after)
    assert done.returncode == Code.NOT_PROVED
    assert "? unreachable" in done.stdout


def test_what_a_real_scan_writes_is_valid(key: Path, tmp_path: Path) -> None:
    schema = json.loads(resources.files("plimsoll.scan").joinpath("data", SCHEMA_FILE).read_text(encoding="utf-8"))
    (port,) = free_ports(1)
    path = tmp_path / "scan.json"
    with s_server(key, port, *STRICT) as place:
        words: list[str | Path] = [place, "--name", "target.test", "--ca", f"{key}.crt", "--require", "mozilla-modern"]
        assert scan(*words, "--format", "json", "--output", path).returncode == Code.BLOCKERS
    jsonschema.validate(json.loads(path.read_text()), schema)
    (report,) = load(path)
    assert report.target.server_name == "target.test"
    assert [leaf.fingerprint for leaf in report.certificates]
    for form in ("nmap", "nmap-xml", "sarif", "csv", "cbom"):
        out = tmp_path / form
        done = scan("--from", path, "--format", form, "--output", out, "--require", "mozilla-modern")
        assert done.returncode == Code.BLOCKERS, (form, done.stderr)
        assert str(port) in out.read_text()
    assert nmap_xml.read((tmp_path / "nmap-xml").read_text())
    assert json.loads((tmp_path / "sarif").read_text())["version"] == "2.1.0"
    assert json.loads((tmp_path / "cbom").read_text())["specVersion"] == "1.7"


def test_an_interrupted_scan_of_many_goes_on(key: Path, tmp_path: Path) -> None:
    """Ports that accept and say nothing keep it busy until Ctrl-C; what it had done is not asked again."""
    with ExitStack() as stack:
        (port,) = free_ports(1)
        stack.enter_context(s_server(key, port, *STRICT))
        silent = stack.enter_context(closing(socket.create_server(("127.0.0.2", 0), backlog=200)))
        targets = tmp_path / "targets"
        targets.write_text(f"127.0.0.1:{port}\n127.0.0.2:{silent.getsockname()[1]}\n")
        out, journal = tmp_path / "out.json", tmp_path / "journal"
        words: list[str | Path] = [
            PLIMSOLL,
            "scan",
            "--file",
            targets,
            "--format",
            "json",
            "--output",
            out,
            "--resume",
            journal,
        ]
        with subprocess.Popen([*words, "--timeout", "30"], stderr=subprocess.PIPE, text=True) as first:
            eventually(lambda: journal.exists() and f":{port}" in journal.read_text(), "the first endpoint is done")
            first.send_signal(signal.SIGINT)
            _, told = first.communicate(timeout=30)
        assert first.returncode == 130
        assert "--resume" in told
        silent.close()
        done = run(words)
        assert done.returncode == 0, done.stderr
        assert [report.target.port for report in load(out)] == [port, silent_port(targets)]
        assert journal.read_text().count(" 127.0.0.") == 2


def silent_port(targets: Path) -> int:
    return int(targets.read_text().split()[1].rpartition(":")[2])


# The fleet


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A manager with a relay that listens on 4118 too; its ports by point."""
    running.quick_policy(direction="bidirectional")
    home = tmp_path_factory.mktemp("relay") / "home"
    relay_port, listen_port = free_ports(2)
    activate(
        running, home, "--relay", "--relay-port", str(relay_port), "--name", "relay-1",
        "--listen", "127.0.0.1", "--listen-port", str(listen_port),
    )  # fmt: skip
    with agent(home):
        running.computer("relay-1")
        running.send_policy()
        eventually(lambda: running.computers()["relay-1"]["policyHeld"], "the relay holds its policy")
        eventually(lambda: running.computers()["relay-1"]["listenPort"], "the relay listens on 4118")
        yield {
            "gui": running.gui_port, "heartbeat": running.heartbeat_port, "relay": relay_port, "agent": listen_port,
        }  # fmt: skip


def verified(manager: Manager) -> tuple[int, dict[str, Any]]:
    done = manager.cli("floor", "verify", "--json")
    return done.returncode, {row["point"]: row for row in json.loads(done.stdout)["points"]}


@pytest.mark.rule("R17")
def test_every_point_is_proved_from_outside(running: Manager, fleet: dict[str, int]) -> None:
    code, rows = verified(running)
    assert code == 0, rows
    assert {point: row["port"] for point, row in rows.items()} == fleet
    assert {(row["asked"], row["proved"], row["verdict"]) for row in rows.values()} == {
        ("TLSv1.2", "TLSv1.2", "proved")
    }
    assert "alert protocol_version (70)" in rows["relay"]["evidence"]
    shown = running.cli("floor", "verify")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[0].split() == [
        "POINT", "WHO", "AT", "ASKED", "PROVED", "VERDICT", "EVIDENCE",
    ]  # fmt: skip
    assert len(shown.stdout.splitlines()) == 5


@pytest.mark.rule("R17")
def test_a_point_below_its_floor_is_named(running: Manager, fleet: dict[str, int]) -> None:
    """Raised without Send Policy: the manager enforces it at once, the relay does not yet."""
    running.set_floor("TLSv1.3", force=True, reason="a test of the proof")
    code, rows = verified(running)
    assert code == Code.BLOCKERS
    assert {point: row["verdict"] for point, row in rows.items()} == {
        "gui": "proved", "heartbeat": "proved", "relay": "violated", "agent": "violated",
    }  # fmt: skip
    assert rows["relay"]["evidence"].startswith("TLSv1.2 is accepted")
    assert rows["relay"]["note"] == "the policy was not sent yet"
    running.set_floor("TLSv1.2")
    assert verified(running)[0] == 0


def test_our_own_probes_are_listed_as_nobodys_program(running: Manager, fleet: dict[str, int]) -> None:
    running.set_floor("TLSv1")
    before = running.get("/api/tls/preflight", to="TLSv1.2")["affected"]
    verified(running)
    assert running.get("/api/tls/preflight", to="TLSv1.2")["affected"] == before
    running.set_floor("TLSv1.2")


def test_a_stricter_point_is_proved_and_said_to_be_stricter(running: Manager, fleet: dict[str, int]) -> None:
    running.set_floor("TLSv1", point="relay")
    code, rows = verified(running)
    assert code == 0
    assert (rows["relay"]["asked"], rows["relay"]["proved"]) == ("TLSv1", "TLSv1.2")
    assert rows["relay"]["evidence"].startswith("stricter than asked, by TLSv1.2")
    running.set_floor("TLSv1.2", point="relay")


def test_the_fleet_is_scanned_by_its_managers_word(running: Manager, fleet: dict[str, int], tmp_path: Path) -> None:
    done = running.cli("scan", "--fleet", "--sweep", "--format", "json", "--require", "floor:TLSv1.2")
    assert done.returncode == 0, done.stderr
    ports = [endpoint["target"]["port"] for endpoint in json.loads(done.stdout)["endpoints"]]
    assert sorted(ports) == sorted(fleet.values())
    assert run([PLIMSOLL, "scan", "--fleet", "--home", running.home, "--sweep"]).returncode == 0
    assert run([PLIMSOLL, "--home", running.home, "scan", "--fleet", "--sweep"]).returncode == 0


def test_the_manager_scans_itself_and_keeps_the_report(running: Manager, fleet: dict[str, int]) -> None:
    asked = ("scan", "--fleet", "--from-manager", "--sweep", "--progress", "--format", "json")
    done = running.cli(*asked, "--require", "floor:TLSv1.2")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert sorted(one["target"]["port"] for one in document["endpoints"]) == sorted(fleet.values())
    assert "of 4 endpoints" in done.stderr
    (kept,) = running.get("/api/tls/scans")["scans"]
    assert (kept["state"], kept["done"], kept["label"]) == ("done", 4, "plimsoll scan")
    shown = running.get(f"/api/tls/scans/{kept['id']}/pci")
    assert {one["point"] for one in shown["endpoints"]} == set(fleet)
    assert 2040 in {one["number"] for one in running.get("/api/events", limit=50)["events"]}
    refused = running.cli("scan", "--from-manager", "192.0.2.1:443")
    assert refused.returncode == Code.USAGE
    assert "scanNetworks=" in refused.stderr
    assert running.cli("scan", "--from-manager", "--fleet", "--name", "x").returncode == Code.USAGE


def test_what_does_not_run_is_not_proved(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "home")
    code, rows = verified(manager)
    assert code == Code.NOT_PROVED
    assert {row["verdict"] for row in rows.values()} == {"not proved"}
    assert all(row["evidence"].startswith("unreachable: connection refused") for row in rows.values())
    assert manager.cli("scan", "--fleet").returncode == Code.NOT_PROVED
    stopped = manager.cli("scan", "--fleet", "--from-manager")
    assert (stopped.returncode, "the manager is stopped" in stopped.stderr) == (Code.USAGE, True)
