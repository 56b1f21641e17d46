"""Old parts are replaced, then the floor is raised: nobody is cut off, and each step shows it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import agent
from tests.support.manager import HOST, Manager, peer
from tests.support.process import BIN, eventually, free_ports, run
from tests.support.tools import s_client_early

from plimsoll.testing.caps import client_context
from plimsoll.testing.http import HttpPipe
from plimsoll.testing.pipe import REFUSED, PeerError, TlsPipe
from plimsoll.tls.versions import Version


def who(lines: list[dict[str, Any]]) -> set[str]:
    return {line["who"] for line in lines}


@pytest.mark.rule("R6")
@pytest.mark.rule("R16")
@pytest.mark.rule("R20")
def test_an_old_agent_is_deployed_only_where_early_tls_is_allowed(running: Manager, tmp_path: Path) -> None:
    """A fresh manager holds TLS 1.2 everywhere, with nothing to do."""
    assert set(running.floors().values()) == {"TLSv1.2"}
    home = tmp_path / "early-bird"
    command: list[str | Path] = [BIN / "python", "-m", "plimsoll.testing.peer", "--home", home]
    command += ["--manager", running.url, "--token", running.new_token(2), "--version", "9.6", "--interval", "1"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        run(command, timeout=4)
    assert not (home / "agent.json").exists()
    assert running.computers() == {}
    assert running.dsm_c("TLSv1").returncode == 0
    with peer(running, home, "9.6"):
        assert running.computer("early-bird")["agentVersion"] == "9.6"
    running.client.delete(f"/api/computers/{running.computers()['early-bird']['ID']}")


async def early_request(manager: Manager) -> int:
    """An API call by a program that speaks TLS 1.0 only, with the administrator's key."""
    context = client_context(str(manager.ca), oldest=Version.TLS1_0, newest=Version.TLS1_0)
    pipe = await TlsPipe.open(HOST, manager.gui_port, context)
    try:
        answer = await HttpPipe(pipe).request("GET", "/api/computers", headers={"api-secret-key": manager.api_key})
    finally:
        await pipe.close()
    return answer.status


@pytest.mark.rule("R12")
@pytest.mark.rule("R7")
def test_blocked_then_replaced_then_raised(running: Manager, tmp_path: Path) -> None:
    running.set_minimum("TLSv1")
    running.quick_policy()
    (port,) = free_ports(1)
    relay_options = ["--relay-port", str(port)]
    with (
        peer(running, tmp_path / "box-9-6", "9.6", address="127.35.0.1"),
        peer(running, tmp_path / "relay-11-0", "11.0", kind="relay", address="127.35.0.2", more=relay_options),
    ):
        assert asyncio.run(early_request(running)) == 200
        assert s_client_early(port, "127.35.0.2").connected
        judged = running.get("/api/tls/preflight", to="TLSv1.2", point="all")
        assert who(judged["blockers"]) == {"box-9-6"}
        assert len(judged["affected"]) == 1
        refused = running.dsm_c("TLSv1.2")
        assert refused.returncode == 3
        assert "box-9-6" in refused.stderr
    with agent(tmp_path / "box-9-6"), agent(tmp_path / "relay-11-0"):
        eventually(
            lambda: {c["agentVersion"][:4] for c in running.computers().values()} == {"12.0"}, "both are seen as 12.0"
        )
        # The identity, and a relay's floor, outlive the upgrade.
        assert set(running.computers()) == {"box-9-6", "relay-11-0"}
        assert s_client_early(port, "127.35.0.2").connected
        raised = running.dsm_c("TLSv1.2")
        assert (raised.returncode, raised.stdout) == (0, "TLSv1.2\n"), raised.stderr
        assert s_client_early(port, "127.35.0.2").connected
        running.post("/api/tls/send-policy", {"all": True})
        eventually(lambda: s_client_early(port, "127.35.0.2").refused_by_version, "the relay refuses TLS 1.0")
        with pytest.raises(PeerError) as caught:
            asyncio.run(early_request(running))
        assert caught.value.reason == REFUSED
        shown = running.get("/api/tls/picture")["links"]
        assert shown


ADVICE = [
    ("new", "10.0", "nothing"),
    ("new", "9.6", "upgrade"),
    ("upgrade", "10.0", "enforce"),
    ("upgrade", "9.6", "plan"),
]


@pytest.mark.rule("R8")
@pytest.mark.parametrize(("installation", "oldest", "word"), ADVICE)
def test_the_four_cases_of_the_decision_table(running: Manager, installation: str, oldest: str, word: str) -> None:
    asked = running.cli("advise", "--installation", installation, "--oldest-agent", oldest)
    assert asked.returncode == 0, asked.stderr
    assert word in asked.stdout.lower()
