"""A floor goes up by the assistant: the blockers by name, an exception, a shadow, the stages, a proof, and back."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.browsing import NARROW, accessible, fits, sign_in, tab
from tests.support.manager import Manager, manager, peer

OLD = "old-1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager that allows early TLS, an agent of 9.6 and one of 12.0, which heartbeat each second."""
    folder = tmp_path_factory.mktemp("change")
    with manager(folder / "home") as made, contextlib.ExitStack() as peers:
        made.quick_policy(1, missedHeartbeats=5)
        made.set_minimum("TLSv1")
        for number, (name, version) in enumerate([(OLD, "9.6.2"), ("new-1", "12.0")]):
            at = peer(made, folder / name, version, address=f"127.0.3.{number + 1}", more=["--name", name])
            peers.enter_context(at)
        for name in (OLD, "new-1"):
            made.computer(name)
        yield made


@pytest.fixture
def page(browser: Browser, running: Manager) -> Iterator[Page]:
    with tab(browser, running) as opened:
        opened.on("dialog", lambda dialog: dialog.accept())
        sign_in(opened, running.admin_user, running.admin_password)
        yield opened


@pytest.mark.rule("R12")
def test_the_assistant_names_who_is_in_the_way_and_forces_nothing_by_one_press(page: Page, running: Manager) -> None:
    page.get_by_role("link", name="Changes").click()
    expect(page.get_by_role("heading", name="No change yet")).to_be_visible()
    accessible(page)
    page.get_by_role("link", name="Begin with the assistant").click()
    expect(page.locator("#advice")).to_contain_text("Recommended")
    expect(page.get_by_role("radio", name=re.compile("TLSv1.2 and newer"))).to_be_checked()
    accessible(page)
    for point in ("Relays", "Agents"):
        page.get_by_role("checkbox", name=re.compile(point)).uncheck()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#judged")).to_contain_text("1 part of the fleet would be cut off")
    row = page.locator("#found tbody tr")
    expect(row).to_contain_text(OLD)
    expect(row).to_contain_text("it offers at most TLSv1")
    expect(row).to_contain_text("upgrade the agent to 10.0 or newer")
    accessible(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="download all as CSV").click()
    assert f"blocker,{OLD}," in saved.value.path().read_text()
    page.get_by_label("Search these names").fill("nobody is called so")
    expect(page.get_by_role("heading", name="No name fits")).to_be_visible()
    page.go_back()
    expect(row).to_contain_text(OLD)

    page.get_by_role("link", name="5. Start").click()
    start = page.get_by_role("button", name="Start anyway")
    expect(page.locator("fieldset.bad")).to_contain_text(OLD)
    start.click()
    page.get_by_label(re.compile("Force it")).check()
    start.click()
    assert running.get("/api/tls/changes")["changes"] == [], "neither without the box nor without a reason"
    accessible(page)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    fits(page)


@pytest.mark.rule("G2")
def test_from_early_tls_to_a_proof_and_back(page: Page, running: Manager, tmp_path: Path) -> None:
    page.goto("/changes/new/preflight?to=TLSv1.2&point=heartbeat&point=gui")
    page.get_by_role("link", name="Add an exception").click()
    page.get_by_label("Reason").fill("its upgrade is planned")
    page.get_by_role("button", name="Add the exception").click()
    expect(page.locator("#judged")).to_contain_text("Nobody would be cut off")
    expect(page.locator("#judged")).to_contain_text("its upgrade is planned")
    page.get_by_role("link", name="Next: try it in shadow").click()
    page.get_by_role("button", name="Set the shadow floor").click()
    expect(page.locator("#shadow")).to_contain_text("Counting since")
    accessible(page)
    page.get_by_role("link", name="Next: the plan").click()
    page.get_by_label("Each stage lasts").fill("soon")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("alert").filter(has_text="Not yet")).to_contain_text("length of time")
    accessible(page)
    page.get_by_label("Each stage lasts").fill("1 s")
    page.get_by_label("Canary").fill("1")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="What will happen")).to_be_visible()
    page.get_by_role("button", name="Start: raise to TLSv1.2").click()

    expect(page.locator("#change")).to_contain_text("Heartbeat canary")
    accessible(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".verdict")).to_contain_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".verdict")).to_contain_text("done", timeout=60_000)
    expect(page.locator(".verdict")).to_contain_text("proved")
    assert {running.floors()[point] for point in ("heartbeat", "gui")} == {"TLSv1.2"}

    page.get_by_role("button", name="Make the signed proof").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Signed bundle").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        archive.extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    with page.expect_download() as key:
        page.goto("/reports")
        page.get_by_role("link", name="key.pem").click()
    key.value.save_as(tmp_path / "key.pem")
    checked = running.cli("proof", "verify", folder, "--key", tmp_path / "key.pem")
    assert checked.returncode == 0, checked.stderr

    page.goto("/changes/1")
    accessible(page)
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    fits(page)
    page.get_by_role("button", name="Roll back").click()
    expect(page.locator(".verdict")).to_contain_text("taken back")
    assert set(running.floors().values()) == {"TLSv1"}


@pytest.mark.rule("R16")
def test_lowering_has_words_of_its_own(page: Page, running: Manager) -> None:
    running.set_floor("TLSv1.2", "gui", force=True, reason="to lower it")
    page.goto("/changes/new?to=TLSv1&point=gui")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("heading", name="What TLSv1 lets in again")).to_be_visible()
    accessible(page)
    page.get_by_role("link", name="Next: the plan").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Lower to TLSv1").click()
    expect(page.locator(".verdict")).to_contain_text("done")
    assert running.floors()["gui"] == "TLSv1"
