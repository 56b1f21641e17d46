"""/rest: sessions by sID, and the same answers in XML and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from lxml import etree
from tests.support.homes import Desk, desk
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll import RELEASE
from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import Kind

JSON = {"accept": "application/json"}


class Old:
    """A program of the earlier API with its session."""

    def __init__(self, at: Desk, client: Client, session: str) -> None:
        self.at = at
        self.client = client
        self.session = session

    def ask(self, path: str, accept: str = "application/json", **query: Any) -> httpx.Response:
        return self.client.request(
            "GET", f"/rest/{path}", params=query | {"sID": self.session}, headers={"accept": accept}
        )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    with desk(tmp_path_factory.mktemp("legacy")) as at:
        client = Client(create_app(Backend(at.services, at.home.installation)), GateConnection())
        body = {"dsCredentials": {"userName": "admin", "password": at.made.admin_password}}
        answer = client.request("POST", "/rest/authentication/login/primary", json=body)
        assert answer.headers["content-type"].startswith("text/plain")
        at.activate("db-7")
        at.activate("relay-1", kind=Kind.RELAY)
        yield Old(at, client, answer.text)


def test_a_session_by_xml_or_json_in_cookie_or_query(old: Old) -> None:
    xml = f"<dsCredentials><userName>admin</userName><password>{old.at.made.admin_password}</password></dsCredentials>"
    answer = old.client.request("POST", "/rest/authentication/login", content=xml)
    assert answer.status_code == 200
    session = answer.text
    by_cookie = {"cookie": f"sID={session}"} | JSON
    assert old.client.request("GET", "/rest/hosts", headers=by_cookie).status_code == 200
    assert old.client.request("DELETE", f"/rest/authentication/logout?sID={session}").status_code == 200
    assert old.client.request("DELETE", f"/rest/authentication/logout?sID={session}").status_code == 200
    ended = old.client.request("GET", "/rest/hosts", headers=by_cookie)
    assert ended.status_code == 401
    assert "sign in again" in ended.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"dsCredentials": {"userName": "admin", "password": "wrong"}}', 401),
        ('{"dsCredentials": {"userName": "admin", "password": "x", "tenantName": "acme"}}', 401),
        ("{}", 400),
        ("[]", 400),
        ("", 400),
        ("<a", 400),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a><userName>&b;</userName></a>', 400),
        ("[" * 100_000, 400),
    ],
)
def test_who_is_not_let_in_is_told_why(old: Old, body: str, status: int) -> None:
    answer = old.client.request("POST", "/rest/authentication/login", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_hosts_as_programs_expect_them(old: Old) -> None:
    found = old.ask("hosts").json()["hosts"]["hosts"]
    assert [host["name"] for host in found] == ["db-7", "relay-1"]
    one = old.ask(f"hosts/{found[0]['ID']}").json()["host"]
    assert one == found[0]
    assert old.ask("hosts/99").status_code == 404
    root = etree.fromstring(old.ask("hosts", "application/xml").content)
    assert [node.findtext("name") for node in root.findall("hosts")] == ["db-7", "relay-1"]
    # A program that says nothing gets what this API always gave.
    assert old.ask("hosts", "*/*").headers["content-type"].startswith("application/xml")


def test_relays_in_pages(old: Old) -> None:
    answer = old.ask("relays", maxItems=1, sortBy="name", ascending="false", background="true").json()
    page = answer["ListRelaysResponse"]
    assert page["total"] == 1
    assert page["relays"][0]["name"] == "relay-1"
    assert page["relays"][0]["failed"] is True
    assert old.ask("relays", offset=1).json()["ListRelaysResponse"]["relays"] == []
    assert len(old.ask("relays", failed="true").json()["ListRelaysResponse"]["relays"]) == 1
    assert old.ask("relays", sortBy="colour").status_code == 400


def test_what_the_manager_says_of_itself(old: Old) -> None:
    assert old.client.request("GET", "/rest/apiVersion").text == "3"
    assert old.client.request("GET", "/rest/status/manager/ping").status_code == 200
    assert old.ask("managerInfo/version").text == RELEASE
    parts = old.ask("managerInfo/components").json()["components"]["components"]
    assert parts[0] == {"name": "manager", "version": RELEASE}
    assert old.ask("managerInfo/featureSummary").json()["featureSummary"]["relay"] == 1
    assert old.ask("monitoring/usages").json()["usages"]["maxMemoryKiB"] > 0
    summary = old.ask("managerInfo/statusSummary").json()["statusSummary"]
    assert sum(summary["hostStatusSummary"].values()) == 2


def test_alerts_are_what_has_not_ended(old: Old) -> None:
    old.at.services.events.record(NewEvent(1962, "error", "change 1 waits", target="change 1"))
    (alert,) = old.ask("alerts", maxItems=5).json()["ListAlertsResponse"]["alerts"]
    assert (alert["severity"], alert["name"]) == ("CRITICAL", "Change Halted")
    old.at.services.events.record(NewEvent(1963, "error", "taken back", target="change 1"))
    assert old.ask("alerts").json()["ListAlertsResponse"]["alerts"] == []


def test_without_a_session_nothing(old: Old) -> None:
    for path in ("hosts", "relays", "alerts", "managerInfo/version", "managerInfo/components", "monitoring/usages"):
        assert old.client.request("GET", f"/rest/{path}", headers=JSON).status_code == 401
