"""Signing in to a running manager: through a real identity provider over TLS, with a second factor, by a browser."""

from __future__ import annotations

import json
import re
import secrets
import ssl
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pyotp
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from tests.support.manager import Manager
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, provider

ROLES = {"tls-admins": "administrator", "audit": "auditor"}
CALLBACK = "/sign-in/oidc/callback"


@pytest.fixture(scope="module")
def issuing(tmp_path_factory: pytest.TempPathFactory, running: Manager) -> Iterator[Provider]:
    with provider(tmp_path_factory.mktemp("provider")) as made:
        made.redirects.add(f"{running.client.base_url}{CALLBACK}".replace("//sign-in", "/sign-in"))
        settings = {
            "issuer": made.issuer,
            "clientId": CLIENT_ID,
            "clientSecret": CLIENT_SECRET,
            "roles": ROLES,
            "ca": made.ca,
            "label": "the test's provider",
        }
        shown = running.post("/api/identityprovider", settings)
        assert shown["hasSecret"] is True and CLIENT_SECRET not in str(shown)
        assert CLIENT_SECRET not in str(running.get("/api/identityprovider")) + str(running.get("/api/audit"))
        assert running.post("/api/identityprovider/check", {})["tokenEndpoint"] == f"{made.issuer}/token"
        yield made


@pytest.fixture
def at(issuing: Provider) -> Provider:
    issuing.honest()
    issuing.person["sub"] = secrets.token_hex(4)
    issuing.person["preferred_username"] = f"olga-{issuing.person['sub']}"
    return issuing


class Browser:
    """Two sites and their cookies, a step at a time."""

    def __init__(self, on: Manager, there: Provider) -> None:
        trust = ssl.create_default_context(cafile=str(on.ca))
        self.here = httpx.Client(base_url=on.client.base_url, verify=trust, timeout=30)
        self.there = httpx.Client(verify=ssl.create_default_context(cadata=there.ca), timeout=30)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.here.close()
        self.there.close()

    def begin(self) -> str:
        """Where the provider sends the browser back to."""
        answer = self.here.get("/sign-in/oidc")
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert all(mark in cookie for mark in ("httponly", "secure", "samesite=lax", "max-age=600"))
        back = self.there.get(answer.headers["location"])
        assert back.status_code == 303, back.text
        return str(back.headers["location"])

    def finish(self, back: str, expect: int = 200) -> str:
        answer = self.here.get(back)
        assert answer.status_code == expect, answer.text
        assert ("sid" in answer.cookies) == (expect == 200)
        return answer.text

    def who(self) -> dict[str, Any]:
        answer = self.here.get("/api/administrators/current/sessions")
        assert answer.status_code == 200, answer.text
        return next(dict(one) for one in answer.json()["sessions"] if one["current"])


def test_a_person_comes_in_by_the_provider_and_gets_the_role_of_its_claim(running: Manager, at: Provider) -> None:
    at.person |= {"groups": ["staff", "audit"], "name": "Olga O."}
    name = at.person["preferred_username"]
    with Browser(running, at) as browser:
        assert "Sign in with the test&#39;s provider" in browser.here.get("/sign-in").text
        page = browser.finish(browser.begin())
        assert 'http-equiv="refresh"' in page
        assert (browser.who()["username"], browser.who()["how"]) == (name, "oidc")
        assert browser.here.get("/").status_code == 200
        user = running.get(f"/api/administrators/{name}")
        assert (user["role"], user["origin"], user["fullName"]) == ("auditor", "oidc", "Olga O.")
        # No password of ours, neither now nor later.
        for password in ("", "a long enough password"):
            assert browser.here.post("/sign-in", data={"username": name, "password": password}).status_code == 401
        running.post(f"/api/administrators/{name}", {"password": "a long enough password"}, expect=409)
        # What the provider says next time holds from then on, whatever a name says: the person is the subject.
        at.person |= {"groups": ["tls-admins", "audit"], "preferred_username": "somebody"}
        browser.finish(browser.begin())
        assert browser.who()["username"] == name
        assert running.get(f"/api/administrators/{name}")["role"] == "administrator"


