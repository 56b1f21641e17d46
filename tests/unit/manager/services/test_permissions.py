from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.homes import Desk, desk, principal
from tests.support.store import dump_of

from plimsoll.manager.ports import READS, ROLES, Forbidden, Permission, Role, require
from plimsoll.manager.services import Services

#: What an auditor may do besides reading.
OWN = {Permission.OWN_ACCESS}


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(tmp_path_factory.mktemp("permissions")) as opened:
        yield opened


def use_cases(services: Services) -> Iterator[tuple[str, Callable[..., Any]]]:
    for subject, service in vars(services).items():
        if subject == "hub" or subject.startswith("_"):
            continue
        for name, method in inspect.getmembers(service, inspect.ismethod):
            if not name.startswith("_"):
                yield f"{subject}.{name}", method


def test_every_public_method_names_its_permission_or_is_internal(at: Desk) -> None:
    found = dict(use_cases(at.services))
    assert len(found) > 50
    for name, method in found.items():
        permission, internal = getattr(method, "permission", None), getattr(method, "internal", False)
        assert (permission is None) == internal, f"{name} needs exactly one of @permits and @internal"
        if permission is not None:
            assert next(iter(inspect.signature(method).parameters)) == "principal", name


def test_an_auditor_changes_nothing(at: Desk) -> None:
    auditor = principal(Role.AUDITOR)
    before = dump_of(at.home.store)
    refused = 0
    for _, method in use_cases(at.services):
        permission = getattr(method, "permission", None)
        if permission is None or permission in READS | OWN:
            continue
        required = [
            parameter
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is parameter.empty and parameter.name != "principal"
        ]
        with pytest.raises(Forbidden, match="auditor"):
            method(auditor, *(None for parameter in required if parameter.kind is not parameter.KEYWORD_ONLY))
        refused += 1
    assert refused > 20
    after = dump_of(at.home.store)
    assert after == before


def test_an_operator_runs_the_fleet_but_not_the_access_to_it(at: Desk) -> None:
    operator = principal(Role.OPERATOR)
    assert at.services.floors.set(operator, "TLSv1.2").changed == ()
    with pytest.raises(Forbidden, match=r"operator.*access\.change.*nothing was changed"):
        at.services.api_keys.create(operator, "x", "administrator")
    with pytest.raises(Forbidden):
        at.services.certificates.csr(operator)
    with pytest.raises(Forbidden):
        at.services.floors.reload(operator)


def test_every_role_and_permission_is_in_the_table() -> None:
    assert set(ROLES) == set(Role)
    assert frozenset(Permission) == ROLES[Role.ADMINISTRATOR]
    assert not (ROLES[Role.AUDITOR] - READS - OWN)
    for role in Role:
        for permission in Permission:
            if permission in ROLES[role]:
                require(principal(role), permission)
            else:
                with pytest.raises(Forbidden):
                    require(principal(role), permission)
