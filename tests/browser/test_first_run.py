"""The story of the first run: from an empty manager to its first agent, in the browser and on the computer."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect
from tests.browser.browsing import NARROW, accessible, fits
from tests.support.agents import activate, agent
from tests.support.manager import Manager


def test_first_run_to_first_agent(admin: Page, running: Manager, tmp_path: Path) -> None:
    expect(admin.get_by_role("heading", name="First steps")).to_be_visible()
    expect(admin.get_by_text("No computer is activated yet")).to_be_visible()
    accessible(admin)
    admin.get_by_role("button", name="Create an activation token").click()
    command = admin.locator("#activate")
    expect(command).to_contain_text("plimsoll agent activate")
    accessible(admin)
    shown = command.inner_text()
    token = re.search(r"--token (\S+)", shown)
    assert token is not None
    assert f"--manager dsm://127.0.0.1:{running.heartbeat_port} " in shown

    activate(running, tmp_path / "agent", token=token[1])
    with agent(tmp_path / "agent"):
        # The token stays in sight, and that somebody is there comes by itself.
        there = admin.get_by_role("link", name="Go on with the dashboard")
        expect(there).to_be_visible()
        expect(command).to_contain_text(token[1])
        there.click()
        expect(admin.get_by_text("settled on TLSv1.3")).to_be_visible()
        line = admin.get_by_role("link", name=re.compile("agents 10.0 and newer to manager, .*: TLSv1.3"))
        expect(line).to_be_visible()
        admin.get_by_role("link", name="picture at a higher floor").click()
        expect(admin.get_by_text("Nobody would be cut off who talks now")).to_be_visible()
        admin.go_back()
        expect(line).to_be_visible()
        accessible(admin)
        admin.set_viewport_size(NARROW)  # type: ignore[arg-type]
        fits(admin)
