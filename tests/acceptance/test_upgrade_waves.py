"""A fleet goes from one release to the next through two relays, in waves, and some of it fails (R9).

Real agents and relays under the real launcher take signed packages home and start them. Many more are simulated over
real TLS: they download every byte of the package too, but neither look at the metadata nor unpack it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support import trees
from tests.support.launched_hosts import LaunchedHost, launched_host
from tests.support.manager import PLIMSOLL, Manager, manager
from tests.support.packaged import PackagedHost, package, packaged_host
from tests.support.process import eventually, free_ports, parse_json
from tests.support.releases import Publisher
from tests.support.tools import s_client_early

from plimsoll import RELEASE
from plimsoll.testing.simulator import SimulationPlan, draw
from plimsoll.testing.upgrading import Ending

OLD, NEW = "11.9.0", RELEASE
#: Below 11.1: a relay that was activated so allows early TLS, until a policy is sent to it (R17).
RELAY_OLD = "11.0.0"
TOP, BRANCH = "Default Relay Group", "Branch"
GUARD, HOST, UNLUCKY = "guard-1", "host-1", "host-2"
UPGRADE_FAILED, UPGRADE_HALTED = 1995, 1992


@dataclass
class Simulated:
    """A process with many peers that obey orders to upgrade."""

    plan: SimulationPlan
    process: subprocess.Popen[str]

    @property
    def names(self) -> set[str]:
        return {spec.name for spec in draw(self.plan)}

    @property
    def failing(self) -> dict[str, Ending]:
        """Who fails, and how: the same seed draws the same fleet here and there."""
        return {spec.name: spec.ending for spec in draw(self.plan) if spec.ending not in (None, Ending.GOOD)}

    def report(self) -> dict[str, Any]:
        """Ends it."""
        self.process.terminate()
        output, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        found: dict[str, Any] = json.loads(output)
        return found


@contextlib.contextmanager
def simulated(
    on: Manager, agents: int, failing: int, endings: Sequence[Ending], interval: float, network: int
) -> Iterator[Simulated]:
    plan = SimulationPlan(
        manager=on.url, token=on.new_token(agents), agents=agents, release=OLD, failing=failing,
        endings=tuple(endings), relay_groups=(TOP, BRANCH), interval=interval, network=network, seconds=3600,
    )  # fmt: skip
    command: list[str | Path] = [PLIMSOLL, "simulate", "--manager", plan.manager, "--token", plan.token, "--json"]
    command += ["--agents", str(agents), "--release", OLD, "--failing", str(failing), "--interval", str(interval)]
    command += ["--seconds", "3600", "--start-over", str(max(2, agents / 5 - 8)), "--network", str(network)]
    for ending in endings:
        command += ["--ending", ending.value]
    for group in plan.relay_groups:
        command += ["--relay-group", group]
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        yield Simulated(plan, process)
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def ready_manager(folder: Path, content: bytes, interval: int) -> Iterator[Manager]:
    """A manager that trusts a publisher and has a package of the new release. Its relays have groups of their own."""
    with manager(folder / "home") as made:
        # Who is late on a busy machine is not offline for it.
        made.quick_policy(interval, missedHeartbeats=20)
        publisher = Publisher()
        (folder / "release.pub").write_text(publisher.pem)
        assert made.cli("software", "keys", "trust", folder / "release.pub").returncode == 0
        path = publisher.write(
            folder, content, version=NEW, platform="Linux", file=f"plimsoll-agent-{NEW}-linux-x86_64.tar.gz"
        )
        imported = made.cli("software", "import", path)
        assert imported.returncode == 0, imported.stderr
        grouped = made.cli("relay-groups", "create", BRANCH, "--parent", TOP)
        assert grouped.returncode == 0, grouped.stderr
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    folder = tmp_path_factory.mktemp("manager")
    with ready_manager(folder, trees.package(folder / "made", NEW).read_bytes(), interval=1) as made:
        yield made


@dataclass
class Fleet:
    """Two relays, one below the other, and hosts. On `unlucky` the new release cannot run."""

    manager: Manager
    relays: Mapping[str, LaunchedHost | PackagedHost]
    hosts: Mapping[str, LaunchedHost | PackagedHost]
    relay_ports: tuple[int, int]
    simulated: Simulated
    patience: float = 120.0

    @property
    def everybody(self) -> set[str]:
        return {*self.relays, *self.hosts, *self.simulated.names}

    @property
    def failing(self) -> set[str]:
        return {UNLUCKY, *self.simulated.failing}

    def there(self, names: set[str], release: str) -> bool:
        """Whether all of these heartbeat with that release."""
        known = self.manager.computers()
        return all(
            name in known
            and known[name]["agentVersion"] == release
            and known[name]["computerStatus"]["agentStatus"] == "active"
            for name in names
        )


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    ports = free_ports(2)
    with contextlib.ExitStack() as stack:

        def host(name: str, *more: str, release: str = OLD, crashes: str = "") -> LaunchedHost:
            return stack.enter_context(launched_host(running, folder, name, release, *more, crashes=crashes))

        many = stack.enter_context(
            simulated(running, 40, 2, (Ending.REFUSED, Ending.CRASHES), interval=2.0, network=70)
        )
        relays = {
            name: host(name, "--relay", "--relay-port", str(port), release=RELAY_OLD)
            for name, port in zip(("relay-top", "relay-branch"), ports, strict=True)
        }
        hosts = {
            GUARD: host(GUARD, "--appliance", "--guards", "machine-1"),
            HOST: host(HOST),
            UNLUCKY: host(UNLUCKY, crashes=NEW),
        }
        for name in ("relay-branch", HOST, UNLUCKY):
            running.post(f"/api/computers/{running.computer(name)['ID']}", {"relayGroup": BRANCH})
        made = Fleet(running, relays, hosts, (ports[0], ports[1]), many)
        eventually(lambda: made.there(made.everybody - {*relays}, OLD), "everybody heartbeats")
        eventually(lambda: made.there({*relays}, RELAY_OLD), "the relays heartbeat")
        yield made


def status(on: Manager, upgrade: int) -> dict[str, Any]:
    found: dict[str, Any] = on.get(f"/api/upgrades/{upgrade}")
    return found


def settled(on: Manager, upgrade: int, patience: float = 120.0) -> dict[str, Any]:
    """The upgrade once it halts or ends. Fails with what it waited for."""
    last: dict[str, Any] = {}

    def over() -> bool:
        last.update(status(on, upgrade))
        return last["state"] != "running"

    try:
        eventually(over, "it halts or ends", patience, 0.5)
    except AssertionError:
        open_ones = [one for one in on.get(f"/api/upgrades/{upgrade}/computers")["computers"] if one["state"] != "done"]
        raise AssertionError(f"{last['text']}; {last['figures']}; {open_ones}") from None
    return last


def to_its_end(fleet: Fleet, upgrade: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Somebody resumes where it halts. Each halt, and the end."""
    halts: list[dict[str, Any]] = []
    while True:
        now = settled(fleet.manager, upgrade, fleet.patience)
        if now["state"] == "done":
            return halts, now
        assert now["state"] == "halted", now
        named = {one["name"] for one in now["failing"]}
        assert named and named <= fleet.failing, now
        assert any(name in now["text"] for name in named), now["text"]
        halts.append(now)
        assert fleet.manager.cli("upgrade", "resume", str(upgrade)).returncode == 0


