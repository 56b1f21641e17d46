"""The CA is rotated under a real manager, a relay and agents, over TLS: nobody loses contact (design §11)."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import activate, agent, agent_command
from tests.support.manager import HOST, Manager, manager, peer
from tests.support.process import Service, eventually, free_ports

from plimsoll.net.client import CertificateError, Link, LinkError
from plimsoll.net.identity import certificate_fingerprints

pytestmark = pytest.mark.xdist_group("ca-rotation")


NAMES = ("relay", "one", "two", "far")


class Fleet:
    """A manager with a relay and three agents, one of which it visits: processes that can be stopped and started."""

    def __init__(self, manager: Manager, folder: Path) -> None:
        self.manager = manager
        self.folder = folder
        self.running: dict[str, Service] = {}
        (self.relay_port,) = free_ports(1)
        manager.quick_policy(1, direction="bidirectional")
        relay = ["--relay", "--relay-port", str(self.relay_port)]
        activate(manager, self.home("relay"), "--name", "relay", *relay, *self.listens())
        activate(manager, self.home("one"), "--name", "one", *self.listens())
        activate(manager, self.home("two"), "--name", "two", *self.listens())
        # And one that the manager visits.
        manager.post("/api/policies", {"name": "Far", "heartbeatSeconds": 1, "direction": "manager-initiated"})
        activate(manager, self.home("far"), "--name", "far", *self.listens())
        far = str(manager.computers()["far"]["ID"])
        manager.post(f"/api/computers/{far}", {"policy": "Far"})
        manager.post("/api/tls/send-policy", {"computers": [far]})

    def listens(self) -> list[str]:
        """Where an agent opens its 4118."""
        return ["--listen", HOST, "--listen-port", str(free_ports(1)[0])]

    def home(self, name: str) -> Path:
        return self.folder / name

    def start(self, *names: str) -> None:
        for name in names:
            self.running[name] = Service(agent_command(self.home(name)))
            self.running[name].wait_ready()

    def stop(self, *names: str) -> None:
        for name in names:
            self.running.pop(name).stop()

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name)

    # What is seen

    def status(self, name: str) -> str:
        return (self.home(name) / "run" / "state.json").read_text()

    def rotation(self) -> dict[str, Any]:
        found: dict[str, Any] = self.manager.get("/api/ca")["rotation"]
        return found

    def members(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.manager.get("/api/ca/computers")["computers"]}

    def stands(self) -> dict[str, str]:
        return {name: one["state"] for name, one in self.members().items()}

    def until(self, state: str, **counts: int) -> None:
        def look() -> bool:
            now = self.rotation()
            return bool(now["state"] == state and now["computers"] == counts)

        try:
            eventually(look, f"the rotation is in {state} with {counts}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.rotation()}") from None

    def offline(self, name: str) -> None:
        eventually(lambda: not self.members()[name]["online"], f"{name} is offline")

    def trusted(self, name: str) -> list[str]:
        return sorted(certificate_fingerprints((self.home(name) / "ca.pem").read_text()))

    def copy_ca(self) -> None:
        """The tests' own client goes by `ca.pem` as it is now, which holds both CAs from the announcement on."""
        self.manager._forget_client()

    def forget_others(self) -> None:
        """Deletes the computers that do not run here."""
        for name, one in self.manager.computers().items():
            if name not in self.running:
                self.manager.client.delete(f"/api/computers/{one['ID']}").raise_for_status()

    def failures(self) -> list[str]:
        """What went wrong on the way, as agents and manager told it; that `two` was stopped is no fault."""
        events = self.manager.get("/api/events", limit=1000)["events"]
        bad = [one["description"] for one in events if one["number"] in (730, 742, 771, 4011, 4012, 5320)]
        return [text for text in bad if not text.startswith("two is offline")]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with manager(folder / "manager") as made:
        fleet = Fleet(made, folder)
        try:
            fleet.start(*NAMES)
            for name in NAMES:
                made.computer(name)
            eventually(lambda: "4118" in fleet.status("far"), "far waits for visits")
            yield fleet
        finally:
            fleet.close()


def ask_relay(fleet: Fleet, home: Path) -> int:
    """The status of a download from the relay's 4122, with that home's identity and CAs."""
    with Link(
        HOST, fleet.relay_port, ca=str(home / "ca.pem"), cert=str(home / "cert.pem"), key=str(home / "key.pem"),
        expect_role="relay", timeout=20,
    ) as link:  # fmt: skip
        return link.request("GET", "/relay/v1/files/nothing").status


def issuer_of_4119(fleet: Fleet, ca: Path) -> str:
    """A request that verifies 4119 by that file, as a program of an administrator does."""
    import httpx

    context = ssl.create_default_context(cafile=str(ca))
    with httpx.Client(base_url=f"https://{HOST}:{fleet.manager.gui_port}", verify=context, timeout=30) as client:
        headers = {"api-secret-key": fleet.manager.api_key}
        shown = client.get("/api/ca", headers=headers).json()["authorities"]
    return next(str(one["fingerprint"]) for one in shown if one["issues"])


