"""What an agent does when its process is killed, its certificate is revoked or expired, or its release changes."""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support.agents import activate, agent, agent_command
from tests.support.manager import Manager, manager, peer
from tests.support.process import Service, eventually, free_ports
from tests.support.store import store_of
from tests.support.tools import s_client, s_client_early

pytestmark = pytest.mark.xdist_group("agent-faults")


def test_a_policy_survives_kills_between_applying_and_acknowledging(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "killed"
    running.quick_policy()
    activate(running, home, "--name", "killed", token=running.new_token())
    held = home / "policy.json"
    for heartbeat in (61, 62, 63):
        process = Service(agent_command(home))
        try:
            process.wait_ready()
            before = held.read_bytes()
            running.quick_policy(seconds=1, missedHeartbeats=heartbeat)
            running.send_policy("killed")
            spin_until_changed(held, before)
        finally:
            process.kill()
        assert json.loads(held.read_bytes())["missed_heartbeats"] == heartbeat
        with agent(home):
            eventually(lambda: is_held(running, "killed"), "the acknowledgement arrives after the kill")
            eventually(lambda: not json.loads((home / "spool.json").read_bytes())["acks"], "and leaves the spool")
    running.quick_policy(seconds=1, missedHeartbeats=2)


def spin_until_changed(file: Path, before: bytes) -> None:
    """Returns within a moment of the change, to kill before the next step."""
    deadline = time.monotonic() + 30
    while file.read_bytes() == before:
        assert time.monotonic() < deadline, f"{file} did not change"


def is_held(manager: Manager, name: str) -> bool:
    computer = manager.computers()[name]
    return bool(computer["policyHeld"] and not computer["policyPending"])


def test_a_revoked_agent_says_so_and_how_to_come_back(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "revoked"
    running.quick_policy()
    activate(running, home, "--name", "revoked", token=running.new_token())
    with agent(home) as process:
        computer = running.computer("revoked")["ID"]
        running.post(f"/api/computers/{computer}/revoke", {})
        eventually(lambda: "was revoked" in process.error_text, "the agent says that it was revoked")
        assert "activate it again with a new token" in process.error_text
        assert process.error_text.count("was revoked") == 1, "once, not at every attempt"
        assert process.stop() == 0


def age_certificate(running: Manager, home: Path) -> None:
    """Puts an expired certificate for the agent's own key in the place of the valid one, on both sides."""
    running.stop()
    show_aged(running, home, -91, -1)
    running.start()


def show_aged(running: Manager, home: Path, begins: float, ends: float) -> None:
    """The agent's certificate is good from and until so many days from now, for a manager that is down and for it."""
    aged = again(running, home / "cert.pem", begins, ends)
    (home / "cert.pem").write_bytes(aged.public_bytes(serialization.Encoding.PEM))
    state = json.loads((home / "agent.json").read_bytes())
    state["not_before"], state["not_after"] = 0.0, 0.0  # as a home that does not know its dates
    (home / "agent.json").write_text(json.dumps(state))
    fingerprint = hashlib.sha256(aged.public_bytes(serialization.Encoding.DER)).hexdigest()
    with store_of(running.home) as store:
        changed = store.execute(
            "update computers set fingerprint = ?, certificate_expires = ? where id = ?",
            (fingerprint, aged.not_valid_after_utc.timestamp(), state["computer"]),
        )
        assert changed.rowcount == 1


def again(running: Manager, path: Path, begins: float, ends: float) -> x509.Certificate:
    """The certificate of that file with other dates, by the key of the manager's CA."""
    old = x509.load_pem_x509_certificate(path.read_bytes())
    ca_key: Any = serialization.load_pem_private_key((running.home / "ca" / "ca.key").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=begins))
    builder = builder.not_valid_after(now + datetime.timedelta(days=ends))
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(ca_key, hashes.SHA256())


def test_an_agent_that_slept_past_its_certificates_end_comes_back(running: Manager, tmp_path: Path) -> None:
    home = tmp_path / "sleeper"
    running.quick_policy()
    activate(running, home, "--name", "sleeper", token=running.new_token())
    age_certificate(running, home)
    aged = (home / "cert.pem").read_bytes()
    with agent(home) as process:
        assert "heartbeat=ok" in process.lines[0]
        eventually(
            lambda: running.computers()["sleeper"]["computerStatus"]["agentStatus"] == "active", "it counts as online"
        )
    renewed = x509.load_pem_x509_certificate((home / "cert.pem").read_bytes())
    assert (home / "cert.pem").read_bytes() != aged
    assert renewed.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=80)


def test_an_agent_comes_back_where_the_ca_itself_ended_meanwhile(tmp_path: Path) -> None:
    """Manager and agent were down for 40 days after the end; the agent's own certificate ended with the CA."""
    with manager(tmp_path / "home") as running:
        home = tmp_path / "sleeper"
        running.quick_policy()
        activate(running, home, "--name", "sleeper", token=running.new_token())
        running.stop()
        ca = running.home / "ca" / "ca.pem"
        show_aged(running, home, -60, -40)
        ended = again(running, ca, -3650, -40).public_bytes(serialization.Encoding.PEM)
        ca.write_bytes(ended)
        (home / "ca.pem").write_bytes(ended)
        running.start()
        with agent(home) as process:
            eventually(
                lambda: running.computers()["sleeper"]["computerStatus"]["agentStatus"] == "active",
                "it is online again",
            )
            assert "for the same key, came from" in process.error_text
        assert (home / "ca.pem").read_bytes() == ca.read_bytes() != ended
        renewed = x509.load_pem_x509_certificate((home / "cert.pem").read_bytes())
        assert renewed.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=80)


@pytest.mark.rule("R7")
def test_an_upgraded_relay_keeps_the_floor_that_its_old_release_held(running: Manager, tmp_path: Path) -> None:
    """A relay of 11.0 that was never sent a policy, then this release on the same home."""
    home = tmp_path / "relay"
    (port,) = free_ports(1)
    address = "127.32.0.1"
    more = ["--relay-port", str(port)]
    with peer(running, home, "11.0", kind="relay", address=address, token=running.new_token(), more=more):
        assert s_client_early(port, address).connected
    with agent(home) as upgraded:
        assert "floor=TLSv1" in upgraded.lines[0]
        assert s_client_early(port, address).connected, "its old agents are not cut off unasked"
        name = next(row["name"] for row in running.get("/api/tls/relays")["relays"] if row["port"] == port)
        row = eventually(lambda: reported(running, name), "the manager hears why")
        assert (row["held"], row["version"]) == ("TLSv1", "12.0.0")
        running.send_policy(name)
        eventually(lambda: s_client_early(port, address).refused_by_version, "the policy that is sent raises it")
        assert s_client(port, "-tls1_2", host=address).connected
    with agent(home):
        assert s_client_early(port, address).refused_by_version, "and a restart keeps it"


def reported(manager: Manager, name: str) -> dict[str, Any] | None:
    rows = manager.get("/api/tls/relays")["relays"]
    return next((row for row in rows if row["name"] == name and row["origin"] == "kept through an upgrade"), None)
