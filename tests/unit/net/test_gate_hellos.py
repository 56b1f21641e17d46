"""Slow, idle, split, cut-off and wrong hellos: each gets its answer or its end, and none costs much."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest
from tests.unit.net.running import HOST, RunningGate, ask, client, dial, hello_bytes, read_to_end, tls, until

from plimsoll.net.gate import GateLimits
from plimsoll.net.proxy import UNTRUSTED_HEADER
from plimsoll.net.resources import raise_file_limit
from plimsoll.net.sightings import Outcome
from plimsoll.tls.alerts import Alert, parse_alert
from plimsoll.tls.floors import Point
from plimsoll.tls.hello import encode_client_hello
from plimsoll.tls.versions import Version

Start = Callable[..., RunningGate]
IDLE = 5000 if os.environ.get("PLIMSOLL_DEEP") else 1000


def big_hello() -> bytes:
    """A hello that does not fit into one segment, as post-quantum key shares make it."""
    shares = (51, (1698).to_bytes(2, "big") + b"\x11\xec" + (1694).to_bytes(2, "big") + bytes(1694))
    return encode_client_hello(cipher_suites=[0x1301, 0x1302], extensions=[shares], versions=[Version.TLS1_0])


@pytest.mark.parametrize("cut", [1, 4, 11, 100, 1460])
def test_a_hello_in_two_segments_is_read_whole(gate: Start, cut: int) -> None:
    running = gate(floor=Version.TLS1_2)
    hello = big_hello()
    assert len(hello) > 1700
    with dial(running.port) as sock:
        sock.sendall(hello[:cut])
        time.sleep(0.05)
        sock.sendall(hello[cut:])
        assert parse_alert(read_to_end(sock)) == (Alert.PROTOCOL_VERSION, True)
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.offered) == (Outcome.REFUSED, Version.TLS1_0)


def test_a_modern_hello_in_pieces_ends_in_a_session(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    hello, session, incoming, outgoing = hello_bytes(client())
    with dial(running.port) as sock:
        for start in range(0, len(hello), 100):
            sock.sendall(hello[start : start + 100])
            time.sleep(0.005)
        while True:
            incoming.write(sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                session.do_handshake()
                break
        sock.sendall(outgoing.read())
        until(lambda: len(running.gate.connections) == 1)


def test_a_hello_in_many_small_records_is_read(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    hello = encode_client_hello(cipher_suites=[0x2F], versions=[Version.TLS1_1], record_size=7)
    with dial(running.port) as sock:
        sock.sendall(hello)
        assert parse_alert(read_to_end(sock)) == (Alert.PROTOCOL_VERSION, True)


def test_one_byte_a_second_is_closed_at_the_time_limit(gate: Start) -> None:
    running = gate(limits=GateLimits(hello_seconds=0.6))
    hello = hello_bytes(client())[0]
    start = time.monotonic()
    with dial(running.port) as sock:
        sock.settimeout(0.1)
        ended = False
        for byte in hello:
            with contextlib.suppress(ConnectionError):
                sock.sendall(bytes([byte]))
            try:
                ended = sock.recv(100) == b""
            except TimeoutError:
                continue
            except ConnectionResetError:
                ended = True
            if ended:
                break
    assert ended
    assert time.monotonic() - start < 5
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.detail) == (Outcome.TIMEOUT, "hello")


def test_a_handshake_that_stops_is_closed_at_the_time_limit(gate: Start) -> None:
    running = gate(limits=GateLimits(handshake_seconds=0.4))
    with dial(running.port) as sock:
        sock.sendall(hello_bytes(client())[0])
        read_to_end(sock)
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.detail) == (Outcome.TIMEOUT, "handshake")


def test_a_hello_beyond_the_size_limit_is_refused_at_its_length(gate: Start) -> None:
    running = gate(limits=GateLimits(hello_bytes=1000))
    with dial(running.port) as sock:
        sock.sendall(big_hello()[:50])
        assert parse_alert(read_to_end(sock)) == (Alert.ILLEGAL_PARAMETER, True)
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.detail) == (Outcome.NOT_TLS, "too-large")


def test_a_peer_that_ends_within_its_hello_is_closed_and_nobody_spins(gate: Start) -> None:
    running = gate(limits=GateLimits(hello_seconds=5))
    with dial(running.port) as sock:
        sock.sendall(hello_bytes(client())[0][:60])
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock) == b""
    assert [sighting.detail for sighting in running.sightings()] == ["ended within its hello"]


@pytest.mark.parametrize("said", [b"\x00" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x02\x00\x00\x05hello-there"])
def test_what_is_no_tls_is_closed_without_a_reset(gate: Start, said: bytes) -> None:
    running = gate()
    with dial(running.port) as sock:
        sock.sendall(said)
        assert read_to_end(sock) == b""
    assert [sighting.outcome for sighting in running.sightings()] == [Outcome.NOT_TLS]


def test_plain_http_on_the_gui_port_is_told_to_use_https(gate: Start) -> None:
    running = gate(point=Point.GUI)
    with dial(running.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: manager\r\n\r\n")
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"https://this-host:{running.port}/".encode() in answer
    other = gate(point=Point.HEARTBEAT)
    with dial(other.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: manager\r\n\r\n")
        assert read_to_end(sock) == b""


def test_the_oldest_waiting_peer_gives_way_when_too_many_wait(gate: Start) -> None:
    running = gate(limits=GateLimits(pending_hellos=8, hello_seconds=60))
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(dial(running.port)) for _ in range(8)]
        until(lambda: running.gate.pending == 8)
        with tls(running.port) as sock:
            ask(sock)
        # That peer's hello may have been there at once, so that it waited in nobody's place. A silent one does wait.
        idle.append(stack.enter_context(dial(running.port)))
        assert idle[0].recv(1) == b""
        idle[7].settimeout(0.1)
        with pytest.raises(TimeoutError):
            idle[7].recv(1)


def test_many_idle_and_one_byte_peers_cost_next_to_nothing(gate: Start) -> None:
    assert raise_file_limit() >= 2 * IDLE + 200
    running = gate(limits=GateLimits(hello_seconds=60))
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(dial(running.port)) for _ in range(IDLE)]
        until(lambda: running.gate.pending == IDLE)
        before, start = running.cpu_of_loop(), time.monotonic()
        for sent in range(3):
            for peer in peers[: IDLE // 2]:
                peer.send(b"\x16\x03\x01"[sent : sent + 1])
            time.sleep(0.3)
        used, passed = running.cpu_of_loop() - before, time.monotonic() - start
        assert used < 0.05 * passed, f"{used:.3f} s of CPU in {passed:.1f} s"
        with tls(running.port) as sock:
            assert ask(sock)["version"] == "TLSv1.3"
    until(lambda: running.gate.pending == 0)


def test_refused_peers_that_stay_do_not_hold_files_for_long(gate: Start) -> None:
    running = gate(limits=GateLimits(shutdown_seconds=0.3))
    hello = hello_bytes(client(Version.TLS1_0))[0]
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            sock = stack.enter_context(dial(running.port))
            sock.sendall(hello)
            read_to_end(sock)
        keeper = running.gate._keeper
        assert keeper is not None
        until(lambda: len(keeper.linger) == 0, 3)


@pytest.mark.parametrize("trusted", [(), ("192.0.2.0/24",)])
def test_a_proxy_header_from_others_is_no_hello(gate: Start, trusted: tuple[str, ...]) -> None:
    running = gate(trusted_proxies=trusted)
    with dial(running.port) as sock:
        sock.sendall(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 4120\r\n" + hello_bytes(client())[0])
        assert read_to_end(sock) == b""
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.address, sighting.detail) == (Outcome.NOT_TLS, HOST, UNTRUSTED_HEADER)


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 4120\r\n", "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 4120\r\n", "2001:db8::9"),
        (b"PROXY UNKNOWN\r\n", HOST),
        (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 9, 192, 0, 2, 1]) + b"\x12\x67\x10\x18",
            "203.0.113.9",
        ),
        (b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", HOST),
        (b"", HOST),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_trusted_proxy_s_header_names_the_peer(gate: Start, header: bytes, address: str, together: bool) -> None:
    running = gate(floor=Version.TLS1_0, trusted_proxies=("127.0.0.0/8",))
    plain = dial(running.port)
    context = client(Version.TLS1_1)
    if together:
        plain.sendall(header)
    else:
        for byte in header:
            plain.sendall(bytes([byte]))
    with context.wrap_socket(plain) as sock:
        assert ask(sock)["address"] == address
    running.set_floor(Version.TLS1_2)
    with dial(running.port) as raw:
        raw.sendall(header + hello_bytes(context)[0])
        assert parse_alert(read_to_end(raw)) == (Alert.PROTOCOL_VERSION, True)
    assert {sighting.address for sighting in running.sightings()} == {address}


def test_a_malformed_header_of_a_trusted_proxy_is_closed(gate: Start) -> None:
    running = gate(trusted_proxies=(HOST,))
    with dial(running.port) as sock:
        sock.sendall(b"PROXY TCP4 nonsense\r\n" + hello_bytes(client())[0])
        assert read_to_end(sock) == b""


def test_hundreds_of_hellos_at_once_are_all_answered(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    answers: list[bytes] = []

    def refused() -> None:
        hello = hello_bytes(client(Version.TLS1_0))[0]
        for _ in range(25):
            with dial(running.port) as sock:
                sock.sendall(hello)
                answers.append(read_to_end(sock))

    threads = [threading.Thread(target=refused) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [parse_alert(answer) for answer in answers] == [(Alert.PROTOCOL_VERSION, True)] * 200
    (sighting,) = running.sightings()
    assert sighting.count == 200
