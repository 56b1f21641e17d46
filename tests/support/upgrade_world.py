"""A fleet over a real store whose computers take orders home, switch, fail and fall silent as a test says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from plimsoll.manager.ports import Presence
from plimsoll.manager.services import Services
from plimsoll.manager.services.computer_views import IntakeResult
from plimsoll.manager.services.computers import Intake
from plimsoll.manager.services.upgrades import StartRequest, UpgradeView
from plimsoll.manager.store import computers as table
from plimsoll.messages import Ack, Command, Inventory, Kind, UpgradeReport
from plimsoll.net.sightings import Sighting
from tests.support.homes import ROOT, Desk
from tests.support.releases import Publisher

START = float(int(time.time()))
PACKAGE = b"a package"

#: What a computer does with an order, beat after beat: reports, then an end. "silent" says nothing from then on.
GOOD = ("downloading", "switching", "done")
FAILS = ("downloading", "disk-full")
GOES_BACK = ("downloading", "switching", "switched-back")
LOST = ("downloading", "switching", "silent")
SLOW = ("downloading",) * 10_000
DIES_EARLY = ("downloading", "silent")


@dataclass
class Host:
    """One computer: its release, what it keeps, and how it behaves."""

    id: str
    name: str
    kind: Kind
    version: str
    kept: list[str] = field(default_factory=list)
    script: tuple[str, ...] = GOOD
    upgradable: bool = True
    online: bool = True
    order: str = ""
    goal: str = ""
    at: int = 0
    sequence: int = 0
    acks: list[Ack] = field(default_factory=list)


class World:
    """`now` is the wall clock, `steady` the one that does not jump; both go on with `run`."""

    def __init__(self, at: Desk) -> None:
        self.at = at
        self.now = START
        self.steady = 1000.0
        self.hosts: dict[str, Host] = {}
        self.bring_up()

    def bring_up(self) -> None:
        """Services as a manager that starts has them."""
        self.services = Services(self.at.home.store, self.at.home, self.at.published.append, self, lambda: self.now)
        self.services.upgrades._steps.clock.steady = lambda: self.steady
        self.services.floors.start()

    def presence(self) -> Iterable[Presence]:
        return ()

    def sightings(self) -> Iterable[Sighting]:
        return ()

    def publish(self, version: str = "12.0.0", architecture: str = "x86_64", **said: object) -> None:
        """A package of that release, imported."""
        if not self.services.release_keys.list(ROOT):
            self.publisher = Publisher().trusted_by(self.services)
        said = {"platform": "Linux", "file": f"plimsoll-agent-{version}.tar.gz"} | said
        self.publisher.import_into(self.services, PACKAGE, version=version, architecture=architecture, **said)

    def join(
        self, *names: str, version: str = "11.9.0", kind: Kind = Kind.AGENT, group: str = "", **more: object
    ) -> None:
        for name in names:
            made = self.at.activate(name, version, kind).computer
            self.hosts[name] = Host(made, name, kind, version, **more)  # type: ignore[arg-type]
            if group:
                self._put_into(made, group)
            self.beat(name, inventory=True)

    def _put_into(self, computer: str, group: str) -> None:
        from plimsoll.manager.services.computers import ComputerChange

        if group not in {one.name for one in self.services.policies.relay_groups(ROOT)}:
            self.services.policies.create_relay_group(ROOT, group)
        self.services.computers.update(ROOT, computer, ComputerChange(relay_group=group))

    # -- heartbeats

    def beat(self, *names: str, inventory: bool = False) -> None:
        """Everybody who is online is there; who has something to say says it."""
        entries = {one.id: one for one in self.services.computers.registry()}
        futures = []
        for name in names or tuple(self.hosts):
            host = self.hosts[name]
            if not host.online:
                continue
            report, fresh = self._obey(host, entries[host.id].commands)
            if host.online and (report or fresh or inventory or host.acks):
                intake = self._intake(host, entries[host.id].fingerprints[0], report, inventory or fresh)
                futures.append((host, self.services.computers.take_in(intake)))
        for host, future in futures:
            stored = future.result().stored_acks
            host.acks = [ack for ack in host.acks if ack.command not in stored]
        there = [host for host in self.hosts.values() if host.online and (not names or host.name in names)]
        self.services.computers.apply_presence(
            [Presence(host.id, self.now, "10.0.0.9", f"ja4-{host.name}", None, None, self.now) for host in there]
        )

    def report(self, name: str, report: UpgradeReport) -> IntakeResult:
        """That heartbeat of a computer, and what came of it."""
        host = self.hosts[name]
        fingerprint = next(one for one in self.services.computers.registry() if one.id == host.id).fingerprints[0]
        return self.services.computers.take_in(self._intake(host, fingerprint, report, inventory=False)).result()

    def _intake(self, host: Host, fingerprint: str, report: UpgradeReport | None, inventory: bool) -> Intake:
        host.sequence += 1
        said = Inventory(
            hostname=host.name, version=host.version, kind=host.kind, architecture="x86_64", platform="Debian",
            upgradable=host.upgradable, kept=list(host.kept),
        )  # fmt: skip
        return Intake(
            computer=host.id, time=self.now, sequence=host.sequence, fingerprint=fingerprint,
            inventory=said if inventory else None, acks=tuple(host.acks), upgrade=report,
        )  # fmt: skip

    def _obey(self, host: Host, commands: Sequence[Command]) -> tuple[UpgradeReport | None, bool]:
        """The next step of what it was ordered to do: what it reports, and whether its inventory is new."""
        command = next((one for one in commands if one.kind == "upgrade"), None)
        switched = "switching" in host.script[: host.at]
        if host.order and (command is None or command.id != host.order) and not switched:
            host.order = ""  # it was taken back before the switch
        if command is not None and not host.order and all(ack.command != command.id for ack in host.acks):
            assert command.upgrade is not None
            host.order, host.goal, host.at = command.id, command.upgrade.version, 0
        if not host.order:
            return None, False
        step = host.script[min(host.at, len(host.script) - 1)]
        host.at += 1
        if step == "silent":
            self.off(host.name)
            return None, False
        if step in ("downloading", "switching", "watching"):
            return UpgradeReport(command=host.order, state=step, version=host.goal), False
        order, host.order = host.order, ""
        if step == "done":
            host.kept, host.version = [host.version], host.goal
            host.acks.append(Ack(command=order, ok=True, text="it is done"))
            return None, True
        host.acks.append(Ack(command=order, ok=False, text=f"why: {step}", code=step))
        return None, False

    def off(self, *names: str) -> None:
        for name in names:
            self.hosts[name].online = False
        self.services.computers.set_online([self.hosts[name].id for name in names], False)

    def on(self, *names: str, script: tuple[str, ...] | None = None) -> None:
        for name in names:
            self.hosts[name].online = True
            if script is not None:
                self.hosts[name].script, self.hosts[name].at = script, 0

    def record(self, name: str) -> table.ComputerRecord:
        found = self.at.home.store.read(lambda c: table.get(c, self.hosts[name].id))
        assert found is not None
        return found

    # -- time

    def run(self, seconds: float, step: float = 1.0) -> None:
        """Time goes by; everybody beats every second, and the manager looks."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.steady += step
            self.services.upgrades.tick()
            self.beat()

    def until(self, check: Callable[[UpgradeView], bool], most: float = 400) -> UpgradeView:
        end = self.now + most
        while not check(self.upgrade()):
            assert self.now < end, self.upgrade()
            self.run(1)
        return self.upgrade()

    # -- upgrades

    def start(self, to: str = "12.0.0", **options: object) -> UpgradeView:
        given: dict[str, object] = {"soak": 5.0, "watch": 10.0, "patience": 60.0} | options
        return self.services.upgrades.start(ROOT, StartRequest(to=to, **given))  # type: ignore[arg-type]

    def upgrade(self, number: int | None = None) -> UpgradeView:
        return self.services.upgrades.get(ROOT, number)

    def states(self, number: int | None = None) -> dict[str, str]:
        shown = self.upgrade(number)
        return {one.name: one.state for one in self.services.upgrades.hosts(ROOT, shown.id)}

    def order_of_waves(self, number: int | None = None) -> list[set[str]]:
        shown = self.upgrade(number)
        hosts = self.services.upgrades.hosts(ROOT, shown.id)
        return [{one.name for one in hosts if one.wave == wave.number} for wave in shown.waves]
