"""Every hello that was captured from a real client reads as its file says."""

from __future__ import annotations

import pytest
from tests.vectors import Vector, vectors

from plimsoll.tls.hello import ClientHello, HelloError, HelloReader, peek_client_hello
from plimsoll.tls.ja4 import ja4

ALL = vectors()
HELLOS = [vector for vector in ALL if "error" not in vector.fields]
REFUSED = [vector for vector in ALL if "error" in vector.fields]


def _named(vector: Vector) -> str:
    return vector.name


def test_the_folder_holds_the_clients_that_matter() -> None:
    newest = {vector.fields["newest"] for vector in HELLOS}
    assert newest == {"SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
    clients = {vector.fields["client"] for vector in ALL}
    assert {"curl", "openssl", "chromium", "python3", "nmap", "java", "gnutls-cli"} <= clients
    assert any(vector.fields["sslv2-format"] == "yes" for vector in HELLOS)


@pytest.mark.parametrize("vector", HELLOS, ids=_named)
def test_a_hello_reads_as_its_file_says(vector: Vector) -> None:
    hello = peek_client_hello(vector.data)
    assert isinstance(hello, ClientHello)
    assert str(hello.newest) == vector.fields["newest"]
    assert " ".join(map(str, hello.offered)) == vector.fields["offered"]
    assert (hello.server_name or "") == vector.fields["sni"]
    assert ja4(hello) == vector.fields["ja4"]
    assert hello.sslv2_format is (vector.fields["sslv2-format"] == "yes")
    assert hello.length == len(vector.data)


@pytest.mark.parametrize("vector", HELLOS, ids=_named)
def test_a_hello_is_written_as_it_came(vector: Vector) -> None:
    hello = peek_client_hello(vector.data)
    assert isinstance(hello, ClientHello)
    assert hello.encode() == vector.data


@pytest.mark.parametrize("vector", HELLOS, ids=_named)
def test_a_hello_byte_by_byte(vector: Vector) -> None:
    asked = 0
    for size in range(len(vector.data)):
        wanted = peek_client_hello(vector.data[:size])
        assert isinstance(wanted, int)
        assert max(size + 1, asked) <= wanted <= len(vector.data)
        asked = wanted


@pytest.mark.parametrize("vector", HELLOS, ids=_named)
def test_a_hello_segment_by_segment(vector: Vector) -> None:
    reader = HelloReader()
    *early, last = vector.segments
    assert sum(map(len, vector.segments)) == len(vector.data)
    for segment in early:
        assert reader.feed(segment) is None
        assert reader.wanted == len(vector.data)
    assert reader.feed(last) == peek_client_hello(vector.data)


@pytest.mark.rule("G8")
def test_a_post_quantum_hello_that_spans_two_segments() -> None:
    vector = next(vector for vector in HELLOS if vector.name == "chromium")
    assert len(vector.segments) == 2
    hello = peek_client_hello(vector.data)
    assert isinstance(hello, ClientHello)
    assert 4588 in hello.groups  # X25519MLKEM768
    assert hello.length > 1600


def test_the_fallback_signal_is_seen() -> None:
    for vector in HELLOS:
        hello = peek_client_hello(vector.data)
        assert isinstance(hello, ClientHello)
        assert hello.fallback_scsv is ("-fallback_scsv" in vector.fields["command"])


@pytest.mark.parametrize("vector", REFUSED, ids=_named)
def test_what_is_no_hello_is_refused_for_its_reason(vector: Vector) -> None:
    with pytest.raises(HelloError) as caught:
        peek_client_hello(vector.data)
    assert caught.value.reason == vector.fields["error"]
