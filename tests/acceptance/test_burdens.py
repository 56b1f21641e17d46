"""What costs a stranger little costs the manager little: large uploads, deep bodies, slow senders, on a real 4119."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.manager import HOST, Manager
from tests.support.process import eventually

MIB = 1 << 20
UPLOAD = 100 * MIB
#: What the manager may grow by, whatever comes: some buffers, and what Python keeps for the next time.
GROWTH = 48 * MIB
SLOW = 150


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    made = Manager(tmp_path_factory.mktemp("burdens") / "home")
    try:
        yield made.start()
    finally:
        made.close()


def memory(manager: Manager, row: str = "VmRSS") -> int:
    """Bytes of the manager's process: now, or `VmHWM` the most there ever were."""
    assert manager.process is not None
    lines = Path(f"/proc/{manager.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{row}:"))


def connect(manager: Manager) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(manager.ca))
    plain = socket.create_connection((HOST, manager.gui_port), timeout=60)
    return context.wrap_socket(plain, server_hostname=HOST)


def send(manager: Manager, path: str, head: str, body: Iterator[bytes]) -> bytes:
    """The beginning of the answer; a server may answer, and close, before it has everything."""
    with connect(manager) as peer:
        with contextlib.suppress(OSError):
            peer.sendall(f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n\r\n".encode())
            for piece in body:
                peer.sendall(piece)
        with contextlib.suppress(OSError):
            return peer.recv(400)
    return b""


def pieces(count: int) -> Iterator[bytes]:
    one = b"x" * (256 * 1024)
    for _ in range(count // len(one)):
        yield one


def chunked(count: int) -> Iterator[bytes]:
    for one in pieces(count):
        yield b"%x\r\n%s\r\n" % (len(one), one)
    yield b"0\r\n\r\n"


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("path", ["/api/tls/floors", "/webservice/Manager", "/rest/authentication/login", "/sign-in"])
def test_a_large_upload_is_refused_and_kept_nowhere(manager: Manager, path: str, declared: bool) -> None:
    if declared and path != "/api/tls/floors":
        pytest.skip("where it is declared, the same line refuses it everywhere")
    manager.get("/api/tls/minimum")
    before = memory(manager, "VmHWM")
    kind = "application/x-www-form-urlencoded" if path == "/sign-in" else "application/json"
    head = f"api-secret-key: {manager.api_key}\r\ncontent-type: {kind}"
    if declared:
        answer = send(manager, path, f"{head}\r\ncontent-length: {UPLOAD}", pieces(UPLOAD))
    else:
        answer = send(manager, path, f"{head}\r\ntransfer-encoding: chunked", chunked(UPLOAD))
    # A peer that goes on sending may lose the answer with the connection; that is the refusal then.
    assert answer == b"" or answer.split(b" ", 2)[1] == b"413", answer
    assert memory(manager, "VmHWM") - before < GROWTH
    manager.get("/api/tls/minimum")


def test_software_that_nobody_signed_is_refused_before_it_is_sent(manager: Manager) -> None:
    before = memory(manager, "VmHWM")
    head = f"api-secret-key: {manager.api_key}\r\ntransfer-encoding: chunked"
    answer = send(manager, "/api/software", head, chunked(UPLOAD))
    assert answer == b"" or answer.split(b" ", 2)[1] == b"400", answer
    assert memory(manager, "VmHWM") - before < GROWTH


def test_depth_costs_nothing(manager: Manager) -> None:
    depth = 10_000
    before = memory(manager, "VmHWM")
    opened = "".join(f"<a{number % 7}>" for number in range(depth))
    envelope = f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{opened}'
    bodies = [
        ("/api/tls/floors", "[" * depth + "]" * depth),
        ("/api/tls/floors", '{"floor":' * depth),
        (
            "/api/notifications",
            '{"name": "x", "kind": "syslog", "settings": ' + '{"a":' * depth + "1" + "}" * depth + "}",
        ),
        ("/rest/authentication/login", '{"dsCredentials":' + "[" * depth + "]" * depth + "}"),
        ("/rest/authentication/login", opened),
        ("/webservice/Manager", envelope),
    ]
    for path, body in bodies:
        answer = manager.client.post(path, content=body.encode(), headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, (path, body[:40], answer.text)
    assert memory(manager, "VmHWM") - before < GROWTH


@pytest.fixture
def slow(manager: Manager) -> Iterator[list[ssl.SSLSocket]]:
    """Peers that have announced a body, and sent a byte of it."""
    with contextlib.ExitStack() as opened:
        peers = [opened.enter_context(connect(manager)) for _ in range(SLOW)]
        head = f"POST /api/tls/floors HTTP/1.1\r\nHost: {HOST}\r\ncontent-type: application/json\r\n"
        for peer in peers:
            peer.sendall(f"{head}content-length: {MIB}\r\n\r\n{{".encode())
        yield peers


def test_slow_senders_do_not_keep_others_waiting(manager: Manager, slow: list[ssl.SSLSocket]) -> None:
    before = memory(manager)

    def connected() -> bool:
        return bool(manager.get("/api/manager/status")["connections"]["gui"] >= len(slow))

    eventually(connected, "all of them are connected")
    for peer in slow:
        peer.sendall(b" ")
    for _ in range(20):
        assert manager.client.get("/rest/status/manager/ping").status_code == 200
    assert memory(manager) - before < GROWTH


@pytest.mark.deep
def test_slow_senders_are_told_so_in_the_end(manager: Manager, slow: list[ssl.SSLSocket]) -> None:
    begun = time.monotonic()
    for peer in slow:
        peer.settimeout(90)
        answer = peer.recv(400)
        assert answer.startswith(b"HTTP/1.1 408"), answer
    assert time.monotonic() - begun < 80

    def gone() -> bool:
        return bool(manager.get("/api/manager/status")["connections"]["gui"] < 5)

    with contextlib.suppress(httpx.TransportError):
        eventually(gone, "none of them is connected")
