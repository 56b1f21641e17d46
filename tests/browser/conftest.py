"""Debian's Chromium, a manager that runs, and pages of it that are signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.browsing import ARGUMENTS, EXECUTABLE, sign_in, tab
from tests.support.manager import Manager, manager


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one module: while it is there its loop counts as running, and no other test could run one of its own."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A fresh manager, shared by the tests of one module."""
    with manager(tmp_path_factory.mktemp("manager") / "home") as made:
        yield made


@pytest.fixture
def admin(browser: Browser, running: Manager) -> Iterator[Page]:
    """A page of the administrator, on the dashboard. Errors in its console fail the test."""
    with tab(browser, running) as page:
        sign_in(page, running.admin_user, running.admin_password)
        yield page
