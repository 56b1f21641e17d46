"""A manager is lost, and comes back elsewhere from a backup that was made while it ran; its fleet comes back to it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import PLIMSOLL, Manager, manager
from tests.support.process import BIN, Service, eventually, free_ports, parse_json, run
from tests.support.releases import Publisher

from plimsoll.agent.home import Home
from plimsoll.agent.managers import Managers
from plimsoll.agent.renewal import Renewer
from plimsoll.agent.software.fetching import Wish, fetch
from plimsoll.agent.software.shelf import Shelf

CONTENT = bytes(range(256)) * 4096


@dataclass
class World:
    """`lost` was killed; `found` was restored and runs at its ports."""

    lost: Manager
    found: Manager
    folder: Path
    early: Service
    late: Service
    report: dict[str, object]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("restore")
    with manager(folder / "home") as lost, contextlib.ExitStack() as stack:
        lost.quick_policy()
        (folder / "word").write_text("a long passphrase\n")
        publisher = Publisher()
        (folder / "release.pub").write_text(publisher.pem)
        assert lost.cli("software", "keys", "trust", folder / "release.pub").returncode == 0
        assert lost.cli("software", "import", publisher.write(folder / "builds", CONTENT)).returncode == 0
        relay_port = free_ports(1)[0]
        activate(lost, folder / "relay", "--relay", "--relay-port", str(relay_port), "--name", "relay")
        for name in ("early", "renewed"):
            activate(lost, folder / name, "--name", name)
        stack.enter_context(agent(folder / "relay"))
        early = stack.enter_context(agent(folder / "early"))
        for name in ("relay", "early"):
            lost.computer(name)
        eventually(lambda: Shelf(folder / "early").sources().relays, "it knows its relay")
        assert fetch(folder / "early", Wish(target=_target(lost), patience=0.0)).refusals == []
        made = lost.cli("manager", "backup", folder / "b.plimsoll", "--passphrase-file", folder / "word", "--json")
        assert made.returncode == 0, made.stderr
        # What the backup does not know.
        activate(lost, folder / "late", "--name", "late")
        late = stack.enter_context(agent(folder / "late"))
        lost.computer("late")
        renew(folder / "renewed")
        assert (
            lost.cli("software", "import", publisher.write(folder / "more", CONTENT * 2, version="12.2.0")).returncode
            == 0
        )
        newer = next(one["target"] for one in lost.get("/api/software")["software"] if one["version"] == "12.2.0")
        assert Path(fetch(folder / "early", Wish(target=newer)).path).read_bytes() == CONTENT * 2
        lost.kill()
        command: list[str | Path] = [
            PLIMSOLL,
            "manager",
            "restore",
            folder / "b.plimsoll",
            "--home",
            folder / "elsewhere",
        ]
        restored = run([*command, "--passphrase-file", folder / "word", "--json"])
        assert restored.returncode == 0, restored.stderr
        found = lost.at_home(folder / "elsewhere")
        stack.callback(found.close)
        found.start()
        yield World(lost, found, folder, early, late, parse_json(restored))


def renew(folder: Path) -> None:
    """What an agent does when two thirds of its certificate's life are over."""
    home = Home(folder)
    state = home.load_state()
    asyncio.run(Renewer(home, Managers(home, state), random.Random()).renew(state, time.time()))


def _target(on: Manager) -> str:
    found: str = on.get("/api/software")["software"][0]["target"]
    return found


def test_who_was_there_before_the_backup_comes_back_by_itself(world: World) -> None:
    for name in ("early", "relay"):
        world.found.computer(name)
        eventually(
            lambda name=name: world.found.computers()[name]["computerStatus"]["agentStatus"] == "active",  # type: ignore[misc]
            f"{name} is online",
        )
    assert world.found.cli("audit", "verify").returncode == 0
    assert world.early.process.poll() is None


def test_policy_and_signed_software_are_taken_as_before(world: World) -> None:
    found = world.found
    base = next(one for one in found.get("/api/policies")["policies"] if one["name"] == "Base")
    found.post(f"/api/policies/{base['ID']}", {"heartbeatSeconds": 2})
    found.send_policy("early")
    eventually(lambda: found.computers()["early"]["policyHeld"], "the policy is held")
    # It has seen metadata of after the backup, in which there was one package more.
    fetched = fetch(world.folder / "early", Wish(target=_target(found)))
    assert fetched.refusals == []
    assert Path(fetched.path).read_bytes() == CONTENT


def test_who_renewed_since_the_backup_is_known_by_the_newer_certificate(world: World) -> None:
    with agent(world.folder / "renewed"):
        world.found.computer("renewed")
    events = world.found.get("/api/events", limit=500)["events"]
    assert any("after the backup" in one["description"] for one in events)


def test_who_joined_since_waits_for_approval(world: World) -> None:
    found = world.found

    def waiting() -> list[str]:
        shown = parse_json(found.cli("computers", "list", "--state", "approval", "--json"))
        return [one["hostGUID"] for one in shown["computers"]]

    (guid,) = eventually(waiting, "it waits")
    assert "late" not in found.computers()
    assert found.cli("computers", "approve", guid).returncode == 0
    # It was told to come again in five minutes; who does not want to wait says so on its computer.
    told = run([BIN / "dsa_control", "-m"], env={"PLIMSOLL_AGENT_HOME": str(world.folder / "late")})
    assert told.returncode == 0, told.stderr
    assert found.computer("late")["state"] == "active"
    assert waiting() == []


def test_it_says_that_it_was_restored_and_what_to_do(world: World) -> None:
    (event,) = [one for one in world.found.get("/api/events", limit=500)["events"] if one["number"] == 2062]
    assert "wait for approval" in event["description"]
    assert world.report["software"] is True
