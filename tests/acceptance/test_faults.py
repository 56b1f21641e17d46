"""Bad input and faults: each is a clear error, and what was good before stays in force."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import activate
from tests.support.manager import HOST, PLIMSOLL, Manager
from tests.support.process import BIN, Service, eventually, run, service
from tests.support.tools import s_client

from plimsoll.messages.token import ActivationToken
from plimsoll.testing.agents import Contexts, PeerSpec, SimulatedAgent, fetch_ca
from plimsoll.testing.pipe import PeerError


@pytest.fixture(scope="module")
def quick(running: Manager) -> Manager:
    running.quick_policy()
    return running


@pytest.fixture
def spare(tmp_path: Path) -> Iterator[Manager]:
    """A manager that is initialised and does not run; it is stopped at the end if the test started it."""
    made = Manager(tmp_path / "spare")
    try:
        yield made
    finally:
        made.close()


def refuse_to_start(manager: Manager) -> str:
    """Starts the manager, which must end by itself with an error; returns what it said."""
    process = Service([PLIMSOLL, "manager", "run", "--home", manager.home])
    try:
        assert process.wait_end(30) not in {0, None}
    finally:
        if process.process.poll() is None:
            process.kill()
    assert not any(line.startswith("ready") for line in process.lines)
    return process.error_text


@pytest.mark.parametrize(
    ("bad", "line", "column"),
    [("protocols=TLSv1,\\u00zz\n", 2, 17), ("some.key=\\uD\n", 2, 10)],
)
def test_a_malformed_file_on_reload_keeps_the_last_good_one(quick: Manager, bad: str, line: int, column: int) -> None:
    good, floors = quick.file.read_text(), quick.floors()
    quick.file.write_text("# first\n" + bad + good)
    try:
        result = quick.cli("manager", "reload")
        assert result.returncode == 2
        assert f"line {line}" in result.stderr
        assert f"column {column}" in result.stderr
        assert quick.floors() == floors
        assert s_client(quick.gui_port, "-tls1_2").connected
    finally:
        quick.file.write_text(good)
    assert quick.cli("manager", "reload").returncode == 0


def test_an_unknown_version_in_protocols_keeps_the_last_good_file(quick: Manager) -> None:
    good, floors = quick.file.read_text(), quick.floors()
    quick.file.write_text(good + "protocols=TLSv1.2,TLSv1.9\n")
    try:
        result = quick.cli("manager", "reload")
        assert result.returncode == 2
        assert "TLSv1.9" in result.stderr
        assert quick.floors() == floors
    finally:
        quick.file.write_text(good)
    assert quick.cli("manager", "reload").returncode == 0


def test_a_malformed_file_at_the_start_is_refused(spare: Manager) -> None:
    good = spare.file.read_text()
    spare.file.write_text(good + "protocols=\\u12\n")
    text = refuse_to_start(spare)
    assert f"line {len(good.splitlines()) + 1}" in text
    assert "configuration.properties" in text
    assert "Traceback" not in text


def test_a_port_that_is_taken_is_named_with_its_holder(spare: Manager) -> None:
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", spare.heartbeat_port))
        holder.listen()
        text = refuse_to_start(spare)
    assert str(spare.heartbeat_port) in text
    assert str(os.getpid()) in text
    assert "Traceback" not in text


def test_a_second_manager_on_one_home_is_refused(quick: Manager) -> None:
    text = refuse_to_start(quick)
    assert quick.process is not None
    assert str(quick.process.pid) in text
    assert "Traceback" not in text
    assert quick.client.get("/rest/status/manager/ping").status_code == 200


def test_a_used_home_is_not_initialised_again(quick: Manager) -> None:
    before = quick.file.read_text()
    again = run([PLIMSOLL, "manager", "init", "--home", quick.home])
    assert again.returncode != 0
    assert str(quick.home) in again.stderr
    assert quick.file.read_text() == before


def test_a_used_up_token(quick: Manager, tmp_path: Path) -> None:
    token = quick.new_token(1)
    activate(quick, tmp_path / "first", token=token)
    text = activate(quick, tmp_path / "second", token=token, expect=1)
    assert "used" in text
    assert not (tmp_path / "second" / "agent.json").exists()


def test_an_expired_token(quick: Manager, tmp_path: Path) -> None:
    token = quick.new_token(5, expires_in=1)
    time.sleep(1.2)
    text = activate(quick, tmp_path / "late", token=token, expect=1)
    assert "expired" in text
    assert not (tmp_path / "late" / "agent.json").exists()


@pytest.mark.parametrize("token", ["nonsense", "pt1.a.b"])
def test_a_text_that_is_no_token(quick: Manager, tmp_path: Path, token: str) -> None:
    text = run([PLIMSOLL, "agent", "activate", "--home", tmp_path / "x", "--manager", quick.url, "--token", token])
    assert text.returncode != 0
    assert "not an activation token" in text.stderr


def test_a_token_of_another_manager_is_not_sent(quick: Manager, spare: Manager, tmp_path: Path) -> None:
    text = activate(quick, tmp_path / "x", token=spare.token, expect=1)
    assert "not sent" in text or "certificate" in text.lower()


async def revoked_between_two_heartbeats(manager: Manager, folder: Path) -> tuple[SimulatedAgent, PeerError]:
    """A peer with a session to resume, whose certificate is revoked."""
    ca, token = folder / "ca.pem", manager.new_token(1)
    ca.write_bytes(await fetch_ca(HOST, manager.heartbeat_port, ActivationToken.parse(token)))
    spec = PeerSpec("revoked", "12.0", address="127.33.0.1")
    agent = SimulatedAgent(spec, folder / "revoked", (HOST, manager.heartbeat_port), Contexts(ca))
    await agent.activate(token)
    await agent.heartbeat()
    known = await asyncio.to_thread(manager.computers)
    await asyncio.to_thread(manager.post, f"/api/computers/{known['revoked']['ID']}/revoke", {"reason": "stolen"})
    with pytest.raises(PeerError) as caught:
        await agent.heartbeat()
    return agent, caught.value


def test_a_revoked_agent_is_told_so_also_on_a_resumed_session(quick: Manager, tmp_path: Path) -> None:
    agent, error = asyncio.run(revoked_between_two_heartbeats(quick, tmp_path))
    assert error.reason == "http 403"
    assert "revoked" in error.detail
    assert agent.log.resumed == 1
    assert quick.computers()["revoked"]["state"] == "revoked"
    assert any("revoked" in event["target"] + event["description"] for event in quick.get("/api/events")["events"])


@pytest.mark.parametrize(("offset", "words"), [(3600, "ahead of"), (-7200, "behind")])
def test_a_wrong_clock_is_said_and_cuts_nobody_off(quick: Manager, tmp_path: Path, offset: int, words: str) -> None:
    """The agent finds it by the manager's time, and says how far apart the two are."""
    name = f"skewed{offset}"
    activate(quick, tmp_path / name, "--name", name, token=quick.new_token(1))
    program = f"import sys, time; real = time.time; time.time = lambda: real() + {offset}\n"
    program += "import runpy; runpy.run_module('plimsoll.agent', run_name='__main__', alter_sys=True)"
    command: list[str | Path] = [BIN / "python", "-c", program, tmp_path / name]
    with service(command):
        event = eventually(lambda: event_of(quick, 5004, f"{words} the manager's"), "the clock is reported")
        assert f"{abs(offset)} s" in event["description"]
        before = time.time()
        eventually(
            lambda: any(c["lastAgentCommunication"] > 1000 * before for c in quick.computers().values()),
            "heartbeats go on",
        )


def event_of(manager: Manager, number: int, text: str) -> dict[str, Any] | None:
    """The newest event of that number whose description has this text."""
    found = [e for e in manager.get("/api/events", limit=200)["events"] if e["number"] == number]
    return next((event for event in reversed(found) if text in event["description"]), None)


def test_tls_and_plain_http_on_the_gui_port(quick: Manager) -> None:
    with socket.create_connection(("127.0.0.1", quick.gui_port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while piece := sock.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"https" in answer
