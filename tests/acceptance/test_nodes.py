"""Two managers on one PostgreSQL behind HAProxy: floors on both, agents at either, and one that is killed."""

from __future__ import annotations

import copy
import io
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import postgres
from tests.support.agents import activate, agent
from tests.support.balancer import SOURCE, balancer
from tests.support.manager import HOST, Manager, peer
from tests.support.process import Service, eventually, free_ports
from tests.support.tools import SClient, s_client, s_client_early

from plimsoll.net.client import Link, LinkError

EXCEPTED = "127.9.0.9"
#: Where nothing is said to whoever connects, so that a scan of it takes long.
SILENT = "127.9.4.0/24"


@dataclass
class Site:
    """`front` is the first manager as agents see it: through the balancer."""

    server: postgres.Server
    a: Manager
    b: Manager
    front: Manager
    agent: Service
    folder: Path

    def holder(self, work: str) -> Manager:
        """The manager that does that work."""

        def look() -> Manager | None:
            for one in (self.a, self.b):
                if one.process is not None and one.process.process.poll() is None:
                    for node in one.get("/api/manager/nodes")["nodes"]:
                        if node["own"] and work in node["works"]:
                            return one
            return None

        return eventually(look, f"somebody does {work}")

    def other(self, one: Manager) -> Manager:
        return self.b if one is self.a else self.a


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "password").write_text(postgres.PASSWORD + "\n")
    with postgres.server() as server:
        address = server.tcp_url(postgres.new_database(server))
        a = Manager(folder / "a", "--database", address, "--database-password-file", folder / "password")
        (folder / "software").mkdir()
        with a.file.open("a") as file:
            file.write(f"softwareDirectory={folder / 'software'}\ntrustedProxies={SOURCE}\n")
            file.write(f"publicName=a\nscanNetworks={SILENT}\n")
        b = a.join(folder / "b", folder)
        with b.file.open("a") as file:
            file.write(f"trustedProxies={SOURCE}\nscanNetworks={SILENT}\n")
        try:
            a.start()
            b.start()
            a.quick_policy()
            with balancer(folder / "haproxy", (a.heartbeat_port, b.heartbeat_port)) as port:
                front = copy.copy(a)
                front.heartbeat_port = port
                with peer(front, folder / "agent", "12.0.0", address="127.9.0.1") as agent:
                    yield Site(server, a, b, front, agent, folder)
        finally:
            b.close()
            a.close()


def early_from(one: Manager) -> SClient:
    """A client of TLS 1.0 at the address of an exception."""
    return s_client(one.heartbeat_port, "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-bind", f"{EXCEPTED}:0")


def lets_early_in(one: Manager, port: str) -> bool:
    return s_client_early(getattr(one, port)).connected


def refuses_early(one: Manager, port: str) -> bool:
    return s_client_early(getattr(one, port)).refused_by_version


def answers(one: Manager) -> bool:
    return one.client.get("/api/tls/floors").status_code == 200


class Person:
    """An administrator's browser, whose requests the balancer sends to one manager or the other."""

    def __init__(self, on: Manager) -> None:
        form = {"username": on.admin_user, "password": on.admin_password}
        answer = self._ask(on, "POST", "/sign-in", {}, form)
        assert answer.status_code == 303, answer.text
        self._cookies = {"sid": answer.cookies["sid"]}

    def get(self, on: Manager, path: str) -> str:
        return self.fetch(on, path).decode()

    def fetch(self, on: Manager, path: str) -> bytes:
        answer = self._ask(on, "GET", path, self._cookies)
        assert answer.status_code == 200, answer.text
        return answer.content

    def post(self, on: Manager, path: str, **form: str) -> httpx.Response:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(on, "/"))
        assert found is not None
        return self._ask(on, "POST", path, self._cookies, {"csrf": found[1], **form})

    def _ask(
        self, on: Manager, method: str, path: str, cookies: dict[str, str], form: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
        request = on.client.build_request(method, path, data=form, headers={"cookie": sent})
        del request.headers["api-secret-key"]
        return on.client.send(request)


def usage(of: Manager) -> int:
    """How often the administrator's key asked, as that manager tells it."""
    return sum(one["requests"] for one in of.get("/api/apiusagemetrics")["apiUsageMetrics"])


def scan_states(of: Manager, scans: list[int]) -> list[str]:
    return [of.get(f"/api/tls/scans/{scan}")["state"] for scan in scans]


def nodes(of: Manager) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in of.get("/api/manager/nodes")["nodes"]}


