"""The screen of the identity provider: roles as lines, a secret that never comes back."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import Console

from plimsoll.manager.ports import BadInput
from plimsoll.manager.web.routes.identity_provider import PATH, parse_roles

FORM: dict[str, Any] = {
    "issuer": "https://id.example.test/realm",
    "client_id": "plimsoll",
    "roles": "admins = administrator\n\nall=auditor",
}


def test_what_is_saved_is_shown_but_for_the_secret(made: Made) -> None:
    console = Console.of(made)
    assert "with this redirect address: <code>https://manager/sign-in/oidc/callback</code>" in console.get(PATH)
    console.post(PATH, secret="not to be seen", **FORM)
    page = console.get(PATH)
    for wanted in ("https://id.example.test/realm", "admins → administrator", "all → auditor", "with a secret"):
        assert wanted in page
    assert "not to be seen" not in page
    console.post(PATH, **FORM)
    assert "with a secret" in console.get(PATH), "an empty field keeps it"
    console.post(PATH, no_secret="1", **FORM)
    assert "without a secret" in console.get(PATH)


def test_a_line_that_is_no_role_is_named_and_nothing_is_changed(made: Made) -> None:
    console = Console.of(made)
    answer = console.post(PATH, 400, **FORM | {"roles": "admins = administrator\nnobody"})
    assert "line 2" in answer.text
    with pytest.raises(BadInput, match="line 1"):
        parse_roles("= auditor")
    assert parse_roles("a=b = auditor") == {"a=b": "auditor"}
