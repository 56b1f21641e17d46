"""The manager's own floor by ``dsm_c``, and the fallback of enforcing it on the GUI port only (R13, R15, R16)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.manager import Manager, peer
from tests.support.process import Service, eventually
from tests.support.tools import s_client, s_client_early

EDITED = """\
# Kept by the administrators of this site. Ask before you change it!
! last reviewed in spring
serviceName={service}

# 4119 takes old browsers until the kiosks are gone
protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3
guiPort : {gui}
heartbeatPort:{heartbeat}
some.key.of.ours = left \\
    alone
"""


@pytest.fixture(scope="module")
def old_agent(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A 9.6 agent that heartbeats every second while early TLS is allowed."""
    running.set_minimum("TLSv1")
    with peer(running, tmp_path_factory.mktemp("old") / "agent-9-6", "9.6", address="127.30.0.1") as started:
        yield started


def set_by_dsm_c(manager: Manager, value: str) -> None:
    result = manager.dsm_c(value)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == value


def next_heartbeat(manager: Manager, name: str) -> None:
    """Waits for a heartbeat that came after this call."""
    before = manager.computer(name)["lastAgentCommunication"]
    eventually(
        lambda: manager.computers()[name]["lastAgentCommunication"] > before, f"{name} goes on with its heartbeats"
    )


def negotiated(manager: Manager, port: int) -> str:
    """The version that a TLS 1.0 client gets there, or "refused"."""
    result = s_client_early(port)
    assert result.connected or result.refused_by_version, result.text
    return result.version or "refused"


def values(text: str) -> list[str]:
    """The lines of a properties file that are neither comment nor empty."""
    return [line for line in text.splitlines() if line.strip() and line.strip()[0] not in "#!"]


@pytest.mark.rule("R13")
@pytest.mark.rule("R16")
def test_dsm_c_raises_and_lowers_the_manager(running: Manager) -> None:
    set_by_dsm_c(running, "TLSv1.2")
    assert running.dsm_c("ShowValue").stdout == "TLSv1.2\n"
    assert [negotiated(running, port) for port in (running.gui_port, running.heartbeat_port)] == ["refused"] * 2
    assert s_client(running.gui_port, "-tls1_2").connected
    set_by_dsm_c(running, "TLSv1")
    shown = json.loads(running.dsm_c("ShowValue", "--json").stdout)
    assert shown == {"heartbeat": "TLSv1", "gui": "TLSv1", "minimum": "TLSv1"}
    assert [negotiated(running, port) for port in (running.gui_port, running.heartbeat_port)] == ["TLSv1"] * 2


