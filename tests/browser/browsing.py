"""What browser tests share: tabs that hear every fault of a page, signing in, axe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from tests.support.manager import HOST, Manager

EXECUTABLE = "/usr/bin/chromium"
#: Root has no sandbox; and nothing of the browser's own may look for a network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
#: Milliseconds: a busy machine is slow, and waiting costs nothing where all is well.
PATIENCE = 30_000
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}


@contextlib.contextmanager
def tab(browser: Browser, on: Manager, **options: Any) -> Iterator[Page]:
    """A page in a context of its own. What its scripts, styles and policies complain of fails the test at the end."""
    settings: dict[str, Any] = {"viewport": WIDE, "timezone_id": "Europe/Berlin", "locale": "en-GB"}
    context = browser.new_context(
        base_url=f"https://{HOST}:{on.gui_port}", ignore_https_errors=True, **(settings | options)
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" and _ours(said.text) else None)
    try:
        yield page
        assert not faults, faults
    finally:
        context.close()


def _ours(text: str) -> bool:
    """The browser and htmx also note refusals (403, 409 …) and a manager that is away: no faults of a page."""
    return not text.startswith(("Failed to load resource", "htmx:", "Response Status Error")) and "/live" not in text


def sign_in(page: Page, user: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    # By the element: on a narrow screen the menu is closed, and has no role then.
    expect(page.locator("nav[aria-label=Main]")).to_be_attached()


def accessible(page: Page) -> None:
    """Axe finds nothing serious on the page as it is."""
    found = axe(page)
    assert not found, "\n".join(found)


def axe(page: Page) -> list[str]:
    """What axe finds serious or critical: the rule, its help, and the first places."""
    page.evaluate(AXE.read_text())  # evaluated by the browser's own door: a page's policy would refuse a script
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {one['id']} ({one['impact']}): {one['help']}: "
        + "; ".join(node["html"][:160] for node in one["nodes"][:3])
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def fits(page: Page) -> None:
    """Nothing but a list in its own frame is wider than the screen."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px wider than the screen"
