"""Every operation of the description, with what its schema allows and what it forbids: never a fault of ours.

schemathesis makes the requests and judges the answers: no 5xx, no status, content type or shape that is not in the
description. The application is the real one, in process, over a home of its own in which there is one of everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.seeded import Seeded, seeded

from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import operations
from plimsoll.manager.api.examples import EXAMPLES, Example

TRIES = int(os.environ.get("EX", "8"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: A stream has no end to judge; `test_rest.py` reads it.
ENDLESS = {"events_stream"}
DESCRIBED = describing().openapi()
NAMES = [one["operationId"] for _, _, one in operations(DESCRIBED) if one["operationId"] not in ENDLESS]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("described")) as made:
        yield made


@pytest.fixture(scope="module")
def auditor(world: Seeded) -> str:
    return str(world.local().post("/api/apikeys", {"keyName": "looks on", "role": "auditor"})["secretKey"])


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(DESCRIBED)


@pytest.mark.rule("R1")
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_answers_as_it_is_described(world: Seeded, schema: Any, name: str) -> None:
    operation = schema.find_operation_by_id(name)
    there = {one.name: world.known[one.name] for one in operation.path_parameters if one.name in world.known}
    cases = [operation.as_strategy(mode, **more) for mode in GenerationMode for more in _ways(there)]
    client = world.local()

    @given(case=st.one_of(cases))
    @settings(
        max_examples=TRIES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.validate_response(_sent(client, case), checks=CHECKS)

    ask()


def _ways(there: dict[str, str]) -> list[dict[str, Any]]:
    """Any path, and that of something that is there."""
    return [{}, {"path_parameters": there}] if there else [{}]


def _sent(client: Any, case: Any) -> httpx.Response:
    made = case.as_transport_kwargs(base_url="https://manager")
    options: dict[str, Any] = {"headers": {name: str(value) for name, value in (made.get("headers") or {}).items()}}
    if made.get("params"):
        options["params"] = made["params"]
    if "json" in made:
        options["json"] = made["json"]
    elif made.get("data") is not None:
        options["content"] = made["data"]
    answer: httpx.Response = client.request(made["method"], made["url"], **options)
    return answer


#: What changes nothing but what is its own, or nothing at all, and so is anybody's who may ask.
ANYBODYS = {"software_check", "upgrades_plan", "access_change_own_password", "proof_build"}
OWN = {"access_change_current_key", "access_renew_current_key"}
#: What a person does about sessions and second factor of his own: a key has neither.
OWN |= {"access_end_other_sessions", "access_end_own_session"}
OWN |= {f"access_{what}" for what in ("begin_factor", "confirm_factor", "renew_recovery_codes", "remove_factor")}


def _asked(name: str, world: Seeded) -> tuple[str, str, Example]:
    method, path = next((m, p) for m, p, one in operations(DESCRIBED) if one["operationId"] == name)
    example = EXAMPLES[name]
    for parameter, value in {**world.known, **example.path}.items():
        path = path.replace(f"{{{parameter}}}", value)
    return method, path, example


@pytest.mark.parametrize("name", [*NAMES, *ENDLESS])
def test_nobody_asks_without_a_key(world: Seeded, name: str) -> None:
    method, path, example = _asked(name, world)
    for key in (None, "1:bm90IGl0", "99:bm90IGl0"):
        answer = world.remote(key).request(method, path, json=example.body, params=dict(example.query))
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ANYBODYS | OWN])
def test_an_auditor_reads_and_changes_nothing(world: Seeded, auditor: str, name: str) -> None:
    method, path, example = _asked(name, world)
    client = world.remote(auditor)
    body = {"text": "a key"} if example.file else example.body
    answer = client.request(method, path, json=body, params=dict(example.query))
    if method == "GET" or path.endswith("/search"):
        # Of what other tests began here, a scan may wait for its turn: it cannot be compared yet.
        assert answer.status_code in (200, 404, 409), answer.text
    else:
        assert answer.status_code == 403, answer.text
        assert "auditor" in answer.json()["message"]
