"""For an auditor: the view for PCI DSS of what is marked as in scope (R10), and a scan of the fleet."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from tests.browser.browsing import NARROW, accessible, fits
from tests.support.manager import Manager


@pytest.mark.rule("R10")
def test_the_view_for_pci_dss_tells_who_in_scope_accepts_early_tls(admin: Page, running: Manager) -> None:
    running.set_floor("TLSv1", "gui")
    admin.goto("/reports/pci")
    expect(admin.get_by_role("heading", name="Nothing is in scope yet")).to_be_visible()
    admin.get_by_role("link", name="Reports").last.click()
    admin.get_by_label("What").select_option("gui")
    admin.get_by_label("Note").fill("card data is seen here")
    admin.get_by_role("button", name="Mark").click()
    expect(admin.locator("#scope tbody tr")).to_contain_text("card data is seen here")
    accessible(admin)

    admin.get_by_role("link", name="PCI view").click()
    admin.get_by_role("button", name="Ask every port now").click()
    port = admin.locator("#pci tbody tr").first
    expect(port).to_contain_text("accepted TLSv1, TLSv1.1")
    expect(port).to_contain_text("does not hold")
    expect(admin.locator("#pci .verdict")).to_contain_text("1 port in scope accepts early TLS")
    accessible(admin)

    running.set_floor("TLSv1.2", "gui")
    admin.get_by_role("button", name="Ask every port now").click()
    expect(admin.locator("#pci .verdict")).to_contain_text("No port in scope accepts early TLS")
    expect(admin.locator("#pci tbody tr").first).to_contain_text("not accepted")

    admin.goto("/reports/pci/print")
    expect(admin.get_by_role("heading", name="PCI DSS: early TLS in scope")).to_be_visible()
    expect(admin.get_by_role("navigation")).to_have_count(0)
    expect(admin.locator("body")).to_contain_text("card data is seen here")
    accessible(admin)
    admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
    fits(admin)


def test_a_scan_of_the_fleet_runs_and_shows_suites_with_grades(admin: Page) -> None:
    admin.get_by_role("link", name="Scans").click()
    admin.get_by_role("link", name="New scan").click()
    accessible(admin)
    admin.get_by_label("How much").select_option("sweep")
    admin.get_by_role("button", name="Start the scan").click()
    expect(admin.locator(".verdict")).to_contain_text("done")
    expect(admin.locator("#scan tbody tr")).to_have_count(2)
    accessible(admin)
    admin.get_by_role("link", name="Accept early TLS").click()
    expect(admin.get_by_role("heading", name="None")).to_be_visible()
    admin.get_by_role("link", name="All", exact=True).click()
    admin.locator("#scan tbody a").first.click()
    expect(admin.get_by_role("heading", name="Suites of TLSv1.2")).to_be_visible()
    expect(admin.get_by_role("heading", name="Certificates")).to_be_visible()
    accessible(admin)
    admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
    fits(admin)
    admin.goto("/scans/1/pci")
    expect(admin.locator("tbody tr").first).to_contain_text("in scope")
    accessible(admin)
    admin.goto("/scans/1/diff")
    expect(admin.get_by_role("heading", name="No earlier scan")).to_be_visible()
    admin.goto("/scans/1")
    admin.on("dialog", lambda dialog: dialog.accept())
    admin.get_by_role("button", name="Delete").click()
    expect(admin.get_by_text(re.compile("Scan 1 is gone"))).to_be_visible()
