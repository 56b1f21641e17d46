"""The frame in a real browser: signing in, the reader's zone, keys, light and dark, a lost connection, axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.manager import Manager

from plimsoll.manager.web import navigation

SCREENS = [entry.path for group in navigation.GROUPS for entry in group.entries]


def test_the_form_says_what_is_wrong_and_leads_where_one_wanted_to_go(browser: Browser, running: Manager) -> None:
    with tab(browser, running) as page:
        page.goto("/administration/events?level=info")
        accessible(page)
        page.get_by_label("User").fill(running.admin_user)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("user or password is wrong")
        page.get_by_label("Password").fill(running.admin_password)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile(r"/administration/events\?level=info$"))


def test_times_are_in_the_readers_zone(admin: Page) -> None:
    admin.goto("/administration/events")
    expect(admin.get_by_text("times in Europe/Berlin")).to_be_visible()
    expect(admin.locator("tbody time small").first).to_have_text(re.compile("CET|CEST"))


def test_searching_changes_the_address_and_back_works(admin: Page) -> None:
    admin.goto("/administration/events")
    admin.keyboard.press("/")
    admin.keyboard.type("signed in")
    expect(admin).to_have_url(re.compile(r"q=signed"))
    expect(admin.locator("tbody tr").first).to_contain_text("User Signed In")
    admin.get_by_label("Search").fill("there is no such event")
    expect(admin.get_by_role("heading", name="No event fits")).to_be_visible()
    admin.go_back()
    expect(admin.locator("tbody tr").first).to_contain_text("User Signed In")


def test_light_and_dark_are_chosen_and_kept(admin: Page) -> None:
    admin.emulate_media(color_scheme="light")
    admin.get_by_role("button", name="Light or dark").click()
    expect(admin.locator("html")).to_have_attribute("data-theme", "dark")
    admin.goto("/administration/audit")
    expect(admin.locator("html")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("path", SCREENS)
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(path: str, admin: Page) -> None:
    admin.goto(path)
    accessible(admin)
    fits(admin)
    admin.emulate_media(color_scheme="dark")
    accessible(admin)
    admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
    fits(admin)


def test_what_happens_shows_by_itself_and_a_lost_connection_too(browser: Browser, running: Manager) -> None:
    with tab(browser, running) as page:
        sign_in(page, running.admin_user, running.admin_password)
        page.goto("/administration/events?q=Floor")
        expect(page.get_by_text("No event fits")).to_be_visible()
        running.set_floor("TLSv1.3", "gui")
        expect(page.locator("tbody tr").first).to_contain_text("TLS Floor Changed")
        running.stop()
        expect(page.get_by_text("The connection to the manager is lost")).to_be_visible()
        running.start()
        expect(page.get_by_text("The connection to the manager is lost")).to_be_hidden()