def test_both_are_on_the_list_and_neither_is_a_copy(site: Site) -> None:
    known = eventually(
        lambda: found if len(found := nodes(site.a)) == 2 and all(one["current"] for one in found.values()) else None,
        "both managers run with the current floors",
    )
    assert set(known) == {"a", "b"}
    works = [work for one in known.values() for work in one["works"]]
    assert len(works) == len(set(works))
    shown = site.b.cli("manager", "nodes")
    assert shown.returncode == 0
    assert "b (this one)" in shown.stdout
    refused = site.a.cli("manager", "nodes", "--forget", "b")
    assert refused.returncode != 0
    assert "Stop it first" in refused.stderr


@pytest.mark.rule("R13")
def test_a_floor_set_at_one_is_in_force_at_the_other(site: Site) -> None:
    assert site.a.dsm_c("TLSv1").returncode == 0
    for one in (site.a, site.b):
        for port in ("heartbeat_port", "gui_port"):
            eventually(partial(lets_early_in, one, port), "early TLS is let in")
    eventually(lambda: "protocols=TLSv1" in site.b.file.read_text(), "the other's file says so")
    assert site.b.dsm_c("TLSv1.2").returncode == 0
    for one in (site.b, site.a):
        for port in ("heartbeat_port", "gui_port"):
            eventually(partial(refuses_early, one, port), "early TLS is refused")
        assert s_client(one.heartbeat_port, "-tls1_2").connected
    eventually(
        lambda: "protocols=" not in site.a.file.read_text().replace("# A line protocols=", ""), "the line is gone"
    )
    assert site.a.floors() == site.b.floors()


def test_an_exception_made_at_one_holds_at_the_other_and_ends_there(site: Site) -> None:
    body = {"floor": "TLSv1", "point": "heartbeat", "source": EXCEPTED, "until": time.time() + 600, "reason": "test"}
    made = site.a.post("/api/tls/exceptions", body, expect=200)
    eventually(lambda: early_from(site.b).connected, "the exception holds at the other")
    assert s_client_early(site.b.heartbeat_port).refused_by_version
    site.a.client.delete(f"/api/tls/exceptions/{made['id']}")
    eventually(lambda: early_from(site.b).refused_by_version, "it ended at the other")


def test_a_raise_is_started_at_another_manager_than_showed_the_names(site: Site) -> None:
    person, tls = Person(site.a), "/administration/system-settings/tls/floor"
    page = person.get(site.a, f"{tls}?point=heartbeat&to=TLSv1.3&wait=true")
    shown = re.search(r'name="kept" value="([0-9a-f]{32})"', page)
    assert shown is not None, page
    form = {"point": "heartbeat", "to": "TLSv1.3", "force": "1", "reason": "a test"}
    unknown = person.post(site.b, tls, **form, kept="0" * 32)
    assert unknown.status_code == 409, unknown.text
    started = person.post(site.b, tls, **form, kept=shown[1])
    assert started.status_code == 303, started.text
    assert site.b.floors()["heartbeat"] == "TLSv1.3"
    site.a.set_floor("TLSv1.2", "heartbeat")


