"""Every screen and every form of the console as every role: the services judge, and nothing is left out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from tests.support.seeded import Seeded, seeded
from tests.unit.manager.web.console import ROOT, Console
from tests.unit.manager.web.forms import ENDLESS, FORMS, OPEN

from plimsoll.manager.ports import ROLES, Role
from plimsoll.manager.web import navigation
from plimsoll.manager.web.frame import ConsoleRoute
from plimsoll.manager.web.routes import routers

ROUTES = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
SCREENS = sorted(route.path for route in ROUTES if "GET" in (route.methods or ()) and route.path not in OPEN | ENDLESS)
POSTS = sorted(route.path for route in ROUTES if "POST" in (route.methods or ()) and route.path not in OPEN)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("walk")) as made:
        yield made


@pytest.fixture(scope="module")
def consoles(world: Seeded) -> dict[Role, Console]:
    return {role: Console.of(world, role) for role in Role}


def filled(path: str, world: Seeded) -> str:
    """The path with something that is there for each parameter."""
    for name, value in world.known.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    assert "{" not in path, f"tests.support.seeded knows no value for a parameter of {path}"
    return path


def test_every_route_is_of_the_frame() -> None:
    """Others would answer a failure with JSON."""
    assert all(isinstance(route, ConsoleRoute) for route in ROUTES)
    assert {method for route in ROUTES for method in route.methods or ()} <= {"GET", "POST"}


def test_every_form_has_an_example_and_every_example_a_form() -> None:
    assert set(POSTS) == set(FORMS)


def test_every_entry_of_the_navigation_is_a_screen() -> None:
    entries = [entry.path for group in navigation.GROUPS for entry in group.entries]
    assert set(entries) <= {route.path for route in ROUTES}
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize("path", SCREENS)
def test_a_screen_is_read_by_every_role(path: str, world: Seeded, consoles: dict[Role, Console]) -> None:
    at = filled(path, world)
    for role, console in consoles.items():
        answer = console.client.request("GET", at)
        # A screen for making something may be closed to those who may not make it.
        assert answer.status_code in ((200, 303) if role is Role.ADMINISTRATOR else (200, 303, 403)), (
            role,
            answer.text,
        )
        assert "Undefined" not in answer.text


@pytest.mark.parametrize("path", POSTS)
def test_a_form_is_refused_to_those_who_may_not(path: str, world: Seeded, consoles: dict[Role, Console]) -> None:
    form = FORMS[path]
    at = filled(path, world)
    for role in (Role.AUDITOR, Role.OPERATOR):
        if form.permission is None or form.permission in ROLES[role]:
            continue
        before = world.at.services.access.audit(ROOT, limit=1)
        answer = consoles[role].post(at, None, **form.data)
        assert answer.status_code == 403, (role, answer.status_code, answer.text)
        assert form.permission.value in answer.text
        assert world.at.services.access.audit(ROOT, limit=1) == before, "something was changed"


@pytest.mark.parametrize("path", POSTS)
def test_a_form_without_its_token_is_refused_to_everybody(
    path: str, world: Seeded, consoles: dict[Role, Console]
) -> None:
    console = consoles[Role.ADMINISTRATOR]
    answer = console.client.request("POST", filled(path, world), data={**FORMS[path].data, "csrf": "no"})
    assert answer.status_code == 403


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    """Another world, for forms that do what they say. They come in the order of `FORMS`."""
    with seeded(tmp_path_factory.mktemp("changing")) as made:
        yield made


@pytest.mark.parametrize("path", [path for path, form in FORMS.items() if form.permission is not None])
def test_a_form_does_what_it_says_for_an_administrator(path: str, changing: Seeded) -> None:
    """That the example is one: else a refusal above could be about the form."""
    answer = Console.of(changing).post(filled(path, changing), None, **FORMS[path].data)
    assert answer.status_code in FORMS[path].answers, (answer.status_code, answer.text)
