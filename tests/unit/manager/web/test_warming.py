"""Routes are built and templates compiled before anybody asks."""

from __future__ import annotations

import asyncio
import logging

import pytest
from fastapi.routing import APIRoute
from jinja2 import DictLoader, Environment
from starlette.routing import Match
from starlette.types import Scope
from tests.unit.manager.api.conftest import Made, made

from plimsoll.manager.api.application import assembled
from plimsoll.manager.web import warming
from plimsoll.manager.web.frame import templates

__all__ = ["made"]


class _Counting(DictLoader):
    def __init__(self, mapping: dict[str, str]) -> None:
        super().__init__(mapping)
        self.read: list[str] = []

    def get_source(self, environment: Environment, template: str) -> object:  # type: ignore[override]
        self.read.append(template)
        return super().get_source(environment, template)


def test_each_is_compiled_once_and_the_first_screens_first() -> None:
    loader = _Counting({"audit/list.html": "a", "dashboard/page.html": "b", "parts/ui.html": "c", "base.html": "d"})
    env = Environment(loader=loader, auto_reload=False)
    asyncio.run(warming.compile_all(env, rest=0))
    assert loader.read == ["base.html", "dashboard/page.html", "parts/ui.html", "audit/list.html"]
    env.get_template("audit/list.html")
    assert len(loader.read) == 4


def test_a_broken_one_is_told_and_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    loader = _Counting({"a.html": "{% if %}", "b.html": "b"})
    with caplog.at_level(logging.ERROR):
        asyncio.run(warming.compile_all(Environment(loader=loader), rest=0))
    assert loader.read == ["a.html", "b.html"]
    assert "a.html cannot be shown" in caplog.text


def test_what_comes_first_is_there() -> None:
    names = templates().list_templates()
    for first in warming.FIRST:
        assert any(name.startswith(first) for name in names)


def test_all_routes_are_asked_and_none_answers(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    app = assembled(made.backend)
    built: list[object] = []
    build = APIRoute.matches

    def matches(self: APIRoute, scope: Scope) -> tuple[Match, Scope]:
        found = build(self, scope)
        assert found[0] is Match.NONE
        built.append(self)
        return found

    monkeypatch.setattr(APIRoute, "matches", matches)
    asyncio.run(warming.build_routes(app.routes, rest=0))
    assert len(built) > 200
