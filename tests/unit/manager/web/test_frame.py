"""The frame around all screens: sessions, forms, errors, files, headers."""

from __future__ import annotations

import re

import pytest
from tests.unit.manager.api.client import Client, GateConnection
from tests.unit.manager.api.conftest import Made
from tests.unit.manager.web.console import Console

from plimsoll.manager.api.application import create_app
from plimsoll.manager.web import texts


def test_without_a_session_every_screen_leads_to_the_form_and_back(made: Made) -> None:
    client = made.remote()
    answer = client.request("GET", "/administration/events?level=error")
    assert answer.status_code == 303
    to = answer.headers["location"]
    assert to == "/sign-in?next=%2Fadministration%2Fevents%3Flevel%3Derror"
    form = client.request("GET", to).text
    assert 'name="next" value="/administration/events?level=error"' in form
    data = {"username": made.init.admin_user, "password": made.init.admin_password, "next": "/administration/events"}
    assert client.request("POST", "/sign-in", data=data).headers["location"] == "/administration/events"


def test_signing_in_leads_nowhere_else_than_here(made: Made) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example", "evil", ""):
        data = {"username": made.init.admin_user, "password": made.init.admin_password, "next": elsewhere}
        assert made.remote().request("POST", "/sign-in", data=data).headers["location"] == "/"


def test_a_session_shows_the_dashboard_and_signing_out_ends_it(made: Made) -> None:
    client = made.remote()
    form = {"username": made.init.admin_user, "password": made.init.admin_password}
    answer = client.request("POST", "/sign-in", data=form)
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=strict"):
        assert word in cookie
    client.cookies = {"sid": answer.cookies["sid"]}
    page = client.request("GET", "/").text
    assert "Dashboard" in page
    assert client.connection is not None
    assert client.connection.who == "user:admin"
    assert client.get("/api/tls/minimum")["minimum"] == "TLSv1.2"
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert token is not None
    assert client.request("POST", "/sign-out", data={"csrf": token[1]}).status_code == 303
    ended = client.request("GET", "/")
    assert (ended.status_code, ended.headers["location"]) == (303, "/sign-in?ended=1")


def test_a_wrong_password_says_so_and_nothing_more(made: Made) -> None:
    form = {"username": "nobody<b>", "password": "wrong"}
    answer = made.remote().request("POST", "/sign-in", data=form)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "nobody&lt;b&gt;" in answer.text
    assert "set-cookie" not in answer.headers


def test_another_sites_page_cannot_use_a_session(made: Made) -> None:
    client = Console.of(made).client
    foreign = client.request("POST", "/api/tls/minimum", json={"floor": "TLSv1"}, headers={"origin": "https://evil"})
    assert foreign.status_code == 403
    own = client.request("POST", "/api/tls/minimum", json={"floor": "x"}, headers={"origin": "https://manager"})
    assert own.status_code == 400


def test_a_form_without_the_sessions_token_changes_nothing(made: Made) -> None:
    console = Console.of(made)
    for token in ("", "0" * 64, "ä"):
        answer = console.client.request("POST", "/sign-out", data={"csrf": token})
        assert answer.status_code == 403
        assert "nothing was changed" in answer.text
    console.get("/")
    other = Console.of(made)
    assert console.client.request("POST", "/sign-out", data={"csrf": other.csrf}).status_code == 403


def test_a_part_that_is_fetched_after_the_session_ended_leads_to_the_form(made: Made) -> None:
    client = made.remote()
    client.cookies = {"sid": "gone"}
    answer = client.request("GET", "/", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/sign-in?ended=1")


def test_files_are_served_for_ever_under_an_address_that_changes_with_them(made: Made) -> None:
    page = Console.of(made).get("/")
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(found) == 4
    for path in found:
        assert re.search(r"\?[0-9a-f]{12}$", path)
        answer = made.remote().request("GET", path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        if "vendor" not in path and not path.startswith("/static/mark.svg"):
            assert "http:" not in answer.text
            assert "https:" not in answer.text


def test_nothing_else_of_the_folder_is_served(made: Made) -> None:
    for path in ("/static/../frame.py", "/static/%2e%2e/frame.py", "/static/vendor/htmx.min.js.integrity", "/static/"):
        assert made.remote().request("GET", path).status_code == 404


def test_pages_hold_no_script_and_no_style_of_their_own(made: Made) -> None:
    console = Console.of(made)
    page = console.get("/")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
    policy = console.client.request("GET", "/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_browsers_are_told_to_stay_with_tls_once_a_certificate_was_set(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "strict-transport-security" not in made.remote().request("GET", "/sign-in").headers
    monkeypatch.setattr(made.backend.services.certificates, "is_own", lambda: True)
    answer = Client(create_app(made.backend), GateConnection()).request("GET", "/sign-in")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_times_are_in_the_readers_zone_with_its_name() -> None:
    moment = 1_795_000_000.0
    berlin = texts.when(moment, texts.zone("Europe%2FBerlin"))
    assert 'datetime="2026-11-18T11:06:40Z"' in berlin
    assert "2026-11-18 12:06:40 <small>CET</small>" in berlin
    assert "UTC" in texts.when(moment, texts.zone("../../etc/passwd"))
    assert "UTC" in texts.when(moment, texts.zone("Nowhere/Else"))
    assert texts.when(None) == "–"


def test_a_file_for_a_spreadsheet_holds_no_formula() -> None:
    assert texts.cell("=1+1") == "'=1+1"
    assert texts.cell("@x") == "'@x"
    assert texts.cell(5) == "5"
    assert texts.cell(None) == ""


def test_numbers_are_written_for_people() -> None:
    assert texts.count(100000) == "100\u202f000"
    assert texts.plural(1, "computer") == "1 computer"
    assert [texts.span(value) for value in (5, 150, 7300, 200000)] == ["5 s", "2 min", "2 h", "2 d"]
    assert [texts.size(value) for value in (5, 2048, 5 << 20)] == ["5 B", "2.0 KiB", "5.0 MiB"]
