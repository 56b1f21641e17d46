"""Records an answer of a real manager for each operation, as the description shows it.

`make reference` records those that are missing or do not fit their shape any more; the others stay as they are.
"""

from __future__ import annotations

import functools
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from plimsoll.manager.api.application import describing
from plimsoll.manager.api.description import answers, operations
from plimsoll.manager.api.examples import EXAMPLES

FILE = Path(__file__).resolve().parents[2] / "src/plimsoll/manager/api/data/answers.json"
#: What is shown once, and would be a secret if the manager were not gone.
_SECRET = frozenset({"secretKey", "secret", "token", "password", "sID", "recoveryCodes"})
_HIDDEN = "…"
#: Beyond that an example is no help to a reader: entries of a list or table, characters of a text.
_ENTRIES = 2
_CHARACTERS = 400


def missing() -> list[str]:
    """Operations with no recorded answer, or with one that does not fit. What is refused in the run may have none."""
    return [
        name
        for name, schema in shapes()
        if (faults(schema, answers()[name]) if name in answers() else EXAMPLES[name].status < 400)
    ]


def shapes() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation that answers with something, and the schema of that."""
    for _, _, one in operations(_described()):
        content = _content(one)
        if content is not None:
            yield one["operationId"], content["schema"]


def faults(schema: dict[str, Any], answer: Any) -> list[str]:
    """Why it does not fit."""
    registry: Registry[Any] = Registry().with_resource("urn:api", DRAFT202012.create_resource(_described()))
    pointed = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
    return [error.message for error in Draft202012Validator(pointed, registry=registry).iter_errors(answer)]


def record() -> None:
    """Writes the file anew where something is missing."""
    from tests.support.reference import prepared, run_all

    wanted = missing()
    known = dict(shapes())
    kept = {name: answer for name, answer in answers().items() if name in known and name not in wanted}
    if wanted:
        with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)) as (manager, files):
            here = (folder, os.uname().nodename, str(manager.gui_port), str(manager.heartbeat_port))
            came = {one.name: one.answer for one in run_all(manager, files) if one.status.startswith("2")}
        fresh = {name: _shown(answer, here) for name, answer in came.items() if name in known}
        kept |= {name: fresh[name] for name in wanted if name in fresh}
        # What is refused in the run has its answer from another operation with the same one.
        by_shape = {json.dumps(known[name]): answer for name, answer in sorted((fresh | kept).items())}
        for name in known:
            if name not in kept and "$ref" in known[name] and json.dumps(known[name]) in by_shape:
                kept[name] = by_shape[json.dumps(known[name])]
    FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n")
    answers.cache_clear()


@functools.cache
def _described() -> dict[str, Any]:
    return describing().openapi()


def _content(one: dict[str, Any]) -> dict[str, Any] | None:
    success = next(status for status in one["responses"] if status.startswith("2"))
    found: dict[str, Any] | None = next(iter(one["responses"][success].get("content", {}).values()), None)
    return found


def _shown(text: str, here: tuple[str, ...]) -> Any:
    """Nothing of the computer that recorded it, nothing secret, and not more than a reader wants."""
    folder, node, gui, heartbeat = here
    text = text.replace(folder + "/home", "/opt/plimsoll").replace(folder, "/opt").replace(node, "manager.example.test")
    text = re.sub(rf"\b{gui}\b", "4119", text)
    text = re.sub(rf"\b{heartbeat}\b", "4120", text)
    try:
        return _short(json.loads(text))
    except ValueError:
        return _cut(text)


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _HIDDEN if name in _SECRET and isinstance(inner, str) and inner else _short(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_short(one) for one in value[:_ENTRIES]]
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"
