"""Screenshots of every screen for people to look at: ``python -m tests.browser.shots FOLDER [--computers N] [PATH …]``.

Light, dark and narrow. With computers the fleet is that of the benchmarks, written into the store: nobody calls.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path
from typing import Any

from bench.preflight import rows
from playwright.sync_api import sync_playwright
from sqlalchemy import insert
from tests.browser.browsing import ARGUMENTS, EXECUTABLE, NARROW, WIDE, sign_in, tab
from tests.support.manager import Manager

from plimsoll.manager.home import open_home
from plimsoll.manager.store.tables import computers
from plimsoll.manager.web import navigation

FORMS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": NARROW, "color_scheme": "light"},
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--computers", type=int, default=0)
    parser.add_argument("--forms", nargs="*", default=list(FORMS))
    wanted = parser.parse_args()
    paths = wanted.paths or [entry.path for group in navigation.GROUPS for entry in group.entries]
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        manager = Manager(Path(temporary) / "home")
        if wanted.computers:
            home = open_home(manager.home)
            # On loopback: the manager that runs looks at the relays' ports.
            fleet = [row | {"address": row["address"].replace("10.", "127.", 1)} for row in rows(wanted.computers)]
            home.store.write(lambda connection: connection.execute(insert(computers), fleet))
            home.close()
        manager.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
                for form in wanted.forms:
                    with tab(browser, manager, **FORMS[form]) as page:
                        sign_in(page, manager.admin_user, manager.admin_password)
                        for path in paths:
                            page.goto(path)
                            name = re.sub(r"\W+", "-", path).strip("-") or "dashboard"
                            page.screenshot(path=wanted.folder / f"{name}-{form}.png", full_page=True)
                browser.close()
        finally:
            manager.close()


if __name__ == "__main__":
    main()
