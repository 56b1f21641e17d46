"""The manager as a client: whom it believes, and how a failed call is told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.manager.calls import Call, CallError
from plimsoll.messages import FloorReport
from plimsoll.net.contexts import ServerIdentity
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.versions import Version

INSTALLATION = "aaaa"
REPORT = b'{"floor":"TLSv1.2","origin":"policy"}'


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = TestAuthority(INSTALLATION)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.authority.pem)
        cert, key = self.authority.leaf("manager", "m").write(folder, "manager")
        self.identity = ServerIdentity(str(cert), str(key))

    @contextlib.contextmanager
    def server(self, role: str, answer: bytes, installation: str = INSTALLATION) -> Iterator[int]:
        """One connection's worth of a peer of that role."""
        cert, key = self.authority.leaf(role, "peer", installation=installation).write(self.folder, role)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as plain:
                plain.settimeout(10)
                with context.wrap_socket(plain, server_side=True) as tls:
                    while tls.recv(65536):
                        tls.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.close()
            thread.join(15)

    def call(self, port: int, roles: tuple[str, ...] = ("relay",)) -> Call:
        return Call(
            "127.0.0.1",
            port,
            identity=self.identity,
            ca=str(self.ca) if roles else None,
            minimum=Version.TLS1_2,
            roles=roles,
            installation=INSTALLATION,
            timeout=5,
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("calls"))


def http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_call_asks_reads_and_knows_its_peer(world: World) -> None:
    with world.server("relay", http("200 OK", REPORT)) as port, world.call(port) as call:
        for _ in range(2):
            assert call.ask("GET", "/", None, FloorReport).floor is Version.TLS1_2
        assert call.identity is not None
        assert call.identity.id == "peer"
        assert call.version is Version.TLS1_3
        assert call.certificate_expires is not None


def test_another_role_or_installation_is_not_believed(world: World) -> None:
    with world.server("agent", b"") as port, pytest.raises(CallError, match="expected a relay") as caught:
        world.call(port)
    assert caught.value.tls
    with world.server("relay", b"", installation="bbbb") as port, pytest.raises(CallError, match="this installation"):
        world.call(port)


def test_a_first_visit_believes_nobody_and_shows_the_certificate(world: World) -> None:
    with world.server("agent", b"") as port, world.call(port, roles=()) as call:
        assert call.identity is None
        assert call.certificate


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("200 OK", b"{"), "cannot be read"),
        (http("200 OK", b"x" * (1 << 20) + b"x"), "more than"),
        (http("403 Forbidden", b'{"message":"this agent obeys managers only"}'), "obeys managers only"),
        (http("500 Oh", b"<html>"), "HTTP status 500"),
        (b"no http at all\r\n\r\n", "did not answer"),
    ],
)
def test_a_bad_answer_is_told_in_words(world: World, answer: bytes, words: str) -> None:
    with world.server("relay", answer) as port, world.call(port) as call, pytest.raises(CallError, match=words):
        call.ask("GET", "/", None, FloorReport)


def test_nobody_there(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(CallError, match=f"port {port} was not reached"):
        world.call(port)
