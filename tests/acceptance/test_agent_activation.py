"""Agents, real processes against a real manager: how a computer joins, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import PLIMSOLL, Manager
from tests.support.process import eventually, free_ports, run, service
from tests.support.tools import s_client, s_client_early

pytestmark = pytest.mark.xdist_group("agents")


def status(home: Path) -> dict:
    """``plimsoll agent status --json``."""
    told = run([PLIMSOLL, "agent", "status", "--home", home, "--json"])
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_an_agent_joins_with_a_token_and_its_inventory_is_its_hosts(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "web"
    activate(running, home, "--name", "web-1", "--display-name", "Web server", token=running.new_token())
    assert (home / "key.pem").stat().st_mode & 0o077 == 0
    with agent(home) as process:
        computer = eventually(
            lambda: (found := running.computers().get("web-1")) and found["tls"]["negotiated"] and found,
            "the first heartbeat is stored",
        )
        assert computer["displayName"] == "Web server"
        assert "TLSv1.2" in computer["tls"]["speaks"]
        assert computer["tls"]["library"].startswith("OpenSSL")
        assert computer["computerStatus"]["agentStatus"] == "active"
        told = status(home)
        assert told["running"]
        assert told["computer"] == computer["hostGUID"]
        assert told["pid"] == process.pid
        assert process.stop() == 0
    assert process.lines[0].startswith(f"ready computer={computer['hostGUID']} kind=agent heartbeat=ok")
    assert not status(home)["running"]


def test_token_errors_are_clear_and_leave_nothing_activated(running: Manager, tmp_path: Path) -> None:
    used = running.new_token(uses=1)
    activate(running, tmp_path / "first", token=used)
    late = running.new_token(uses=1, expires_in=1)
    cases = {
        used: "the activation token is used up",
        "pt1.nobody.knows." + used.split(".")[3]: "does not know the activation token",
        used[:-8] + "AAAAAAAA": "the token was not sent",
        "hello": "not an activation token",
    }
    for number, (token, message) in enumerate(cases.items()):
        said = activate(running, tmp_path / f"refused-{number}", token=token, expect=1)
        assert message in said
        assert token not in said
        assert not (tmp_path / f"refused-{number}" / "agent.json").exists()
    expired = eventually(lambda: _refused(running, tmp_path / "late", late), "the token expires")
    assert "the activation token has expired" in expired


def _refused(manager: Manager, home: Path, token: str) -> str:
    """What a refused activation said; an accepted one is undone by using another home."""
    command: list[str | Path] = [
        PLIMSOLL,
        "agent",
        "activate",
        "--home",
        home,
        "--manager",
        manager.url,
        "--token",
        token,
    ]
    done: subprocess.CompletedProcess[str] = run(command)
    if done.returncode == 0:
        home.rename(home.with_name("activated-in-time"))
        return ""
    return done.stderr if "expired" in done.stderr else ""


def test_errors_of_activation_name_the_cause(running: Manager, tmp_path: Path) -> None:
    (nobody,) = free_ports(1)
    home = tmp_path / "home"
    command: list[str | Path] = [
        PLIMSOLL,
        "agent",
        "activate",
        "--home",
        home,
        "--token",
        running.new_token(),
        "--manager",
    ]
    assert "refused" in run([*command, f"dsm://127.0.0.1:{nobody}/"]).stderr
    assert "expected dsm://HOST:4120" in run([*command, "http://127.0.0.1/"]).stderr
    assert "holds no activated agent" in run([PLIMSOLL, "agent", "status", "--home", home]).stderr
    never = run([PLIMSOLL, "agent", "run", "--home", home])
    assert never.returncode == 1
    assert "activate it first" in never.stderr
    activate(running, home, token=running.new_token())
    assert "activated already" in activate(running, home, token=running.new_token(), expect=1)
    with agent(home):
        second = run([PLIMSOLL, "agent", "run", "--home", home])
        assert second.returncode == 1
        assert "is in use by another agent" in second.stderr


def test_a_manager_activates_an_agent_that_waits_for_its_visit(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "visited"
    (port,) = free_ports(1)
    running.quick_policy()
    command: list[str | Path] = [PLIMSOLL, "agent", "activate", "--home", home, "--wait", "--listen-port", str(port)]
    with service([*command, "--listen", "127.0.0.1", "--name", "visited"]) as waiting:
        code = waiting.lines[0].removeprefix("one-time code: ")
        assert s_client(port, "-tls1_2").connected
        assert s_client_early(port).refused_by_version
        wrong = {"address": "127.0.0.1", "port": port, "code": "AAAA-AAAA-AAAA-AAAA"}
        refused = running.client.post("/api/computers/activate", json=wrong)
        assert refused.status_code == 409
        assert "code" in refused.json()["message"]
        running.post("/api/computers/activate", {**wrong, "code": code})
        assert waiting.wait_end() == 0
    # The base policy wants it to call from now on: the visit told it where.
    with agent(home) as process:
        assert "heartbeat=ok" in process.lines[0]
        assert s_client(port).connected is False, "agent-initiated: no port is open"


def test_a_policy_opens_4118_with_its_floor_and_the_manager_visits(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "listens"
    (port,) = free_ports(1)
    running.quick_policy(direction="agent-initiated")
    token = running.new_token()
    activate(running, home, "--listen-port", str(port), "--listen", "127.0.0.1", "--name", "listens", token=token)
    with agent(home):
        running.computer("listens")
        assert not s_client(port).connected
        running.quick_policy(direction="manager-initiated", agentFloor="TLSv1.3")
        try:
            running.send_policy("listens")
            eventually(lambda: s_client(port, "-tls1_3").connected, "4118 opens")
            assert s_client(port, "-tls1_2").refused_by_version
            eventually(
                lambda: running.computers()["listens"]["floorHeld"] == "TLSv1.3", "the visits bring the acknowledgement"
            )
        finally:
            running.quick_policy(direction="agent-initiated", agentFloor="TLSv1.2")
