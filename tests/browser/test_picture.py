"""Both pictures of the reference in a browser (R19), with peers that really speak what they are drawn with."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.manager import Manager, peer
from tests.support.process import eventually
from tests.support.tools import s_client_early


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """Early TLS allowed; an agent of 10.0 and one of 9.6; a program of today and one that speaks TLS 1.0 only."""
    running.set_minimum("TLSv1")
    folder = tmp_path_factory.mktemp("peers")
    with contextlib.ExitStack() as peers:
        peers.enter_context(peer(running, folder / "new-1", "10.0", address="127.41.0.1"))
        peers.enter_context(peer(running, folder / "old-1", "9.6", address="127.41.0.2"))
        assert s_client_early(running.gui_port).connected
        running.get("/api/computers")
        yield running


def line(page: Page, who: str, come: str, section: str = "h-now") -> Locator:
    """The link of that line in a picture."""
    return page.locator(f"section[aria-labelledby={section}] svg").get_by_role(
        "link", name=re.compile(f"^{who} to manager, .*: {come}")
    )


@pytest.mark.rule("R19")
def test_before_and_after_a_raise(browser: Browser, fleet: Manager) -> None:
    with tab(browser, fleet) as page:
        sign_in(page, fleet.admin_user, fleet.admin_password)
        page.goto("/picture")
        # The second of the reference's pictures: everybody talks, each with the newest that it knows.
        for who, version in (
            ("agents 10.0 and newer", "TLSv1.2"),
            ("agents before 10.0", "TLSv1.0"),
            ("newer programs", "TLSv1.3"),
            ("older programs", "TLSv1.0"),
        ):
            expect(line(page, who, version)).to_be_visible()
        accessible(page)

        # As it would be, before anything is raised: who would be cut off is named behind the line.
        page.get_by_role("link", name="At TLSv1.2", exact=True).click()
        expect(page.get_by_text("Would be cut off")).to_be_visible()
        expect(line(page, "agents before 10.0", "refused", "h-then")).to_be_visible()
        expect(line(page, "agents before 10.0", "TLSv1.0")).to_be_visible()
        accessible(page)
        line(page, "agents before 10.0", "refused", "h-then").click()
        expect(page.get_by_role("cell", name="old-1")).to_be_visible()
        expect(page.get_by_text("new-1")).to_have_count(0)
        accessible(page)

        # The first of the pictures, by itself, once the floor is raised.
        page.goto("/picture")
        fleet.set_minimum("TLSv1.2", force=True, reason="the story of the two pictures")
        for who in ("agents before 10.0", "older programs"):
            expect(line(page, who, "refused, speaks at most TLSv1")).to_be_visible()
        expect(line(page, "agents 10.0 and newer", "TLSv1.2")).to_be_visible()
        expect(line(page, "newer programs", "TLSv1.3")).to_be_visible()
        row = page.get_by_role("row").filter(has_text="agents before 10.0").filter(has_text="manager").first
        expect(row).to_contain_text("speaks at most TLSv1, the floor is TLSv1.2")

        # The dashboard names who was refused, and says what to do.
        eventually(lambda: "old-1" in str(fleet.get("/api/events", limit=50)), "the refusal is told")
        page.goto("/")
        refusals = page.locator("section[aria-labelledby=h-refusals]")
        expect(refusals).to_contain_text("old-1")
        expect(page.locator(".needs")).to_contain_text("1 computer cannot talk to the manager: old-1")

        # Where there is no room, the same as a list.
        page.set_viewport_size(NARROW)  # type: ignore[arg-type]
        page.goto("/picture?floor=TLSv1")
        listed = page.locator("section[aria-labelledby=h-now] ul.lines li")
        expect(listed.filter(has_text="agents before 10.0 → manager")).to_contain_text("refused")
        fits(page)
        accessible(page)
