"""The description of REST: complete, valid, and what the application really is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.support import answers
from tests.unit.manager.api.conftest import Made

from plimsoll.manager.api.description import PATH, operations
from plimsoll.manager.api.description import answers as recorded

Described = dict[str, Any]


@pytest.fixture
def described(made: Made) -> Described:
    answer: Described = made.remote().get(PATH)
    return answer


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)


def test_it_is_openapi_3_1_and_says_who_may_ask(described: Described) -> None:
    assert described["openapi"].startswith("3.1.")
    assert described["components"]["securitySchemes"]["key"]["name"] == "api-secret-key"
    assert described["security"][0] == {"key": []}
    parameter = {"$ref": "#/components/parameters/api-version"}
    assert all(parameter in one["parameters"] for _, _, one in operations(described))


def test_every_reference_is_there_and_every_schema_is_one(described: Described) -> None:
    for reference in set(_references(described)):
        found: Any = described
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_names_of_operations_are_their_own(described: Described) -> None:
    names = [one["operationId"] for _, _, one in operations(described)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name) for name in names)


def test_every_answer_has_a_shape(described: Described) -> None:
    """No operation may answer with just an object."""
    for method, path, one in operations(described):
        for status, answer in one["responses"].items():
            if "$ref" in answer or status == "204":
                continue
            for kind, content in answer["content"].items():
                schema = content["schema"]
                assert schema != {}, (method, path, status)
                if kind == "application/json":
                    assert list(_references(schema)), (method, path, status)


def test_refusals_are_documented(described: Described) -> None:
    for method, path, one in operations(described):
        known = set(one["responses"])
        assert {"401", "403", "503"} <= known, (method, path)
        assert "422" not in known
        assert ("404" in known) or ("{" not in path), (method, path)


def test_what_is_no_json_for_programs_is_left_out(described: Described) -> None:
    assert all(path.startswith("/api/") for path in described["paths"])


def test_every_operation_says_what_it_does(described: Described) -> None:
    assert [one["operationId"] for _, _, one in operations(described) if not one.get("description")] == []


def test_every_whole_number_that_comes_has_bounds(described: Described) -> None:
    """A database holds 64 bits, and a program that reads JSON may hold 53."""
    bodies = [one["requestBody"] for _, _, one in operations(described) if "requestBody" in one]
    given = [one["schema"] for _, _, found in operations(described) for one in found["parameters"] if "schema" in one]
    named = {name.rpartition("/")[2] for name in _references(bodies)}
    for schema in [*given, *(described["components"]["schemas"][name] for name in named)]:
        for one in _integers(schema):
            assert "maximum" in one, (schema.get("title"), one)


def _integers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "integer":
            yield node
        for inner in node.values():
            yield from _integers(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _integers(inner)


@pytest.mark.parametrize("path", ["/api/policies/9" + "9" * 30, "/api/events?after=9" + "9" * 30])
def test_a_number_that_no_store_holds_is_refused(made: Made, path: str) -> None:
    assert made.local().request("GET", path).status_code == 400


def test_the_page_needs_nothing_from_elsewhere(made: Made) -> None:
    answer = made.remote().request("GET", "/api/docs")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for wanted in ("/api/tls/floors", "curl -sS", 'id="changes_start"', "PointFloor"):
        assert wanted in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    found = {path.partition("?")[0] for path in re.findall(r'(?:src|href)="([^"#]+)"', answer.text)}
    assert found == {"/static/plimsoll.css", "/static/mark.svg", "/api/openapi.json"}


def test_every_answer_has_an_example_that_a_manager_gave_and_its_shape_takes() -> None:
    assert answers.missing() == [], "make reference records what is missing"
    shapes = dict(answers.shapes())
    assert set(recorded()) <= set(shapes)
    for name, answer in recorded().items():
        assert answers.faults(shapes[name], answer) == [], name


def test_what_is_shown_as_an_answer_is_in_the_description_and_tells_nothing_of_who_recorded_it(
    described: Described,
) -> None:
    shown = {one["operationId"]: one for _, _, one in operations(described)}
    for name, answer in recorded().items():
        (content,) = shown[name]["responses"]["200" if "200" in shown[name]["responses"] else "201"]["content"].values()
        assert content["example"] == answer
    text = answers.FILE.read_text()
    for word in ("/tmp/", "/root", "PRIVATE KEY", "BEGIN ENCRYPTED"):
        assert word not in text
    assert not re.search(r'"(secretKey|secret|token|password)": "[^"…]', text)
