"""An upgrade on one host: a real launcher, real agents of several releases, a manager in this process, real TLS."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import trees
from tests.support.process import Service
from tests.unit.agent.fake_manager import FakeManager, manager, until

from plimsoll.agent import upgrade
from plimsoll.agent.home import Home
from plimsoll.agent.threads import in_thread
from plimsoll.messages import Ack, Command, Heartbeat, UpgradeOrder
from plimsoll.tls.versions import Version

OLD, NEW = "11.9.0", "12.1.0"


@dataclass
class Host:
    """A launched agent of release OLD, its manager, and the packages that there are."""

    fake: FakeManager
    prefix: Path
    home: Home
    packages: Path
    service: Service | None = None

    def start(self, **environment: str) -> None:
        self.service = trees.launched(
            self.prefix, self.home.path, PLIMSOLL_TEST_PACKAGES=str(self.packages), **environment
        )

    async def end(self) -> int:
        assert self.service is not None
        return await in_thread(self.service.stop)

    def order(self, behaviour: str = trees.GOOD, *, name: str = "u1", watch: float = 45, sha256: str = "") -> None:
        made = trees.package(self.packages, NEW, behaviour)
        digest = sha256 or hashlib.sha256(made.read_bytes()).hexdigest()
        order = UpgradeOrder(version=NEW, target=made.name, sha256=digest, watch_seconds=watch)
        self.fake.commands.append(Command(id=name, kind="upgrade", upgrade=order))

    @property
    def releases(self) -> list[str]:
        """Which releases brought inventories, in order, each once in a row."""
        said = [beat.inventory.version for beat in self.fake.heartbeats if beat.inventory is not None]
        return [one for at, one in enumerate(said) if at == 0 or said[at - 1] != one]

    @property
    def reports(self) -> list[str]:
        said = [beat.upgrade.state for beat in self.fake.heartbeats if beat.upgrade is not None]
        return [one for at, one in enumerate(said) if at == 0 or said[at - 1] != one]

    @property
    def current(self) -> str:
        return (self.prefix / "current").readlink().name

    async def release(self, version: str) -> Heartbeat:
        """The first heartbeat of it after this moment."""
        before = len(self.fake.heartbeats)
        await until(lambda: any(_is(beat, version) for beat in self.fake.heartbeats[before:]), 60)
        return next(beat for beat in self.fake.heartbeats[before:] if _is(beat, version))

    async def ack(self, name: str = "u1") -> Ack:
        found = await until(lambda: self.acked(name), 60)
        assert found is not None
        return found

    def acked(self, name: str) -> Ack | None:
        return next((ack for beat in self.fake.heartbeats for ack in beat.acks if ack.command == name), None)

    def tidy(self) -> None:
        """Nothing of an upgrade is left but the trees."""
        assert sorted(path.name for path in self.prefix.iterdir()) == ["current", "versions"]
        assert not (self.home.path / "upgrade.json").exists()
        assert not [path for path in self.prefix.joinpath("versions").iterdir() if path.name.startswith(".")]


def _is(beat: Heartbeat, version: str) -> bool:
    return beat.inventory is not None and beat.inventory.version == version


@asynccontextmanager
async def a_host(folder: Path) -> AsyncIterator[Host]:
    async with manager(folder) as fake:
        home = await fake.activate()
        host = Host(fake, trees.install(folder / "prefix", OLD), home, folder / "packages")
        try:
            yield host
        finally:
            if host.service is not None and host.service.process.poll() is None:
                await in_thread(host.service.stop)


def play(folder: Path, scenario: Callable[[Host], Awaitable[None]]) -> None:
    async def work() -> None:
        async with a_host(folder) as host:
            await scenario(host)

    asyncio.run(work())


@pytest.mark.rule("R9")
def test_an_ordered_release_is_probed_installed_proved_and_can_be_left_again(tmp_path: Path) -> None:
    async def scenario(host: Host) -> None:
        host.start()
        first = await host.release(OLD)
        assert first.inventory is not None
        assert (first.inventory.upgradable, first.inventory.kept) == (True, [])
        host.order()
        got = await host.release(NEW)
        assert got.inventory is not None
        assert got.inventory.kept == [OLD]
        done = await host.ack()
        assert (done.ok, done.text) == (True, f"release {OLD} became {NEW}")
        assert host.current == NEW
        assert [state for state in host.reports if state in ("downloading", "switching", "watching")] == [
            "downloading", "switching", "watching",
        ]  # fmt: skip
        assert upgrade.UPGRADED in {event.number for beat in host.fake.heartbeats for event in beat.events}
        await until(lambda: not (host.home.path / "upgrade.json").exists())
        host.tidy()

        # The way back needs no download.
        order = UpgradeOrder(version=OLD, watch_seconds=45)
        host.fake.commands.append(Command(id="u2", kind="upgrade", upgrade=order))
        await host.release(OLD)
        assert (await host.ack("u2")).ok
        assert host.current == OLD
        assert await host.end() == 0
        host.tidy()

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (trees.CRASHES, "ended 3 times before a heartbeat of it was accepted"),
        (trees.HANGS, "no heartbeat of 12.1.0 was accepted in 2 s"),
        (trees.DEAF, "refused the connection because of TLS"),
    ],
)
def test_a_release_that_does_not_heartbeat_is_left_and_the_reason_is_told(
    tmp_path: Path, behaviour: str, why: str
) -> None:
    async def scenario(host: Host) -> None:
        host.fake.floor(Version.TLS1_3)
        host.start()
        await host.release(OLD)
        host.order(behaviour, watch=2)
        failed = await host.ack()
        assert (failed.ok, failed.code) == (False, upgrade.SWITCHED_BACK)
        assert failed.text.startswith(f"went back from {NEW} to {OLD}: ")
        assert why in failed.text
        assert host.current == OLD
        assert host.releases == [OLD]
        assert upgrade.WENT_BACK in {event.number for beat in host.fake.heartbeats for event in beat.events}
        before = len(host.fake.heartbeats)
        await until(lambda: len(host.fake.heartbeats) > before + 3)
        await until(lambda: not (host.prefix / "fallback").exists())
        host.tidy()

    play(tmp_path, scenario)


@pytest.mark.rule("R20")
@pytest.mark.parametrize(
    ("behaviour", "code", "why"),
    [
        (trees.CAPPED, upgrade.PROBE_REFUSED, "its floor is above what this host can speak; it was not installed"),
        (trees.NO_START, upgrade.PROBE_REFUSED, "its interpreter ended with status 126"),
        (trees.LIES, upgrade.PACKAGE, "the package of 12.1.0 holds release 9.9.9"),
    ],
)
def test_a_release_that_would_not_reach_the_manager_is_not_installed(
    tmp_path: Path, behaviour: str, code: str, why: str
) -> None:
    async def scenario(host: Host) -> None:
        host.fake.floor(Version.TLS1_3)
        host.start()
        await host.release(OLD)
        pid = host.service.pid if host.service else 0
        host.order(behaviour)
        failed = await host.ack()
        assert (failed.ok, failed.code) == (False, code)
        assert why in failed.text
        assert host.service is not None
        assert host.service.pid == pid
        assert [path.name for path in (host.prefix / "versions").iterdir() if not path.name.startswith(".")] == [OLD]
        assert "switching" not in host.reports

    play(tmp_path, scenario)


def test_a_package_that_is_not_the_one_ordered_is_not_even_unpacked(tmp_path: Path) -> None:
    async def scenario(host: Host) -> None:
        host.start()
        await host.release(OLD)
        host.order(sha256="0" * 64)
        failed = await host.ack()
        assert (failed.ok, failed.code) == (False, upgrade.PACKAGE)
        assert "its digest differs" in failed.text
        assert "unpacking" not in host.reports
        host.tidy()

    play(tmp_path, scenario)


def test_an_order_that_is_taken_back_ends_before_the_switch(tmp_path: Path) -> None:
    async def scenario(host: Host) -> None:
        host.start()
        await host.release(OLD)
        host.order()
        await until(lambda: host.reports)
        host.fake.commands.clear()
        await until(lambda: host.reports and host.fake.heartbeats[-1].upgrade is None, 60)
        assert not [ack for beat in host.fake.heartbeats for ack in beat.acks]
        assert host.current == OLD
        # The same order again, as after a pause.
        host.order()
        await host.release(NEW)
        assert (await host.ack()).ok

    play(tmp_path, scenario)


@pytest.mark.parametrize("status", [429, 503])
def test_a_manager_that_is_busy_counts_as_reached(tmp_path: Path, status: int) -> None:
    """During the probe and during the trial: no release is left because its manager has much to do."""

    async def scenario(host: Host) -> None:
        host.start()
        await host.release(OLD)
        host.order()
        await until((host.prefix / "trial").exists, 60)
        for _ in range(3):
            host.fake.refuse(status, "busy", retry_after=0.3)
        await until(lambda: not host.fake.refusals, 60)
        assert not (host.prefix / "trial").exists()
        await host.release(NEW)
        assert host.current == NEW
        assert (await host.ack()).ok

    play(tmp_path, scenario)


@pytest.mark.deep
def test_a_manager_that_is_gone_after_the_switch_blames_nobody(tmp_path: Path) -> None:
    """Neither release reaches it: the new one gets more time, and stays once the manager is back."""

    async def scenario(host: Host) -> None:
        host.start()
        await host.release(OLD)
        host.order(watch=2)
        await until((host.prefix / "trial").exists, 60)
        port = host.fake.gate.port
        await host.fake.gate.stop()
        assert host.service is not None
        said = host.service.errors
        await until(lambda: any("neither 12.1.0 nor 11.9.0 reaches" in line for line in said), 60)
        await host.fake.gate.start("127.0.0.1", port)
        await host.release(NEW)
        assert (await host.ack()).ok
        assert host.current == NEW

    play(tmp_path, scenario)


def test_an_agent_that_nobody_launched_says_so(tmp_path: Path) -> None:
    async def scenario(host: Host) -> None:
        python = host.prefix / "versions" / OLD / "bin" / "python3"
        host.service = Service([python, "-P", "-m", "plimsoll.agent", host.home.path])
        beat = await host.release(OLD)
        assert beat.inventory is not None
        assert not beat.inventory.upgradable
        host.order()
        failed = await host.ack()
        assert (failed.ok, failed.code) == (False, upgrade.BY_PACKAGE)
        assert "upgrade it by its package" in failed.text

    play(tmp_path, scenario)


async def _cut(host: Host, step: int) -> bool:
    """Orders an upgrade and cuts the power at that step. Whether it was cut; then the host ends well."""
    mark = host.home.path.parent / f"cut-{step}"
    host.start(PLIMSOLL_TEST_KILL=f"{step}:{mark}")
    await host.release(OLD)
    host.order(name=f"cut-{step}", watch=60)
    assert host.service is not None
    service = host.service
    await until(lambda: service.process.poll() is not None or host.acked(f"cut-{step}"), 60)
    if mark.read_text().isdigit():
        return False  # it was through before
    await in_thread(service.wait_end)
    host.start()
    done = await host.ack(f"cut-{step}")
    assert done.ok, f"cut at step {step} ({mark.read_text()}): {done.text}"
    assert host.current == NEW
    await until(lambda: not (host.home.path / "upgrade.json").exists())
    host.tidy()
    # Back to the old release, for the next step.
    await host.end()
    trees.install(host.prefix, OLD)
    return True


def _walk(folder: Path, first: int, stride: int) -> int:
    cuts = 0

    async def scenario(host: Host) -> None:
        nonlocal cuts
        step = first
        while await _cut(host, step):
            cuts += 1
            step += stride

    play(folder, scenario)
    return cuts


def test_a_power_cut_in_the_middle_of_an_upgrade_ends_with_a_working_agent(tmp_path: Path) -> None:
    assert _walk(tmp_path, 5, 12) >= 2


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_a_power_cut_at_every_step_of_an_upgrade_ends_with_a_working_agent(tmp_path: Path) -> None:
    assert _walk(tmp_path, 1, 1) >= 20
