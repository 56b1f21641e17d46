"""The ServerHello codec."""

from __future__ import annotations

import pytest

from plimsoll.tls import extensions as ext
from plimsoll.tls.alerts import Alert, alert_record
from plimsoll.tls.hello import AlertError, HelloError, Reason, ServerHello, peek_server_hello
from plimsoll.tls.records import to_records
from plimsoll.tls.server_hello import RETRY_RANDOM
from plimsoll.tls.versions import Version

RANDOM = bytes(range(32))
TABLE = {
    "tls-1.0-without-extensions": (
        ServerHello(0x0301, RANDOM, b"", 0x002F),
        f"02000026 0301 {RANDOM.hex()} 00 002f 00",
    ),
    "an-empty-block": (
        ServerHello(0x0303, RANDOM, b"\xcc", 0xC02F, 0, ()),
        f"02000029 0303 {RANDOM.hex()} 01cc c02f 00 0000",
    ),
    "tls-1.3": (
        ServerHello(0x0303, RANDOM, b"", 0x1301, 0, ((43, b"\x03\x04"), (51, b"\x00\x1d\x00\x01\xaa"))),
        f"02000037 0303 {RANDOM.hex()} 00 1301 00 000f 002b00020304 00330005001d0001aa",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_both_directions(name: str) -> None:
    hello, text = TABLE[name]
    message = bytes.fromhex(text.replace(" ", ""))
    assert hello.encode() == message
    assert ServerHello.parse(message) == hello


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("size", [1, 3, 16384])
def test_from_records_byte_by_byte_and_with_bytes_left_over(name: str, size: int) -> None:
    hello, _ = TABLE[name]
    # A server puts more messages behind its hello, within the same record too.
    data = to_records(hello.encode(), 0x0303, size)
    assert peek_server_hello(data + b"\x14") == hello
    assert peek_server_hello(to_records(hello.encode() + b"\x0e\0\0\0", 0x0303)) == hello
    for end in range(len(data)):
        wanted = peek_server_hello(data[:end])
        assert isinstance(wanted, int)
        assert end < wanted <= len(data)


@pytest.mark.parametrize("name", TABLE)
def test_every_truncation_is_an_error(name: str) -> None:
    message = TABLE[name][0].encode()
    for end in range(len(message)):
        with pytest.raises(HelloError):
            ServerHello.parse(message[:end])
    with pytest.raises(HelloError):
        ServerHello.parse(message + b"\0")


def test_the_version_chosen() -> None:
    assert TABLE["tls-1.0-without-extensions"][0].version is Version.TLS1_0
    assert TABLE["tls-1.3"][0].version is Version.TLS1_3
    assert TABLE["tls-1.3"][0].group == 29
    assert TABLE["an-empty-block"][0].group is None
    assert ServerHello(0x0303, RANDOM, b"", 1, 0, ((43, b"\x7f\x1c"),)).version is None
    assert ServerHello(0x0303, RANDOM, b"", 1, 0, ((43, b"\x7f"),)).version is Version.TLS1_2


def test_a_retry_request_names_the_group_it_wants() -> None:
    hello = ServerHello(0x0303, RETRY_RANDOM, b"", 0x1301, 0, ((43, b"\x03\x04"), (51, b"\x00\x17")))
    assert hello.hello_retry_request
    assert hello.group == 23
    assert not TABLE["tls-1.3"][0].hello_retry_request


@pytest.mark.parametrize(
    ("tail", "version"),
    [
        ("444f574e47524401", Version.TLS1_2),
        ("444f574e47524400", Version.TLS1_1),
        ("444f574e47524402", None),
        ("444f574e47525301", None),
    ],
)
def test_the_downgrade_sentinel(tail: str, version: Version | None) -> None:
    assert ServerHello(0x0303, RANDOM[:24] + bytes.fromhex(tail), b"", 1).downgraded_to is version


def test_the_protocol_chosen() -> None:
    assert ServerHello(0x0303, RANDOM, b"", 1, 0, (ext.alpn([b"h2"]),)).alpn == b"h2"
    assert ServerHello(0x0303, RANDOM, b"", 1, 0, ((16, b"\0"),)).alpn is None
    assert ServerHello(0x0303, RANDOM, b"", 1).alpn is None


def test_an_alert_instead_of_a_hello() -> None:
    with pytest.raises(AlertError, match="alert protocol_version") as caught:
        peek_server_hello(alert_record(Alert.PROTOCOL_VERSION))
    assert caught.value.received is Alert.PROTOCOL_VERSION
    assert caught.value.reason is Reason.ALERT
    with pytest.raises(AlertError, match="number 200"):
        peek_server_hello(bytes.fromhex("150301000202c8"))
    assert peek_server_hello(b"\x15\x03") == 7
    with pytest.raises(HelloError, match="no alert"):
        peek_server_hello(bytes(b"\x15\x03\x01\x00\x30" + bytes(8)))


@pytest.mark.parametrize("data", [b"HTTP/1.1 400", b"\x16\x04\x00\x00\x01", b"\x00"])
def test_no_tls(data: bytes) -> None:
    with pytest.raises(HelloError) as caught:
        peek_server_hello(data)
    assert caught.value.reason is Reason.NOT_TLS


def test_another_message_is_no_hello() -> None:
    with pytest.raises(HelloError) as caught:
        ServerHello.parse(b"\x0e\0\0\0")
    assert caught.value.reason is Reason.UNEXPECTED