def test_a_proof_made_at_one_is_downloaded_at_the_other_and_signed_by_the_one_key(site: Site) -> None:
    person = Person(site.a)
    begun = person.post(site.a, "/reports/proofs")
    assert begun.status_code == 303, begun.text
    link = eventually(
        lambda: re.search(r'href="(/reports/proofs/[0-9a-f]{32}/bundle.zip)"', person.get(site.b, "/reports")),
        "the other shows the proof",
    )
    bundle = zipfile.ZipFile(io.BytesIO(person.fetch(site.b, link[1])))
    signed = next(bundle.read(name).decode() for name in bundle.namelist() if name.endswith("key.pem"))
    for one in (site.a, site.b):
        assert [key["pem"] for key in one.get("/api/tls/proofs/keys")["keys"]] == [signed]


def test_what_a_key_asked_is_summed_over_both(site: Site) -> None:
    before, looks = usage(site.b), 0
    for _ in range(20):
        site.a.floors()

    def look() -> bool:
        nonlocal looks
        looks += 1
        return usage(site.b) >= before + looks + 20

    eventually(look, "what came to the other manager is in the sum")


def test_a_computer_that_talks_to_both_is_online_for_both(site: Site) -> None:
    name = next(iter(site.a.computers()))
    for one in (site.a, site.b):
        computer = one.computer(name)
        assert computer["computerStatus"]["agentStatusMessages"] == ["Managed (Online)"], computer
    policy = site.b.post("/api/tls/send-policy", {"all": True})
    assert policy["queued"] == 1
    eventually(lambda: not site.a.computer(name).get("policyPending"), "it took the policy")


def test_one_is_killed_and_the_other_goes_on(site: Site) -> None:
    name = next(iter(site.a.computers()))
    doing = site.holder("changes")
    left = site.other(doing)
    options = {"to": "TLSv1.3", "points": ["heartbeat"], "soak": 4, "acceptAffected": True}
    change = left.post("/api/tls/changes", options)
    eventually(
        lambda: left.get(f"/api/tls/changes/{change['id']}")["stage"] not in ("preflight",), "the change is on its way"
    )
    with socket.create_server(("0.0.0.0", 0)) as silent:
        asked = {"endpoints": [f"{SILENT}:{silent.getsockname()[1]}"]}
        scans = [site.a.post("/api/tls/scans", asked)["id"] for _ in range(2)]
        eventually(lambda: scan_states(left, scans) == ["running"] * 2, "each manager runs a scan")
        assert scan_states(doing, scans) == ["running"] * 2
        doing.kill()
        eventually(
            lambda: sorted(scan_states(left, scans)) == ["interrupted", "running"], "the killed one's is told as broken"
        )
        goes_on = scans[scan_states(left, scans).index("running")]
        left.post(f"/api/tls/scans/{goes_on}/cancel", {})
    before = time.time()
    done = eventually(
        lambda: (
            found
            if (found := left.get(f"/api/tls/changes/{change['id']}"))["state"] not in ("running", "scheduled")
            else None
        ),
        "the other finishes the change",
        timeout=90,
    )
    assert done["state"] == "done", done
    assert s_client(left.heartbeat_port, "-tls1_3").connected
    assert not s_client(left.heartbeat_port, "-tls1_2").connected
    events = left.get("/api/events", limit=200)["events"]
    told = [one for one in events if one["number"] == 730 and one["time"] >= before]
    assert not told, "a computer that talks to the other manager is not offline"
    assert site.agent.process.poll() is None
    eventually(lambda: nodes(left)[doing.home.name]["state"] == "gone", "the killed one is gone")
    doing.start()
    eventually(lambda: nodes(left)[doing.home.name]["current"], "it is back, with the current floors")
    assert not s_client(doing.heartbeat_port, "-tls1_2").connected
    assert left.computer(name)


def test_while_the_database_is_away_both_hold_their_floors_and_come_back(site: Site) -> None:
    site.server.stop()
    for one in (site.a, site.b):
        assert not s_client(one.heartbeat_port, "-tls1_2").connected
        assert s_client(one.heartbeat_port, "-tls1_3").connected
    site.server.start()
    for one in (site.a, site.b):
        eventually(partial(answers, one), "it answers again")
    assert site.a.dsm_c("TLSv1.2").returncode == 0
    eventually(lambda: s_client(site.b.heartbeat_port, "-tls1_2").connected, "and hears of floors again")


