"""One's own account without a browser."""

from __future__ import annotations

import re
import time

import pyotp
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import PASSWORD, ROOT, Console

from plimsoll.manager.ports import Role


def _shown(text: str, name: str) -> str:
    found = re.search(rf'<pre id="{name}"[^>]*>([^<]+)</pre>', text)
    assert found is not None, text
    return found[1]


def test_a_second_factor_is_set_up_on_the_page_and_taken_away_there(made: Made) -> None:
    console = Console.of(made, Role.AUDITOR)
    console.post("/account/second-factor", 401, password="another password")
    page = console.post("/account/second-factor", 200, password=PASSWORD).text
    assert "<svg" in page and "style=" not in page and "<script>" not in page
    text = _shown(page, "totp-secret").replace(" ", "")
    assert text not in console.get("/account")
    console.post("/account/second-factor/confirm", 400, code="12345")
    codes = _shown(
        console.post("/account/second-factor/confirm", 200, code=pyotp.TOTP(text).at(int(time.time()))).text,
        "recovery-codes",
    ).split()
    assert len(codes) == 10
    page = console.get("/account")
    assert "10 recovery codes are left" in page and codes[0] not in page
    renewed = console.post("/account/second-factor/codes", 200, password=PASSWORD, code=codes[0])
    answer = console.post(
        "/account/second-factor/remove", password=PASSWORD, code=_shown(renewed.text, "recovery-codes").split()[0]
    )
    assert "The second factor is removed" in console.says(answer)
    assert not made.backend.services.access.user(ROOT, "the auditor").second_factor


def test_own_sessions_are_ended_on_the_page(made: Made) -> None:
    console, other, third = (Console.of(made, Role.OPERATOR) for _ in range(3))
    page = console.get("/account")
    assert page.count("this session") == 1
    ids = re.findall(r'action="/account/sessions/([0-9a-f]{16})/end"', page)
    assert len(ids) == 2
    console.post(f"/account/sessions/{ids[0]}/end")
    ended = [one for one in (other, third) if one.client.request("GET", "/account").status_code == 303]
    assert len(ended) == 1
    console.post("/account/sessions/end-others")
    assert all(one.client.request("GET", "/account").status_code == 303 for one in (other, third))
    console.post("/account/sessions/0123456789abcdef/end", 404)


def test_the_own_password_is_changed_on_the_page(made: Made) -> None:
    console = Console.of(made, Role.OPERATOR)
    console.post("/account/password", 400, old=PASSWORD, password="a much better one", again="another one")
    console.post("/account/password", 401, old="not it", password="a much better one", again="a much better one")
    answer = console.post("/account/password", old=PASSWORD, password="a much better one", again="a much better one")
    assert answer.headers["location"] == "/sign-in"
    assert console.client.request("GET", "/account").status_code == 303
    made.backend.services.access.set_password(ROOT, "the operator", PASSWORD)


def test_who_is_no_person_has_no_account(made: Made) -> None:
    answer = made.remote(made.init.api_key).request("GET", "/account")
    assert answer.status_code == 200 and "did not sign in as a person" in answer.text
