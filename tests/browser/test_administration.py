"""Administration in a real browser, with real peers: exceptions, keys, scripts, Relay Management, auditors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.agents import activate, agent
from tests.support.manager import Manager
from tests.support.process import free_ports
from tests.support.releases import Publisher
from tests.support.tools import SClient, s_client, s_client_early
from tests.unit.manager.web.forms import FORMS

from plimsoll.manager.ports import ROLES, Role
from plimsoll.manager.web import navigation

EXCEPTED, OTHER = "127.0.0.81", "127.0.0.82"
SCREENS = [entry.path for group in navigation.GROUPS for entry in group.entries]
#: Screens that no menu leads to.
OTHERS = (
    "/administration/system-settings/tls/floor?point=all&to=TLSv1.3",
    "/administration/system-settings/tls/ciphers?point=gui&ciphers=strong",
    "/administration/system-settings/tls/shadow",
    "/administration/system-settings/exceptions/new",
    "/administration/users/new",
    "/administration/users/admin",
    "/administration/api-keys/1",
    "/administration/updates/relays/groups/1",
    "/administration/updates/deployment-scripts/tokens",
    "/administration/certificates/ca",
    "/administration/scheduled-tasks/new",
)
#: Forms that everybody may send: they change nothing of the fleet or its manager.
READING = {path for path, form in FORMS.items() if form.permission is None or form.permission in ROLES[Role.AUDITOR]}


def _early(port: int, source: str) -> SClient:
    return s_client(port, "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-bind", f"{source}:0")


@pytest.fixture(scope="module")
def relays(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Two real relays at their release's default floor of 1.2, by name with their ports."""
    running.quick_policy()
    ports = dict(zip(("relay-east", "relay-west"), free_ports(2), strict=True))
    with ExitStack() as started:
        for name, port in ports.items():
            home = tmp_path_factory.mktemp(name) / "home"
            more = ("--relay", "--relay-port", str(port), "--name", name)
            activate(running, home, *more, token=running.new_token())
            started.enter_context(agent(home))
        yield ports


@pytest.mark.rule("G5")
@pytest.mark.rule("R16")
def test_an_exception_lets_one_source_in_and_nobody_else(admin: Page, running: Manager) -> None:
    port = running.heartbeat_port
    assert _early(port, EXCEPTED).refused_by_version
    admin.goto("/administration/system-settings/exceptions")
    expect(admin.get_by_role("heading", name="There is no exception")).to_be_visible()
    admin.get_by_role("link", name="Add an exception").click()
    admin.get_by_label("or source network").fill(f"{EXCEPTED}/24")
    admin.get_by_label("Lowest version").select_option("TLSv1")
    admin.get_by_label("Reason").fill("line 4 moves in spring")
    admin.get_by_role("button", name="Add the exception").click()
    # What it was refused for, and what was typed is still there.
    expect(admin.get_by_role("alert")).to_contain_text("covers 256")
    expect(admin.get_by_label("Reason")).to_have_value("line 4 moves in spring")
    admin.get_by_label("or source network").fill(EXCEPTED)
    admin.get_by_role("button", name="Add the exception").click()
    row = admin.get_by_role("row").filter(has_text=EXCEPTED)
    expect(row).to_contain_text("in force")
    expect(row).to_contain_text("line 4 moves in spring")
    assert _early(port, EXCEPTED).version == "TLSv1"
    assert _early(port, OTHER).refused_by_version
    admin.on("dialog", lambda asked: asked.accept())
    row.get_by_role("button", name="End now").click()
    expect(admin.get_by_role("heading", name="There is no exception")).to_be_visible()
    assert _early(port, EXCEPTED).refused_by_version


def test_a_key_is_shown_once_and_works(admin: Page, running: Manager) -> None:
    admin.goto("/administration/api-keys")
    admin.get_by_role("link", name="New API key").click()
    admin.get_by_label("Name").fill("inventory script")
    admin.get_by_role("button", name="Create key").click()
    shown = admin.locator("#api-key")
    expect(shown).to_be_visible()
    accessible(admin)
    key = shown.inner_text()
    answer = running.client.get("/api/tls/minimum", headers={"api-secret-key": key})
    assert answer.json()["minimum"] == "TLSv1.2"
    admin.get_by_role("link", name="To the list").click()
    row = admin.get_by_role("row").filter(has_text="inventory script")
    expect(row).to_contain_text("TLSv1.3")  # what the script used just now
    row.get_by_role("link").click()
    expect(admin.get_by_role("heading", name="inventory script")).to_be_visible()
    assert key not in admin.content()


