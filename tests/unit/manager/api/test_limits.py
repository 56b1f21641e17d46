"""Too many requests: counted by name, refused with a time to come again, said once."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from tests.support.homes import ROOT, Desk, desk
from tests.unit.manager.api.client import Client, GateConnection

from plimsoll.manager.api.application import create_app
from plimsoll.manager.api.backend import Backend
from plimsoll.manager.api.limits import Limits
from plimsoll.manager.api.rest.events import _still_allowed
from plimsoll.manager.api.serve import App
from plimsoll.manager.services.api_usage import ApiUsageService
from plimsoll.manager.services.nodes import NodesService


def test_a_minute_begins_with_its_first_request() -> None:
    limits = Limits()
    assert [limits.take("a", 2, 0, now) is None for now in (100.0, 130.0, 159.0, 160.0, 161.0)] == [
        True,
        True,
        False,
        True,
        True,
    ]
    refused = limits.take("a", 2, 0, 161.5)
    assert refused is not None
    assert (refused.retry_after, refused.news, refused.node) == (59, False, False)
    assert limits.take("b", 2, 0, 161.5) is None, "each has his own"
    assert limits.take("a", 0, 0, 161.5) is None, "0 is no limit"
    usage = {one.who: (one.requests, one.limited) for one in limits.usage()}
    assert usage == {"a": (7, 2), "b": (1, 0)}


def test_all_together_have_a_limit_too() -> None:
    limits = Limits()
    assert [limits.take(who, 2, 3, 10.0) for who in "aab"] == [None] * 3
    refused = limits.take("c", 2, 3, 10.0)
    assert refused is not None
    assert refused.node
    assert refused.retry_after == 60
    assert limits.take("c", 2, 3, 70.0) is None


def test_what_others_let_through_counts_here() -> None:
    limits = Limits()
    limits.elsewhere({"a": 2}, 10.0)
    assert limits.take("a", 3, 3, 11.0) is None
    refused = limits.take("a", 3, 3, 12.0)
    assert refused is not None
    assert (refused.retry_after, refused.node) == (58, False)
    assert limits.take("b", 3, 3, 12.0) is None, "all together are those of one manager"
    assert limits.take("a", 3, 0, 70.0) is None, "a new minute"


def test_managers_count_together(tmp_path: Path) -> None:
    now = time.time()
    with desk(tmp_path, clock=lambda: now, kind="postgresql") as at:
        first, second = Limits(), Limits()
        core = at.services.api_usage._core
        here, there = NodesService(core), NodesService(core)
        there._id = "b" * 32
        a, b = ApiUsageService(core, here), ApiUsageService(core, there)

        def look() -> None:
            for service, limits in ((a, first), (b, second), (a, first)):
                service.exchange(limits)

        first.take("user:long ago", 3, 0, now)
        look()
        assert [second.take("user:long ago", 3, 0, now) is None for _ in range(4)] == [True, True, True, False], (
            "what was before it came counts for nobody"
        )
        assert [first.take("user:x", 3, 0, now) is None for _ in range(2)] == [True, True]
        look()
        look()
        assert [second.take("user:x", 3, 0, now) is None for _ in range(3)] == [True, False, False]
        look()
        assert first.take("user:x", 3, 0, now) is not None
        for service, limits in ((a, first), (b, second)):
            service.exchange(limits)
        sums = {one.who: (one.requests, one.limited) for one in b.all(ROOT, second.usage())}
        assert sums == {"user:long ago": (5, 1), "user:x": (6, 3)}
        a.begin()
        assert {one.who: one.requests for one in b.all(ROOT, second.usage())}["user:x"] == 3
        begun = Limits()
        begun.take("user:y", 3, 0, now)
        ApiUsageService(core, here).exchange(begun)
        b.exchange(second)
        assert [second.take("user:y", 3, 0, now) is None for _ in range(3)] == [True, True, False]


def test_who_is_refused_again_and_again_is_news_once() -> None:
    limits = Limits()
    news = []
    for now in range(0, 1200, 10):
        refused = limits.take("a", 1, 0, float(now))
        if refused is not None and refused.news:
            news.append(now)
    assert news == [10, 610]


def test_a_clock_that_was_put_back_locks_nobody_out() -> None:
    limits = Limits()
    assert limits.take("a", 1, 1, 1000.0) is None
    assert limits.take("a", 1, 1, 1001.0) is not None
    assert limits.take("a", 1, 1, 500.0) is None


@dataclass
class Small:
    at: Desk
    app: App

    def client(self, key: str) -> Client:
        return Client(self.app, GateConnection(), {"api-secret-key": key})

    def key(self, name: str) -> str:
        return self.at.services.api_keys.create(ROOT, name, "auditor").key


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Three requests a minute of each, five of all."""
    with desk(tmp_path_factory.mktemp("limits")) as at:
        at.home.config = dataclasses.replace(at.home.config, requests_each=3, requests_all=5)
        yield Small(at, create_app(Backend(at.services, at.home.installation)))


