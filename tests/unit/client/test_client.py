"""`plimsoll.client` against the real application, without a network."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.client_maker import FOLDER, files
from tests.support.seeded import Seeded, seeded
from tests.unit.manager.api.client import Client as Asgi

from plimsoll.client import Client, Refused, Unreachable
from plimsoll.client.operations import Group
from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import operations


class _Transport(httpx.BaseTransport):
    """Hands requests to the application, as a peer of the gate."""

    def __init__(self, client: Asgi) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        path = request.url.raw_path.decode()
        answer = self._client.request(request.method, path, content=request.read(), headers=headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("client")) as made:
        yield made


@pytest.fixture
def manager(world: Seeded) -> Iterator[Client]:
    with Client("https://manager", world.at.made.api_key, transport=_Transport(world.remote())) as made:
        yield made


def test_what_is_written_is_up_to_date() -> None:
    assert {name: (FOLDER / name).read_text() for name in files()} == files(), "make reference writes them anew"


def test_every_operation_but_the_endless_one_has_a_method(manager: Client) -> None:
    groups = [one for one in vars(manager).values() if isinstance(one, Group)]
    methods = [name for group in groups for name, _ in inspect.getmembers(group, inspect.ismethod) if name[0] != "_"]
    assert len(methods) == len(operations(describing().openapi())) - 1


def test_things_are_asked_and_changed(manager: Client) -> None:
    assert manager.tls.show_minimum()["minimum"] == "TLSv1.2"
    names = {one["hostName"] for one in manager.computers.list_computers(kind="agent")["computers"]}
    assert names == {"web-1.example.test"}
    found = manager.computers.search_computers(
        {"searchCriteria": [{"fieldName": "hostName", "stringValue": "web-%", "stringWildcards": True}]}
    )
    assert len(found["computers"]) == 1
    made = manager.policies.create_policy({"name": "a/b ü", "heartbeatSeconds": 600})
    assert manager.policies.get_policy(made["ID"])["name"] == "a/b ü"
    manager.policies.delete_policy(made["ID"])
    assert manager.events.export(after=0).count(b"\n") > 1
    assert [one["source"] for one in manager.tls.list_exceptions(ended=True)["exceptions"]] == ["10.0.0.7/32"]


def test_a_refusal_says_why(manager: Client, world: Seeded) -> None:
    with pytest.raises(Refused, match="there is no policy 99") as told:
        manager.policies.get_policy(99)
    assert told.value.status == 404
    body: Any = {"floor": "TLSv9"}
    with pytest.raises(Refused, match="valid are TLSv1") as unknown:
        manager.tls.set_floor(body)
    assert (unknown.value.status, unknown.value.retry_after) == (400, None)
    with (
        Client("https://manager", "9:bm90IGl0", transport=_Transport(world.remote())) as stranger,
        pytest.raises(Refused) as refused,
    ):
        stranger.tls.show_floors()
    assert refused.value.status == 401


def test_what_is_no_manager_is_said_to_be_none() -> None:
    def page(_: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="<html>")

    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    for answer in (page, nobody):
        transport = httpx.MockTransport(answer)
        with Client("https://manager", "1:x", transport=transport) as client, pytest.raises(Unreachable):
            client.tls.show_floors()


class _Breaking(httpx.SyncByteStream):
    """A stream's pieces, and then a connection that breaks."""

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            yield piece.encode()
        raise httpx.ReadError("the connection broke")


def _told(number: int) -> str:
    return f'id: {number}\nevent: event\ndata: {{"ID": {number}}}\n\n'


def test_a_stream_goes_on_where_it_broke_off_and_ends_with_the_key() -> None:
    answers = [
        httpx.Response(200, stream=_Breaking(": the stream begins\n\n", _told(8), ": alive\n\n", _told(9), "data: {")),
        httpx.Response(503, json={"message": "the manager is stopping"}, headers={"retry-after": "0"}),
        httpx.Response(502, text="<html>a balancer</html>"),
        httpx.Response(200, stream=_Breaking(_told(10))),
        httpx.Response(401, json={"message": "unknown key"}),
    ]
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/events":
            return httpx.Response(200, json={"events": [{"ID": 7}]})
        asked.append(request.url.params["after"])
        return answers.pop(0)

    found = []
    client = Client("https://manager", "1:x", transport=httpx.MockTransport(answer))
    with client, pytest.raises(Refused, match="unknown key"):
        for event in client.follow(pause=0):
            found.append(event["ID"])  # noqa: PERF401 - what came before the end is looked at
    assert (found, asked) == ([8, 9, 10], ["7", "9", "9", "9", "10"])


def test_a_manager_that_is_not_there_at_the_beginning_is_said_at_once() -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = Client("https://manager", "1:x", transport=httpx.MockTransport(nobody))
    with client, pytest.raises(Unreachable):
        next(client.follow())
