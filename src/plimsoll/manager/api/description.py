"""The description of REST (OpenAPI 3.1): what the framework reads from the routes, and what every answer has in common.

The framework says of each route what it takes and gives; here come who may ask, how each kind of refusal looks, and the
headers that every request may carry. Refusals are declared once, and each operation names those that it can meet.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from plimsoll import RELEASE
from plimsoll.manager.api.examples import EXAMPLES

PATH: Final = "/api/openapi.json"

_TITLE: Final = "Plimsoll manager"
ABOUT: Final = """\
TLS floors of a whole fleet: who would be cut off, raising and lowering in stages, proof by handshake; computers, \
policies, software, events. Errors are JSON with a `message` that says what was wrong, what was kept and what to do \
next. An item is changed by POST to it. Fields that nobody knows are refused."""

#: What each group of operations is about, in the order in which they are shown.
TAGS: Final = {
    "tls": "Floors, who would be cut off by another one, what was seen in handshakes.",
    "changes": "Raising or lowering in stages, which can be taken back.",
    "proof": "Signed evidence of what ports accept, and what of it is in the scope of PCI DSS.",
    "scans": "Scans that the manager runs: its fleet, and the networks that it may look at.",
    "computers": "The machines of the fleet, and the tokens that bring them in.",
    "policies": "What computers are told, and the groups that relays serve.",
    "events": "What happened.",
    "software": "Packages, and the keys that vouch for them.",
    "deployment": "Scripts that install agents.",
    "upgrades": "Upgrades of the fleet in waves.",
    "ca": "The CA that issues certificates, and its rotation in phases.",
    "tasks": "What the manager does by itself at set times.",
    "notifications": "Syslog receivers and webhooks that are told of events.",
    "access": "API keys, people, roles, the tenant, the audit trail.",
    "reference": "What programs of the reference look at, and what of it there is here.",
    "manager": "The manager's own state and certificate.",
}

_REFUSALS: Final[dict[int, tuple[str, str, str]]] = {
    400: ("BadRequest", "Something in the request cannot be meant", "unknown TLS version 'TLSv9'; nothing was changed"),
    401: ("Unauthorized", "Nobody vouches for the request", "send an API key in the header api-secret-key"),
    403: ("Forbidden", "The role does not include this", "anna has the role auditor, which does not include this"),
    404: ("NotFound", "There is no such thing", "there is no computer 7"),
    408: ("TimedOut", "The body did not arrive in time", "the request's body did not arrive in 30 s; nothing was used"),
    409: ("Conflict", "It does not fit what there is", "another change is under way; nothing was started"),
    413: ("TooLarge", "The body is larger than is read", "the request's body is larger than 1048576 bytes"),
    429: ("TooMany", "Too many requests in too short a time", "Too many API requests"),
    503: (
        "Unavailable",
        "The store cannot take or give anything now",
        "the database is away; nothing was kept",
    ),
}
_RETRIED: Final = (429, 503)

_SECURITY: Final[list[dict[str, list[str]]]] = [{"key": []}, {"bearer": []}, {"session": []}]
_SCHEMES: Final = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "api-secret-key",
        "description": "An API key, `ID:SECRET`, as `POST /api/apikeys` showed it once.",
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key, for programs that set no header."},
    "session": {"type": "apiKey", "in": "cookie", "name": "sid", "description": "A person who signed in at /."},
}
_VERSION: Final = {
    "name": "api-version",
    "in": "header",
    "required": False,
    "description": "The version that the program was written for. There is one, and what is said here is not compared.",
    "schema": {"type": "string", "maxLength": 100, "examples": ["v1"]},
}


def operation_id(route: APIRoute) -> str:
    """A name that does not change: the group and the function, ``changes_start``."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def install(app: FastAPI) -> None:
    """The application describes itself this way; made once, when it is first asked for."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = description(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # the framework's documented way


def description(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = get_openapi(
        title=_TITLE,
        version=RELEASE,
        description=ABOUT,
        routes=app.routes,
        servers=[{"url": "/", "description": "this manager"}],
    )
    found = _with_short_names(found)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        _without_titles(schema)
    schemas.setdefault("Refusal", _REFUSAL)
    components["responses"] = {name: _response(status) for status, (name, _, _) in _REFUSALS.items()}
    components["parameters"] = {"api-version": dict(_VERSION)}
    components["securitySchemes"] = {name: dict(scheme) for name, scheme in _SCHEMES.items()}
    used: set[str] = set()
    for path, item in found["paths"].items():
        for method, operation in item.items():
            _complete(method, path, operation)
            used.update(operation.get("tags", ()))
    found["security"] = _SECURITY
    found["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    found["tags"] += [{"name": name} for name in sorted(used.difference(TAGS))]
    return found


def _with_short_names(found: dict[str, Any]) -> dict[str, Any]:
    """Where two modules have a shape of one name, the framework writes the path to each: its end is enough."""
    names = {name for name in found.get("components", {}).get("schemas", {}) if "__" in name}
    text = json.dumps(found)
    for name in names:
        *_, module, short = name.split("__")
        text = text.replace(f'"{name}"', f'"{module.capitalize()}{short}"')
        text = text.replace(f'schemas/{name}"', f'schemas/{module.capitalize()}{short}"')
    shorter: dict[str, Any] = json.loads(text)
    return shorter


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation, in the order of the description."""
    return [
        (method.upper(), path, cast(dict[str, Any], operation))
        for path, item in described["paths"].items()
        for method, operation in item.items()
    ]


