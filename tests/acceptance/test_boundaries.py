"""Who stands in the way of a raise, end to end: the table's boundaries, and what beats the table (R3, R11, R12)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.manager import Manager, peer
from tests.support.process import free_ports
from tests.support.tools import s_client_early

#: Name, kind, release and what it speaks if that is not its release's.
PEERS = [
    ("old-9-6", "agent", "9.6", None),
    ("agent-10-0", "agent", "10.0", None),
    ("agent-12-0", "agent", "12.0", None),
    ("lifted-9-6", "agent", "9.6", "TLSv1.2"),
    ("appliance-9-5", "appliance", "9.5", None),
    ("appliance-10-0", "appliance", "10.0", None),
    ("relay-10-0", "relay", "10.0", None),
    ("relay-10-0-u8", "relay", "10.0 Update 8", None),
]


@pytest.fixture(scope="module")
def fleet(running: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager at early TLS with one peer on each side of every boundary."""
    folder = tmp_path_factory.mktemp("peers")
    running.set_minimum("TLSv1")
    token = running.new_token(len(PEERS))
    (port,) = free_ports(1)
    with contextlib.ExitStack() as stack:
        for number, (name, kind, version, speaks) in enumerate(PEERS, 1):
            more = ["--relay-port", str(port)]
            more += ["--speaks", speaks] if speaks else []
            more += ["--guards", "vm-1,vm-2"] if kind == "appliance" else []
            address = f"127.32.0.{number}"
            stack.enter_context(
                peer(running, folder / name, version, kind=kind, address=address, token=token, more=more)
            )
        yield running


def preflight(manager: Manager, point: str = "all", to: str = "TLSv1.2") -> dict[str, dict[str, dict[str, Any]]]:
    """Blockers and noted lines by name."""
    data = manager.get("/api/tls/preflight", to=to, point=point)
    return {part: {line["who"]: line for line in data[part]} for part in ("blockers", "noted", "affected")}


@pytest.mark.rule("R3")
@pytest.mark.rule("R12")
def test_the_names_of_the_blockers(fleet: Manager) -> None:
    found = preflight(fleet)["blockers"]
    assert set(found) == {"old-9-6", "appliance-9-5", "relay-10-0"}
    assert found["old-9-6"]["version"] == "9.6"
    assert found["old-9-6"]["address"] == "127.32.0.1"
    assert "TLSv1" in found["old-9-6"]["reason"]
    assert found["old-9-6"]["last_seen"]
    assert found["appliance-9-5"]["kind"] == "appliance"


@pytest.mark.rule("R11")
@pytest.mark.rule("R3")
def test_a_relay_that_cannot_enforce_blocks_4122_only(fleet: Manager) -> None:
    assert set(preflight(fleet, "relay")["blockers"]) >= {"relay-10-0"}
    assert "relay-10-0-u8" not in preflight(fleet, "relay")["blockers"]
    assert "relay-10-0" not in preflight(fleet, "heartbeat")["blockers"]


@pytest.mark.rule("R12")
def test_what_was_seen_beats_the_table_and_the_line_says_why(fleet: Manager) -> None:
    noted = preflight(fleet)["noted"]["lifted-9-6"]
    assert noted["version"] == "9.6"
    assert "TLSv1.2" in noted["reason"] + noted["evidence"]
    assert noted["certainty"] == "seen-offering"


@pytest.mark.rule("R12")
def test_a_raise_is_refused_with_the_names_at_every_door(fleet: Manager) -> None:
    for refused in (fleet.dsm_c("TLSv1.2"), fleet.cli("floor", "set", "TLSv1.2")):
        assert refused.returncode == 3, refused.stderr
        assert all(name in refused.stderr for name in ("old-9-6", "appliance-9-5", "9.6", "9.5"))
        assert "lifted-9-6" not in refused.stderr.split("not blockers")[0] or "because" in refused.stderr
    answer = fleet.client.post("/api/tls/minimum", json={"floor": "TLSv1.2"})
    assert answer.status_code == 409
    assert {line["who"] for line in answer.json()["blockers"]} == {"old-9-6", "appliance-9-5", "relay-10-0"}
    assert set(fleet.floors().values()) == {"TLSv1"}
    assert s_client_early(fleet.heartbeat_port).connected


@pytest.mark.rule("R12")
def test_force_needs_a_reason_and_is_recorded(fleet: Manager) -> None:
    without = fleet.cli("floor", "set", "TLSv1.2", "--point", "heartbeat", "--force")
    assert without.returncode == 2
    assert fleet.floors()["heartbeat"] == "TLSv1"
    forced = fleet.cli(
        "floor", "set", "TLSv1.2", "--point", "heartbeat", "--force", "--reason", "audit on Friday", "--json"
    )
    assert forced.returncode == 0, forced.stderr
    try:
        newest = json.loads(fleet.cli("floor", "history", "--limit", "1", "--json").stdout)
        entry = (newest["history"] if isinstance(newest, dict) else newest)[0]
        assert (entry["to"], entry["forced"], entry["reason"]) == ("TLSv1.2", True, "audit on Friday")
        assert {"old-9-6", "appliance-9-5"} <= set(entry["named"])
        assert s_client_early(fleet.heartbeat_port).refused_by_version
    finally:
        fleet.set_floor("TLSv1", "heartbeat")


@pytest.mark.rule("R8")
def test_the_advice_names_the_parts_that_decided_it(fleet: Manager) -> None:
    shown = fleet.cli("advise")
    assert shown.returncode == 0, shown.stderr
    assert all(name in shown.stdout for name in ("old-9-6", "appliance-9-5"))
