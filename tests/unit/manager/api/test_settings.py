"""Computers, groups, policies and settings as programs of the reference ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.homes import desk
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.rest import computer_details
from plimsoll.manager.api.serve import App
from plimsoll.manager.services import settings
from plimsoll.messages import Kind

INTERVAL = "platformSettingHeartbeatInterval"
MISSED = "platformSettingHeartbeatMissedAlertThreshold"
DIRECTION = "platformSettingAgentCommunicationsDirection"
RELAY = "platformSettingRelayState"
SHIFT = "platformSettingHeartbeatLocalTimeShiftAlertThreshold"
KEPT = "firewallSettingEngineOptionFragmentSizeMin"


@dataclass
class Fleet:
    app: App
    client: Client
    web: int
    relay: int


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with desk(tmp_path_factory.mktemp("settings")) as at:
        at.activate("web-1", "12.0.0")
        at.activate("relay-1", "9.6.2", kind=Kind.RELAY)
        app = create_app(Backend(at.services, at.home.installation))
        client = Client(app)
        numbers = {one["hostName"]: one["ID"] for one in client.get("/api/computers")["computers"]}
        yield Fleet(app, client, numbers["web-1"], numbers["relay-1"])


@pytest.fixture
def client(fleet: Fleet) -> Client:
    return fleet.client


def delete(client: Client, path: str, expect: int = 200) -> Any:
    answer = client.request("DELETE", path)
    assert answer.status_code == expect, answer.text
    return answer.json()


def test_a_policy_has_settings_in_the_reference_s_words(client: Client) -> None:
    policy = client.post("/api/policies", {"name": "words", "policySettings": {INTERVAL: {"value": "1 Hour"}}})
    said = policy["policySettings"]
    assert said[INTERVAL] == {"value": "60 Minutes"}
    assert said[MISSED] == {"value": "2"}
    assert said[DIRECTION] == {"value": "Agent/Appliance Initiated"}
    assert said[RELAY] == {"value": "false"}
    assert said[SHIFT] == {"value": "Unlimited"}
    assert (policy["parentID"], policy["autoRequiresUpdate"], policy["heartbeatSeconds"]) == (1, "on", 3600)
    own = client.get(f"/api/policies/{policy['ID']}", overrides="True")["policySettings"]
    assert own == {INTERVAL: {"value": "60 Minutes"}}


def test_one_setting_is_read_set_and_reset(client: Client) -> None:
    policy = client.post("/api/policies", {"name": "single"})["ID"]
    path = f"/api/policies/{policy}/settings/{INTERVAL}"
    assert client.get(path) == {"value": "10 Minutes"}
    assert client.post(path, {"value": "90 seconds"}) == {"value": "90 Seconds"}
    assert client.post(path, {"value": 5}) == {"value": "5 Minutes"}
    assert client.get(path, overrides="true") == {"value": "5 Minutes"}
    assert delete(client, path) == {"value": "10 Minutes"}
    assert client.get(path, overrides="true") == {"value": ""}
    missed = f"/api/policies/{policy}/settings/{MISSED}"
    assert client.post(missed, {"value": "Unlimited"}) == {"value": "Unlimited"}
    assert client.get(f"/api/policies/{policy}")["missedHeartbeats"] == 1000
    way = f"/api/policies/{policy}/settings/{DIRECTION}"
    for said, shown in (("3", "Bidirectional"), ("manager-initiated", "Manager Initiated")):
        assert client.post(way, {"value": said}) == {"value": shown}


@pytest.mark.parametrize(
    ("name", "value", "status", "says"),
    [
        (INTERVAL, "soon", 400, "10 Minutes"),
        (INTERVAL, "99 days", 400, "86400"),
        (MISSED, "many", 400, "number"),
        (DIRECTION, "sideways", 400, "Bidirectional"),
        (RELAY, "true", 400, "on the computer itself"),
        ("colour", "red", 404, "no setting"),
        (KEPT, "\0", 400, "cannot be stored"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(client: Client, name: str, value: str, status: int, says: str) -> None:
    before = client.get("/api/policies/default")
    assert says in client.post(f"/api/policies/default/settings/{name}", {"value": value}, expect=status)["message"]
    assert client.get("/api/policies/default") == before


def test_a_setting_that_means_nothing_here_is_kept_and_inherited(fleet: Fleet) -> None:
    client = fleet.client
    above = client.post("/api/policies", {"name": "above"})["ID"]
    below = client.post("/api/policies", {"name": "below", "parentID": str(above)})["ID"]
    client.post(f"/api/computers/{fleet.web}", {"policyID": str(below)})
    at = f"settings/{KEPT}"
    assert client.get(f"/api/computers/{fleet.web}/{at}") == {"value": ""}
    client.post(f"/api/policies/{above}/{at}", {"value": "120"})
    assert client.get(f"/api/policies/{below}/{at}") == {"value": "120"}
    assert client.get(f"/api/computers/{fleet.web}/{at}") == {"value": "120"}
    assert client.get(f"/api/computers/{fleet.web}/{at}", overrides="true") == {"value": ""}
    assert client.post(f"/api/computers/{fleet.web}/{at}", {"value": "99"}) == {"value": "99"}
    assert client.get(f"/api/policies/{below}/{at}") == {"value": "120"}
    assert delete(client, f"/api/computers/{fleet.web}/{at}") == {"value": "120"}
    assert delete(client, f"/api/policies/{above}/{at}") == {"value": ""}
    actions = [one["action"] for one in client.get("/api/audit", limit=20)["audit"]]
    assert {"settings.keep", "settings.drop"} <= {*actions}


def test_the_default_policy_is_the_base(client: Client) -> None:
    assert client.get("/api/policies/default")[INTERVAL] == {"value": "10 Minutes"}
    changed = client.post("/api/policies/default", {INTERVAL: {"value": "20 Minutes"}, KEPT: {"value": "7"}})
    assert (changed[INTERVAL], changed[KEPT]) == ({"value": "20 Minutes"}, {"value": "7"})
    assert client.get("/api/policies/1")["heartbeatSeconds"] == 1200
    path = f"/api/policies/default/settings/{INTERVAL}"
    assert delete(client, path) == client.get(path) == {"value": "10 Minutes"}
    assert delete(client, f"/api/policies/default/settings/{KEPT}") == {"value": ""}


def test_a_policy_that_comes_back_whole_makes_nothing_its_own(client: Client) -> None:
    policy = client.post("/api/policies", {"name": "round trip"})
    policy["description"] = "came back"
    policy["policySettings"][MISSED] = {"value": "3"}
    policy["antiMalware"] = {"state": "inherited"}
    back = client.post(f"/api/policies/{policy['ID']}", policy)
    assert (back["description"], back["own"]["missedHeartbeats"]) == ("came back", 3)
    assert {name: value for name, value in back["own"].items() if value is not None} == {"missedHeartbeats": 3}
    client.post(f"/api/policies/{policy['ID']}", {"autoRequiresUpdate": "off"})
    assert client.get(f"/api/policies/{policy['ID']}")["autoRequiresUpdate"] == "off"
    client.post(f"/api/policies/{policy['ID']}", {"heartbeetSeconds": 1}, expect=400)


def test_a_computer_that_comes_back_whole_keeps_what_it_had(fleet: Fleet) -> None:
    client = fleet.client
    group = client.post("/api/computergroups", {"name": "moved here"})["ID"]
    policy = client.post("/api/policies", {"name": "other"})["ID"]
    path = f"/api/computers/{fleet.relay}"
    whole = client.get(path)
    whole |= {"policyID": policy, "description": "came back", "groupID": group, "firewall": {"state": "on"}}
    whole["computerSettings"][INTERVAL]["value"] = "30 Minutes"
    back = client.post(path, whole, expect=200)
    assert (back["policy"], back["description"], back["groupID"]) == ("other", "came back", group)
    assert client.get(path, overrides="true")["computerSettings"] == {INTERVAL: {"value": "30 Minutes"}}
    whole = client.get(path)
    assert client.post(path, whole | {"policy": "Base"})["policyID"] == 1
    assert client.post(path)["policyID"] == 1
    assert client.get(f"{path}/settings/{RELAY}") == {"value": "true"}
    client.post(f"{path}/settings/{RELAY}", {"value": "true"})
    client.post(f"{path}/settings/{RELAY}", {"value": "false"}, expect=400)
    assert delete(client, f"{path}/settings/{INTERVAL}") == {"value": "10 Minutes"}
    assert client.post(path, {"groupID": 0})["groupID"] is None


def test_expand_says_what_an_answer_is_made_of(fleet: Fleet) -> None:
    client = fleet.client
    path = f"/api/computers/{fleet.web}"
    everything = client.get(path)
    assert everything["firewall"]["moduleStatus"]["agentStatus"] == "inactive"
    assert everything["tasks"]["applianceTasks"] == []
    assert {"computerSettings", "interfaces", "securityUpdates", "lastSendPolicyRequest"} <= everything.keys()
    bare = client.get(path, expand="none")
    assert not {"computerSettings", "firewall", "tasks"} & bare.keys()
    some = client.get(path, expand=["computerSettings", "firewall"])
    assert {"computerSettings", "firewall"} <= some.keys()
    assert "antiMalware" not in some
    assert client.get(path, expand="computerSettings,firewall") == some
    assert "computerSettings" not in client.get("/api/computers")["computers"][0]
    listed = client.get("/api/computers", expand="computerSettings")["computers"]
    assert all(one["computerSettings"][INTERVAL]["value"] == "10 Minutes" for one in listed)
    client.post("/api/tls/send-policy", {"computers": [everything["hostGUID"]]})
    assert client.get(path)["tasks"]["agentTasks"] == ["Update of Configuration Pending (Heartbeat)"]


def test_computers_are_searched_in_every_way(fleet: Fleet) -> None:
    client = fleet.client

    def found(*criteria: Any, **more: Any) -> list[int]:
        given = criteria[0] if len(criteria) == 1 else [*criteria]
        body = {"searchCriteria": given, **more}
        return [one["ID"] for one in client.post("/api/computers/search", body)["computers"]]

    both = [fleet.web, fleet.relay]
    assert found() == both
    assert [one["ID"] for one in client.post("/api/computers/search?expand=none&overrides=False")["computers"]] == both
    assert found({"fieldName": "hostName", "stringTest": "equal", "stringValue": "WEB-_", "stringWildcards": True}) == [
        fleet.web
    ]
    assert found({"fieldName": "agentVersion", "versionTest": "less-than", "versionValue": "10.0.0"}) == [fleet.relay]
    assert found({"fieldName": "kind", "choiceTest": "equal", "choiceValue": "relay"}) == [fleet.relay]
    assert found({"fieldName": "online", "booleanTest": "true"}) == []
    assert found({"fieldName": "assetImportanceID", "nullTest": True}) == both
    assert found({"fieldName": "groupID", "numericTest": "greater-than", "numericValue": 0}) == []
    assert found({"fieldName": "activated", "firstDateValue": 0, "lastDateValue": 9_000_000_000_000}) == both
    assert found({"fieldName": "computerStatus/agentStatus", "choiceValue": "error"}) == both
    page, seen = 0, []
    while got := found({"fieldName": "ID", "idTest": "greater-than", "idValue": str(page)}, maxItems=1):
        seen += got
        page = got[-1]
    assert seen == both


def test_a_long_list_is_what_a_short_one_is(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[dict[str, Any]] = [{}, {"expand": "all"}]
    for query in queries:
        short = client.get("/api/computers", **query)
        with monkeypatch.context() as patch:
            patch.setattr(computer_details, "CHECKED", 0)
            answer = client.request("GET", "/api/computers", params=query)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.json() == short


def test_settings_of_very_many_are_read_at_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    client = fleet.client
    client.post(f"/api/computers/{fleet.web}/settings/{KEPT}", {"value": "77"})
    few = client.get("/api/computers", expand="computerSettings")
    monkeypatch.setattr(settings, "MANY", 0)
    assert client.get("/api/computers", expand="computerSettings") == few
    (web,) = [one for one in few["computers"] if one["ID"] == fleet.web]
    assert web["computerSettings"][KEPT] == {"value": "77"}


def test_a_computer_is_not_made_by_hand(client: Client) -> None:
    assert "activation" in client.post("/api/computers", {"hostName": "x"}, expect=400)["message"]


def test_groups_are_kept_in_a_tree(client: Client) -> None:
    north = client.post("/api/computergroups", {"name": "North", "description": "the hall"})
    racks = client.post("/api/computergroups", {"name": "Racks", "parentGroupID": str(north["ID"])})
    assert racks["parentGroupID"] == north["ID"]
    path = f"/api/computergroups/{racks['ID']}"
    assert client.get(path) == racks
    assert client.post(path, {"parentGroupID": 0, "type": "folder"})["parentGroupID"] is None
    named = {"fieldName": "name", "stringValue": "racks"}
    top = {"searchCriteria": [{"fieldName": "parentGroupID", "nullTest": True}, named]}
    assert [one["ID"] for one in client.post("/api/computergroups/search", top)["computerGroups"]] == [racks["ID"]]
    assert delete(client, path) == {}
    delete(client, path, expect=404)
    client.post("/api/computergroups", {}, expect=400)


def test_policies_are_searched(client: Client) -> None:
    client.post("/api/policies", {"name": "Searched policy", "autoRequiresUpdate": "off"})
    name = {"fieldName": "name", "stringTest": "equal", "stringValue": "searched policy"}
    (found,) = client.post("/api/policies/search", {"searchCriteria": name})["policies"]
    assert found["autoRequiresUpdate"] == "off"
    root = {"searchCriteria": {"fieldName": "parentID", "nullTest": True}}
    assert [one["ID"] for one in client.post("/api/policies/search", root)["policies"]] == [1]


def test_whoever_may_only_look_sets_nothing(fleet: Fleet) -> None:
    key = fleet.client.post("/api/apikeys", {"keyName": "looks", "roleID": 2})["secretKey"]
    looks = Client(fleet.app, GateConnection(), {"api-secret-key": key})
    looks.get(f"/api/computers/{fleet.web}/settings/{INTERVAL}")
    for path in (f"/api/computers/{fleet.web}", "/api/policies/1", "/api/policies/default"):
        looks.post(f"{path}/settings/{KEPT}", {"value": "1"}, expect=403)
    for path in (f"/api/computers/{fleet.web}", "/api/policies/1", "/api/computers"):
        looks.post(path, {"description": "x"}, expect=403)