def test_one_without_a_role_is_refused_and_one_who_lost_it_is_out(running: Manager, at: Provider) -> None:
    with Browser(running, at) as browser:
        at.person["groups"] = ["staff"]
        assert "gives you a role" in browser.finish(browser.begin(), 403)
        assert at.person["preferred_username"] not in str(running.get("/api/administrators"))
        at.person["groups"] = ["audit"]
        browser.finish(browser.begin())
        at.person["groups"] = []
        session = httpx.Cookies(browser.here.cookies)
        browser.finish(browser.begin(), 403)
        browser.here.cookies = httpx.Cookies(session)
        assert browser.here.get("/api/administrators/current/sessions").status_code == 401


def lies(at: Provider, what: str) -> None:
    now = int(time.time())
    foreign = ECKey.generate_key("P-256", {"kid": "one"})
    match what:
        case "nonce":
            at.claims["nonce"] = "of another sign-in"
        case "no nonce":
            at.claims["nonce"] = None
        case "issuer":
            at.claims["iss"] = "https://elsewhere.example"
        case "audience":
            at.claims["aud"] = "another client"
        case "party":
            at.claims |= {"aud": [CLIENT_ID, "another"], "azp": "another"}
        case "expired":
            at.claims |= {"iat": now - 3600, "exp": now - 120}
        case "no expiry":
            at.claims["exp"] = None
        case "future":
            at.claims["iat"] = now + 3600
        case "key":
            at.shown, at.key = [foreign], at.key
        case "no keys":
            at.shown = []
        case "secret as key":
            at.key, at.algorithm = OctKey.import_key(CLIENT_SECRET), "HS256"
            at.shown = [foreign]


@pytest.mark.parametrize(
    "what",
    [
        "nonce", "no nonce", "issuer", "audience", "party", "expired", "no expiry", "future", "key", "no keys",
        "secret as key",
    ],
)  # fmt: skip
def test_a_token_that_does_not_hold_lets_nobody_in(running: Manager, at: Provider, what: str) -> None:
    at.person["groups"] = ["tls-admins"]
    lies(at, what)
    with Browser(running, at) as browser:
        assert "does not hold" in browser.finish(browser.begin(), 401)
    assert at.person["preferred_username"] not in str(running.get("/api/administrators"))


def test_other_keys_of_the_provider_do_as_well(running: Manager, at: Provider) -> None:
    at.person["groups"] = ["audit"]
    at.key, at.algorithm = RSAKey.generate_key(2048, {"kid": "two"}), "PS256"
    at.shown = [ECKey.generate_key("P-256", {"kid": "one"}), at.key]
    with Browser(running, at) as browser:
        browser.finish(browser.begin())


def test_what_was_begun_counts_once_and_in_one_browser(running: Manager, at: Provider) -> None:
    at.person["groups"] = ["audit"]
    with Browser(running, at) as browser, Browser(running, at) as other:
        back = browser.begin()
        asked = len(at.asked)
        assert "not begun in this browser" in other.finish(back, 401)
        other.begin()
        assert "not begun in this browser" in other.finish(back, 401)
        changed = re.sub(r"state=[^&]+", "state=another", back)
        begun = httpx.Cookies(browser.here.cookies)
        assert "not begun" in browser.finish(changed, 401)
        assert at.asked[asked:].count("/token") == 0, "nothing was sent to the provider"
        browser.here.cookies = httpx.Cookies(begun)
        browser.finish(back)
        browser.here.cookies = httpx.Cookies(begun)
        assert "finished already" in browser.finish(back, 401)
        # An answer of another provider, and none at all.
        elsewhere = re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Felsewhere.example", browser.begin())
        assert "another identity provider" in browser.finish(elsewhere, 401)
        at.error = "access_denied"
        assert "access_denied" in browser.finish(browser.begin(), 401)


def test_a_name_that_is_taken_is_not_taken_over(running: Manager, at: Provider) -> None:
    at.person |= {"groups": ["tls-admins"], "preferred_username": running.admin_user}
    with Browser(running, at) as browser:
        assert "somebody else" in browser.finish(browser.begin(), 409)
        form = {"username": running.admin_user, "password": running.admin_password}
        assert browser.here.post("/sign-in", data=form).status_code == 303


def test_a_local_administrator_stays(running: Manager, at: Provider) -> None:
    at.person["groups"] = ["tls-admins"]
    with Browser(running, at) as browser:
        browser.finish(browser.begin())
        for change in ({"role": "auditor"}, {"disabled": True}):
            running.post(f"/api/administrators/{running.admin_user}", change, expect=409)