def test_one_that_stops_gives_its_works_back_and_says_so(site: Site) -> None:
    assert site.b.stop() == 0
    works = {work for node in nodes(site.a).values() for work in node["works"]}
    assert nodes(site.a)["b"]["state"] == "stopped"
    assert not nodes(site.a)["b"]["works"]
    eventually(lambda: set(nodes(site.a)["a"]["works"]) >= works, "the other does everything")
    site.b.start()
    eventually(lambda: nodes(site.a)["b"]["state"] == "running", "it is back")


def rotation(of: Manager) -> dict[str, Any]:
    found: dict[str, Any] = of.get("/api/ca")["rotation"]
    return found


def reaches(one: Manager, home: Path) -> bool:
    """Whether that agent's identity and CAs get through to the manager's own port, each side checking the other."""
    ca, cert, key = (str(home / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    try:
        with Link(HOST, one.heartbeat_port, ca=ca, cert=cert, key=key, expect_role="manager", timeout=20) as link:
            return bool(link.request("GET", "/").status == 404)
    except LinkError:
        return False


def keys_of(one: Manager) -> list[str]:
    return sorted(path.name for path in (one.home / "ca").iterdir() if path.name != "ca.pem")


def test_the_ca_is_rotated_to_its_end_while_one_is_killed_and_comes_back(site: Site, tmp_path: Path) -> None:
    a, b, home = site.a, site.b, tmp_path / "agent"
    # The simulated one is of a release that cannot be told of a CA.
    for one in a.computers().values():
        a.client.delete(f"/api/computers/{one['ID']}").raise_for_status()
    activate(site.front, home, "--name", "real", "--listen", HOST, "--listen-port", str(free_ports(1)[0]))
    # A node file of before, for one that joins in the middle.
    joins = a.join(tmp_path / "c", tmp_path)
    with agent(home):
        a.computer("real")
        begun = b.cli("ca", "rotate", "--by-hand")
        assert begun.returncode == 0, begun.stderr
        new = rotation(a)["new"]
        eventually(lambda: rotation(a)["computers"] == {"ready": 1}, "the agent trusts both")
        eventually(lambda: len(keys_of(a)) == 2 and keys_of(a) == keys_of(b), "both managers have the new key")
        for used in (a, b):
            used._forget_client()
        # The one that made it is killed; the other goes on with a key that it never made.
        b.kill()
        eventually(lambda: nodes(a)["b"]["state"] == "gone", "the killed one is gone")
        switched = a.cli("ca", "switch")
        assert switched.returncode == 0, switched.stderr
        eventually(lambda: rotation(a)["computers"] == {"ready": 1}, "the agent shows a certificate of the new CA")
        # One that joins now has what it needs, though its node file is of before.
        joins.start()
        try:
            assert reaches(joins, home)
            eventually(lambda: nodes(a)["c"]["current"], "it is on the list")
            retired = eventually(lambda: found if not (found := joins.cli("ca", "retire")).returncode else None, "end")
            assert retired is not None
            eventually(lambda: keys_of(a) == keys_of(joins) == [f"ca-{new[:16]}.pem"], "the old key is put away")
            assert joins.stop() == 0
        finally:
            joins.close()
        # Back after the end, it has the key that counts, and has put away the other.
        b.start()
        assert keys_of(b) == [f"ca-{new[:16]}.pem"]
        assert list((b.home / "backup").glob("ca-*.pem"))
        assert a.ca.read_bytes() == b.ca.read_bytes() == (home / "ca.pem").read_bytes()
        assert all(reaches(one, home) for one in (a, b))
        assert [one["fingerprint"] for one in b.get("/api/ca")["authorities"]] == [new]
        told = [one for one in b.get("/api/events", limit=1000)["events"] if one["number"] in (730, 4011, 4012, 5320)]
        assert [one["description"] for one in told if "real" in one["description"]] == [], "the agent lost no contact"