def _complete(method: str, path: str, operation: dict[str, Any]) -> None:
    for one in operation.get("parameters", ()):
        one.get("schema", {}).pop("title", None)
    given: dict[str, Any] = operation["responses"]
    given.pop("422", None)
    for status in _possible(method, path, operation):
        given.setdefault(str(status), {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"})
    operation["responses"] = dict(sorted(given.items()))
    _exemplify(operation)
    _show_answer(operation)
    operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/api-version"})


def _exemplify(operation: dict[str, Any]) -> None:
    example = EXAMPLES.get(operation["operationId"])
    if example is None:
        return
    for one in operation.get("parameters", ()):
        value = {**example.path, **example.query}.get(one["name"])
        if value is not None:
            one["example"] = int(value) if value.isdecimal() and one["schema"].get("type") == "integer" else value
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None and example.body is not None:
        content["example"] = example.body


def _show_answer(operation: dict[str, Any]) -> None:
    """What a manager really answered, as it was recorded."""
    recorded = answers().get(operation["operationId"])
    if recorded is None:
        return
    status = next(status for status in operation["responses"] if status.startswith("2"))
    for content in operation["responses"][status].get("content", {}).values():
        content["example"] = recorded


@functools.cache
def answers() -> dict[str, Any]:
    """By operation id, a successful answer of a real manager, which `make reference` records."""
    text = resources.files("plimsoll.manager.api").joinpath("data", "answers.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _possible(method: str, path: str, operation: dict[str, Any]) -> list[int]:
    """What every operation of that make can meet. What only one can meet stands at its route."""
    found = [401, 403, 429, 503]
    if operation.get("parameters") or "requestBody" in operation:
        found += [400, 404]
    if "/current" in path:
        found.append(404)
    if method != "get":
        found += [400, 409]
    if "requestBody" in operation:
        found += [408, 413]
    return found


def _response(status: int) -> dict[str, Any]:
    _, text, example = _REFUSALS[status]
    content = {"schema": {"$ref": "#/components/schemas/Refusal"}, "example": {"message": example}}
    found: dict[str, Any] = {"description": text, "content": {"application/json": content}}
    if status in _RETRIED:
        wait = {"description": "seconds after which to come again", "schema": {"type": "integer", "minimum": 1}}
        found["headers"] = {"retry-after": wait}
    return found


#: Also where no route names it.
_REFUSAL: Final = {
    "type": "object",
    "description": "Why it was not done, what was kept, and what to do next: words for a person.",
    "properties": {"message": {"type": "string"}},
    "required": ["message"],
}


def _without_titles(schema: Any) -> None:
    """Each field would carry its own name once more, spelled another way."""
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            if (
                isinstance(one, dict)
                and str(one.get("title", "")).replace(" ", "").lower() == name.replace("_", "").replace(" ", "").lower()
            ):
                del one["title"]