def test_a_second_factor_is_asked_for_by_the_page(running: Manager, at: Provider) -> None:
    running.post("/api/administrators", {"username": "tilda", "password": "a long enough one", "role": "auditor"})
    form = {"username": "tilda", "password": "a long enough one"}
    factor = "/api/administrators/current/secondfactor"
    with Browser(running, at) as browser:
        assert browser.here.post("/sign-in", data=form).status_code == 303
        own = {"origin": str(browser.here.base_url).rstrip("/")}
        given = browser.here.post(factor, json={"password": form["password"]}, headers=own).json()
        totp = pyotp.TOTP(given["secret"])
        codes = browser.here.post(f"{factor}/confirm", json={"code": totp.now()}, headers=own).json()["recoveryCodes"]
    with Browser(running, at) as browser:
        asked = browser.here.post("/sign-in", data=form)
        assert asked.status_code == 401 and 'name="code"' in asked.text
        assert form["password"] not in asked.text
        found = re.search(r'name="ticket" value="([^"]+)"', asked.text)
        assert found is not None
        wrong = browser.here.post("/sign-in", data={"ticket": found[1], "code": "12345"})
        assert wrong.status_code == 401 and "the code is wrong" in wrong.text
        assert browser.here.post("/sign-in", data={"ticket": "made up", "code": codes[0]}).status_code == 401
        assert browser.here.post("/sign-in", data={"ticket": found[1], "code": codes[0]}).status_code == 303
        assert browser.who()["how"] == "recovery"


def test_a_provider_that_is_not_trusted_is_told_nothing(running: Manager, at: Provider) -> None:
    shown = running.get("/api/identityprovider")["provider"]
    settings = {name: value for name, value in shown.items() if name != "hasSecret"}
    try:
        # Another client at the same provider, without a secret: the former one's is not used for it.
        running.post("/api/identityprovider", settings | {"clientId": "another"}, expect=400)
        running.post("/api/identityprovider", settings | {"ca": ""})
        refused = running.post("/api/identityprovider/check", {}, expect=409)
        assert "certificate is not accepted" in refused["message"]
        with Browser(running, at) as browser:
            answer = browser.here.get("/sign-in/oidc")
            assert answer.status_code == 503 and "sign in with a password" in answer.text
    finally:
        running.post("/api/identityprovider", settings)
    assert running.get("/api/identityprovider")["provider"]["hasSecret"] is True


def test_the_owner_of_the_home_gets_back_in(running: Manager, at: Provider) -> None:
    reset = "/api/administrators/admin/reset"
    assert "own computer" in running.post(reset, {}, expect=403)["message"]
    for _ in range(5):
        with Browser(running, at) as browser:
            wrong = {"username": running.admin_user, "password": "another password"}
            assert browser.here.post("/sign-in", data=wrong).status_code == 401
    with Browser(running, at) as browser:
        form = {"username": running.admin_user, "password": running.admin_password}
        assert browser.here.post("/sign-in", data=form).status_code == 401, "locked"
        made = running.cli("manager", "reset-admin")
        assert made.returncode == 0, made.stderr
        form["password"] = made.stdout.strip()
        assert browser.here.post("/sign-in", data=form).status_code == 303
        assert browser.who()["username"] == running.admin_user
        # Who is no administrator, and who is nobody.
        assert running.cli("manager", "reset-admin", "tilda").returncode == 1
        assert running.cli("manager", "reset-admin", "nobody").returncode == 2
        entry = next(one for one in running.get("/api/audit")["audit"] if one["action"] == "access.reset_administrator")
        assert entry["who"].startswith("socket:uid") and form["password"] not in str(entry)
        running.stop()
        try:
            given = running.home.parent / "given"
            given.write_text("a password of our own\n")
            made = running.cli("manager", "reset-admin", "--password-file", given, "--json")
            assert (made.returncode, json.loads(made.stdout)) == (0, {"username": "admin", "password": None})
        finally:
            running.start()
        assert browser.here.get("/api/administrators/current/sessions").status_code == 401, "its session ended"
        form["password"] = "a password of our own"
        assert browser.here.post("/sign-in", data=form).status_code == 303
