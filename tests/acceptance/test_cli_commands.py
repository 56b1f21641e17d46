"""The commands against a real manager, through each of the three doors: socket, stopped home, URL with an API key."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.manager import DSM_C, HOST, PLIMSOLL, Manager, peer
from tests.support.process import Service, eventually, run

from plimsoll.cli._errors import Code

pytestmark = pytest.mark.xdist_group("cli")

READS = [
    "manager status",
    "manager certificate show",
    "floor show",
    "floor history",
    "computers list",
    "policy list",
    "relays",
    "relay-groups list",
    "events list",
    "audit",
    "sightings",
    "shadow show",
    "advise",
    "picture",
    "apikey list",
    "user list",
]


def remote(manager: Manager, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`plimsoll` as on another computer."""
    url = f"https://{HOST}:{manager.gui_port}"
    env = {"PLIMSOLL_URL": url, "PLIMSOLL_API_KEY": key, "PLIMSOLL_CA": str(manager.ca), "PLIMSOLL_HOME": ""}
    return run([PLIMSOLL, *arguments], env=env)


@pytest.mark.parametrize("command", READS)
def test_every_looking_command_answers_people_and_scripts(running: Manager, command: str) -> None:
    plain = running.cli(*command.split())
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout.strip()
    as_json = running.cli(*command.split(), "--json")
    assert as_json.returncode == 0, as_json.stderr
    json.loads(as_json.stdout)


def test_the_same_commands_on_another_computer_with_a_key(running: Manager) -> None:
    for command in ("floor show", "computers list", "manager status"):
        there = remote(running, running.api_key, *command.split())
        assert there.returncode == 0, there.stderr
    here, there = running.cli("floor", "show", "--json"), remote(running, running.api_key, "floor", "show", "--json")
    assert json.loads(here.stdout) == json.loads(there.stdout)


def test_an_auditors_key_reads_and_changes_nothing(running: Manager) -> None:
    key = running.cli("apikey", "create", "looker", "--role", "auditor").stdout.strip()
    assert remote(running, key, "floor", "history").returncode == 0
    refused = remote(running, key, "floor", "set", "TLSv1")
    assert refused.returncode == Code.REFUSED
    assert "auditor" in refused.stderr
    assert running.floors()["heartbeat"] == "TLSv1.2"
    listed = json.loads(running.cli("apikey", "list", "--json").stdout)["apiKeys"]
    number = next(str(one["ID"]) for one in listed if one["name"] == "looker")
    assert running.cli("apikey", "delete", number).returncode == 0
    assert remote(running, key, "floor", "history").returncode == Code.REFUSED


def test_a_key_without_the_managers_ca_does_not_reach_it(running: Manager, tmp_path: Path) -> None:
    url = f"https://{HOST}:{running.gui_port}"
    result = run([PLIMSOLL, "floor", "show"], env={"PLIMSOLL_URL": url, "PLIMSOLL_API_KEY": running.api_key})
    assert result.returncode == Code.UNREACHABLE
    assert "PLIMSOLL_CA" in result.stderr


def test_policies_groups_tokens_and_users_are_made_and_changed(running: Manager) -> None:
    assert running.cli("relay-groups", "create", "branch").returncode == 0
    assert "branch" in running.cli("relay-groups", "list").stdout
    assert running.cli("policy", "set", "Base", "--heartbeat", "30").returncode == 0
    assert running.cli("policy", "set", "Branches", "--direction", "bidirectional").returncode == 0
    policies = {one["name"]: one for one in json.loads(running.cli("policy", "list", "--json").stdout)["policies"]}
    assert policies["Base"]["heartbeatSeconds"] == 30
    assert policies["Branches"]["direction"] == "bidirectional"
    assert running.cli("token", "create", "--uses", "3").stdout.startswith("pt1.")
    made = run([PLIMSOLL, "user", "create", "anna", "--role", "operator"], env=running.environment)
    assert made.returncode == Code.USAGE, "an empty password is no password"
    request = running.cli("manager", "certificate", "csr", "--subject", "CN=dsm.example.com", "--name", "localhost")
    assert request.stdout.startswith("-----BEGIN CERTIFICATE REQUEST-----"), request.stderr
    wrong = running.cli("manager", "certificate", "set", str(running.ca))
    assert wrong.returncode == Code.USAGE


