"""One's own account in a real browser: a second factor from picture to sign-in, and the way by an identity provider."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pyotp
from playwright.sync_api import Browser, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.manager import Manager
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, provider

PASSWORD = "a long enough one"


def test_a_second_factor_is_set_up_and_asked_for(browser: Browser, running: Manager) -> None:
    running.post("/api/administrators", {"username": "tilda", "password": PASSWORD, "role": "auditor"})
    with tab(browser, running) as page:
        sign_in(page, "tilda", PASSWORD)
        page.get_by_role("link", name="tilda", exact=True).click()
        accessible(page)
        fits(page)
        page.locator("#b-password").fill(PASSWORD)
        page.get_by_role("button", name="Set up").click()
        expect(page.locator("svg.qr")).to_be_visible()
        accessible(page)
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        fits(page)
        totp = pyotp.TOTP((page.locator("#totp-secret").text_content() or "").replace(" ", ""))
        page.get_by_label("The code that it shows").fill("12345")
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator("#problem")).to_contain_text("the code is wrong")
        expect(page.locator("svg.qr")).to_be_visible()
        page.get_by_label("The code that it shows").fill(totp.at(int(time.time())))
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", name="Your second factor is on")).to_be_visible()
        codes = (page.locator("#recovery-codes").text_content() or "").split()
        accessible(page)
    with tab(browser, running) as page:
        page.goto("/account")
        page.get_by_label("User").fill("tilda")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        code = page.get_by_label("Code of your authenticator")
        expect(code).to_be_focused()
        accessible(page)
        code.fill("000000")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("the code is wrong")
        page.get_by_label("Code of your authenticator").fill(codes[0])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile(r"/account$"))
        expect(page.get_by_text("9 recovery codes are left")).to_be_visible()


def test_a_person_comes_in_by_the_provider(browser: Browser, running: Manager, tmp_path: Path) -> None:
    """The session's cookie is strict: a browser sends it only because our own page leads on."""
    with provider(tmp_path) as there, tab(browser, running) as page:
        page.goto("/sign-in")
        here = re.sub(r"/sign-in$", "", page.url)
        there.redirects.add(f"{here}/sign-in/oidc/callback")
        there.person["groups"] = ["audit"]
        settings = {"issuer": there.issuer, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "ca": there.ca}
        running.post("/api/identityprovider", settings | {"roles": {"audit": "auditor"}, "label": "the provider"})
        page.reload()
        accessible(page)
        page.get_by_role("link", name="Sign in with the provider").click()
        expect(page).to_have_url(f"{here}/")
        expect(page.get_by_role("link", name="olga", exact=True)).to_be_visible()
        page.goto("/account")
        expect(page.get_by_text("You sign in through your identity provider")).to_be_visible()
