"""Sightings: counted by kind, attributed, bounded, told once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.unit.net.conftest import Files
from tests.unit.net.running import HOST, RunningGate, ask, client, dial, hello_bytes, read_to_end, tls

from plimsoll.net.sightings import NO_SHARED_SUITE, Outcome, Sighting, SightingLog
from plimsoll.tls.floors import Point
from plimsoll.tls.hello import ClientHello, encode_client_hello, peek_client_hello
from plimsoll.tls.ja4 import ja4
from plimsoll.tls.versions import Version


def hello(*suites: int) -> ClientHello:
    found = peek_client_hello(encode_client_hello(cipher_suites=suites, versions=[Version.TLS1_2, Version.TLS1_1]))
    assert isinstance(found, ClientHello)
    return found


def test_the_same_kind_of_client_is_one_sighting_with_a_count() -> None:
    log = SightingLog()
    for now in (10.0, 20.0, 30.0):
        log.record(Point.GUI, HOST, hello(0x2F), Outcome.REFUSED, now)
    log.record(Point.GUI, HOST, hello(0x35), Outcome.REFUSED, 40.0)
    first, second = log.drain()
    assert (first.count, first.first, first.last) == (3, 10.0, 30.0)
    assert (first.offered, first.versions) == (Version.TLS1_2, (Version.TLS1_2, Version.TLS1_1))
    assert first.ja4 == ja4(hello(0x2F)) != second.ja4
    assert log.drain() == []


def test_the_log_is_bounded_and_says_what_it_left_out() -> None:
    log = SightingLog(capacity=10)
    for number in range(25):
        log.record(Point.GUI, f"192.0.2.{number}", None, Outcome.NOT_TLS, 1.0)
    log.record(Point.GUI, "192.0.2.3", None, Outcome.NOT_TLS, 2.0)
    assert log.dropped == 15
    sightings = log.drain()
    assert len(sightings) == 10
    assert sum(sighting.count for sighting in sightings) == 11


def test_a_name_that_becomes_known_moves_the_count() -> None:
    log = SightingLog()
    keys = [log.record(Point.GUI, HOST, hello(1), Outcome.ADMITTED, 1.0) for _ in range(3)]
    log.attribute(keys[0], hello(1), "apikey:7", 2.0)
    named = log.attribute(keys[1], hello(1), "user:ada", 3.0)
    log.attribute(named, hello(1), "user:eve", 4.0)
    assert {s.who: s.count for s in log.drain()} == {None: 1, "apikey:7": 1, "user:eve": 1}
    # It was drained without a name meanwhile: that is taken back.
    log.attribute(keys[2], hello(1), "apikey:7", 5.0)
    assert {s.who: s.count for s in log.drain()} == {None: -1, "apikey:7": 1}


def test_what_goes_on_is_seen_again_and_counted_once_between_two_drains() -> None:
    log = SightingLog()
    key = log.record(Point.GUI, HOST, hello(1), Outcome.ADMITTED, 1.0)
    log.again(key, hello(1), 5.0)
    assert [(s.count, s.last) for s in log.drain()] == [(1, 5.0)]
    log.again(key, hello(1), 9.0)
    assert [(s.count, s.first) for s in log.drain()] == [(1, 9.0)]


def test_what_a_peer_calls_itself_stands_beside_its_count() -> None:
    log = SightingLog()
    key = log.record(Point.GUI, HOST, hello(1), Outcome.ADMITTED, 1.0)
    log.describe(key, hello(1), "curl/7.19", 1.5)
    named = log.attribute(key, hello(1), "apikey:7", 2.0, "curl/7.19")
    assert [(s.who, s.count, s.user_agent) for s in log.drain()] == [("apikey:7", 1, "curl/7.19")]
    log.describe(named, hello(1), "curl/7.34", 3.0)
    assert [(s.who, s.count, s.user_agent, s.offered) for s in log.drain()] == [
        ("apikey:7", 0, "curl/7.34", Version.TLS1_2)
    ]
    full = SightingLog(capacity=0)
    full.describe(key, hello(1), "curl", 1.0)
    assert not full.drain()


def test_a_refusal_is_told_once_between_two_drains_and_a_fault_in_a_listener_stays_there() -> None:
    log = SightingLog()
    told: list[Sighting] = []

    def faulty(sighting: Sighting) -> None:
        raise ValueError(sighting.address)

    log.on_refusal += [faulty, told.append]
    for outcome in (Outcome.REFUSED, Outcome.REFUSED, Outcome.REFUSED_AFTER, Outcome.ADMITTED, Outcome.FAILED):
        log.record(Point.RELAY, HOST, hello(1), outcome, 1.0)
    assert [sighting.outcome for sighting in told] == [Outcome.REFUSED, Outcome.REFUSED_AFTER]
    log.drain()
    log.record(Point.RELAY, HOST, hello(1), Outcome.REFUSED, 2.0)
    log.record(Point.RELAY, HOST, hello(1), Outcome.FAILED, 2.0, detail=NO_SHARED_SUITE)
    assert len(told) == 4


@pytest.mark.rule("G4")
def test_the_gate_records_who_offered_what_and_what_was_agreed(gate: Callable[..., RunningGate], files: Files) -> None:
    running = gate(floor=Version.TLS1_2)
    raw = hello_bytes(client(Version.TLS1_1), "manager.example")[0]
    with dial(running.port) as sock:
        sock.sendall(raw)
        read_to_end(sock)
    with tls(running.port, Version.TLS1_2, files.client("a7")) as agent:
        ask(agent)
    with tls(running.port) as person:
        ask(person, "/who?who=user:ada")
    refused, agent_seen, person_seen = running.sightings()
    parsed = peek_client_hello(raw)
    assert isinstance(parsed, ClientHello)
    assert (refused.outcome, refused.offered, refused.negotiated) == (Outcome.REFUSED, Version.TLS1_1, None)
    assert (refused.sni, refused.ja4, refused.address) == ("manager.example", ja4(parsed), HOST)
    assert (agent_seen.who, agent_seen.negotiated) == ("computer:a7", Version.TLS1_2)
    assert (person_seen.who, person_seen.negotiated) == ("user:ada", Version.TLS1_3)
    assert person_seen.versions == (Version.TLS1_3, Version.TLS1_2)
    assert running.sightings() == []
