"""Administration without a browser: what forms do, what is shown once, how fields are read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.requests import Request
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import ROOT, Console

from plimsoll.manager.ports import BadInput, Permission, Role
from plimsoll.manager.web import fields
from plimsoll.manager.web.routes import users


def _request(zone: str = "Europe%2FBerlin") -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"cookie", f"tz={zone}".encode())]}
    return Request(scope)


def test_times_are_read_in_the_readers_zone_and_written_back_the_same() -> None:
    request = _request()
    moment = fields.moment(request, "2026-12-24T18:00", "the end")
    assert moment == 1_798_131_600.0  # 17:00 UTC
    assert fields.local(request, moment) == "2026-12-24T18:00"
    assert fields.moment(request, " ", "the end") is None
    assert fields.local(request, None) == ""
    for wrong in ("tomorrow", "2026-13-01T00:00", "99999-01-01T00:00"):
        with pytest.raises(BadInput, match="the end is a date"):
            fields.moment(request, wrong, "the end")


def test_lengths_shares_and_numbers_are_read_as_people_write_them() -> None:
    assert [fields.length(text, "it") for text in ("90", "30 min", "2h", "1 day", "1.5 hours")] == [
        90, 1800, 7200, 86400, 5400,
    ]  # fmt: skip
    assert fields.length("2", "it", "h") == 7200
    assert [fields.share(text, "it") for text in ("2%", "2", "0", "100 %")] == [0.02, 0.02, 0, 1]
    assert (fields.number("", "it"), fields.number(" 12 ", "it")) == (None, 12)
    assert fields.lines("a, b\n\n c") == ("a", "b", "c")
    for call in (fields.length, fields.share, fields.number):
        with pytest.raises(BadInput, match="it is a"):
            call("-1 fortnights", "it")


def test_the_table_of_roles_leaves_no_permission_out() -> None:
    said = {one for _, read, change in users.SUBJECTS for one in (*read, *change)}
    assert said == set(Permission)


def test_a_key_is_shown_on_the_page_that_answers_and_on_no_other(made: Made) -> None:
    console = Console.of(made)
    answer = console.post("/administration/api-keys", 200, name="backup script", role="auditor", expires="")
    found = re.search(r'<pre id="api-key"[^>]*>([^<]+)</pre>', answer.text)
    assert found is not None
    key = found[1]
    number = key.partition(":")[0]
    assert made.remote(key).get("/api/tls/minimum")["minimum"] == "TLSv1.2"
    for path in ("", "/new", f"/{number}"):
        assert key not in console.get(f"/administration/api-keys{path}")
    assert "backup script" in console.get("/administration/api-keys")
    renewed = console.post(f"/administration/api-keys/{number}/renew", 200).text
    assert key not in renewed
    assert made.remote(key).request("GET", "/api/tls/minimum").status_code == 401


def test_an_expiry_that_was_not_touched_stays_to_the_second(made: Made) -> None:
    console, keys = Console.of(made), made.backend.services.api_keys
    key = keys.create(ROOT, "nightly", "auditor", expires_in=86400.5).view
    shown = re.search(r'name="expires"[^>]*value="([^"]+)"', console.get(f"/administration/api-keys/{key.id}"))
    assert shown is not None
    form: dict[str, Any] = {"name": "nightly", "role": "auditor", "active": "1"}
    console.post(f"/administration/api-keys/{key.id}", **form, expires=shown[1])
    assert keys.get(ROOT, key.id).expires == key.expires
    console.post(f"/administration/api-keys/{key.id}", 400, **form, expires="2020-01-01T00:00")
    console.post(f"/administration/api-keys/{key.id}", **form, expires="")
    assert keys.get(ROOT, key.id).expires is None


def test_passwords_that_differ_change_nothing(made: Made) -> None:
    console, access = Console.of(made), made.backend.services.access
    access.create_user(ROOT, "a/b", "a long enough password", "auditor")
    user = access.user(ROOT, "a/b")
    at = f"/administration/users/{user.id}"
    assert f'href="{at}"' in console.get("/administration/users")
    answer = console.post(f"{at}/password", 400, password="one long password", again="another long password")
    assert "nothing was changed" in answer.text
    assert console.says(console.post(f"{at}/password", password="b" * 16, again="b" * 16)).startswith("a/b has a new")
    assert access.sign_in("a/b", "b" * 16, "192.0.2.1").principal.role is Role.AUDITOR