@pytest.mark.rule("R9")
def test_nobody_goes_before_the_relay_that_it_downloads_from(fleet: Fleet) -> None:
    refused = fleet.manager.cli("upgrade", "start", "--to", NEW, "--computers", HOST)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "relays go before" in refused.stderr
    assert f"relay-branch {RELAY_OLD}" in refused.stderr
    assert HOST in refused.stderr
    assert fleet.manager.get("/api/upgrades")["upgrades"] == []


@pytest.mark.rule("R7")
@pytest.mark.rule("R9")
def test_a_fleet_goes_through_two_relays_halts_by_name_and_who_failed_is_back(fleet: Fleet) -> None:
    on = fleet.manager
    assert all(s_client_early(port).connected for port in fleet.relay_ports)
    command = ["upgrade", "start", "--to", NEW, "--wave", "25%,100%", "--soak", "1s", "--window", "90s", "--json"]
    started = parse_json(on.cli(*command))
    upgrade = started["id"]
    assert [one["size"] for one in started["waves"]] == [1, 1, 11, 32]

    halts, now = to_its_end(fleet, upgrade)
    assert halts, "it never halted"

    # Who failed is named with the reason, runs the old release and heartbeats; everybody else has the new one.
    ended = on.cli("upgrade", "status", str(upgrade))
    assert ended.returncode == 4, ended.stderr
    said = {one["name"]: one for one in now["failing"]}
    assert set(said) == fleet.failing
    for name, one in said.items():
        assert name in ended.stdout
        ending = fleet.simulated.failing.get(name, Ending.CRASHES)
        assert (one["state"], one["code"]) == _ENDS[ending], one
        assert one["detail"]
    eventually(lambda: fleet.there(fleet.failing, OLD), "who failed is back and heartbeats")
    eventually(lambda: fleet.there(fleet.everybody - fleet.failing, NEW), "all others have the new release")
    events = on.get("/api/events", limit=1000)["events"]
    assert {one["target"] for one in events if one["number"] == UPGRADE_FAILED} == fleet.failing
    assert len([one for one in events if one["number"] == UPGRADE_HALTED]) == len(halts)

    # On the hosts: an appliance's embedded agent too, and the one that could not run it.
    for name, host in {**fleet.relays, **fleet.hosts}.items():
        assert host.current == (OLD if name == UNLUCKY else NEW), name
    # The new release's default would refuse them.
    assert all(s_client_early(port).connected for port in fleet.relay_ports)
    _check_order(fleet, upgrade)
    _check_packages(fleet)


