"""Software from a publisher's key to an agent's disk: a real manager, relays in groups, agents that verify."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import activate, agent
from tests.support.manager import Manager
from tests.support.process import eventually, free_ports
from tests.support.releases import Publisher

from plimsoll.agent.software.fetching import SoftwareError, Wish, fetch
from plimsoll.agent.software.shelf import Shelf
from plimsoll.messages import release

CONTENT = os.urandom(8 << 20)


@pytest.fixture(scope="module")
def publisher(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """The manager trusts it, and has a package of it, by the commands that an administrator types."""
    running.quick_policy()
    made = Publisher()
    folder = tmp_path_factory.mktemp("builds")
    (folder / "release.pub").write_text(made.pem)
    assert running.cli("software", "keys", "trust", folder / "release.pub").returncode == 0
    path = made.write(folder, CONTENT)
    imported = running.cli("software", "import", path)
    assert imported.returncode == 0, imported.stderr
    return made


@pytest.fixture(scope="module")
def fleet(running: Manager, publisher: Publisher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A relay at the top, one in a group below it, and an agent of that group."""
    folder = tmp_path_factory.mktemp("fleet")
    ports = dict(zip(("top", "branch"), free_ports(2), strict=True))
    for name, port in ports.items():
        activate(
            running, folder / name, "--relay", "--relay-port", str(port), "--name", name, token=running.new_token()
        )
    activate(running, folder / "host", "--name", "host", token=running.new_token())
    made = running.cli("relay-groups", "create", "Branch", "--parent", "Default Relay Group")
    assert made.returncode == 0, made.stderr
    for name in ("branch", "host"):
        moved = running.cli("computers", "set", name, "--relay-group", "Branch")
        assert moved.returncode == 0, moved.stderr
    with agent(folder / "top") as top, agent(folder / "branch"), agent(folder / "host"):
        for name, relay in (("branch", "top"), ("host", "branch")):
            shelf, wanted = Shelf(folder / name), [f"127.0.0.1:{ports[relay]}"]
            eventually(lambda shelf=shelf, wanted=wanted: shelf.sources().relays == wanted, f"{name} asks {relay}")  # type: ignore[misc]
        yield {"folder": folder, "ports": ports, "top": top}


def target(manager: Manager) -> str:
    found: str = manager.get("/api/software")["software"][0]["target"]
    return found


@pytest.mark.rule("R9")
def test_a_package_comes_through_two_relays_and_is_verified(running: Manager, fleet: dict[str, Any]) -> None:
    folder, ports = fleet["folder"], fleet["ports"]
    fetched = fetch(folder / "host", Wish(target=target(running), patience=0.0))
    assert fetched.source == f"127.0.0.1:{ports['branch']}"
    assert fetched.refusals == []
    assert Path(fetched.path).read_bytes() == CONTENT
    for relay in ("top", "branch"):
        mirrored = folder / relay / "relay" / "software" / "packages" / fetched.sha256
        assert mirrored.read_bytes() == CONTENT


def test_an_agent_begins_with_what_the_manager_says_and_follows_keys_from_there(
    running: Manager, publisher: Publisher, fleet: dict[str, Any], tmp_path: Path
) -> None:
    shelf = Shelf(fleet["folder"] / "host")
    first = shelf.trust()
    assert first is not None
    assert first.trusts(publisher.public.id)
    other = Publisher(name="next")
    statement = release.next_trust(first, [publisher.public, other.public], publisher.key)
    running.post("/api/software/keys", {"text": statement.text})

    def follows() -> bool:
        trust = shelf.trust()
        return trust is not None and trust.number == 2

    eventually(follows, "the agent follows")


def test_relays_that_are_gone_are_passed_over(running: Manager, fleet: dict[str, Any]) -> None:
    """The list still names the relay: the agent finds it dead, says so, and takes the manager."""
    home = fleet["folder"] / "host"
    Shelf(home).prune(())
    (gone,) = free_ports(1)
    from plimsoll.messages import SoftwareNews

    Shelf(home).take(SoftwareNews(relays=[f"127.0.0.1:{gone}"], sources="another"))
    fetched = fetch(home, Wish(target=target(running), patience=0.0))
    assert fetched.source == f"127.0.0.1:{running.heartbeat_port}"
    assert [one.source for one in fetched.refusals] == [f"127.0.0.1:{gone}"]


def test_what_was_deleted_is_not_offered_any_more(running: Manager, publisher: Publisher, tmp_path: Path) -> None:
    path = publisher.write(tmp_path, b"short-lived", version="12.5.0")
    assert running.cli("software", "import", path).returncode == 0
    found = next(one for one in running.get("/api/software")["software"] if one["version"] == "12.5.0")
    assert running.cli("software", "delete", str(found["id"])).returncode == 0
    home = tmp_path / "direct"
    activate(running, home, "--name", "direct", token=running.new_token())
    with pytest.raises(SoftwareError, match="is not offered any more") as caught:
        fetch(home, Wish(target=found["target"], patience=0.0))
    assert caught.value.number == 5302