def ask(client: Client, path: str = "/api/tls/minimum") -> httpx.Response:
    return client.request("GET", path)


def test_the_fourth_request_is_refused_as_the_reference_does_it(small: Small) -> None:
    first, second = small.client(small.key("first")), small.client(small.key("second"))
    assert [ask(first).status_code for _ in range(3)] == [200] * 3
    refused = ask(first)
    assert refused.status_code == 429
    assert refused.json() == {"message": "Too many API requests"}
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [ask(second).status_code for _ in range(3)] == [200, 200, 429], "five of all together"
    small.at.home.store.enqueue(lambda c: None).result(60)
    told = [one for one in small.at.services.events.list(ROOT) if one.number == 2017]
    assert [one.target for one in told] == ["first", "second"]
    assert "first has made too many" in told[0].description
    assert "all together" in told[1].description


def test_the_local_socket_is_never_limited(small: Small) -> None:
    local = Client(small.app)
    assert {ask(local).status_code for _ in range(20)} == {200}
    client = small.client(small.key("counted"))
    ask(client)
    metrics = local.get("/api/apiusagemetrics")["apiUsageMetrics"]
    assert [(one["who"], one["requests"], one["limited"]) for one in metrics] == [("apikey:2", 1, 0)]
    found = local.post("/api/apiusagemetrics/search", {"searchCriteria": {"fieldName": "limited", "numericValue": 0}})
    assert len(found["apiUsageMetrics"]) == 1


def test_a_stream_goes_on_when_its_key_asks_too_often(small: Small) -> None:
    key = small.key("streams")
    asking = small.client(key)
    assert [ask(asking).status_code for _ in range(4)] == [200, 200, 200, 429]
    inner = small.app._app  # type: ignore[attr-defined]  # the framework's own, behind the bounds
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"api-secret-key", key.encode())],
        "app": inner,
        "state": {"connection": GateConnection()},
    }
    assert asyncio.run(_still_allowed(Request(scope)))
    small.at.services.api_keys.delete(ROOT, 2)
    assert not asyncio.run(_still_allowed(Request(scope)))


def test_a_wrong_key_uses_up_nobody_s_requests(small: Small) -> None:
    key = small.key("right")
    wrong = small.client(key[:-4] + "AAA=")
    assert {ask(wrong).status_code for _ in range(10)} == {401}
    assert ask(small.client(key)).status_code == 200


def test_the_earlier_rest_counts_too(small: Small) -> None:
    client = Client(small.app, GateConnection())
    body = {"dsCredentials": {"userName": "admin", "password": small.at.made.admin_password}}
    session = client.request("POST", "/rest/authentication/login", json=body).text
    path = f"/rest/hosts?sID={session}"
    assert [ask(client, path).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.request("GET", path, headers={"accept": "application/json"})
    assert refused.json() == {"error": {"message": "Too many API requests"}}
    assert "retry-after" in refused.headers
