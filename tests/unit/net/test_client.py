"""The link to our own ports, and the probe, against real gates."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.net.conftest import Files
from tests.unit.net.running import HOST, RunningGate, until

from plimsoll.net.client import (
    CertificateError,
    Link,
    LinkError,
    LinkTimeoutError,
    ProtocolError,
    RefusedByFloor,
    UnreachableError,
)
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.probe import Verdict, probe
from plimsoll.testing.certificates import TestAuthority
from plimsoll.tls.alerts import Alert
from plimsoll.tls.versions import FLOORS, Version

Start = Callable[..., RunningGate]


@pytest.fixture
def link(files: Files) -> Iterator[Callable[..., Link]]:
    links: list[Link] = []

    def make(port: int, **options: object) -> Link:
        cert, key = files.client("a1")
        settings: dict[str, object] = {"ca": files.ca, "cert": cert, "key": key, "timeout": 5.0} | options
        links.append(Link(HOST, port, **settings))  # type: ignore[arg-type]  # options differ in type
        return links[-1]

    yield make
    for made in links:
        made.close()


class TestLink:
    def test_it_asks_keeps_alive_and_resumes(self, gate: Start, link: Callable[..., Link]) -> None:
        running = gate()
        made = link(running.port, installation="net-tests")
        first = made.request("POST", "/", b"body", {"X-A": "b"})
        assert first.status == 200
        assert b'"computer": "a1"' in first.body
        assert b'"body": "body"' in first.body
        assert made.peer is not None
        assert (made.peer.role, made.peer.id, made.version, made.resumed) == ("manager", "m1", Version.TLS1_3, False)
        made.request("GET", "/")
        assert len(running.served) == 1, "kept alive"
        made.close()
        assert b'"resumed": true' in made.request("GET", "/").body
        assert made.resumed

    def test_a_kept_connection_that_the_peer_closed_is_opened_again(
        self, gate: Start, link: Callable[..., Link]
    ) -> None:
        running = gate()
        made = link(running.port)
        made.request("GET", "/")
        (served,) = running.served
        running.call(served.finish)
        until(lambda: not running.gate.connections)
        assert made.request("GET", "/").status == 200
        assert len(running.served) == 2

    def test_it_can_come_from_an_address_of_its_own(self, gate: Start, link: Callable[..., Link]) -> None:
        running = gate()
        assert b'"127.0.0.77"' in link(running.port, local_address="127.0.0.77").request("GET", "/").body

    def test_a_floor_above_it_is_told_as_that(self, gate: Start, link: Callable[..., Link]) -> None:
        running = gate(floor=Version.TLS1_2)
        old = link(running.port, minimum=Version.TLS1_0)
        old._ready_context().maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(RefusedByFloor, match="floor") as caught:
            old.request("GET", "/")
        assert caught.value.reason == "refused-by-floor"

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"expect_role": "relay"}, "it is a manager, and a relay was expected"),
            ({"installation": "another"}, "another installation"),
        ],
    )
    def test_role_and_installation_are_checked_before_anything_is_sent(
        self, gate: Start, link: Callable[..., Link], options: dict[str, str], text: str
    ) -> None:
        running = gate()
        with pytest.raises(CertificateError, match=text):
            link(running.port, **options).request("POST", "/", b"secret")
        assert all(not connection.who or connection.who == "computer:a1" for connection in running.served)

    def test_a_stranger_s_certificate_is_not_accepted(
        self, gate: Start, link: Callable[..., Link], tmp_path: Path
    ) -> None:
        running = gate()
        stranger = TestAuthority("net-tests")
        (tmp_path / "ca.pem").write_bytes(stranger.pem)
        with pytest.raises(CertificateError) as caught:
            link(running.port, ca=str(tmp_path / "ca.pem")).request("GET", "/")
        assert caught.value.reason == "certificate"
        leaf = stranger.leaf("agent", "a1").write(tmp_path, "leaf")
        with pytest.raises(CertificateError, match="did not accept our certificate"):
            link(running.port, cert=str(leaf[0]), key=str(leaf[1])).request("GET", "/")

    def test_a_missing_key_file_is_told(self, link: Callable[..., Link]) -> None:
        with pytest.raises(CertificateError, match="cannot be used"):
            link(1, cert="/nonexistent.pem").connect()

    def test_a_pin_finds_the_authority_in_what_the_peer_presents(
        self, gate: Start, files: Files, link: Callable[..., Link]
    ) -> None:
        running = gate()
        pinned = link(running.port, ca=None, cert=None, key=None, pin=files.authority.pin)
        assert pinned.request("GET", "/").status == 200
        assert pinned.ca_pem is not None
        assert pinned.ca_pem.strip() == files.authority.pem.decode().strip()
        assert link(running.port, pin=files.authority.pin).request("GET", "/").status == 200
        served = len(running.served)
        for ca in (None, files.ca):
            with pytest.raises(CertificateError, match="token"):
                link(running.port, ca=ca, pin=TestAuthority().pin).request("POST", "/", b"token")
        assert len(running.served) <= served + 1, "only the look at the chain"
        with pytest.raises(ValueError, match="needs a CA"):
            Link(HOST, 1, ca=None)

    def test_nobody_there_and_nobody_answering(self, gate: Start, link: Callable[..., Link]) -> None:
        with socket.socket() as silent:
            silent.bind((HOST, 0))
            with pytest.raises(UnreachableError, match="refused"):
                link(silent.getsockname()[1]).request("GET", "/")
            silent.listen()
            with pytest.raises(LinkTimeoutError, match="no answer within"):
                link(silent.getsockname()[1], timeout=0.2).request("GET", "/")
        running = gate()
        with pytest.raises(LinkTimeoutError):
            link(running.port, timeout=0.3).request("GET", "/wait")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (b"SSH-2.0\r\n\r\n", ProtocolError),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ProtocolError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ProtocolError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", UnreachableError),
            (b"", UnreachableError),
        ],
    )
    def test_what_is_no_answer_is_an_error(
        self, files: Files, link: Callable[..., Link], answer: bytes, error: type[LinkError]
    ) -> None:
        with serving_once(files.identities[0], answer) as port, pytest.raises(error):
            link(port).request("GET", "/")

    def test_interim_answers_are_skipped(self, files: Files, link: Callable[..., Link]) -> None:
        answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        with serving_once(files.identities[0], answer) as port:
            assert link(port).request("GET", "/").status == 204


class serving_once:  # noqa: N801 - used like a function
    """A TLS server that answers one request with these bytes and ends."""

    def __init__(self, identity: ServerIdentity, answer: bytes) -> None:
        self._context = ServerContexts([identity], client_ca=None).modern
        self._answer = answer
        self._socket = socket.create_server((HOST, 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        plain, _ = self._socket.accept()
        with plain, self._context.wrap_socket(plain, server_side=True) as sock:
            sock.recv(65536)
            sock.sendall(self._answer)


@pytest.mark.rule("R17")
class TestProbe:
    @pytest.mark.parametrize("floor", FLOORS, ids=str)
    def test_it_reads_a_floor_from_handshakes(self, gate: Start, floor: Version) -> None:
        results = probe(HOST, gate(floor=floor).port, FLOORS)
        assert [version for version in FLOORS if results[version].accepted] == [v for v in FLOORS if v >= floor]
        for version in FLOORS:
            if version < floor:
                assert results[version].refused
                assert results[version].alert is Alert.PROTOCOL_VERSION
            else:
                assert results[version].suite

    def test_a_server_that_answers_with_another_version_refuses(self, files: Files) -> None:
        with socket.create_server((HOST, 0)) as listener:

            def answer() -> None:
                plain, _ = listener.accept()
                with plain:
                    plain.recv(65536)
                    body = b"\x03\x02" + bytes(32) + b"\x00\x00\x2f\x00"
                    message = b"\x02" + len(body).to_bytes(3, "big") + body
                    plain.sendall(b"\x16\x03\x02" + len(message).to_bytes(2, "big") + message)
                    plain.recv(100)

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            result = probe(HOST, listener.getsockname()[1], [Version.TLS1_2])[Version.TLS1_2]
            thread.join(5)
        assert (result.verdict, result.alert) == (Verdict.REFUSED, None)

    @pytest.mark.parametrize("ending", ["closed", "reset", "silent", "other alert"])
    def test_what_could_not_be_found_out_is_never_refused(self, ending: str) -> None:
        with socket.create_server((HOST, 0)) as listener:

            def end() -> None:
                plain, _ = listener.accept()
                with plain:
                    plain.recv(65536)
                    if ending == "reset":
                        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
                    elif ending == "silent":
                        plain.recv(1)
                    elif ending == "other alert":
                        plain.sendall(bytes([21, 3, 3, 0, 2, 2, 40]))

            thread = threading.Thread(target=end, daemon=True)
            thread.start()
            result = probe(HOST, listener.getsockname()[1], [Version.TLS1_2], 0.3)[Version.TLS1_2]
            thread.join(5)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert result.reason
        assert (result.alert is Alert.HANDSHAKE_FAILURE) == (ending == "other alert")

    def test_nobody_there_is_inconclusive(self) -> None:
        with socket.socket() as unused:
            unused.bind((HOST, 0))
            result = probe(HOST, unused.getsockname()[1], [Version.TLS1_3])[Version.TLS1_3]
        assert result.verdict is Verdict.INCONCLUSIVE
        assert result.reason.startswith("no connection")

    def test_it_can_show_a_certificate_and_come_from_an_address(self, gate: Start, files: Files) -> None:
        running = gate()
        probe(HOST, running.port, [Version.TLS1_2], cert=files.client("a1")[0], key=files.client("a1")[1])
        probe(HOST, running.port, [Version.TLS1_2], local_address="127.0.0.9")
        assert [(s.who, s.address) for s in running.sightings()] == [("computer:a1", HOST), (None, "127.0.0.9")]
