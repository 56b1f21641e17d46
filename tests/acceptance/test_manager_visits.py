"""The manager calls: it activates an agent that waits, fetches heartbeats, and wakes who listens (R5)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.manager import HOST, PLIMSOLL, Manager
from tests.support.process import Service, eventually, free_ports, service
from tests.support.tools import s_client_early

from plimsoll.messages.visit import new_visit_code

pytestmark = pytest.mark.xdist_group("manager-visits")


@contextlib.contextmanager
def waiting(home: Path, port: int, name: str, *options: str) -> Iterator[Service]:
    """An agent that waits for its manager's visit."""
    command: list[str | Path] = [
        PLIMSOLL,
        "agent",
        "activate",
        "--home",
        home,
        "--wait",
        "--listen",
        HOST,
        "--listen-port",
        str(port),
    ]
    with service([*command, "--name", name, *options]) as started:
        yield started


@contextlib.contextmanager
def visited(manager: Manager, home: Path, name: str, direction: str) -> Iterator[tuple[str, int]]:
    """An agent that was activated by a visit and runs under a policy of that direction; its id and port."""
    (port,) = free_ports(1)
    code = new_visit_code()
    values = {"heartbeatSeconds": 1, "direction": direction}
    manager.post("/api/policies", {"name": name, **values})
    with waiting(home, port, name, "--code", code) as agent:
        done = manager.cli("computers", "activate", HOST, "--port", str(port), "--code", code)
        assert done.returncode == 0, done.stderr
        assert agent.wait_end() == 0
    computer = str(manager.computers()[name]["ID"])
    manager.post(f"/api/computers/{computer}", {"policy": name})
    with service([PLIMSOLL, "agent", "run", "--home", home]):
        manager.post("/api/tls/send-policy", {"computers": [computer]})
        yield computer, port


def test_a_wrong_code_activates_nobody_and_says_so(running: Manager, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with waiting(tmp_path / "agent", port, "shy", "--code", new_visit_code()):
        wrong = running.post(
            "/api/computers/activate", {"address": HOST, "port": port, "code": new_visit_code()}, expect=409
        )
        assert "one-time code" in wrong["message"]
        malformed = running.post("/api/computers/activate", {"address": HOST, "port": port, "code": "1"}, expect=400)
        assert "one-time code" in malformed["message"]
    (nobody,) = free_ports(1)
    gone = running.post("/api/computers/activate", {"address": HOST, "port": nobody, "code": None}, expect=409)
    assert str(nobody) in gone["message"]
    assert "shy" not in running.computers()


def test_the_managers_fingerprint_does_instead_of_a_code(running: Manager, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    fingerprint = x509.load_pem_x509_certificate(running.ca.read_bytes()).fingerprint(SHA256()).hex()
    (port,) = free_ports(1)
    with waiting(tmp_path / "agent", port, "trusting", "--manager-fingerprint", fingerprint) as agent:
        made = running.post("/api/computers/activate", {"address": HOST, "port": port})
        assert made["hostName"] == "trusting"
        assert agent.wait_end() == 0


@pytest.mark.rule("R5")
def test_a_manager_initiated_agent_is_activated_polled_and_takes_its_policy(running: Manager, tmp_path: Path) -> None:
    with visited(running, tmp_path / "agent", "polled", "manager-initiated") as (computer, port):

        def held() -> bool:
            one = running.get(f"/api/computers/{computer}")
            return bool(one["policyHeld"] and not one["policyPending"] and one["tls"]["negotiated"])

        eventually(held, "the policy is taken on a visit")
        one = running.get(f"/api/computers/{computer}")
        before = one["lastAgentCommunication"]
        eventually(
            lambda: running.get(f"/api/computers/{computer}")["lastAgentCommunication"] > before, "it is visited again"
        )
        assert one["listenPort"] == port
        # 4118 holds the floor of the policy, and obeys managers only.
        assert s_client_early(port).refused_by_version


@pytest.mark.rule("R5")
def test_a_bidirectional_agent_is_woken_for_a_policy(running: Manager, tmp_path: Path) -> None:
    with visited(running, tmp_path / "agent", "woken", "bidirectional") as (computer, _):

        def settled() -> bool:
            one = running.get(f"/api/computers/{computer}")
            return bool(one["policyHeld"] and not one["policyPending"])

        eventually(settled, "the first policy is held")
        policies = {one["name"]: one for one in running.get("/api/policies")["policies"]}
        path = f"/api/policies/{policies['woken']['ID']}"
        running.post(path, {"heartbeatSeconds": 3000})
        running.post("/api/tls/send-policy", {"computers": [computer]})
        eventually(settled, "the slow policy is held")
        # From here on nothing comes by itself within the test's patience.
        running.post(path, {"heartbeatSeconds": 2000})
        running.post("/api/tls/send-policy", {"computers": [computer]})
        eventually(settled, "the agent was woken")
