"""Scheduled tasks, settings of the manager, and what is only looked at, as programs of the reference ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.manager.api.conftest import Made


def test_send_policy_now_as_programs_of_the_reference_do_it(made: Made) -> None:
    client = made.local()
    body = {
        "name": "Custom-ScheduledTask-SendPolicy-Now-1",
        "type": "send-policy",
        "enabled": False,
        "scheduleDetails": {
            "timeZone": "US/Eastern",
            "recurrenceType": "none",
            "onceOnlyScheduleParameters": {"startTime": 1_617_638_400_000},
        },
        "sendPolicyTaskParameters": {"computerFilter": {"type": "all-computers"}},
    }
    task = client.post("/api/scheduledtasks", body)
    assert {name: task[name] for name in body} == body
    assert (task["runNow"], task["lastRunTime"], task["nextRunTime"]) == (False, None, None)
    path = f"/api/scheduledtasks/{task['ID']}"
    assert client.post(path, {"runNow": True})["runNow"] is True
    assert made.backend.services.tasks.tick() is True
    ran = client.get(path)
    assert (ran["runNow"], ran["lastRunOk"]) == (False, True)
    assert ran["lastRunTime"] > 1e12
    search = {"searchCriteria": {"fieldName": "name", "stringTest": "equal", "stringValue": body["name"]}}
    assert client.post("/api/scheduledtasks/search", search)["scheduledTasks"] == [ran]
    assert ran in client.get("/api/scheduledtasks")["scheduledTasks"]
    assert client.request("DELETE", path).json() == {}
    client.get(path, expect=404)


def test_a_weekly_look_for_software(made: Made) -> None:
    client = made.local()
    details = {"recurrenceType": "weekly", "weeklyScheduleParameters": {"startTime": "0", "days": "monday"}}
    body = {"name": "weekly", "type": "check-for-software-updates", "scheduleDetails": details}
    task = client.post("/api/scheduledtasks", body)
    assert task["scheduleDetails"]["weeklyScheduleParameters"] == {"startTime": 0, "interval": 1, "days": ["monday"]}
    assert task["nextRunTime"] > task["scheduleDetails"]["weeklyScheduleParameters"]["startTime"]
    assert "sendPolicyTaskParameters" not in task
    changed = client.post(f"/api/scheduledtasks/{task['ID']}", task | {"enabled": False})
    assert (changed["enabled"], changed["nextRunTime"]) == (False, None)
    client.request("DELETE", f"/api/scheduledtasks/{task['ID']}")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {"name": "x", "type": "scan-for-malware"},
        {"name": "x", "type": "send-policy", "scheduleDetails": {"recurrenceType": "yearly"}},
        {"name": "x", "type": "send-policy", "scheduleDetails": []},
        {"type": "send-policy"},
    ],
)
def test_what_no_task_can_be(made: Made, body: Any) -> None:
    assert made.local().post("/api/scheduledtasks", body, expect=400)["message"]


def test_settings_of_the_manager_are_what_is_so(made: Made) -> None:
    client = made.local()
    settings = client.get("/api/systemsettings")
    assert settings["platformSettingAgentInitiatedActivationEnabled"] == {"value": "For any computers"}
    assert settings["platformSettingLoadBalancerManagerPort"] == {"value": "4119"}
    assert settings["platformSettingUpdateRelaySecuritySupportAgent9AndEarlierEnabled"] == {"value": "false"}
    assert client.post("/api/systemsettings", settings) == settings, "what comes back whole is no change"
    port = "/api/systemsettings/platformSettingLoadBalancerHeartbeatPort"
    assert "heartbeatPort=" in client.post(port, {"value": "443"}, expect=400)["message"]
    assert client.get(port) == {"value": "4120"}


def test_a_setting_without_a_meaning_is_kept(made: Made) -> None:
    client = made.local()
    path = "/api/systemsettings/platformSettingRetainSecurityUpdatesMax"
    assert client.get(path) == {"value": ""}
    assert client.post(path, {"value": 10}) == {"value": "10"}
    assert client.get("/api/systemsettings")["platformSettingRetainSecurityUpdatesMax"] == {"value": "10"}
    assert client.request("DELETE", path).json() == {"value": ""}
    for name in ("colour", "platformSettingProxyPassword", "platformSettingSamlServiceProviderPrivateKey"):
        client.post(f"/api/systemsettings/{name}", {"value": "x"}, expect=404)
        client.get(f"/api/systemsettings/{name}", expect=404)


def test_all_settings_or_none(made: Made) -> None:
    client = made.local()
    before = client.get("/api/systemsettings")
    two = {"firewallSettingOne": {"value": "1"}, "platformSettingApiSoapWebServiceEnabled": {"value": "false"}}
    client.post("/api/systemsettings", two, expect=400)
    assert client.get("/api/systemsettings") == before


def test_what_is_only_looked_at(made: Made) -> None:
    client = made.local()
    assert client.get("/api/eventbasedtasks") == {"eventBasedTasks": []}
    assert client.post("/api/scripts/search") == {"scripts": []}
    (profile,) = client.get("/api/agentversioncontrolprofiles")["agentVersionControlProfiles"]
    assert client.get(f"/api/agentversioncontrolprofiles/{profile['ID']}") == profile
    controls = f"/api/agentversioncontrolprofiles/{profile['ID']}/agentversioncontrols"
    assert client.get(controls) == client.post(f"{controls}/search") == {"agentVersionControls": []}
    client.get("/api/agentversioncontrolprofiles/2/agentversioncontrols", expect=404)
    certificates = client.get("/api/certificates")["certificates"]
    assert certificates
    assert client.get("/api/certificates/1") == certificates[0]
    ends = {"searchCriteria": {"fieldName": "certificateDetails/validTo", "lastDateValue": 1000}}
    assert client.post("/api/certificates/search", ends) == {"certificates": []}
    client.get("/api/certificates/99", expect=404)


LOOKS = [
    "apikeys",
    "roles",
    "tenants",
    "computergroups",
    "policies/default",
    "systemsettings",
    "scheduledtasks",
    "agentversioncontrolprofiles",
    "certificates",
    "eventbasedtasks",
    "scripts",
]


@pytest.mark.parametrize("path", LOOKS)
def test_everything_needs_a_name_and_an_auditor_may_look(made: Made, path: str) -> None:
    made.remote().get(f"/api/{path}", expect=401)
    key = made.local().post("/api/apikeys", {"keyName": "looks", "roleID": 2})["secretKey"]
    made.remote(key).get(f"/api/{path}")
