"""The status page and its sign-in."""

from __future__ import annotations

from tests.unit.manager.api.conftest import Made


def test_without_a_session_there_is_only_the_form(made: Made) -> None:
    answer = made.remote().request("GET", "/")
    assert answer.status_code == 200
    assert 'name="password"' in answer.text
    assert "Floors" not in answer.text


def test_signing_in_shows_floors_and_signing_out_ends_it(made: Made) -> None:
    client = made.remote()
    form = {"username": made.init.admin_user, "password": made.init.admin_password}
    answer = client.request("POST", "/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "Secure", "SameSite=strict"):
        assert word in cookie
    client.cookies = {"sid": answer.cookies["sid"]}
    page = client.request("GET", "/").text
    for word in ("Floors", "Computers", "Relays", "Latest events", "TLSv1.2"):
        assert word in page
    assert client.connection is not None
    assert client.connection.who == "user:admin"
    assert client.get("/api/tls/minimum")["minimum"] == "TLSv1.2"
    client.request("POST", "/sign-out")
    assert "Floors" not in client.request("GET", "/").text


def test_a_wrong_password_says_so_and_nothing_more(made: Made) -> None:
    form = {"username": "nobody<b>", "password": "wrong"}
    answer = made.remote().request("POST", "/sign-in", data=form)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "nobody&lt;b&gt;" in answer.text
    assert "set-cookie" not in answer.headers


def test_another_sites_page_cannot_use_a_session(made: Made) -> None:
    client = made.remote()
    form = {"username": made.init.admin_user, "password": made.init.admin_password}
    client.cookies = {"sid": client.request("POST", "/sign-in", data=form).cookies["sid"]}
    body = {"floor": "TLSv1"}
    foreign = client.request("POST", "/api/tls/minimum", json=body, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    own = client.request("POST", "/api/tls/minimum", json={"floor": "x"}, headers={"origin": "https://manager"})
    assert own.status_code == 400


def test_the_style_is_served_from_here(made: Made) -> None:
    answer = made.remote().request("GET", "/static/plimsoll.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "http" not in answer.text