@pytest.mark.rule("R13")
@pytest.mark.parametrize("wrong", ["TLSv2", "tlsv1.2", "SSLv3", "TLSv1.0", "1.2", ""])
def test_an_unknown_version_changes_nothing(running: Manager, wrong: str) -> None:
    before, file = running.floors(), running.file.read_text()
    result = running.dsm_c(wrong)
    assert result.returncode == 2
    assert result.stdout == ""
    assert all(name in result.stderr for name in ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"))
    assert running.client.post("/api/tls/minimum", json={"floor": wrong}).status_code == 400
    assert (running.floors(), running.file.read_text()) == (before, file)


@pytest.mark.rule("R15")
@pytest.mark.rule("R16")
def test_the_gui_port_alone_and_back(running: Manager, old_agent: Service) -> None:
    set_by_dsm_c(running, "TLSv1")
    running.file.write_text(
        "".join(f"{line}\n" for line in running.file.read_text().splitlines() if "protocols" not in line)
    )
    assert running.cli("manager", "reload").returncode == 0
    assert negotiated(running, running.gui_port) == "refused"
    assert negotiated(running, running.heartbeat_port) == "TLSv1"
    next_heartbeat(running, "agent-9-6")
    assert running.dsm_c("ShowValue").stdout == "TLSv1\n"
    set_by_dsm_c(running, "TLSv1")
    assert negotiated(running, running.gui_port) == "TLSv1"


@pytest.mark.rule("R15")
def test_three_steps_with_an_edited_file_and_what_follows(running: Manager, old_agent: Service) -> None:
    edited = EDITED.format(service="Site Manager", gui=running.gui_port, heartbeat=running.heartbeat_port)

    # Step 1: 4120 accepts old parts. The file is the administrators' own, with comments and an order of theirs.
    running.file.write_text(edited)
    assert running.cli("manager", "reload").returncode == 0
    set_by_dsm_c(running, "TLSv1")
    assert running.file.read_text() == edited
    assert negotiated(running, running.gui_port) == "TLSv1"

    # Step 2: the line below serviceName= goes. Until it is read, it only shows as drift.
    without = edited.replace("protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3\n", "")
    running.file.write_text(without)
    assert running.get("/api/tls/floors")["drift"] is not None
    assert negotiated(running, running.gui_port) == "TLSv1"

    # Step 3: reload. Only TLS 1.2 and newer on 4119; the old agent goes on.
    assert running.cli("manager", "reload").returncode == 0
    assert running.get("/api/tls/floors")["drift"] is None
    assert negotiated(running, running.gui_port) == "refused"
    assert s_client(running.gui_port, "-tls1_2").connected
    next_heartbeat(running, "agent-9-6")
    assert running.file.read_text() == without

    # dsm_c TLSv1.3 removes nothing that is not there, and both ports take 1.3 only.
    forced = running.dsm_c("TLSv1.3", "-force", "the old agent is known")
    assert forced.returncode == 0, forced.stderr
    assert running.file.read_text() == without
    for port in (running.gui_port, running.heartbeat_port):
        assert not s_client(port, "-tls1_2").connected
        assert s_client(port, "-tls1_3").connected

    # A protocols= that contradicts it: the file decides 4119, and only 4119, once it is read.
    contradicting = without.replace(
        "serviceName=Site Manager\n", "serviceName=Site Manager\nprotocols=TLSv1.1,TLSv1.2\n"
    )
    running.file.write_text(contradicting)
    drift = running.get("/api/tls/floors")["drift"]
    assert drift is not None
    assert not s_client(running.gui_port, "-tls1_2").connected
    assert running.cli("manager", "reload").returncode == 0
    assert running.floors()["gui"] == "TLSv1.1"
    assert running.floors()["heartbeat"] == "TLSv1.3"
    assert running.dsm_c("ShowValue").stdout == "TLSv1.1\n"
    assert s_client(running.gui_port, "-tls1_2").connected
    assert negotiated(running, running.gui_port) == "refused"
    assert not s_client(running.heartbeat_port, "-tls1_2").connected

    # dsm_c is the newer word: its TLSv1.3 takes the line away again, and comments and order stay.
    assert running.dsm_c("TLSv1.3", "-force", "still known").returncode == 0
    assert running.file.read_text() == without
    set_by_dsm_c(running, "TLSv1")
    back = running.file.read_text()
    assert [line for line in back.splitlines() if not line.startswith("protocols")] == without.splitlines()
    assert back.splitlines()[3] == "protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3"
    next_heartbeat(running, "agent-9-6")


@pytest.mark.rule("R15")
def test_the_history_tells_the_edits_from_the_commands(running: Manager) -> None:
    set_by_dsm_c(running, "TLSv1")
    text = running.file.read_text()
    running.file.write_text("".join(f"{line}\n" for line in text.splitlines() if not line.startswith("protocols")))
    assert running.cli("manager", "reload").returncode == 0
    newest = running.get("/api/tls/floors/history", limit=1)
    entry = (newest["history"] if isinstance(newest, dict) else newest)[0]
    assert (entry["point"], entry["from"], entry["to"], entry["cause"]) == ("gui", "TLSv1", "TLSv1.2", "edit")


@pytest.mark.rule("R13")
@pytest.mark.rule("R15")
def test_dsm_c_on_a_stopped_manager_counts_at_the_next_start(running: Manager, tmp_path: Path) -> None:
    stopped = Manager(tmp_path / "home")
    set_by_dsm_c(stopped, "TLSv1")
    assert "protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3" in values(stopped.file.read_text())
    set_by_dsm_c(stopped, "TLSv1.2")
    assert not any(line.startswith("protocols") for line in values(stopped.file.read_text()))
    stopped.file.write_text(stopped.file.read_text().replace("serviceName=", "protocols=TLSv1.3\nserviceName=", 1))
    try:
        stopped.start()
        assert stopped.dsm_c("ShowValue").stdout == "TLSv1.2\n"
        assert not s_client(stopped.gui_port, "-tls1_2").connected
        assert s_client(stopped.heartbeat_port, "-tls1_2").connected
    finally:
        stopped.close()