def test_a_package_is_uploaded_and_its_deployment_script_copied(
    browser: Browser, running: Manager, tmp_path: Path
) -> None:
    publisher = Publisher()
    package = publisher.write(tmp_path, b"an agent")
    with tab(browser, running, permissions=["clipboard-read", "clipboard-write"]) as page:
        sign_in(page, running.admin_user, running.admin_password)
        page.goto("/administration/updates/software")
        page.get_by_label("Public key in PEM").fill(publisher.pem)
        page.get_by_role("button", name="Trust it").click()
        expect(page.get_by_text("That release key is trusted")).to_be_visible()
        form = page.locator("form", has=page.get_by_label("Package"))
        form.get_by_label("Package").set_input_files(package)
        form.get_by_label("Release signature").set_input_files(
            {"name": "x.sig", "mimeType": "text/plain", "buffer": publisher.sign(b"another").encode()}
        )
        form.get_by_role("button", name="Upload").click()
        expect(form.get_by_role("alert")).to_contain_text("nothing was kept")
        form.get_by_label("Release signature").set_input_files(f"{package}.sig")
        form.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("row").filter(has_text=package.name)).to_contain_text("12.1.0")

        page.goto("/administration/updates/deployment-scripts")
        accessible(page)
        page.get_by_label("for how many computers").fill("3")
        page.get_by_role("button", name="Make the script").click()
        expect(page.get_by_text("The token in it is shown this once")).to_be_visible()
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#script").text_content()
        assert copied.startswith("#!")
        token = re.search(r"pt1\.[\w.-]+", copied)
        assert token is not None
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "plimsoll-deploy.sh"
        assert Path(download.value.path()).read_text() == copied
        page.goto("/administration/updates/deployment-scripts/tokens")
        expect(page.get_by_role("row").filter(has_text="3 of 3")).to_be_visible()
        assert token[0] not in page.content()


@pytest.mark.rule("R14")
@pytest.mark.rule("R17")
@pytest.mark.rule("G6")
def test_the_policy_goes_to_all_relays_through_relay_management(
    admin: Page, running: Manager, relays: dict[str, int]
) -> None:
    running.set_floor("TLSv1", "relay")
    admin.goto("/")
    admin.get_by_role("link", name="Relay Management").click()
    rows = {name: admin.get_by_role("row").filter(has_text=name) for name in relays}
    for name, row in rows.items():
        expect(row).to_contain_text("waits for Send Policy")
        expect(row.get_by_role("cell").nth(5)).to_contain_text("TLSv1.2")  # what a handshake showed
        assert s_client_early(relays[name]).refused_by_version
    admin.on("dialog", lambda asked: asked.accept())
    admin.get_by_role("button", name="Send Policy to all relays").click()
    expect(admin.get_by_text("2 relays take the policy home")).to_be_visible()
    for name, row in rows.items():
        expect(row).to_contain_text("as required")
        expect(row.get_by_role("cell").nth(5)).to_contain_text("TLSv1.0")
        assert s_client_early(relays[name]).connected


def test_an_auditor_reads_all_and_is_offered_nothing_that_changes(browser: Browser, running: Manager) -> None:
    body = {"username": "audrey", "password": "a long enough password", "role": "auditor"}
    running.post("/api/administrators", body)
    before = running.floors()
    with tab(browser, running) as page:
        sign_in(page, "audrey", body["password"])
        for path in (*SCREENS, *OTHERS):
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            offered = page.eval_on_selector_all(
                "main form[method=post], main form[data-upload]",
                "forms => forms.map(form => form.dataset.upload || form.getAttribute('action'))",
            )
            assert set(offered) <= READING, f"{path} offers {offered}"
        # And one that was made by hand is refused.
        status = page.evaluate(
            """async () => {
              const token = JSON.parse(document.body.getAttribute("hx-headers"))["x-csrf-token"];
              const answer = await fetch("/administration/system-settings/tls/floor", {method: "POST",
                headers: {"x-csrf-token": token, "content-type": "application/x-www-form-urlencoded"},
                body: "point=gui&to=TLSv1.3"});
              return answer.status;
            }"""
        )
        assert status == 403
    assert running.floors() == before


def test_axe_finds_nothing_serious_on_screens_that_no_menu_leads_to(admin: Page) -> None:
    for path in OTHERS:
        admin.set_viewport_size({"width": 1280, "height": 800})
        admin.goto(path)
        accessible(admin)
        fits(admin)
        admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
        fits(admin)
