"""The resident agent's part: it takes news home, says what it holds, and lets a child download.

What was refused becomes an event for each source and kind, so that a hostile relay is known by name on the manager.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path

from plimsoll.agent.home import Home
from plimsoll.agent.session import Session
from plimsoll.agent.software import fetching
from plimsoll.agent.software.fetching import Fetched, Progress, Refusal, SoftwareError, Wish
from plimsoll.agent.software.shelf import Shelf
from plimsoll.agent.threads import in_thread
from plimsoll.agent.upgrade import DISK, DOWNLOAD, UpgradeError
from plimsoll.messages import SoftwareNews, SoftwareState, UpgradeOrder
from plimsoll.messages.release import ReleaseError

_log = logging.getLogger("plimsoll.agent")


class Software:
    """In the loop, but for what it says itself."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._shelf = Shelf(home.path)
        self._news: list[SoftwareNews] = []
        self._complaint = ""
        #: What the next heartbeat says.
        self.state: SoftwareState = self._shelf.state()

    def hear(self, news: SoftwareNews | None) -> None:
        """What a heartbeat brought; `settle` stores it."""
        if news is not None:
            self._news.append(news)

    async def settle(self, session: Session) -> None:
        """Stores what is new. Release keys that do not follow ours are refused with an event, once."""
        while self._news:
            news = self._news.pop(0)
            try:
                following = self._shelf.take(news)
                if following:
                    await in_thread(partial(fetching.follow, self._home.path, following))
                    _log.info("other release keys count now, as those before them said")
            except (SoftwareError, ReleaseError) as error:
                self._complain(session, str(error))
            except OSError as error:
                _log.error("cannot write to %s (%s)", self._home.path, error)
            else:
                self._complaint = "" if news.trust else self._complaint
            self.state = self._shelf.state()

    async def fetch(self, session: Session, wish: Wish, progress: Progress | None = None) -> Fetched:
        """The package, verified. Raises SoftwareError. What was refused on the way is reported either way."""
        try:
            fetched = await in_thread(partial(fetching.fetch, self._home.path, wish, progress))
        except SoftwareError as error:
            report(session, error.refusals or [Refusal(number=error.number, source="", text=str(error))])
            raise
        report(session, fetched.refusals)
        return fetched

    def _complain(self, session: Session, why: str) -> None:
        if why != self._complaint:
            self._complaint = why
            _log.error("%s", why)
            session.record(fetching.SIGNATURE_INVALID, why, time.time())


async def fetch_package(software: Software, session: Session, order: UpgradeOrder, folder: Path) -> Path:
    """The package of an order to upgrade. It lies on our own shelf, and not in the folder. Raises UpgradeError."""
    wish = Wish(target=order.target, version=order.version, length=order.length, sha256=order.sha256)
    try:
        return Path((await software.fetch(session, wish)).path)
    except SoftwareError as error:
        code = DISK if error.number == fetching.DISK_FULL else DOWNLOAD
        raise UpgradeError(code, str(error)) from None


def report(session: Session, refusals: list[Refusal] | tuple[Refusal, ...]) -> None:
    """One event for each source and kind of refusal."""
    for refusal in {(one.source, one.number): one for one in refusals}.values():
        where = f" from {refusal.source}" if refusal.source else ""
        _log.error("software%s was refused (%d): %s", where, refusal.number, refusal.text)
        if refusal.number:
            session.record(refusal.number, f"Software{where} was refused: {refusal.text}", time.time())


def report_troubles(session: Session, troubles: dict[str, str]) -> None:
    """A relay that has no room for packages is no use to its group: its manager hears of it."""
    if "room" in troubles:
        session.record(fetching.DISK_FULL, f"This relay cannot mirror software: {troubles['room']}", time.time())
