"""REST: shapes, roles, errors, and who may ask at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.homes import desk
from tests.unit.manager.api.client import Client, GateConnection
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.api import bounds
from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.app import in_process
from plimsoll.manager.home import HomeError, init_home
from plimsoll.manager.services.events import NewEvent
from plimsoll.messages import Kind
from plimsoll.tls.versions import Version

GETS = [
    "/api/tls/floors",
    "/api/tls/ciphers",
    "/api/tls/ciphers/history",
    "/api/tls/ciphers/preflight?to=strong",
    "/api/tls/minimum",
    "/api/tls/floors/history",
    "/api/tls/preflight?to=TLSv1.2",
    "/api/tls/advice",
    "/api/tls/picture",
    "/api/tls/relays",
    "/api/tls/sightings",
    "/api/tls/exceptions",
    "/api/tls/shadow",
    "/api/tls/changes",
    "/api/tls/shadow/report",
    "/api/tls/sightings?by=peer",
    "/api/computers",
    "/api/policies",
    "/api/relaygroups",
    "/api/activationtokens",
    "/api/events",
    "/api/events/export",
    "/api/apikeys",
    "/api/administrators",
    "/api/audit",
    "/api/audit/verify",
    "/api/manager/status",
    "/api/manager/certificate",
    "/api/notifications",
    "/metrics",
]
POSTS = [
    ("/api/tls/floors", {"floor": "TLSv1.2"}),
    ("/api/tls/ciphers", {"profile": "strong"}),
    ("/api/tls/minimum", {"floor": "TLSv1.2"}),
    ("/api/tls/send-policy", {"all": True}),
    ("/api/tls/probers", {"address": "127.0.0.1"}),
    ("/api/tls/exceptions", {"floor": "TLSv1", "source": "10.0.0.7", "until": 4e9, "reason": "x"}),
    ("/api/tls/shadow", {"floor": "TLSv1.3"}),
    ("/api/tls/changes", {"to": "TLSv1.3", "points": ["gui"]}),
    ("/api/tls/changes/1/abort", {}),
    ("/api/computers/activate", {"address": "127.0.0.1"}),
    ("/api/activationtokens", {}),
    ("/api/policies", {"name": "x"}),
    ("/api/relaygroups", {"name": "x"}),
    ("/api/apikeys", {"name": "x", "role": "auditor"}),
    ("/api/administrators", {"username": "x", "password": "a long enough one", "role": "auditor"}),
    ("/api/audit/prune", {"olderThanDays": 30}),
    ("/api/notifications", {"name": "x", "kind": "syslog", "settings": {"host": "h"}}),
    ("/api/notifications/1", {"level": "error"}),
    ("/api/notifications/1/test", {}),
    ("/api/manager/certificate", {"certificate": "x"}),
    ("/api/manager/certificate/csr", {}),
    ("/api/manager/reload", None),
]


@pytest.mark.parametrize("path", GETS)
def test_everything_needs_a_name(made: Made, path: str) -> None:
    answer = made.remote().request("GET", path)
    assert answer.status_code == 401
    assert "api-secret-key" in answer.json()["message"]
    assert made.remote("1:bm90IGl0").request("GET", path).status_code == 401


@pytest.mark.parametrize(("path", "body"), POSTS)
def test_an_auditor_reads_and_changes_nothing(made: Made, path: str, body: object) -> None:
    key = made.local().post("/api/apikeys", {"name": "auditor", "role": "auditor"})["secretKey"]
    answer = made.remote(key).request("POST", path, json=body)
    assert answer.status_code == 403, answer.text
    assert "auditor" in answer.json()["message"]


def test_the_ping_asks_nobody(made: Made) -> None:
    assert made.remote().request("GET", "/rest/status/manager/ping").status_code == 200


@pytest.mark.parametrize("path", GETS)
def test_a_key_and_the_local_socket_may_read(made: Made, path: str) -> None:
    assert made.local().request("GET", path).status_code == 200
    remote = made.remote(made.init.api_key)
    assert remote.request("GET", path).status_code == 200
    # The gate learns whose connection it is, for its sightings.
    assert remote.connection is not None
    assert remote.connection.who == "apikey:1"


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("pont=gui", 400, "valid are point, who, below"),
        ("point=gui&point=relay", 400, "more than once"),
        ("point=4119", 400, "valid are heartbeat"),
        ("below=1.2", 400, "valid are TLSv1"),
        ("refused=perhaps", 400, "refused"),
        ("since=soon", 400, "how long ago"),
        ("limit=0", 400, "limit"),
        ("limit=5001", 400, "limit"),
        ("by=day", 400, "by"),
        ("who=nobody-1", 404, "nobody is called 'nobody-1'"),
    ],
)
def test_a_question_about_sightings_that_cannot_be_meant_is_refused(
    made: Made, query: str, status: int, said: str
) -> None:
    answer = made.local().request("GET", f"/api/tls/sightings?{query}")
    assert answer.status_code == status, answer.text
    assert said in answer.json()["message"]


@pytest.mark.rule("R13")
def test_floors_are_shown_and_set(made: Made) -> None:
    client = made.local()
    shown = client.get("/api/tls/floors")
    assert {row["point"] for row in shown["floors"]} == {"heartbeat", "gui", "relay", "agent"}
    assert client.get("/api/tls/minimum") == {"heartbeat": "TLSv1.2", "gui": "TLSv1.2", "minimum": "TLSv1.2"}
    changed = client.post("/api/tls/minimum", {"floor": "TLSv1"})
    assert {"point": "heartbeat", "from": "TLSv1.2", "to": "TLSv1"} in changed["changed"]
    assert client.get("/api/tls/minimum")["minimum"] == "TLSv1"
    client.post("/api/tls/minimum", {"floor": "TLSv1.2"})
    newest = client.get("/api/tls/floors/history")["history"][0]
    assert (newest["to"], newest["who"]) == ("TLSv1.2", "socket:uid 1000")


@pytest.mark.rule("R12")
def test_a_force_reaches_no_further_than_the_names_that_were_seen(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        client = Client(create_app(Backend(at.services, at.home.installation)))
        at.activate("relay-1", kind=Kind.RELAY)
        at.activate("old-0", "9.6.0")
        asked: list[tuple[str, dict[str, Any]]] = [
            ("/api/tls/minimum", {"floor": "TLSv1.2"}),
            ("/api/tls/floors", {"floor": "TLSv1.2", "point": "heartbeat"}),
            ("/api/tls/ciphers", {"profile": "strong", "point": "heartbeat"}),
            ("/api/policies/1", {"relayFloor": "TLSv1.2"}),
            ("/api/tls/changes", {"to": "TLSv1.2", "acceptAffected": True}),
        ]
        for number, (path, body) in enumerate(asked, 1):
            client.post("/api/tls/minimum", {"floor": "TLSv1"})
            refused = client.post(path, body, expect=409)
            seen = [one["id"] for one in (*refused["blockers"], *refused["affected"])]
            at.activate(f"old-{number}", "9.6.0")
            forced = {**body, "force": True, "reason": "it is retired tonight"}
            late = client.post(path, {**forced, "seen": seen}, expect=409)
            assert late["message"].startswith(f"old-{number} would be cut off too, and stood in no list"), path
            assert f"old-{number}" in {one["who"] for one in late["blockers"]}
            client.post(path, {**forced, "seen": [one["id"] for one in (*late["blockers"], *late["affected"])]})


@pytest.mark.rule("R13")
def test_an_unknown_version_lists_the_valid_ones_and_changes_nothing(made: Made) -> None:
    client = made.local()
    before = client.get("/api/tls/floors")["generation"]
    message = client.post("/api/tls/floors", {"floor": "TLS1.2"}, expect=400)["message"]
    for name in ("TLSv1,", "TLSv1.1", "TLSv1.2", "TLSv1.3"):
        assert name in message
    assert client.get("/api/tls/floors")["generation"] == before


def test_nobody_raises_a_floor_above_himself(made: Made) -> None:
    early = Client(made.app, GateConnection(version=Version.TLS1_2), {"api-secret-key": made.init.api_key})
    answer = early.request("POST", "/api/tls/floors", json={"floor": "TLSv1.3", "point": "gui"})
    assert answer.status_code == 403, answer.text
    assert "TLSv1.2" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/tls/floors", {"floor": "TLSv1.2", "flor": "x"}),
        ("/api/tls/floors", {}),
        ("/api/tls/floors", []),
        ("/api/tls/floors", {"floor": "TLSv1.2", "point": "elsewhere"}),
        ("/api/tls/send-policy", {}),
        ("/api/tls/send-policy", {"all": True, "computers": ["x"]}),
        ("/api/activationtokens", {"uses": -1}),
        ("/api/activationtokens", {"kind": "toaster"}),
        ("/api/policies/1", {"relayFloor": "SSLv3"}),
        ("/api/policies/1", {"inherit": ["colour"]}),
        ("/api/policies/1", {"direction": "sideways"}),
        ("/api/apikeys", {"name": "x", "role": "king"}),
    ],
)
def test_bad_input_is_named_and_changes_nothing(made: Made, path: str, body: object) -> None:
    assert made.local().post(path, body, expect=400)["message"]


def test_a_body_that_is_no_json_and_paths_that_are_none(made: Made) -> None:
    client = made.local()
    answer = client.request("POST", "/api/tls/floors", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert client.get("/api/nothing", expect=404)["message"]
    assert client.get("/api/computers/nobody", expect=404)["message"]
    assert client.request("DELETE", "/api/tls/floors").status_code == 405


def test_a_body_beyond_the_bound_is_refused_declared_or_not(made: Made) -> None:
    client = made.local()
    big = b"x" * (1 << 20) + b"x"
    assert client.request("POST", "/api/tls/floors", content=big).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65536

    answer = client.request("POST", "/api/tls/floors", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.1)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    answer = made.local().request("POST", "/api/tls/floors", content=slow())
    assert answer.status_code == 408
    assert "did not arrive" in answer.json()["message"]


def test_tokens_policies_groups_and_users_come_back_as_they_were_made(made: Made) -> None:
    client = made.local()
    token = client.post("/api/activationtokens", {"uses": 3, "expiresIn": 60})
    assert token["token"].startswith("pt1.")
    assert client.request("DELETE", f"/api/activationtokens/{token['ID']}").status_code == 200
    policy = client.post("/api/policies", {"name": "laptops", "heartbeatSeconds": 3600})
    assert (policy["heartbeatSeconds"], policy["own"]["relayFloor"]) == (3600, None)
    changed = client.post(f"/api/policies/{policy['ID']}", {"inherit": ["heartbeatSeconds"], "autoSend": False})
    assert (changed["heartbeatSeconds"], changed["autoSend"]) == (600, False)
    assert client.request("DELETE", f"/api/policies/{policy['ID']}").status_code == 200
    group = client.post("/api/relaygroups", {"name": "south"})
    assert "south" in [one["name"] for one in client.get("/api/relaygroups")["relayGroups"]]
    assert client.request("DELETE", f"/api/relaygroups/{group['ID']}").status_code == 200
    user = {"username": "anna", "password": "correct horse battery", "role": "operator"}
    assert client.post("/api/administrators", user)["role"] == "operator"
    assert client.post("/api/administrators/anna", {"disabled": True})["disabled"]
    assert client.request("DELETE", "/api/administrators/anna").status_code == 200
    assert any(entry["who"] == "socket:uid 1000" for entry in client.get("/api/audit")["audit"])


def test_a_deleted_key_is_worth_nothing(made: Made) -> None:
    made_key = made.local().post("/api/apikeys", {"name": "short", "role": "auditor"})
    assert made.remote(made_key["secretKey"]).request("GET", "/api/computers").status_code == 200
    made.local().request("DELETE", f"/api/apikeys/{made_key['ID']}")
    assert made.remote(made_key["secretKey"]).request("GET", "/api/computers").status_code == 401


def test_the_export_holds_all_events_a_line_each(made: Made) -> None:
    made.backend.services.events.record(*(NewEvent(742, "info", f"number {n}") for n in range(1203)))
    remote = made.remote(made.init.api_key)
    answer = remote.request("GET", "/api/events/export")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert sum(line["number"] == 742 for line in lines) == 1203
    assert [line["ID"] for line in lines] == sorted(line["ID"] for line in lines)
    assert remote.connection is not None
    assert remote.connection.grace == 10.0  # given back after the download


def test_answers_say_nothing_of_the_server_and_forbid_being_framed(made: Made) -> None:
    headers = made.remote().request("GET", "/rest/status/manager/ping").headers
    assert "server" not in headers
    assert headers["x-frame-options"] == "DENY"
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_a_stopped_home_is_used_in_process_under_its_lock(tmp_path: Path) -> None:
    init_home(tmp_path / "home")
    with in_process(tmp_path / "home") as app:
        transport = Client(app)

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost"
            ) as client:  # no state: the application itself says who asks
                return await client.post("/api/tls/minimum", json={"floor": "TLSv1"})

        assert asyncio.run(ask()).status_code == 200
        assert transport.get("/api/manager/status")["state"] == "stopped"
        message = transport.post("/api/computers/activate", {"address": "127.0.0.1"}, expect=409)["message"]
        assert "stopped" in message
        with pytest.raises(HomeError), in_process(tmp_path / "home"):
            raise AssertionError("a home was opened twice")
    with in_process(tmp_path / "home") as app:
        assert Client(app).get("/api/tls/minimum")["minimum"] == "TLSv1"


def test_notifications_come_and_go(made: Made) -> None:
    local = made.local()
    hook = local.post(
        "/api/notifications",
        {"name": "hook", "kind": "webhook", "settings": {"url": "https://h.example.com/"}, "level": "warning"},
        expect=201,
    )
    assert hook["secret"].startswith("whsec_")
    assert hook["settings"] == {"url": "https://h.example.com/", "ca": ""}
    (listed,) = local.get("/api/notifications")["notifications"]
    assert "secret" not in listed
    assert (listed["level"], listed["active"], listed["waiting"]) == ("warning", True, 0)
    path = f"/api/notifications/{hook['ID']}"
    assert local.post(path, {"active": False})["active"] is False
    assert local.request("POST", path, json={"colour": "red"}).status_code == 400
    assert local.request("DELETE", path).status_code == 204
    assert local.request("DELETE", path).status_code == 404


def test_prometheus_shows_its_key_as_it_can(made: Made) -> None:
    client = Client(made.app, GateConnection(), {"authorization": f"Bearer {made.init.api_key}"})
    answer = client.request("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'plimsoll_floor{point="heartbeat"}' in answer.text
    for wrong in ("Bearer 1:bm90IGl0", "Bearer", f"Basic {made.init.api_key}"):
        assert (
            Client(made.app, GateConnection(), {"authorization": wrong}).request("GET", "/metrics").status_code == 401
        )