def test_events_tail_shows_what_happens(running: Manager, tmp_path: Path) -> None:
    tail = Service([PLIMSOLL, "events", "tail", "--json", "--after", "0"], env=running.environment)
    try:
        with peer(running, tmp_path / "peer", "12.0", address="127.60.0.1"):
            eventually(lambda: any('"number": 704' in line for line in tail.lines), "the activation is told")
    finally:
        tail.kill()


@pytest.mark.rule("R13")
def test_the_two_commands_on_a_running_and_on_a_stopped_home(tmp_path: Path) -> None:
    made = Manager(tmp_path / "home")
    show: list[str | Path] = [DSM_C, "-action", "settlsprotocol", "-MinimumTLSProtocol", "ShowValue"]
    assert run([*show, "-home", made.home]).stdout == "TLSv1.2\n"
    assert (made.dsm_c("TLSv1").stdout, made.dsm_c("ShowValue").stdout) == ("TLSv1\n", "TLSv1\n")
    assert made.cli("floor", "set", "TLSv1.3", "--point", "gui").returncode == 0
    assert json.loads(made.dsm_c("ShowValue", "--json").stdout) == {
        "heartbeat": "TLSv1",
        "gui": "TLSv1.3",
        "minimum": "TLSv1",
    }
    made.start()
    try:
        assert made.floors() == {"heartbeat": "TLSv1", "gui": "TLSv1.3", "relay": "TLSv1", "agent": "TLSv1"}
        raised = made.dsm_c("TLSv1.2")
        assert (raised.returncode, raised.stdout, raised.stderr) == (0, "TLSv1.2\n", "")
        assert set(made.floors().values()) == {"TLSv1.2"}
    finally:
        made.close()


def test_a_home_that_is_not_there_is_named(tmp_path: Path) -> None:
    show: list[str | Path] = [PLIMSOLL, "floor", "show"]
    lower: list[str | Path] = [DSM_C, "-action", "settlsprotocol", "-MinimumTLSProtocol", "TLSv1"]
    for command in (show, lower):
        result = run(command, env={"PLIMSOLL_HOME": str(tmp_path / "none")})
        assert result.returncode == Code.UNREACHABLE
        assert str(tmp_path / "none") in result.stderr


def test_simulate_brings_a_fleet_and_names_who_is_refused(running: Manager) -> None:
    manager = f"dsm://{HOST}:{running.heartbeat_port}"
    token = running.new_token(10)
    options = ["--agents", "3", "--old", "1", "--seconds", "3", "--interval", "0.5", "--network", "61", "--json"]
    result = run([PLIMSOLL, "simulate", "--manager", manager, "--token", token, *options])
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["heartbeats"] > 0
    assert list(report["refused"]) == ["sim-old00000"]


def test_an_agent_tells_its_state(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    command: list[str | Path] = [
        PLIMSOLL,
        "agent",
        "activate",
        "--home",
        home,
        "--manager",
        running.url,
        "--name",
        "told",
        "--json",
    ]
    activated = run([*command, "--token", running.new_token(1)])
    assert activated.returncode == 0, activated.stderr
    stopped = json.loads(run([PLIMSOLL, "agent", "status", "--home", home, "--json"]).stdout)
    assert (stopped["computer"], stopped["running"]) == (json.loads(activated.stdout)["computer"], False)
    agent = Service([PLIMSOLL, "agent", "run", "--home", home])
    try:
        agent.wait_ready()
        text = run([PLIMSOLL, "agent", "status", "--home", home]).stdout
        assert "yes, pid" in text
    finally:
        assert agent.stop() == 0
