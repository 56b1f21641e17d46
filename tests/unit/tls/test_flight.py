"""The server's first flight and SSL 2's answer: read in pieces, bounded, and never anything but HelloError."""

from __future__ import annotations

import contextlib
import ssl
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.buffer import Writer
from plimsoll.tls.flight import MAX_FLIGHT, FlightReader, exchange_kind, read_exchange
from plimsoll.tls.records import HelloError, Reason
from plimsoll.tls.server_hello import ServerHello
from plimsoll.tls.sslv2 import Ssl2Error, Ssl2Reader, encode_ssl2_hello, peek_ssl2_hello

CHAIN = (b"\x30\x03\x01\x02\x03", b"\x30\x00")


def message(kind: int, body: bytes) -> bytes:
    return bytes(Writer().number(kind, 1).vector(body, 3))


def records(data: bytes, size: int = 16384, kind: int = 22) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(bytes((kind, 3, 3)) + struct.pack(">H", len(piece)) + piece for piece in pieces)


def hello(version: int = 0x0303, suite: int = 0xC02F) -> bytes:
    return ServerHello(version, bytes(32), b"", suite, 0, ((0xFF01, b"\0"),)).encode()


def certificates() -> bytes:
    inner = b"".join(bytes(Writer().vector(der, 3)) for der in CHAIN)
    return message(11, bytes(Writer().vector(inner, 3)))


ECDH = b"\x03\x00\x1d\x20" + bytes(32) + b"\x08\x04\x00\x02ab"
FLIGHT = (
    hello() + certificates() + message(22, b"\x01abc") + message(12, ECDH) + message(13, b"\x01\x01") + message(14, b"")
)


def fed(data: bytes, whole: bool = True, size: int = 1 << 20) -> tuple[FlightReader, bool]:
    reader = FlightReader(whole)
    done = False
    for at in range(0, len(data), size):
        done = reader.feed(data[at : at + size])
        if done:
            break
    return reader, done


@pytest.mark.parametrize("record_size", [16384, 50, 3, 1])
@pytest.mark.parametrize("piece", [1 << 20, 7, 1])
def test_a_whole_flight_however_it_is_cut(record_size: int, piece: int) -> None:
    reader, done = fed(records(FLIGHT, record_size), size=piece)
    assert done
    assert reader.hello is not None
    assert reader.hello.cipher_suite == 0xC02F
    flight = reader.flight
    assert flight is not None
    assert flight.complete
    assert flight.certificates == CHAIN
    assert flight.status == b"\x01abc"
    assert flight.request == b"\x01\x01"
    assert flight.exchange is not None
    assert (flight.exchange.kind, flight.exchange.group, flight.exchange.scheme) == ("ecdh", 29, 0x0804)


def test_the_first_message_is_enough_where_no_more_was_asked_for() -> None:
    reader, done = fed(records(hello()), whole=False)
    assert done
    assert reader.flight is None


def test_the_hello_of_tls_13_ends_the_flight() -> None:
    chosen = ServerHello(0x0303, bytes(32), b"", 0x1301, 0, ((43, b"\x03\x04"), (51, b"\x00\x1d"))).encode()
    reader, done = fed(records(chosen))
    assert done
    assert reader.hello is not None
    assert reader.hello.group == 29


def test_a_warning_before_the_hello_is_passed_over() -> None:
    reader, done = fed(alert_record(Alert.UNRECOGNIZED_NAME, fatal=False) + records(FLIGHT))
    assert done
    assert reader.alert is None


def test_alerts_before_and_within() -> None:
    reader, done = fed(alert_record(Alert.PROTOCOL_VERSION))
    assert (done, reader.alert, reader.hello) == (True, Alert.PROTOCOL_VERSION, None)
    reader, done = fed(records(hello()) + alert_record(Alert.INTERNAL_ERROR))
    assert done
    assert reader.flight is not None
    assert (reader.flight.alert, reader.flight.complete) == (Alert.INTERNAL_ERROR, False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request", Reason.NOT_TLS),
        (b"S", Reason.NOT_TLS),
        (records(message(1, b"")), Reason.UNEXPECTED),
        (records(message(11, b"")), Reason.UNEXPECTED),
        (records(hello()) + records(b"\x0b\xff\xff\xff"), Reason.TOO_LARGE),
        (records(hello()) + records(message(11, b"\0\0\x05\0\0\x09")), Reason.MALFORMED),
        (records(hello()[:4] + b"\x03\x03"), None),
        (records(message(2, b"\x03\x03" + bytes(32) + b"\xff")), Reason.MALFORMED),
        (b"\x16\x03\x03\x00\x00" * 2000, Reason.TOO_LARGE),
        (b"\x16\x03\x03\xff\xff", Reason.MALFORMED),
        (records(b"\x01", kind=20), Reason.UNEXPECTED),
        (records(b"\x02\x28\x00", kind=21), Reason.MALFORMED),
        (alert_record(Alert.NO_RENEGOTIATION, fatal=False) * 20, Reason.TOO_LARGE),
    ],
)
def test_what_is_no_flight(data: bytes, reason: Reason | None) -> None:
    if reason is None:
        assert not fed(data)[1]
        return
    with pytest.raises(HelloError) as caught:
        fed(data)
    assert caught.value.reason is reason


