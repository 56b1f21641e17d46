"""API keys, roles, administrators and the tenant in the reference's shapes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.homes import ROOT
from tests.unit.manager.api.conftest import Made

from plimsoll.tls.ja4 import ja4

REFERENCE = {
    "ID",
    "keyName",
    "description",
    "locale",
    "roleID",
    "timeZone",
    "active",
    "created",
    "lastSignIn",
    "unlockTime",
    "unsuccessfulSignInAttempts",
    "expiryDate",
    "serviceAccount",
}


def test_a_key_is_made_as_the_reference_makes_one(made: Made) -> None:
    client = made.local()
    body = {
        "keyName": "nightly report",
        "description": "reads computers",
        "locale": "en-US",
        "roleID": "2",
        "timeZone": "Europe/Berlin",
        "expiryDate": 4_000_000_000_000,
        "serviceAccount": False,
        "unheardOf": 1,
    }
    key = client.post("/api/apikeys", body)
    assert key.keys() >= REFERENCE | {"secretKey"}
    assert (key["keyName"], key["roleID"], key["role"]) == ("nightly report", 2, "auditor")
    assert (key["timeZone"], key["expiryDate"], key["active"]) == ("Europe/Berlin", 4_000_000_000_000, True)
    assert key["created"] > 1e12
    assert key["lastSignIn"] is None
    made.remote(key["secretKey"]).get("/api/computers")
    made.settle()
    read = client.get(f"/api/apikeys/{key['ID']}")
    assert "secretKey" not in read
    assert read["description"] == "reads computers"
    assert read in client.get("/api/apikeys")["apiKeys"]


def test_the_shorter_form_makes_the_same_key(made: Made) -> None:
    key = made.local().post("/api/apikeys", {"name": "short", "role": "operator", "expiresIn": 60})
    assert (key["keyName"], key["name"], key["roleID"]) == ("short", "short", 3)
    assert key["expiryDate"] == int(key["expires"] * 1000)


def test_what_a_key_was_last_seen_with_is_kept(made: Made) -> None:
    key = made.local().post("/api/apikeys", {"keyName": "seen", "roleID": 2})
    remote = made.remote(key["secretKey"])
    remote.get("/api/computers")
    made.settle()
    seen = made.local().get(f"/api/apikeys/{key['ID']}")
    assert remote.connection is not None
    assert seen["lastTLS"] == "TLSv1.2"
    assert seen["lastJA4"] == ja4(remote.connection.hello)
    assert seen["lastAddress"] == remote.connection.address
    assert seen["lastSignIn"] > 1e12


def test_a_key_that_is_switched_off_or_renewed_is_refused_at_once(made: Made) -> None:
    client = made.local()
    key = client.post("/api/apikeys", {"keyName": "switched", "roleID": 2})
    path = f"/api/apikeys/{key['ID']}"
    remote = made.remote(key["secretKey"])
    remote.get("/api/computers")
    assert client.post(path, {"active": "false"})["active"] is False
    remote.get("/api/computers", expect=401)
    client.post(path, {"active": True, "roleID": 1})
    remote.get("/api/apikeys")
    renewed = client.post(f"{path}/secretkey")
    assert renewed["secretKey"].startswith(f"{key['ID']}:")
    remote.get("/api/computers", expect=401)
    made.remote(renewed["secretKey"]).get("/api/computers")
    assert client.request("DELETE", path).json() == {}
    made.remote(renewed["secretKey"]).get("/api/computers", expect=401)
    client.get(path, expect=404)


def test_a_key_looks_after_itself_and_gives_itself_nothing(made: Made) -> None:
    key = made.local().post("/api/apikeys", {"keyName": "own", "roleID": 2})
    remote = made.remote(key["secretKey"])
    current = remote.get("/api/apikeys/current")
    assert (current["ID"], current["tenantGUID"]) == (key["ID"], made.backend.installation)
    assert current["roleURN"].endswith("role/auditor")
    changed = remote.post("/api/apikeys/current", {"description": "mine", "timeZone": "UTC"})
    assert changed["description"] == "mine"
    for more in ({"roleID": 1}, {"active": True}, {"expiryDate": 4_000_000_000_000}):
        remote.post("/api/apikeys/current", more, expect=400)
    remote.post(f"/api/apikeys/{key['ID']}", {"description": "x"}, expect=403)
    renewed = remote.post("/api/apikeys/current/secretkey")
    remote.get("/api/apikeys/current", expect=401)
    assert made.remote(renewed["secretKey"]).get("/api/apikeys/current")["description"] == "mine"
    actions = [(entry.who, entry.action) for entry in made.backend.services.access.audit(ROOT, 5)]
    assert (f"apikey:{key['ID']}", "access.renew_api_key") in actions


def test_whoever_is_no_key_has_no_current_one(made: Made) -> None:
    assert "current" in made.local().get("/api/apikeys/current", expect=404)["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"roleID": 2}, "keyName"),
        ({"keyName": "x"}, "roleID"),
        ({"keyName": "x", "roleID": 77}, "there is no role 77"),
        ({"keyName": "x", "role": "king"}, "unknown role"),
        ({"keyName": "x", "roleID": 2, "locale": "tlh"}, "locale"),
        ({"keyName": "x", "roleID": 2, "expiryDate": 5}, "future"),
        ({"keyName": "\0", "roleID": 2}, "cannot be stored"),
        ([], "body"),
    ],
)
def test_what_does_not_fit_is_said(made: Made, body: Any, says: str) -> None:
    assert says in made.local().post("/api/apikeys", body, expect=400)["message"]


def test_keys_are_searched_in_every_way(made: Made) -> None:
    client = made.local()
    first = client.post("/api/apikeys", {"keyName": "Searched One", "roleID": 2})
    second = client.post("/api/apikeys", {"keyName": "searched two", "roleID": 3})

    def found(criteria: Any, **more: Any) -> list[int]:
        body = {"searchCriteria": criteria, **more}
        return [one["ID"] for one in client.post("/api/apikeys/search", body)["apiKeys"]]

    wild = {"fieldName": "keyName", "stringTest": "equal", "stringValue": "searched%", "stringWildcards": True}
    assert found(wild) == found([wild]) == [first["ID"], second["ID"]]
    assert found(wild, maxItems=1, sortByObjectID=True) == [first["ID"]]
    after = {"fieldName": "ID", "idTest": "greater-than", "idValue": str(first["ID"])}
    assert found([wild, after]) == [second["ID"]]
    assert found([wild, {"fieldName": "roleID", "numericTest": "less-than", "numericValue": 3}]) == [first["ID"]]
    assert found([wild, {"fieldName": "role", "choiceTest": "not-equal", "choiceValue": "auditor"}]) == [second["ID"]]
    assert found([wild, {"fieldName": "active", "booleanTest": False}]) == []
    assert len(found([wild, {"fieldName": "expiryDate", "nullTest": True}])) == 2
    made_then = {"fieldName": "created", "firstDateValue": first["created"], "firstDateInclusive": True}
    assert first["ID"] in found([wild, made_then])
    assert len(client.post("/api/apikeys/search")["apiKeys"]) == len(client.get("/api/apikeys")["apiKeys"])
    for wrong in (
        {"fieldName": "colour", "stringValue": "x"},
        {"fieldName": "ID"},
        {"fieldName": "ID", "idTest": "equal"},
    ):
        client.post("/api/apikeys/search", {"searchCriteria": wrong}, expect=400)


def test_roles_are_the_fixed_three(made: Made) -> None:
    client = made.local()
    roles = client.get("/api/roles")["roles"]
    assert [(one["ID"], one["name"]) for one in roles] == [(1, "administrator"), (2, "auditor"), (3, "operator")]
    assert client.get("/api/roles/2") == roles[1]
    assert "computers.read" in roles[1]["permissions"]
    assert "computers.change" not in roles[1]["permissions"]
    full = {"searchCriteria": {"fieldName": "allRights", "booleanTest": "true"}}
    assert [one["ID"] for one in client.post("/api/roles/search", full)["roles"]] == [1]
    client.get("/api/roles/9", expect=404)


def test_administrators_have_ids_too(made: Made) -> None:
    client = made.local()
    anna = client.post("/api/administrators", {"username": "ida", "password": "a long enough one", "role": "operator"})
    assert client.get(f"/api/administrators/{anna['ID']}")["username"] == "ida"
    assert client.get("/api/administrators/ida")["roleID"] == 3
    assert client.post(f"/api/administrators/{anna['ID']}", {"disabled": True})["disabled"]
    search = {"searchCriteria": [{"fieldName": "active", "booleanTest": False}]}
    assert [one["ID"] for one in client.post("/api/administrators/search", search)["administrators"]] == [anna["ID"]]
    assert client.request("DELETE", f"/api/administrators/{anna['ID']}").status_code == 200
    client.get("/api/administrators/ida", expect=404)


def test_an_administrator_is_made_and_comes_back_as_the_reference_has_it(made: Made) -> None:
    client = made.local()
    body = {"username": "olga", "password": "a long enough one", "roleID": "3", "fullName": "Olga", "active": False}
    olga = client.post("/api/administrators", body | {"emailAddress": "o@example.test", "locale": "en-US"})
    assert (olga["role"], olga["fullName"], olga["active"], olga["disabled"]) == ("operator", "Olga", False, True)
    path = f"/api/administrators/{olga['ID']}"
    back = client.post(path, olga | {"active": True, "roleID": 2, "description": "came back"})
    assert (back["disabled"], back["role"], back["description"]) == (False, "auditor", "came back")
    again = client.post(path, back | {"disabled": True, "role": "operator"})
    assert (again["active"], again["roleID"]) == (False, 3)
    assert client.post(path, again) == again
    client.post(path, {"colour": "red"}, expect=400)
    client.post(path, {"roleID": 9}, expect=400)
    client.post("/api/administrators", {"username": "x", "password": "a long enough one"}, expect=400)
    client.request("DELETE", path)


def test_there_is_one_tenant(made: Made) -> None:
    client = made.local()
    assert [one["name"] for one in client.get("/api/tenants")["tenants"]] == ["primary"]
    page = {"searchCriteria": {"fieldName": "ID", "idTest": "greater-than", "idValue": 0}}
    assert client.post("/api/tenants/search", page)["tenants"] == [client.get("/api/tenants/1")]
    client.get("/api/tenants/2", expect=404)
