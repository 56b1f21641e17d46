"""A program that was written for the reference, as a shell and curl on 4119: nothing in it knows this product."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.manager import HOST, Manager
from tests.support.reference import prepared

from plimsoll import RELEASE

INTERVAL = "platformSettingHeartbeatInterval"


class Program:
    """What such programs send with every call."""

    def __init__(self, manager: Manager, key: str) -> None:
        self.manager = manager
        self.key = key

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """The status, the answer and its headers."""
        command = ["curl", "-sS", "--cacert", str(self.manager.ca), "-X", method, "-D", "/dev/stderr"]
        command += ["-H", f"api-secret-key: {self.key}", "-H", "api-version: v1"]
        command += ["-H", "Content-Type: application/json"]
        if body is not None:
            command += ["--data-binary", json.dumps(body)]
        url = f"https://{HOST}:{self.manager.gui_port}/api/{path}"
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return int(done.stderr.split()[1]), json.loads(done.stdout), done.stderr.lower()

    def get(self, path: str) -> Any:
        return self._good("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._good("POST", path, body)

    def _good(self, method: str, path: str, body: Any = None) -> Any:
        status, answer, _ = self.ask(method, path, body)
        assert status == 200, answer
        return answer


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """Running, with a relay, a computer and a package."""
    with prepared(tmp_path_factory.mktemp("programs")) as (made, _):
        yield made


@pytest.fixture(scope="module")
def program(manager: Manager) -> Program:
    """With a key of its own that the first one made."""
    first = Program(manager, manager.api_key)
    made = first.post("apikeys", {"keyName": "report", "roleID": 1, "locale": "en-US", "timeZone": "UTC"})
    return Program(manager, made["secretKey"])


@pytest.mark.rule("R1")
def test_it_pages_through_the_computers(program: Program) -> None:
    names, last = [], 0
    while True:
        after = {"fieldName": "ID", "idTest": "greater-than", "idValue": last}
        body = {"maxItems": 1, "searchCriteria": [after], "sortByObjectID": True}
        page = program.post("computers/search?expand=none&overrides=False", body)["computers"]
        if not page:
            break
        names += [one["hostName"] for one in page]
        last = page[-1]["ID"]
    assert names == ["relay-1.example.test", "web-1.example.test"]


def test_it_changes_a_policy_and_gives_it_to_a_computer(program: Program) -> None:
    settings = {INTERVAL: {"value": "30 Minutes"}, "firewallSettingEngineOptionFragmentSizeMin": {"value": "120"}}
    policy = program.post("policies", {"parentID": 1, "name": "Linux Server", "policySettings": settings})
    (web,) = program.post(
        "computers/search",
        {
            "searchCriteria": {
                "fieldName": "hostName",
                "stringTest": "equal",
                "stringValue": "web%",
                "stringWildcards": True,
            }
        },
    )["computers"]
    assert program.post(f"computers/{web['ID']}", {"policyID": policy["ID"]})["policyID"] == policy["ID"]
    assert program.get(f"computers/{web['ID']}/settings/{INTERVAL}") == {"value": "30 Minutes"}
    whole = program.get(f"computers/{web['ID']}?expand=computerStatus&expand=computerSettings")
    assert whole["computerSettings"]["firewallSettingEngineOptionFragmentSizeMin"] == {"value": "120"}
    whole["description"] = "seen by the report"
    assert program.post(f"computers/{web['ID']}", whole)["description"] == "seen by the report"


def test_it_sends_the_policy_by_a_task_that_outlives_the_manager(program: Program) -> None:
    once = {"recurrenceType": "none", "timeZone": "US/Eastern", "onceOnlyScheduleParameters": {"startTime": 1}}
    task = program.post(
        "scheduledtasks",
        {
            "name": "Send policy now",
            "type": "send-policy",
            "enabled": False,
            "scheduleDetails": once,
            "sendPolicyTaskParameters": {"computerFilter": {"type": "all-computers"}},
        },
    )
    path = f"scheduledtasks/{task['ID']}"
    program.post(path, {"runNow": True})
    ends = time.monotonic() + 60
    while program.get(path)["runNow"] and time.monotonic() < ends:
        time.sleep(0.2)
    ran = program.get(path)
    assert (ran["lastRunOk"], ran["lastRunText"]) == (True, "the policy was sent to 2 computers")
    program.manager.stop()
    program.manager.start()
    assert program.get(path) == ran
    current = program.get("apikeys/current")
    assert current["lastTLS"] in ("TLSv1.2", "TLSv1.3")
    assert current["lastJA4"].startswith("t")


def test_it_knows_what_a_deployment_script_would_install(program: Program) -> None:
    (control,) = program.get("agentversioncontrolprofiles/1/agentversioncontrols")["agentVersionControls"]
    assert (control["os"], control["version"], control["type"]) == ("linux", RELEASE, "latest")


def test_it_is_told_when_it_asks_too_often(program: Program) -> None:
    manager = program.manager
    text = manager.file.read_text()
    assert "apiRequestsPerMinute=0\n" in text
    manager.file.write_text(text.replace("apiRequestsPerMinute=0\n", "apiRequestsPerMinute=5\n"))
    assert manager.cli("manager", "reload").returncode == 0
    try:
        answers = [program.ask("GET", "policies/default") for _ in range(7)]
        assert {status for status, _, _ in answers} == {200, 429}
        _, said, headers = next(one for one in answers if one[0] == 429)
        assert said == {"message": "Too many API requests"}
        assert "retry-after: " in headers
        assert manager.cli("apikey", "list").returncode == 0, "the local socket is never limited"
    finally:
        manager.file.write_text(text)
        assert manager.cli("manager", "reload").returncode == 0