def test_a_flight_without_end_is_cut() -> None:
    reader = FlightReader(True)
    reader.feed(records(hello()))
    with pytest.raises(HelloError, match="flight of more than"):
        for _ in range(MAX_FLIGHT // 1000 + 20):
            reader.feed(records(message(22, bytes(1000))))


def exchange_bodies() -> Iterable[tuple[str, int, bytes, tuple[str, int, int]]]:
    prime = b"\0" + b"\x80" + bytes(127)
    dh = bytes(Writer().vector(prime, 2).vector(b"\x02", 2).vector(bytes(128), 2))
    yield "dhe", 0x009E, dh + b"\x04\x01\x00\x00", ("dh", 0, 1024)
    yield "dh-anon", 0x0034, dh, ("dh", 0, 1024)
    yield "dhe-psk", 0x0090, b"\x00\x00" + dh, ("dh", 0, 1024)
    yield "ecdhe-psk", 0xC035, b"\x00\x01h" + ECDH[:36], ("ecdh", 23 + 6, 0)
    yield "export", 0x0003, bytes(Writer().vector(b"\x80" + bytes(63), 2).vector(b"\1\0\1", 2)), ("rsa", 0, 512)
    yield "explicit", 0xC013, b"\x01whatever", ("ecdh", 0xFF01, 0)


@pytest.mark.parametrize(("suite", "body", "found"), [pytest.param(*row[1:], id=row[0]) for row in exchange_bodies()])
def test_key_exchanges(suite: int, body: bytes, found: tuple[str, int, int]) -> None:
    exchange = read_exchange(body, suite, 0x0303)
    assert exchange is not None
    assert (exchange.kind, exchange.group, exchange.bits) == found


def test_an_exchange_of_no_known_form_is_no_error() -> None:
    assert read_exchange(b"\x03", 0xC02F, 0x0303) is None
    assert read_exchange(b"anything", 0x002F, 0x0303) is None
    assert exchange_kind(0x1301) == exchange_kind(0xEEEE) == ""


@given(st.lists(st.binary(max_size=60), max_size=8), st.booleans())
def test_any_bytes_at_all(pieces: list[bytes], whole: bool) -> None:
    reader = FlightReader(whole)
    try:
        for piece in pieces:
            if reader.feed(piece):
                break
    except HelloError:
        pass


@given(st.data())
def test_a_flight_with_bytes_changed(data: st.DataObject) -> None:
    flight = bytearray(records(FLIGHT, data.draw(st.sampled_from([16384, 40]))))
    for _ in range(data.draw(st.integers(1, 4))):
        flight[data.draw(st.integers(0, len(flight) - 1))] = data.draw(st.integers(0, 255))
    reader = FlightReader(True)
    with contextlib.suppress(HelloError):
        reader.feed(bytes(flight))


@given(st.binary(max_size=80), st.sampled_from([0xC02F, 0x009E, 0x0003, 0xC035, 0x0090]))
def test_any_exchange(body: bytes, suite: int) -> None:
    read_exchange(body, suite, 0x0303)


SSL2_HELLO = (
    b"\x04\x00\x01\x00\x02"
    + struct.pack(">HHH", 4, 6, 16)
    + b"cert"
    + bytes.fromhex("0700c0 010080")
    + bytes(range(16))
)
SSL2_RECORD = struct.pack(">H", 0x8000 | len(SSL2_HELLO)) + SSL2_HELLO


def test_an_ssl2_server() -> None:
    for cut in range(len(SSL2_RECORD)):
        found = peek_ssl2_hello(SSL2_RECORD[:cut])
        assert isinstance(found, int)
        assert cut < found <= len(SSL2_RECORD)
    reader = Ssl2Reader()
    done = [reader.feed(bytes((byte,))) for byte in SSL2_RECORD]
    assert done.index(True) == len(SSL2_RECORD) - 1
    assert reader.hello is not None
    assert reader.hello.kinds == (0x0700C0, 0x010080)
    assert reader.hello.certificate == b"cert"


def test_an_ssl2_error_and_a_tls_alert() -> None:
    with pytest.raises(Ssl2Error, match="no cipher"):
        Ssl2Reader().feed(b"\x80\x03\x00\x00\x01")
    reader = Ssl2Reader()
    assert not reader.feed(b"\x15\x03")
    assert reader.feed(b"\x01\x00\x02\x02\x46")
    assert reader.alert is Alert.PROTOCOL_VERSION
    with pytest.raises(HelloError, match="ServerHello of TLS"):
        Ssl2Reader().feed(records(hello()))


def test_openssl_answers_our_ssl2_hello_with_an_alert() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(encode_ssl2_hello())
    with pytest.raises(ssl.SSLError):
        tls.do_handshake()
    reader = Ssl2Reader()
    assert reader.feed(outgoing.read())
    assert reader.alert is not None


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_from_an_ssl2_server(data: bytes, good_start: bool) -> None:
    with contextlib.suppress(HelloError):
        Ssl2Reader().feed(SSL2_RECORD[:12] + data if good_start else data)
