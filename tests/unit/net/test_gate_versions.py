"""Which versions pass at which floor, and what a refused client sees: real OpenSSL clients."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
from tests.unit.net.running import (
    RunningGate,
    alert_then_end,
    ask,
    client,
    dial,
    hello_bytes,
    read_to_end,
    s_client,
    tls,
)

from plimsoll.net.sightings import Outcome
from plimsoll.tls.alerts import Alert
from plimsoll.tls.floors import Point
from plimsoll.tls.hello import encode_client_hello, peek_server_hello
from plimsoll.tls.versions import FLOORS, Version

Start = Callable[..., RunningGate]


@pytest.mark.rule("R11")
@pytest.mark.parametrize("floor", FLOORS, ids=str)
def test_a_floor_admits_itself_and_newer_and_nothing_else(gate: Start, floor: Version) -> None:
    running = gate(floor=floor)
    for version in FLOORS:
        if version >= floor:
            with tls(running.port, version) as sock:
                assert ask(sock)["version"] == version.value
        else:
            assert alert_then_end(running.port, hello_bytes(client(version))[0]) is Alert.PROTOCOL_VERSION
    outcomes = [sighting.outcome for sighting in running.sightings()]
    assert outcomes.count(Outcome.ADMITTED) == sum(version >= floor for version in FLOORS)
    assert outcomes.count(Outcome.REFUSED) == sum(version < floor for version in FLOORS)


def test_a_client_that_tries_again_is_refused_and_counted_each_time(gate: Start) -> None:
    """Its hello is known after the first time; nothing that is seen of it may differ."""
    running = gate(floor=Version.TLS1_2)
    old = client(Version.TLS1_0)
    once = alert_then_end(running.port, hello_bytes(old)[0])
    (first,) = running.sightings()
    for _ in range(3):
        assert alert_then_end(running.port, hello_bytes(old)[0]) is once is Alert.PROTOCOL_VERSION
    (again,) = running.sightings()
    assert (first.count, again.count) == (1, 3)
    assert (again.ja4, again.offered, again.versions, again.address, again.outcome) == (
        first.ja4, Version.TLS1_0, (Version.TLS1_0,), first.address, Outcome.REFUSED,
    )  # fmt: skip


@pytest.mark.rule("R2")
def test_two_that_connect_settle_on_the_newest_version_that_both_support(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    with tls(running.port) as sock:
        assert ask(sock)["version"] == "TLSv1.3"
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls(running.port, context=old) as sock:
        assert ask(sock)["version"] == "TLSv1.2"


@pytest.mark.parametrize("version", [Version.TLS1_0, Version.TLS1_1, Version.TLS1_2], ids=str)
def test_the_alert_comes_in_a_record_of_the_hello_s_own_version(gate: Start, version: Version) -> None:
    running = gate(floor=Version.TLS1_3)
    with dial(running.port) as sock:
        sock.sendall(hello_bytes(client(version))[0])
        assert read_to_end(sock) == bytes([21, 3, version.wire & 0xFF, 0, 2, 2, 70])


@pytest.mark.parametrize("point", list(Point), ids=lambda point: point.value)
def test_openssl_names_the_alert_at_every_point(gate: Start, point: Point) -> None:
    running = gate(floor=Version.TLS1_2, point=point)
    said = s_client(running.port, "-tls1", "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in said
    assert "SSL alert number 70" in said
    running.set_floor(Version.TLS1_0)
    assert "Protocol  : TLSv1\n" in s_client(running.port, "-tls1", "-cipher", "ALL:@SECLEVEL=0")


def test_early_tls_beside_it_takes_nothing_from_a_modern_client(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    suites = []
    for floor in (Version.TLS1_2, Version.TLS1_0):
        running.set_floor(floor)
        with tls(running.port, Version.TLS1_2) as sock:
            suites.append(ask(sock)["suite"])
    assert suites == ["ECDHE-ECDSA-AES256-GCM-SHA384"] * 2


@pytest.mark.parametrize(
    ("newest", "sentinel"), [(Version.TLS1_2, b"DOWNGRD\x01"), (Version.TLS1_1, b"DOWNGRD\x00")], ids=["1.2", "1.1"]
)
def test_the_downgrade_sentinel_is_there_while_early_tls_is_allowed(
    gate: Start, newest: Version, sentinel: bytes
) -> None:
    running = gate(floor=Version.TLS1_0)
    with dial(running.port) as sock:
        sock.sendall(hello_bytes(client(newest))[0])
        data = b""
        while isinstance(found := peek_server_hello(data), int):
            more = sock.recv(65536)
            assert more
            data += more
    assert found.random[-8:] == sentinel


@pytest.mark.parametrize("option", ["-tls1_1", "-tls1_2"])
def test_a_fallback_is_answered_with_alert_86_in_both_contexts(gate: Start, option: str) -> None:
    running = gate(floor=Version.TLS1_0)
    said = s_client(running.port, option, "-fallback_scsv", "-cipher", "ALL:@SECLEVEL=0")
    assert "SSL alert number 86" in said


def test_ssl_2_and_3_are_refused_at_the_lowest_floor(gate: Start) -> None:
    running = gate(floor=Version.TLS1_0)
    ssl3 = encode_client_hello(legacy_version=0x0300, cipher_suites=[0x002F], record_version=0x0300)
    with dial(running.port) as sock:
        sock.sendall(ssl3)
        assert read_to_end(sock) == b"\x15\x03\x00\x00\x02\x02\x46"
    ssl2 = bytes.fromhex("802e010002001500000010") + bytes.fromhex("010080") * 7 + bytes(16)
    assert len(ssl2) == 0x2E + 2
    with dial(running.port) as sock:
        sock.sendall(ssl2)
        assert read_to_end(sock) == b"\x80\x03\x00\x00\x01"


def test_a_hello_in_the_sslv2_format_gets_early_tls_where_it_is_allowed(gate: Start) -> None:
    # What old Java and OpenSSL 0.9.8 send: the format of SSL 2, but an offer of TLS 1.0 (RFC 5246 E.2).
    body = b"\x01\x03\x01" + b"\x00\x06\x00\x00\x00\x20" + bytes.fromhex("00002f000035") + bytes(range(32))
    hello = (0x8000 | len(body)).to_bytes(2, "big") + body
    running = gate(floor=Version.TLS1_0)
    with dial(running.port) as sock:
        sock.sendall(hello)
        assert sock.recv(3) == b"\x16\x03\x01"
    running.set_floor(Version.TLS1_2)
    assert alert_then_end(running.port, hello) is Alert.PROTOCOL_VERSION


def test_a_client_that_only_fails_in_openssl_is_sighted_with_the_reason(gate: Start) -> None:
    running = gate(floor=Version.TLS1_2)
    weak = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    weak.check_hostname = False
    weak.verify_mode = ssl.CERT_NONE
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        tls(running.port, context=weak)
    (sighting,) = running.sightings()
    assert (sighting.outcome, sighting.detail) == (Outcome.FAILED, "no shared cipher")


def test_a_session_is_resumed_and_keeps_its_certificate(gate: Start, files: object) -> None:
    running = gate(floor=Version.TLS1_2)
    context = client(None, files.client("a1"))  # type: ignore[attr-defined]  # the fixture's class is in conftest
    for maximum in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.maximum_version = maximum
        with tls(running.port, context=context) as sock:
            assert ask(sock)["resumed"] is False
            session = sock.session
        running.set_floor(Version.TLS1_0)
        running.set_floor(Version.TLS1_2)
        with tls(running.port, context=context, session=session) as sock:
            said = ask(sock)
            assert said["resumed"] is True, "a floor change keeps the ticket keys"
            assert said["who"] == "computer:a1"
