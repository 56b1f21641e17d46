"""An upgrade on its host: download, unpack beside what runs, probe with the new TLS stack, switch, prove or go back.

How it flows: the manager's order arrives as a command and is repeated until it is acknowledged. `Upgrader` writes down
what it does before it does it (``upgrade.json``), so a crash at any step ends with a release that works: before the
switch the old one, which begins anew when the order comes again; after it the new one on trial, which the launcher
leaves for the old one where it does not prove itself. What became of it is acknowledged by whichever release runs then.

An order that the manager takes back (it is missing from an answer) ends here, up to the moment of the switch. Before
that moment the manager is told, in a heartbeat that it answered: so a host that falls silent afterwards, and one that
fell silent for another reason, are told apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec

from plimsoll import RELEASE
from plimsoll.agent import probe
from plimsoll.agent.home import Home
from plimsoll.agent.launched import Launched, is_release
from plimsoll.agent.probe import Probed
from plimsoll.agent.threads import in_thread
from plimsoll.messages import UpgradeOrder, UpgradeReport

_log = logging.getLogger("plimsoll.agent")

FILE = "upgrade.json"

# Codes of an acknowledgement, for programs.
BY_PACKAGE = "by-package"
BAD_ORDER = "bad-order"
DOWNLOAD = "download"
PACKAGE = "package"
DISK = "disk-full"
PROBE_REFUSED = "probe-refused"
PROBE_FAILED = "probe-failed"
INTERRUPTED = "interrupted"
FAILED = "failed"
SWITCHED_BACK = "switched-back"

# States of a report, in their order.
DOWNLOADING, UNPACKING, PROBING, INSTALLING, SWITCHING, WATCHING = (
    "downloading", "unpacking", "probing", "installing", "switching", "watching",
)  # fmt: skip

# Agent events, ours.
UPGRADED, WENT_BACK, NOT_UPGRADED = 5310, 5311, 5312

#: An upgrade that was interrupted so often (by crashes, power cuts) is not begun again.
MOST_ATTEMPTS = 3

#: How often the probe is tried where nobody answers, and the seconds between.
PROBES = 3
PROBE_PAUSE = 5.0

#: Reasons of a probe that say something of the new release: the manager is there and will not have it.
_REFUSALS = frozenset({"refused-by-floor", "certificate", "certificate-ended", "protocol", probe.NOT_RUN, "home"})


class UpgradeError(Exception):
    """The upgrade ends here; what ran goes on running. `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Withdrawn(Exception):  # noqa: N818 - names what happened
    """The manager took the order back. Nothing was switched."""


class Fetch(Protocol):
    """Gets the order's package, verified, as a file in that folder. Raises UpgradeError."""

    def __call__(self, order: UpgradeOrder, folder: Path) -> Awaitable[Path]: ...


class Reporter(Protocol):
    """What the session gives: both calls return once it is durable."""

    def finish(self, command: str, ok: bool, text: str = "", code: str = "") -> None: ...

    def record(self, number: int, text: str, now: float) -> None: ...

    def carried_out(self, command: str) -> bool: ...


class Journal(msgspec.Struct, kw_only=True):
    """The content of ``upgrade.json``: what is under way. `switching` from just before the trial is written."""

    command: str
    order: UpgradeOrder
    from_version: str
    switching: bool = False
    attempts: int = 0


class Upgrader:
    """One agent's upgrades, one at a time. `restart` is set once the launcher is to start us anew.

    `wake` makes the next heartbeat go out at once, `stop` ends the agent.
    """

    def __init__(
        self,
        home: Home,
        launched: Launched | None,
        reporter: Reporter,
        fetch: Fetch,
        *,
        wake: Callable[[], None],
        stop: Callable[[], None],
        visited: Callable[[], bool] = lambda: False,
    ) -> None:
        self._home = home
        self._launched = launched
        self._reporter = reporter
        self._fetch = fetch
        self._wake = wake
        self._stop = stop
        self._visited = visited
        self._journal: Journal | None = None
        self._task: asyncio.Task[None] | None = None
        self._told = asyncio.Event()
        self._proved = False
        self.report: UpgradeReport | None = None
        self.restart = False

    @property
    def upgradable(self) -> bool:
        """Whether an order can be carried out here."""
        return self._launched is not None

    @property
    def kept(self) -> list[str]:
        return [] if self._launched is None else self._launched.kept()

    # -- the daemon tells

    def look(self, last_message: str) -> None:
        """At the start: what an upgrade left. `last_message` is why the last heartbeat failed, if it did."""
        launched, journal = self._launched, self._load()
        if launched is None:
            return
        launched.clear_staging()
        if journal is None:
            launched.forget_fallback()
            return
        self._journal = journal
        if self._reporter.carried_out(journal.command):
            self._end()  # killed between the acknowledgement and this
        elif launched.on_trial:
            self._say(WATCHING)
            _log.info("release %s is on trial: a heartbeat that is accepted proves it", launched.version)
        elif journal.switching and launched.version == journal.order.version:
            self._finish_good()  # killed between the proof and the acknowledgement
        elif journal.switching and (failed := launched.fallback()) is not None:
            why = failed.reason + (f"; its last heartbeat: {last_message}" if last_message else "")
            self._finish_bad(UpgradeError(SWITCHED_BACK, f"went back from {failed.to} to {launched.version}: {why}"))
        else:
            self._interrupted(journal, launched)

    def ordered(self, command: str, order: UpgradeOrder | None) -> None:
        """The manager orders an upgrade, for the first time or again."""
        if self._task is not None or (self._journal is not None and self._journal.switching):
            if self._journal is not None and self._journal.command != command:
                _log.info("an upgrade is under way: the order %s waits for its end", command)
            return
        problem = self._problem(order)
        if problem is not None:
            self._reporter.finish(command, ok=False, text=str(problem), code=problem.code)
            self._reporter.record(NOT_UPGRADED, str(problem), time.time())
            return
        assert order is not None
        assert self._launched is not None
        if order.version == self._launched.version:
            self._reporter.finish(command, ok=True, text=f"{order.version} runs already")
            return
        attempts = self._journal.attempts if self._journal is not None and self._journal.command == command else 0
        journal = Journal(command=command, order=order, from_version=self._launched.version, attempts=attempts + 1)
        self._save(journal)
        self._task = asyncio.get_running_loop().create_task(self._run(journal), name="upgrade")

    def replied(self, commands: Collection[str], heard: UpgradeReport | None) -> None:
        """A heartbeat was answered: these commands wait for us, and this report of ours was stored."""
        journal = self._journal
        if journal is None or self._task is None:
            return
        if journal.command not in commands and not journal.switching:
            self._task.cancel()
        elif heard is not None and heard.state == SWITCHING and heard.command == journal.command:
            self._told.set()

    def accepted(self) -> bool:
        """The manager answered a heartbeat of ours; one that says that it is busy counts, as it was reached.

        True where that was news: a release on trial is proved.
        """
        launched = self._launched
        if self._proved or launched is None:
            return False
        self._proved = True
        if not launched.on_trial:
            return False
        if not launched.prove():
            _log.warning("the launcher has given release %s up just now", launched.version)
            return False
        former = "" if self._journal is None else self._journal.from_version
        if self._journal is not None:
            self._finish_good()
        if former:
            launched.prune(former)
        return True

    async def close(self) -> None:
        """The agent ends; what was under way begins anew."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # -- the work

    async def _run(self, journal: Journal) -> None:
        try:
            await self._upgrade(journal)
        except UpgradeError as error:
            self._finish_bad(error)
        except OSError as error:
            self._undo_switch(journal)
            code = DISK if error.errno in (errno.ENOSPC, errno.EDQUOT) else PACKAGE
            self._finish_bad(UpgradeError(code, f"the upgrade to {journal.order.version} failed: {error}"))
        except asyncio.CancelledError:
            if self._task is None:
                raise  # the agent ends
            _log.info("the manager took the order to upgrade to %s back; nothing was switched", journal.order.version)
            self._end()
        except Exception as error:  # noqa: BLE001 - reported with all else that ends an upgrade
            # A fault of ours. Left to itself the order would come again, and fail again, with every heartbeat.
            _log.exception("the upgrade to %s failed", journal.order.version)
            self._undo_switch(journal)
            text = f"the upgrade to {journal.order.version} failed: {error!r}; {RELEASE} goes on"
            self._finish_bad(UpgradeError(FAILED, text))
        finally:
            self._task = None
            if self._launched is not None and not self.restart:
                await in_thread(self._launched.clear_staging)
            self._wake()

    async def _upgrade(self, journal: Journal) -> None:
        launched, order = self._launched, journal.order
        assert launched is not None
        if order.target:
            tree = launched.staging(order.version)
            self._say(DOWNLOADING, at_once=True)
            folder = self._home.path / "upgrade"
            folder.mkdir(exist_ok=True, mode=0o700)
            package = await self._fetch(order, folder)
            await in_thread(_check_digest, package, order)
            self._say(UNPACKING)
            await self._unpack(package, tree)
        else:
            tree = launched.tree(order.version)
        self._say(PROBING)
        await self._probe(tree, order)
        if order.target:
            self._say(INSTALLING)
            await in_thread(launched.install, tree, order.version)
            _clear(self._home.path / "upgrade")
        self._say(SWITCHING, at_once=True)
        await self._told.wait()
        if not launched.alive:
            raise UpgradeError(BY_PACKAGE, "the launcher that started this agent is gone; restart the agent's service")
        # From here on there is no way but through the launcher.
        journal.switching = True
        self._save(journal)
        await in_thread(launched.begin_trial, order.version, order.watch_seconds)
        await in_thread(launched.switch, order.version)
        _log.info("switches from release %s to %s", launched.version, order.version)
        self.restart = True
        self._stop()

    async def _unpack(self, package: Path, tree: Path) -> None:
        from plimsoll.agent import unpack

        try:
            await in_thread(unpack.ask, package, tree)
        except unpack.UnpackError as error:
            raise UpgradeError(DISK if error.full else PACKAGE, str(error)) from None

    async def _probe(self, tree: Path, order: UpgradeOrder) -> None:
        """Raises UpgradeError where the new release does not reach the manager under the floor in force."""
        assert self._launched is not None
        found = Probed()
        for attempt in range(PROBES):
            if attempt:
                await asyncio.sleep(PROBE_PAUSE)
            found = await in_thread(probe.ask, self._launched.interpreter(tree), self._home.path)
            if found.reached or found.reason in _REFUSALS or found.reason == probe.NO_MANAGER:
                break
        if found.release and not _same(found.release, order.version):
            raise UpgradeError(PACKAGE, f"the package of {order.version} holds release {found.release}; not installed")
        if found.reached or found.reason == probe.NO_MANAGER or (self._visited() and found.reason not in _REFUSALS):
            return
        code = PROBE_REFUSED if found.reason in _REFUSALS else PROBE_FAILED
        library = f" ({found.openssl})" if found.openssl else ""
        raise UpgradeError(
            code,
            f"release {order.version}{library} would not reach the manager: {found.message}; it was not installed, and "
            f"{self._launched.version} goes on",
        )

    # -- small

    def _problem(self, order: UpgradeOrder | None) -> UpgradeError | None:
        if order is None:
            return UpgradeError(BAD_ORDER, "the order carried no release; nothing was changed")
        if self._launched is None:
            return UpgradeError(
                BY_PACKAGE,
                f"release {RELEASE} here was not started by its launcher, so it cannot change itself; upgrade it by"
                " its package",
            )
        if not is_release(order.version):
            return UpgradeError(BAD_ORDER, f"{order.version!r} is no release; nothing was changed")
        if not order.target and order.version not in (*self._launched.kept(), self._launched.version):
            return UpgradeError(BAD_ORDER, f"release {order.version} is not kept here any more; nothing was changed")
        if not self._launched.alive:
            return UpgradeError(BY_PACKAGE, "the launcher that started this agent is gone; restart the agent's service")
        return None

    def _interrupted(self, journal: Journal, launched: Launched) -> None:
        """Killed before the switch: the order comes again, and we begin anew, but not for ever."""
        if journal.switching:
            launched.give_up_trial()
            journal.switching = False
            self._save(journal)
        if journal.attempts >= MOST_ATTEMPTS:
            text = f"the upgrade to {journal.order.version} was interrupted {journal.attempts} times; {RELEASE} goes on"
            self._finish_bad(UpgradeError(INTERRUPTED, text))

    def _undo_switch(self, journal: Journal) -> None:
        """The disk failed us at the switch: what runs stays what is started."""
        launched = self._launched
        assert launched is not None
        if journal.switching:
            with contextlib.suppress(OSError):
                if launched.current != launched.version:
                    launched.switch(launched.version)
                launched.give_up_trial()

    def _finish_good(self) -> None:
        journal = self._journal
        assert journal is not None
        text = f"release {journal.from_version} became {journal.order.version}"
        _log.info("%s", text)
        self._reporter.record(UPGRADED, text, time.time())
        self._reporter.finish(journal.command, ok=True, text=text)
        self._end()

    def _finish_bad(self, error: UpgradeError) -> None:
        journal = self._journal
        assert journal is not None
        _log.error("%s", error)
        self._reporter.record(WENT_BACK if error.code == SWITCHED_BACK else NOT_UPGRADED, str(error), time.time())
        self._reporter.finish(journal.command, ok=False, text=str(error), code=error.code)
        self._end()

    def _end(self) -> None:
        if self._launched is not None:
            self._launched.forget_fallback()
        (self._home.path / FILE).unlink(missing_ok=True)
        self._journal, self.report = None, None

    def _say(self, state: str, *, at_once: bool = False) -> None:
        assert self._journal is not None
        journal = self._journal
        _log.info("upgrade to %s: %s", journal.order.version, state)
        self._told.clear()
        self.report = UpgradeReport(command=journal.command, state=state, version=journal.order.version)
        if at_once:
            self._wake()

    def _load(self) -> Journal | None:
        data = self._home.read(FILE)
        try:
            return None if data is None else msgspec.json.decode(data, type=Journal)
        except msgspec.MsgspecError:
            # It is written atomically, so this is no crash's doing. The order comes again, or is reported as missing.
            _log.error("%s is damaged and is left aside", self._home.path / FILE)
            (self._home.path / FILE).unlink(missing_ok=True)
            return None

    def _save(self, journal: Journal) -> None:
        self._journal = journal
        self._home.write(FILE, msgspec.json.encode(journal))


def _check_digest(package: Path, order: UpgradeOrder) -> None:
    """What the signed metadata allowed must also be what the order meant."""
    with package.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if order.sha256 and digest != order.sha256.lower():
        package.unlink(missing_ok=True)
        raise UpgradeError(PACKAGE, f"{package.name} is not the package that was ordered (its digest differs)")


def _same(release: str, version: str) -> bool:
    """Whether a release that calls itself so may come in a package of that version, which may say a build more."""
    from plimsoll.fleet.component import parse_or_none

    one, other = parse_or_none(release), parse_or_none(version)
    if one is None or other is None:
        return release == version
    return one.key[:3] == other.key[:3] and (None in (one.build, other.build) or one.build == other.build)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
