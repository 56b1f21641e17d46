"""The manager as a process: it says ready, ends cleanly, comes back after a kill, and reloads on SIGHUP."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import stat
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.support.manager import HOST, Manager
from tests.support.process import eventually

from plimsoll.testing.certificates import TestAuthority, key_pem

pytestmark = pytest.mark.xdist_group("manager-process")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A manager that tests of this module stop, kill and start."""
    made = Manager(tmp_path_factory.mktemp("process") / "home")
    yield made
    made.close()


def test_ready_means_that_every_port_and_the_local_socket_answer(own: Manager) -> None:
    own.start()
    assert own.process is not None
    assert str(own.gui_port) in own.process.lines[0]
    assert str(own.heartbeat_port) in own.process.lines[0]
    for port in (own.gui_port, own.heartbeat_port):
        socket.create_connection((HOST, port), 5).close()
    path = own.home / "run" / "manager.sock"
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert own.get("/api/manager/status")["state"] == "running"


def test_the_local_socket_is_audited_with_the_peers_uid(own: Manager) -> None:
    transport = httpx.HTTPTransport(uds=str(own.home / "run" / "manager.sock"))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        assert client.post("/api/activationtokens", json={}).status_code == 200
    assert own.get("/api/audit")["audit"][0]["who"] == f"socket:uid {os.getuid()}"


def test_sighup_reads_the_file_again(own: Manager) -> None:
    assert own.process is not None
    text = own.file.read_text()
    own.file.write_text(text.replace("serviceName=Plimsoll\n", "serviceName=Plimsoll\nprotocols=TLSv1.3\n"))
    assert own.get("/api/tls/floors")["drift"]
    own.process.process.send_signal(signal.SIGHUP)
    eventually(lambda: own.cli("floor", "show", "--json").returncode == 0, "the socket answers")
    eventually(lambda: own.floors()["gui"] == "TLSv1.3", "the edit is in force")
    own.file.write_text(text)
    own.post("/api/manager/reload", None)
    assert own.floors()["gui"] == "TLSv1.2"


def test_sigterm_ends_streams_and_idle_connections_and_leaves_nothing_behind(own: Manager) -> None:
    context = ssl.create_default_context(cafile=str(own.ca))
    with (
        httpx.Client(base_url=f"https://{HOST}:{own.gui_port}", verify=context, timeout=30) as client,
        client.stream("GET", "/api/events/stream", headers={"api-secret-key": own.api_key}) as stream,
        socket.create_connection((HOST, own.heartbeat_port), 5),
    ):
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        begun = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - begun < 15
        assert list(lines) == [""]  # the stream ended as a whole answer does, not as a broken one
    assert not (own.home / "run" / "manager.sock").exists()
    assert own.process is not None
    assert "Traceback" not in own.process.error_text


def test_a_killed_manager_starts_again_over_what_it_left(own: Manager) -> None:
    own.start()
    own.set_floor("TLSv1.1", "heartbeat")
    own.kill()
    assert (own.home / "run" / "manager.sock").exists()
    own.start()
    assert own.floors()["heartbeat"] == "TLSv1.1"
    assert own.cli("floor", "show").returncode == 0
    own.set_floor("TLSv1.2", "heartbeat")


def test_events_stream_as_they_happen_and_from_where_a_client_stood(own: Manager) -> None:
    first = own.get("/api/events", limit=1)["events"][-1]["ID"]
    own.set_floor("TLSv1.1", "heartbeat")
    headers = {"api-secret-key": own.api_key, "last-event-id": str(first)}
    with own.client.stream("GET", "/api/events/stream", headers=headers) as stream:
        lines = stream.iter_lines()
        missed = next(json.loads(line[5:]) for line in lines if line.startswith("data:"))
        assert missed["ID"] > first
        own.post("/api/tls/floors", {"floor": "TLSv1.2", "point": "heartbeat"})
        live = next(json.loads(line[5:]) for line in lines if line.startswith("data:"))
        assert live["ID"] > missed["ID"]
        assert "TLSv1.2" in live["description"]


def test_a_head_that_never_ends_is_refused(own: Manager) -> None:
    context = ssl.create_default_context(cafile=str(own.ca))
    with (
        socket.create_connection((HOST, own.gui_port), 10) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = b""
        try:
            for _ in range(40):
                tls.sendall(b"x-filler: " + b"a" * 8000 + b"\r\n")
            answer = tls.recv(100)
        except TimeoutError:
            pytest.fail("320 KB of headers were read, and still no answer")
        except OSError:
            pass  # closed while we were still sending, which is an answer too
        assert not answer or answer.startswith(b"HTTP/1.1 400")
    assert own.get("/api/manager/status")["state"] == "running"


def test_the_gate_says_what_the_local_openssl_serves(own: Manager) -> None:
    rows = {row["point"]: row for row in own.get("/api/tls/floors")["floors"]}
    assert rows["gui"]["serves"] == rows["heartbeat"]["serves"] == ["TLSv1.2", "TLSv1.3"]
    own.set_minimum("TLSv1")
    rows = {row["point"]: row for row in own.get("/api/tls/floors")["floors"]}
    assert rows["gui"]["serves"] == ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
    own.set_minimum("TLSv1.2")


def test_a_new_certificate_is_shown_without_a_restart(own: Manager) -> None:
    authority = TestAuthority()
    leaf = authority.leaf("manager", "gui", hosts=[HOST])
    context = ssl.create_default_context(cadata=authority.pem.decode())
    with httpx.Client(base_url=f"https://{HOST}:{own.gui_port}", verify=context) as stranger:
        with pytest.raises(httpx.ConnectError):
            stranger.get("/rest/status/manager/ping")
        body = {"certificate": leaf.chain.decode(), "key": key_pem(leaf.key).decode()}
        assert own.post("/api/manager/certificate", body)["certificates"][0]["own"]
        assert stranger.get("/rest/status/manager/ping").status_code == 200
    # A connection that was open before goes on.
    assert own.get("/api/manager/certificate")["certificates"][0]["own"]