_ENDS = {
    Ending.REFUSED: ("failed", "probe-refused"),
    Ending.CRASHES: ("back", "switched-back"),
    Ending.DEAF: ("back", "switched-back"),
}


def _check_order(fleet: Fleet, upgrade: int) -> None:
    """Each wave was entered once the one before it had passed: the relay at the top, the one below it, computers."""
    log = [one["what"] for one in status(fleet.manager, upgrade)["log"]]
    steps = [what for what in log if what in ("started", "entered", "passed")]
    assert steps == ["started", *["passed", "entered"] * 3, "passed"], log
    waves: dict[int, set[str]] = {}
    for one in fleet.manager.get(f"/api/upgrades/{upgrade}/computers")["computers"]:
        waves.setdefault(one["wave"], set()).add(one["name"])
    assert (waves[1], waves[2]) == ({"relay-top"}, {"relay-branch"})


def _check_packages(fleet: Fleet) -> None:
    """Every package came from a relay, both gave some, and each has what it gave on its disk."""
    report = fleet.simulated.report()
    failing = fleet.simulated.failing
    assert set(report["packages"]) == {f"127.0.0.1:{port}" for port in fleet.relay_ports}
    assert sum(report["packages"].values()) >= fleet.simulated.plan.agents
    assert set(report["not_upgraded"]) == set(failing)
    assert report["releases"] == {NEW: fleet.simulated.plan.agents - len(failing), OLD: len(failing)}
    for host in fleet.relays.values():
        assert list((host.home / "relay" / "software" / "packages").iterdir())


@pytest.mark.deep
@pytest.mark.timeout(3600)
@pytest.mark.rule("R9")
def test_five_hundred_simulated_and_three_packaged_agents(tmp_path: Path) -> None:
    """Real packages in roots of their own. One of them cannot take a release; a twentieth of the others fail."""
    old, archive = package("agent", "deb", OLD), package("agent", "archive").read_bytes()
    ports = free_ports(2)
    (tmp_path / "manager").mkdir()
    with ready_manager(tmp_path / "manager", archive, interval=10) as on, contextlib.ExitStack() as stack:
        found = {}
        for name in ("relay-top", "relay-branch", GUARD, HOST, UNLUCKY):
            found[name] = stack.enter_context(packaged_host(tmp_path / name, name, old))
        for name, port in zip(("relay-top", "relay-branch"), ports, strict=True):
            found[name].start(on, "--relay", "--relay-port", str(port))
        found[GUARD].start(on, "--appliance", "--guards", "machine-1")
        for name in (HOST, UNLUCKY):
            found[name].start(on)
        found[UNLUCKY].take_no_release()
        for name in ("relay-branch", HOST, UNLUCKY):
            on.post(f"/api/computers/{on.computer(name)['ID']}", {"relayGroup": BRANCH})
        endings = (Ending.REFUSED, Ending.CRASHES, Ending.DEAF, Ending.SILENT)
        many = stack.enter_context(simulated(on, 500, 25, endings, interval=10.0, network=80))
        relays = {name: found.pop(name) for name in ("relay-top", "relay-branch")}
        fleet = Fleet(on, relays, found, (ports[0], ports[1]), many, patience=1500.0)
        eventually(lambda: fleet.there(fleet.everybody, OLD), "everybody heartbeats", 300, 2)
        command = ["upgrade", "start", "--to", NEW, "--wave", "10%,100%", "--soak", "10s", "--window", "60s", "--json"]
        upgrade = parse_json(on.cli(*command))["id"]
        halts, now = to_its_end(fleet, upgrade)
        assert halts
        assert {one["name"] for one in now["failing"]} == fleet.failing
        eventually(lambda: fleet.there(fleet.failing, OLD), "who failed is back and heartbeats", 600, 2)
        eventually(lambda: fleet.there(fleet.everybody - fleet.failing, NEW), "all others have it", 300, 2)
        for name, host in {**fleet.relays, **fleet.hosts}.items():
            assert host.current == (OLD if name == UNLUCKY else NEW), name
        _check_packages(fleet)
