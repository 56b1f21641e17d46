"""Real hellos, mutated: whatever comes, only HelloError escapes and the reader never asks for nothing.

Fast and repeatable by default; with PLIMSOLL_DEEP=1 many more and different ones on every run.
"""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.vectors import vectors

from plimsoll.tls.hello import (
    ClientHello,
    HelloError,
    HelloReader,
    ServerHello,
    encode_client_hello,
    peek_client_hello,
    peek_server_hello,
)
from plimsoll.tls.ja4 import ja4
from plimsoll.tls.records import DEFAULT_LIMIT, to_records
from plimsoll.tls.versions import Version

DEEP = os.environ.get("PLIMSOLL_DEEP") == "1"
fuzzed = settings(
    max_examples=20_000 if DEEP else 300,
    derandomize=not DEEP,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = [vector.data for vector in vectors()]
SERVER_SEEDS = [
    ServerHello(0x0301, bytes(32), b"", 0x2F).encode(),
    ServerHello(0x0303, bytes(32), b"\1" * 32, 0x1301, 0, ((43, b"\3\4"), (51, b"\0\x1d\0\1\0"))).encode(),
]


@st.composite
def mutations(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A seed with a few edits: bytes changed, cut out, put in, doubled, lengths bent, the tail cut."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(1, 40))
        match draw(st.sampled_from(["set", "cut", "insert", "double", "length", "truncate"])):
            case "set":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[at : at + size]
            case "insert":
                data[at:at] = draw(st.binary(max_size=40))
            case "double":
                data[at:at] = data[at : at + size]
            case "length":
                bent = (int.from_bytes(data[at : at + 2], "big") + draw(st.integers(-3, 3))) & 0xFFFF
                data[at : at + 2] = bent.to_bytes(2, "big")
            case "truncate":
                del data[at:]
    return bytes(data)


@st.composite
def hellos(draw: st.DrawFn) -> ClientHello:
    """Any hello that the codec can express."""
    numbers = st.integers(0, 0xFFFF)
    sslv2 = draw(st.booleans())
    bodies = st.tuples(numbers.filter(lambda code: code != 43), st.binary(max_size=20))
    return ClientHello(
        legacy_version=draw(st.integers(0x0300, 0x03FF) if sslv2 else numbers),
        random=draw(st.binary(min_size=16, max_size=32) if sslv2 else st.binary(min_size=32, max_size=32)),
        session_id=draw(st.binary(max_size=32)),
        cipher_suites=tuple(draw(st.lists(st.integers(0, 0xFFFFFF) if sslv2 else numbers, min_size=1, max_size=40))),
        compression=b"\0" if sslv2 else draw(st.binary(min_size=1, max_size=3)),
        extensions=() if sslv2 else tuple(draw(st.lists(bodies, max_size=8))),
        sslv2_format=sslv2,
        record_version=2 if sslv2 else draw(st.integers(0x0300, 0x03FF)),
    )


def _ask_everything(hello: ClientHello) -> None:
    assert hello.newest is None or hello.newest in hello.offered
    assert all(isinstance(version, Version) for version in hello.offered)
    assert isinstance(hash(hello.fingerprint_key), int)
    fingerprint = ja4(hello)
    assert len(fingerprint) == 36
    assert fingerprint.isprintable()
    _ = (hello.server_name, hello.alpn, hello.groups, hello.signature_schemes, hello.fallback_scsv)


def _walk(data: bytes, limit: int = DEFAULT_LIMIT) -> ClientHello | None:
    """Give the reader just what it asks for, as a gate does; the hello, or None for an error or the end."""
    have = 0
    while True:
        try:
            found = peek_client_hello(data[:have], limit)
        except HelloError:
            return None
        if isinstance(found, ClientHello):
            assert found.length <= have <= limit
            return found
        assert found > have
        assert found <= max(limit, 11)
        if found > len(data):
            return None
        have = found


@fuzzed
@given(mutations(SEEDS))
def test_a_mutated_hello_is_read_refused_or_waited_for(data: bytes) -> None:
    hello = _walk(data)
    try:
        whole = peek_client_hello(data)
    except HelloError as error:
        assert hello is None
        assert str(error)
        return
    if isinstance(whole, int):
        assert whole > len(data)
        assert hello is None
        return
    assert hello == whole
    _ask_everything(whole)
    again = peek_client_hello(whole.encode())
    assert isinstance(again, ClientHello)
    assert replace(again, length=0) == replace(whole, length=0)


@fuzzed
@given(mutations(SEEDS), st.integers(0, 3000), st.integers(0, 3000))
def test_what_is_asked_for_only_grows(data: bytes, one: int, other: int) -> None:
    less, more = sorted((one % (len(data) + 1), other % (len(data) + 1)))
    try:
        early, late = peek_client_hello(data[:less]), peek_client_hello(data[:more])
    except HelloError:
        return
    if isinstance(late, int):
        assert isinstance(early, int)
        assert less < early <= late
    elif isinstance(early, int):
        assert early <= late.length
    else:
        assert early == late


@fuzzed
@given(mutations(SEEDS), st.integers(0, 3000))
def test_the_limit_holds(data: bytes, limit: int) -> None:
    hello = _walk(data, limit)
    assert hello is None or hello.length <= limit


@fuzzed
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    _walk(data)
    for opening in (b"\x16\x03\x01", b"\x16\x03\x01\x00\xc0\x01\x00\x00\xbc", b"\x80\x40\x01\x03\x01"):
        _walk(opening + data)


@fuzzed
@given(st.lists(mutations(SEEDS).map(lambda data: data[:300]), max_size=3), st.integers(1, 40))
def test_the_reader_agrees_with_the_whole(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    reader = HelloReader()
    try:
        for start in range(0, len(data), step):
            if reader.feed(data[start : start + step]) is not None:
                break
    except HelloError:
        assert reader.hello is None
        return
    assert reader.hello is None or reader.hello == peek_client_hello(data)


@fuzzed
@given(hellos(), st.integers(1, 200), st.binary(max_size=3))
def test_any_hello_survives_the_round_trip_in_any_records(hello: ClientHello, size: int, rest: bytes) -> None:
    # Enough payload a record that the bound on their number is not what is tried here.
    data = hello.encode(max(size, 4))
    found = peek_client_hello(data + rest)
    assert isinstance(found, ClientHello)
    assert found.length == len(data)
    assert replace(found, length=0) == hello
    assert _walk(data) == found
    _ask_everything(found)


@fuzzed
@given(st.lists(st.sampled_from(list(Version)[2:]), min_size=1, unique=True), st.permutations(range(8)))
def test_the_newest_of_the_versions_counts_in_any_order(versions: list[Version], codes: list[int]) -> None:
    data = encode_client_hello(cipher_suites=[1], extensions=[(100 + code, b"") for code in codes], versions=versions)
    hello = peek_client_hello(data)
    assert isinstance(hello, ClientHello)
    assert hello.offered == tuple(versions)
    assert hello.newest is max(versions)


@fuzzed
@given(mutations(SERVER_SEEDS), st.integers(1, 80), st.booleans())
def test_a_mutated_answer(message: bytes, size: int, bare: bool) -> None:
    data = message if bare else to_records(message, 0x0303, size)
    try:
        found = peek_server_hello(data)
    except HelloError:
        return
    if isinstance(found, int):
        assert found > len(data)
        return
    assert ServerHello.parse(found.encode()) == found
    _ = (found.version, found.group, found.alpn, found.downgraded_to, found.hello_retry_request)
