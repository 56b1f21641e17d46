"""Computers in a real browser: Send Policy by R14's own path to a real relay, searching, many at once, an auditor."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.agents import activate, agent
from tests.support.manager import Manager, peer
from tests.support.process import eventually, free_ports

PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A relay and an agent that run, and an agent that speaks TLS 1.0 only."""
    running.quick_policy()
    running.set_minimum("TLSv1")
    folder = tmp_path_factory.mktemp("peers")
    (port,) = free_ports(1)
    activate(running, folder / "relay", "--relay", "--relay-port", str(port), "--name", "east-relay")
    with (
        agent(folder / "relay"),
        peer(running, folder / "web", "12.0.0", address="127.0.0.32"),
        peer(running, folder / "till", "9.6.2", address="127.0.0.33"),
    ):
        yield running


def named(fleet: Manager, kind: str, version: str = "12.0.0") -> dict[str, object]:
    def look() -> dict[str, object] | None:
        found = [one for one in fleet.computers().values() if one["kind"] == kind and one["agentVersion"] == version]
        return found[0] if found and found[0]["lastAgentCommunication"] else None

    return eventually(look, f"a {kind} {version} brings a heartbeat")


@pytest.mark.rule("R14")
def test_the_policy_is_sent_to_one_relay_by_the_actions_of_its_details(fleet: Manager, admin: Page) -> None:
    relay = named(fleet, "relay")
    admin.get_by_role("link", name="Computers", exact=True).click()
    admin.get_by_label("Kind").select_option("relay")
    admin.get_by_role("link", name="east-relay", exact=True).click()
    expect(admin.get_by_role("navigation", name="Details of this computer")).to_be_visible()
    admin.get_by_role("link", name="Actions").click()
    # Its floor went to TLS 1.0 in the base policy, and nothing has sent it (R14).
    expect(admin.get_by_text("Policy waits to be sent")).to_be_visible()
    accessible(admin)
    admin.get_by_role("button", name="Send Policy").click()
    expect(admin.get_by_text("The policy is on its way")).to_be_visible()
    # The screen follows by itself until the relay holds it.
    expect(admin.get_by_text("The policy that was sent is held")).to_be_visible()
    shown = next(one for one in fleet.get("/api/tls/relays")["relays"] if one["ID"] == relay["ID"])
    assert (shown["pending"], shown["sent"]) == (False, "TLSv1")
    for path in ("", "/tls", "/interfaces", "/events", "/settings"):
        admin.goto(f"/computers/{relay['ID']}{path}")
        accessible(admin)
        fits(admin)


def test_a_search_is_an_address_and_many_are_moved_at_once(fleet: Manager, admin: Page) -> None:
    till = named(fleet, "agent", "9.6.2")
    admin.goto("/computers/groups")
    admin.get_by_label("Name").fill("Tills")
    admin.get_by_role("button", name="Make the group").click()
    expect(admin.get_by_role("link", name="Tills")).to_be_visible()
    accessible(admin)
    admin.goto("/computers")
    expect(admin.locator("tbody tr")).to_have_count(3)
    admin.keyboard.press("/")
    admin.keyboard.type("127.0.0.33")
    expect(admin.locator("tbody tr")).to_have_count(1)
    expect(admin).to_have_url(re.compile(r"/computers\?q=127\.0\.0\.33$"))
    admin.get_by_label("Offered TLS").select_option("<TLSv1.2")
    expect(admin).to_have_url(re.compile(r"offered=(%3C|<)TLSv1\.2"))
    admin.get_by_label("Choose all of this page").check()
    admin.get_by_role("button", name="Move to group").click()
    expect(admin.get_by_role("heading", name="Move to group: 1 computer")).to_be_visible()
    accessible(admin)
    admin.get_by_label("Group", exact=True).select_option(label="Tills")
    admin.get_by_role("button", name="Move 1 computer").click()
    expect(admin.get_by_text("1 computer moved.")).to_be_visible()
    expect(admin.locator("tbody tr")).to_have_count(1)
    admin.goto(f"/computers/{till['ID']}/tls")
    expect(admin.get_by_role("row", name=re.compile("TLSv1.2.*blocker"))).to_contain_text("it offers at most")
    admin.goto(f"/computers/chosen?action=deactivate&c={till['ID']}")
    expect(admin.get_by_role("listitem").filter(has_text=str(till["hostName"]))).to_be_visible()
    accessible(admin)
    admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
    for path in ("/computers", "/policies", "/policies/1", f"/computers/{till['ID']}/actions"):
        admin.goto(path)
        fits(admin)


def test_a_floor_of_a_policy_is_changed_on_the_page_with_the_names(fleet: Manager, admin: Page) -> None:
    named(fleet, "agent", "9.6.2")
    admin.goto("/policies/1")
    accessible(admin)
    admin.get_by_label("Relay floor, of 4122").select_option("TLSv1.2")
    admin.get_by_role("button", name="Show who would be cut off").click()
    expect(admin.get_by_text("1 blocker")).to_be_visible()
    accessible(admin)
    admin.get_by_role("button", name="Change the policy").click()
    expect(admin.get_by_role("alert")).to_contain_text("would cut off")
    admin.get_by_label("Go on although").check()
    admin.get_by_label("Why").fill("the till is retired")
    admin.get_by_role("button", name="Change the policy").click()
    expect(admin.get_by_text("It says so now. 2 computers wait")).to_be_visible()


def test_an_auditor_sees_all_and_has_nothing_to_press(browser: Browser, fleet: Manager) -> None:
    body = {"username": "audra", "password": PASSWORD, "role": "auditor"}
    fleet.client.post("/api/administrators", json=body)
    relay = named(fleet, "relay")
    with tab(browser, fleet) as page:
        sign_in(page, "audra", PASSWORD)
        for path in ("/computers", f"/computers/{relay['ID']}", f"/computers/{relay['ID']}/actions", "/policies/1"):
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            main = page.get_by_role("main")
            expect(main.get_by_role("button")).to_have_count(0)
            expect(main.get_by_role("checkbox")).to_have_count(0)
            accessible(page)
