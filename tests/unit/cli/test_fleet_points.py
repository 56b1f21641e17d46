"""Where the points of a fleet are, which floor is asked of each, and what a proof says of what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.fake import Answers, FakeManager
from tests.unit.scan.made import accepted, endpoint

from plimsoll.cli import _client
from plimsoll.cli._errors import CommandError
from plimsoll.cli._fleet.points import FleetPoint, manager_address, of_fleet, points
from plimsoll.cli._fleet.verify import Proof, proof_of
from plimsoll.scan.judgement import Verdict
from plimsoll.scan.report import Control, EndpointReport, Outcome, State, Target, VersionReport
from plimsoll.tls.floors import Point
from plimsoll.tls.versions import Version


def floor(point: str, port: int, value: str) -> dict[str, Any]:
    return {"point": point, "port": port, "floor": value}


def relay(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "ID": f"r{number}", "name": f"relay-{number}", "address": f"10.0.0.{number}", "port": 4122,
        "required": "TLSv1.2", "pending": False, **changes,
    }  # fmt: skip


def computer(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "ID": f"r{number}", "hostName": f"host-{number}", "displayName": "", "state": "active", "policy": "Base",
        "lastIPUsed": f"10.0.0.{number}", "listenPort": 4118, "policyPending": False, **changes,
    }  # fmt: skip


FLEET: Answers = {
    ("GET", "/api/tls/floors"): (200, {"floors": [
        floor("heartbeat", 4120, "TLSv1.2"), floor("gui", 4119, "TLSv1.3"),
        floor("relay", 4122, "TLSv1.2"), floor("agent", 4118, "TLSv1.2"),
    ]}),
    ("GET", "/api/tls/relays"): (200, {"relays": [relay(1), relay(2, pending=True), relay(3), relay(4, address="")]}),
    ("GET", "/api/policies"): (200, {"policies": [
        {"name": "Base", "agentFloor": "TLSv1.2"}, {"name": "Old", "agentFloor": "TLSv1"},
        {"name": "Plain", "agentFloor": None},
    ]}),
    ("GET", "/api/computers"): (200, {"computers": [
        computer(1, listenPort=None), computer(2, policy="Old", policyPending=True), computer(3, state="revoked"),
        computer(4, policy="Plain", displayName="db-4", lastIPUsed=None),
    ]}),
}  # fmt: skip


def test_points_are_what_listens_with_the_floor_of_its_policy() -> None:
    with _client.in_process(FakeManager(FLEET), "the fake manager") as client:
        found = points(client, "10.0.0.100")
    assert [(one.name, one.point, one.place, one.asked, one.note) for one in found] == [
        ("manager", Point.GUI, "10.0.0.100:4119", Version.TLS1_3, ""),
        ("manager", Point.HEARTBEAT, "10.0.0.100:4120", Version.TLS1_2, ""),
        ("relay-1", Point.RELAY, "10.0.0.1:4122", Version.TLS1_2, ""),
        ("relay-2", Point.RELAY, "10.0.0.2:4122", Version.TLS1_2, "the policy was not sent yet"),
        ("relay-4", Point.RELAY, ":4122", Version.TLS1_2, ""),
        ("host-2", Point.AGENT, "10.0.0.2:4118", Version.TLS1_0, "the policy was not sent yet"),
        ("db-4", Point.AGENT, ":4118", Version.TLS1_2, ""),
    ]


@pytest.mark.parametrize(
    ("listens", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3"), (None, "127.0.0.1")]
)
def test_the_managers_own_address_comes_from_its_file(tmp_path: Path, listens: str | None, address: str) -> None:
    line = "" if listens is None else f"listenAddress={listens.replace(':', chr(92) + ':')}\n"
    (tmp_path / "configuration.properties").write_text(line)
    assert manager_address(tmp_path, {}) == address
    assert manager_address(None, {"PLIMSOLL_HOME": str(tmp_path)}) == address


def test_a_manager_elsewhere_is_asked_where_its_address_says(tmp_path: Path) -> None:
    assert manager_address(None, {"PLIMSOLL_URL": "https://[2001:db8::1]:4119"}) == "2001:db8::1"
    assert manager_address(None, {"PLIMSOLL_URL": "https://dsm.example.com:4119/"}) == "dsm.example.com"
    with pytest.raises(CommandError, match=r"configuration\.properties"):
        of_fleet(_client.in_process(FakeManager(FLEET), "the fake manager"), tmp_path, {})


def test_the_manager_is_told_where_the_probes_come_from(tmp_path: Path) -> None:
    (tmp_path / "configuration.properties").write_text("listenAddress=127.0.0.1\n")
    for source, told in (("127.0.60.1", "127.0.60.1"), ("", "127.0.0.1")):
        manager = FakeManager(FLEET | {("POST", "/api/tls/probers"): (200, {})})
        of_fleet(_client.in_process(manager, "the fake manager"), tmp_path, {}, source)
        assert manager.asked[-1] == ("POST", "/api/tls/probers", {}, {"address": told})


def test_a_key_that_may_not_register_probes_still_verifies(tmp_path: Path) -> None:
    (tmp_path / "configuration.properties").write_text("listenAddress=127.0.0.1\n")
    manager = FakeManager(FLEET | {("POST", "/api/tls/probers"): (403, {"message": "an auditor may not do that"})})
    assert of_fleet(_client.in_process(manager, "the fake manager"), tmp_path, {})


def proof(report: EndpointReport | None, asked: Version = Version.TLS1_2) -> Proof:
    return proof_of(FleetPoint("north-1", Point.RELAY, "10.0.0.1", 4122, asked), report)


@pytest.mark.rule("R17")
def test_what_a_proof_concludes() -> None:
    good = proof(endpoint())
    assert (good.verdict, good.proved, good.lowest) == (Verdict.HOLDS, Version.TLS1_2, Version.TLS1_2)
    assert good.evidence.startswith("accepted TLSv1.2, TLSv1.3; refused SSLv2, SSLv3, TLSv1.0, TLSv1.1: alert")
    old = proof(endpoint(accepted(Version.TLS1_0, [0xC009])))
    assert (old.verdict, old.proved) == (Verdict.FAILS, Version.TLS1_0)
    assert old.evidence == "TLSv1.0 is accepted"
    strict = proof(endpoint(), Version.TLS1_0)
    assert (strict.verdict, strict.proved) == (Verdict.HOLDS, Version.TLS1_2)
    assert strict.evidence.startswith("stricter than asked")


@pytest.mark.rule("R17")
def test_what_stayed_open_proves_no_floor() -> None:
    silent = proof(endpoint(VersionReport(Version.TLS1_0, Outcome.INCONCLUSIVE, ("reset",))))
    assert (silent.verdict, silent.proved, silent.lowest) == (Verdict.NOT_PROVED, None, Version.TLS1_2)
    void = proof(endpoint(control=Control(held=False)))
    assert (void.verdict, void.proved) == (Verdict.NOT_PROVED, None)
    gone = proof(EndpointReport(Target("10.0.0.1", 4122), State.UNREACHABLE, note="connection refused"))
    assert (gone.verdict, gone.proved, gone.evidence) == (Verdict.NOT_PROVED, None, "unreachable: connection refused")
    unknown = proof(None)
    assert (unknown.verdict, unknown.proved) == (Verdict.NOT_PROVED, None)
    assert unknown.as_json()["versions"] == {}
    assert "its address is not known" in unknown.evidence
