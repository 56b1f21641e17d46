"""A floor that rises while peers are connected, shaking hands, or waiting for an answer."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.net.conftest import Files
from tests.unit.net.running import (
    GET,
    HOST,
    RunningGate,
    alert_then_end,
    ask,
    client,
    dial,
    hello_bytes,
    read_answer,
    read_to_end,
    tls,
    until,
)

from plimsoll.net.sightings import Outcome
from plimsoll.tls.alerts import Alert, parse_alert
from plimsoll.tls.floors import Point, Rule
from plimsoll.tls.versions import Version

Start = Callable[..., RunningGate]


@pytest.mark.rule("R13")
def test_a_raise_is_in_force_for_the_next_hello_and_a_lowering_too(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    hello = hello_bytes(client(Version.TLS1_0))[0]
    for _ in range(3):
        running.set_floor(Version.TLS1_2)
        assert alert_then_end(running.port, hello) is Alert.PROTOCOL_VERSION
        running.set_floor(Version.TLS1_0)
        with tls(running.port, Version.TLS1_0) as sock:
            assert ask(sock)["version"] == "TLSv1"


@pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_2], ids=str)
def test_a_handshake_paused_across_the_raise_ends_with_alert_70_and_fin(gate: Start, version: Version) -> None:
    running = gate(floor=Version.TLS1_0)
    hello, session, incoming, _ = hello_bytes(client(version))
    with dial(running.port) as sock:
        sock.sendall(hello)
        flight = sock.recv(65536)  # ServerHello and what follows; the client stops here
        until(lambda: running.gate.pending == 1)
        running.set_floor(Version.TLS1_3)
        rest = read_to_end(sock)
    assert parse_alert(rest[-7:]) == (Alert.PROTOCOL_VERSION, True)
    incoming.write(flight + rest)
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        session.do_handshake()
    assert running.gate.connections == frozenset()
    assert [sighting.outcome for sighting in running.sightings()] == [Outcome.REFUSED]


def test_a_handshake_that_the_new_floor_admits_goes_on(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    hello, session, incoming, outgoing = hello_bytes(client(Version.TLS1_2))
    with dial(running.port) as sock:
        sock.sendall(hello)
        incoming.write(sock.recv(65536))
        until(lambda: running.gate.pending == 1)
        running.set_floor(Version.TLS1_2)
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
        sock.sendall(outgoing.read())
        until(lambda: len(running.gate.connections) == 1)


def test_an_open_connection_below_the_new_floor_gets_its_answer_and_is_closed(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    with tls(running.port, Version.TLS1_0) as old, tls(running.port, Version.TLS1_2) as modern:
        assert ask(modern)["version"] == "TLSv1.2"
        old.sendall(b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: len(running.served) == 2)
        running.set_floor(Version.TLS1_2)
        running.call(running.release.set)
        head, body = read_answer(old)
        assert body == b'"waited"'
        assert "connection: close" in head.lower()
        assert old.recv(1) == b"", "a clean end, no reset"
        assert ask(modern)["version"] == "TLSv1.2", "the modern one stays"


def test_an_idle_connection_below_the_new_floor_is_closed_at_once(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    with tls(running.port, Version.TLS1_1) as old:
        ask(old)
        running.set_floor(Version.TLS1_2)
        assert old.recv(1) == b""


def test_an_answer_that_takes_longer_than_its_grace_is_cut_off(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    with tls(running.port, Version.TLS1_0) as short, tls(running.port, Version.TLS1_0) as long:
        short.sendall(b"GET /wait?grace=0.3 HTTP/1.1\r\nHost: test\r\n\r\n")
        long.sendall(b"GET /wait?grace=60 HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: sorted(connection.grace for connection in running.served) == [0.3, 60])
        running.set_floor(Version.TLS1_2)
        assert short.recv(1) == b""
        running.call(running.release.set)
        assert read_answer(long)[1] == b'"waited"'


def test_a_download_in_flight_is_sent_to_its_end(gate: Start, tmp_path: Path) -> None:
    content = bytes(range(256)) * 32_768
    (tmp_path / "big").write_bytes(content)
    running = gate(floor=Version.TLS1_0)
    with tls(running.port, Version.TLS1_0) as sock:
        sock.sendall(f"GET /file?path={tmp_path / 'big'} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        first = sock.recv(1000)
        running.set_floor(Version.TLS1_2)
        assert (first + read_to_end(sock)).endswith(content)


@pytest.mark.rule("G5")
def test_an_exception_ends_by_itself_and_stays_ended(gate: Start) -> None:
    clock = Clock()
    exception = Rule(Point.HEARTBEAT, Version.TLS1_0, source=network("127.0.0.0/8"), until=clock.now + 0.5)
    running = gate(floor=Version.TLS1_2, rules=(exception,), clock=clock)
    with tls(running.port, Version.TLS1_0) as sock:
        assert ask(sock)["version"] == "TLSv1"
        clock.now += 1
        assert sock.recv(1) == b"", "the timer of the rule ends the connection"
    hello = hello_bytes(client(Version.TLS1_0))[0]
    assert alert_then_end(running.port, hello) is Alert.PROTOCOL_VERSION
    clock.now -= 100
    assert alert_then_end(running.port, hello) is Alert.PROTOCOL_VERSION
    assert running.contexts.minimum is Version.TLS1_2


@pytest.mark.rule("G5")
def test_a_computer_s_exception_needs_its_certificate(gate: Start, files: Files) -> None:
    rule = Rule(Point.HEARTBEAT, Version.TLS1_0, computer="old1", until=time.time() + 60)
    running = gate(floor=Version.TLS1_2, rules=(rule,), known={HOST: ("old1",)})
    with tls(running.port, Version.TLS1_0, files.client("old1")) as sock:
        assert ask(sock)["computer"] == "old1"
    for cert in (None, files.client("other")):
        with tls(running.port, Version.TLS1_0, cert) as sock:
            assert sock.recv(1) == b"", "admitted by its address, and then not the computer that the rule names"
    after = {(s.who, s.outcome) for s in running.sightings()}
    assert after == {
        ("computer:old1", Outcome.ADMITTED),
        (None, Outcome.REFUSED_AFTER),
        ("computer:other", Outcome.REFUSED_AFTER),
    }


def test_a_canary_s_raise_applies_to_its_certificate(gate: Start, files: Files) -> None:
    canary = Rule(Point.HEARTBEAT, Version.TLS1_3, computer="canary", raises=True)
    running = gate(floor=Version.TLS1_0, rules=(canary,))
    with tls(running.port, Version.TLS1_2, files.client("canary")) as sock:
        assert sock.recv(1) == b""
    with tls(running.port, Version.TLS1_2, files.client("other")) as sock:
        assert ask(sock)["version"] == "TLSv1.2"


def test_who_it_is_may_become_known_later_and_then_the_computer_s_floor_holds(gate: Start) -> None:
    canary = Rule(Point.HEARTBEAT, Version.TLS1_3, computer="c9", raises=True)
    running = gate(floor=Version.TLS1_0, rules=(canary,))
    with tls(running.port, Version.TLS1_2) as sock:
        assert ask(sock, "/who?who=computer:c9")["computer"] == "c9", "the answer in flight is given"
        assert sock.recv(1) == b""
    outcomes = {(sighting.who, sighting.outcome): sighting.count for sighting in running.sightings()}
    assert outcomes == {("computer:c9", Outcome.ADMITTED): 1, ("computer:c9", Outcome.REFUSED_AFTER): 1}


def test_no_compliant_request_is_lost_while_the_floor_goes_up_and_down(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    failures: list[Exception] = []
    done = [0, 0, 0]
    stop = threading.Event()

    def work(kind: int) -> None:
        context = client(Version.TLS1_2)
        session, kept = None, None
        while not stop.is_set():
            try:
                if kind == 2:
                    kept = kept or tls(running.port, context=context)
                    ask(kept)
                else:
                    with tls(running.port, context=context, session=session if kind else None) as sock:
                        ask(sock)
                        session = sock.session
                done[kind] += 1
            except (OSError, EOFError, ValueError) as error:
                failures.append(error)
                return
            time.sleep(0.005)
        if kept is not None:
            kept.close()

    threads = [threading.Thread(target=work, args=(kind,)) for kind in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        time.sleep(0.08)
        running.set_floor(Version.TLS1_2)
        time.sleep(0.08)
        running.set_floor(Version.TLS1_0)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert min(done) > 5


def test_stopping_lets_the_answer_in_flight_go_out(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    with tls(running.port) as busy, tls(running.port) as idle:
        ask(idle)
        busy.sendall(GET.replace(b"/ ", b"/wait "))
        until(lambda: len(running.served) == 2)
        running.loop.call_soon_threadsafe(running._stop.set)
        assert idle.recv(1) == b""
        running.loop.call_soon_threadsafe(running.release.set)
        assert read_answer(busy)[1] == b'"waited"'
        assert busy.recv(1) == b""


@pytest.mark.rule("G1")
def test_a_new_shadow_floor_sees_the_connections_that_are_open_below_it(gate: Start, files: Files) -> None:
    running = gate(floor=Version.TLS1_0)
    with tls(running.port, Version.TLS1_0, files.client("old")) as old, tls(running.port, Version.TLS1_2) as new:
        ask(old)
        ask(new)
        running.sightings()
        for _ in range(2):
            running.set_floor(Version.TLS1_0, shadow=Version.TLS1_2)
        assert [(one.who, one.negotiated, one.count) for one in running.sightings()] == [
            ("computer:old", Version.TLS1_0, 1)
        ], "once for each shadow"
        assert ask(old)["version"] == "TLSv1", "it refuses nobody"
        running.set_floor(Version.TLS1_2, shadow=Version.TLS1_3)
        assert [one.who for one in running.sightings()] == [None], "whom the floor sends away is no would-be refusal"
        assert old.recv(1) == b""


class Clock:
    """A wall clock that the test sets."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