def test_from_the_old_ca_to_the_new_one_and_nobody_loses_contact(fleet: Fleet, tmp_path: Path) -> None:
    on = fleet.manager
    copied = tmp_path / "copied-ca.pem"
    shutil.copy(on.ca, copied)
    asleep = tmp_path / "asleep"
    old_token = on.new_token()
    fleet.stop("two")
    shutil.copytree(fleet.home("two"), asleep)
    fleet.offline("two")

    begun = on.cli("ca", "rotate", "--soak", "0s")
    assert begun.returncode == 0, begun.stderr
    fleet.copy_ca()
    # Announced to all who are there; the one that is down blocks the switch by its name.
    fleet.until("announce", ready=3, offline=1)
    assert fleet.stands() == {"relay": "ready", "one": "ready", "far": "ready", "two": "offline"}
    refused = on.cli("ca", "switch")
    assert refused.returncode != 0
    assert "two" in refused.stderr
    assert "offline" in refused.stderr
    assert on.cli("ca", "status").returncode == 3
    old, new = fleet.rotation()["old"], fleet.rotation()["new"]
    assert fleet.trusted("one") == fleet.trusted("relay") == sorted((old, new))
    assert fleet.trusted("two") == [old]
    for subject in ("change", "upgrade"):
        begin = ("start", "--to", "TLSv1.3") if subject == "change" else ("start", "--to", "12.0")
        busy = on.cli(subject, *begin)
        assert busy.returncode != 0
        assert "rotat" in busy.stderr or subject == "upgrade", busy.stderr

    # It comes back, hears of it, and the rotation goes on by itself; everybody renews.
    fleet.start("two")
    fleet.until("switch", ready=4)
    assert issuer_of_4119(fleet, copied) == new, "a copy of the old ca.pem is good until the old CA retires"
    assert ask_relay(fleet, fleet.home("one")) == 404
    # Who slept through all of it trusts the old CA alone, and still reaches manager and relay.
    assert ask_relay(fleet, asleep) == 404
    # A token of before still activates, by the CA that it names; the computer renews at once.
    activate(on, tmp_path / "late", "--name", "late", *fleet.listens(), token=old_token)
    assert on.cli("ca", "retire").returncode != 0
    with agent(tmp_path / "late"):
        fleet.until("switch", ready=5)
        new_token = on.new_token()
        assert new_token.split(".")[3] != old_token.split(".")[3]
        activate(on, tmp_path / "fresh", "--name", "fresh", *fleet.listens(), token=new_token)
        with agent(tmp_path / "fresh"):
            fleet.until("switch", ready=6)
            assert fleet.failures() == []

            # Retired: the old CA is gone everywhere, and what it issued is refused.
            done = on.cli("ca", "retire")
            assert done.returncode == 0, done.stderr
            fleet.until("retired", ready=6)
    for name in NAMES:
        assert fleet.trusted(name) == [new]
    assert certificate_fingerprints(on.ca.read_text()) == [new]
    assert not (on.home / "ca" / "ca.key").exists()
    with pytest.raises(CertificateError), link_to(on, asleep, asleep / "ca.pem") as link:
        link.request("GET", "/")
    with pytest.raises(LinkError), link_to(on, asleep, fleet.home("one") / "ca.pem") as link:
        link.request("GET", "/")
    with pytest.raises(LinkError):
        ask_relay(fleet, asleep)
    assert ask_relay(fleet, fleet.home("one")) == 404
    assert "rotated" in activate(on, tmp_path / "never", token=old_token, expect=1)
    # A manager that starts anew finds all of it.
    on.stop()
    on.start()
    fleet.forget_others()
    eventually(lambda: all(fleet.members()[name]["online"] for name in fleet.running), "all are back")
    assert on.get("/api/ca")["authorities"][0]["fingerprint"] == new


def link_to(on: Manager, home: Path, ca: Path) -> Link:
    return Link(HOST, on.heartbeat_port, ca=str(ca), cert=str(home / "cert.pem"), key=str(home / "key.pem"), timeout=20)


def test_the_way_back_also_through_a_kill(fleet: Fleet, tmp_path: Path) -> None:
    on = fleet.manager
    old = on.get("/api/ca")["authorities"][0]["fingerprint"]
    with peer(on, tmp_path / "ancient", "12.0.0"):
        named = on.cli("ca", "rotate")
        assert named.returncode != 0
        assert "too old" in named.stderr
    fleet.forget_others()

    on.post("/api/ca/rotate", {"soak": 0})
    fleet.copy_ca()
    fleet.until("switch", ready=4)
    new = fleet.rotation()["new"]
    # Killed after the switch: the next start goes on from there.
    on.kill()
    on.start()
    fleet.until("switch", ready=4)
    assert on.cli("ca", "back").returncode == 0
    fleet.until("withdrawn", ready=4)
    assert [one["fingerprint"] for one in on.get("/api/ca")["authorities"]] == [old]
    assert all(fleet.trusted(name) == [old] for name in fleet.running)
    assert all(one["shown"] == old for one in on.get("/api/ca/computers")["computers"])
    assert not (on.home / "ca" / f"ca-{new[:16]}.pem").exists()
    assert list((on.home / "backup").glob(f"ca-{new[:16]}-*.pem"))


@pytest.mark.deep
def test_who_stays_away_is_named_revoked_and_refused(fleet: Fleet) -> None:
    on = fleet.manager
    fleet.stop("two")
    fleet.offline("two")
    on.post("/api/ca/rotate", {"soak": 0})
    fleet.copy_ca()
    fleet.until("announce", ready=3, offline=1)
    on.post("/api/ca/switch", {"leaveBehind": "two was scrapped"})
    fleet.until("switch", ready=3, offline=1)
    assert "two" in on.post("/api/ca/retire", {}, expect=409)["message"]
    on.post("/api/ca/retire", {"leaveBehind": "two was scrapped"})
    fleet.until("retired", ready=3)
    assert on.computers()["two"]["state"] == "revoked"
    with pytest.raises(LinkError), link_to(on, fleet.home("two"), fleet.home("two") / "ca.pem") as link:
        link.request("GET", "/")
    actions = {one["action"] for one in on.get("/api/audit", limit=500)["audit"]}
    assert {"ca.rotate", "ca.switch", "ca.back", "ca.retire"} <= actions
