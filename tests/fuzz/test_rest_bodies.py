"""What a body may carry and nobody means: refused in words, and never a fault of ours.

Every field of every example takes every nasty value, one at a time; beside that, any bytes at all.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.seeded import Seeded, seeded

from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import operations
from plimsoll.manager.api.examples import EXAMPLES

#: As JSON text, because some of it is no JSON that Python writes.
NASTY = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "less than nothing": "-1",
    "a third": "0.3333",
    "more than 32 bits": str(1 << 31),
    "more than 53 bits": str((1 << 53) + 1),
    "more than 64 bits": str(1 << 64),
    "a number without end": "9" * 400,
    "the largest float": "1.7976931348623157e308",
    "beyond the largest float": "1e400",
    "no number": "NaN",
    "without end": "-Infinity",
    "no text": '""',
    "blank": '" \\t\\n"',
    "NUL": '"a\\u0000b"',
    "half a pair": '"\\ud800"',
    "no character": '"\\uffff\\u202e"',
    "digits of another script": '"\u0663\u0664"',
    "a long text": json.dumps("x" * 70_000),
    "a path": '"../../etc/passwd"',
    "a formula": json.dumps("' OR 1=1 --"),
    "an empty list": "[]",
    "a list in a list": "[[[[]]]]",
    "many": json.dumps([1] * 5000),
    "an empty object": "{}",
    "a key that is none": '{"": {"\\u0000": null}}',
}
DEEP = "[" * 10_000 + "]" * 10_000
PLACEHOLDER = "\N{OBJECT REPLACEMENT CHARACTER}"
WITH_BODY = [
    (one["operationId"], method, path)
    for method, path, one in operations(describing().openapi())
    if "application/json" in one.get("requestBody", {}).get("content", {})
]
#: In the short form each field takes every fifth value, other ones than its neighbour.
STEP = 1 if os.environ.get("PLIMSOLL_DEEP") else 5
KINDS = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("bodies")) as made:
        yield made


def _fields(described: dict[str, Any], body: Any) -> list[str]:
    known = set(body) if isinstance(body, dict) else set()
    return sorted(known | set(described))


def _schema_fields(name: str) -> dict[str, Any]:
    document = describing().openapi()
    one = next(found for _, _, found in operations(document) if found["operationId"] == name)
    schema = one["requestBody"]["content"]["application/json"]["schema"]
    for inner in schema.get("anyOf", ()):
        schema = inner if "$ref" in inner else schema
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = schema.get("properties", {})
    return found


@pytest.mark.parametrize(("name", "method", "path"), WITH_BODY, ids=[name for name, _, _ in WITH_BODY])
def test_every_field_takes_every_nasty_value(world: Seeded, name: str, method: str, path: str) -> None:
    example = EXAMPLES[name]
    for parameter, value in {**world.known, **example.path}.items():
        path = path.replace(f"{{{parameter}}}", value)
    client = world.local()
    body = example.body if isinstance(example.body, dict) else {}
    for number, field in enumerate(_fields(_schema_fields(name), body)):
        for what, text in list(NASTY.items())[number % STEP :: STEP]:
            wrong = copy.deepcopy(body) | {field: PLACEHOLDER}
            sent = json.dumps(wrong, ensure_ascii=False).replace(f'"{PLACEHOLDER}"', text)
            answer = client.request(method, path, content=sent.encode(), headers={"content-type": "application/json"})
            assert answer.status_code < 500, (field, what, answer.text)
            assert answer.status_code < 300 or answer.json()["message"], (field, what)


@pytest.mark.parametrize(("name", "method", "path"), WITH_BODY, ids=[name for name, _, _ in WITH_BODY])
def test_a_body_that_is_none_is_refused(world: Seeded, name: str, method: str, path: str) -> None:
    for parameter, value in world.known.items():
        path = path.replace(f"{{{parameter}}}", value)
    client = world.local()
    wrong = [DEEP, '{"a":' * 10_000, "[]", "7", '"text"', "{", "\x00", "\ufeff{}", '{"a": 1, "a": 2}']
    for text in wrong:
        answer = client.request(method, path, content=text.encode(), headers={"content-type": "application/json"})
        assert answer.status_code < 500, (text[:20], answer.text)
    latin = client.request(method, path, content=b'{"a": "\xff"}', headers={"content-type": "application/json"})
    assert latin.status_code < 500


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    chosen=st.sampled_from(WITH_BODY),
    body=st.binary(max_size=300),
    kind=st.sampled_from(
        ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
    ),
)
def test_no_bytes_make_it_fail(world: Seeded, chosen: tuple[str, str, str], body: bytes, kind: str) -> None:
    _, method, path = chosen
    for parameter, value in world.known.items():
        path = path.replace(f"{{{parameter}}}", value)
    answer = world.local().request(method, path, content=body, headers={"content-type": kind})
    assert answer.status_code < 500, answer.text
