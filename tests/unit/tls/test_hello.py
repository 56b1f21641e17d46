"""The ClientHello codec: a table read in both directions, byte by byte, and with bytes left over."""

from __future__ import annotations

import pytest

from plimsoll.tls import extensions as ext
from plimsoll.tls.alerts import Alert
from plimsoll.tls.hello import ClientHello, HelloError, HelloReader, Reason, encode_client_hello, peek_client_hello
from plimsoll.tls.records import MAX_RECORDS
from plimsoll.tls.versions import Version

RANDOM = bytes(range(32))
RANDOM_HEX = RANDOM.hex()

# Each row: a hello, and its bytes written out by hand from the standards.
TABLE = {
    "tls-1.0-without-extensions": (
        ClientHello(0x0301, RANDOM, b"", (0x002F, 0x0035), b"\0", length=52),
        f"160301002f 0100002b 0301 {RANDOM_HEX} 00 0004002f0035 0100",
    ),
    "ssl-3": (
        ClientHello(0x0300, RANDOM, b"", (0x0004,), b"\0", length=50, record_version=0x0300),
        f"160300002d 01000029 0300 {RANDOM_HEX} 00 00020004 0100",
    ),
    "two-compressions-and-a-session": (
        ClientHello(0x0302, RANDOM, b"\xaa" * 32, (0x002F,), b"\x01\x00", length=83),
        f"160301004e 0100004a 0302 {RANDOM_HEX} 20{'aa' * 32} 0002002f 020100",
    ),
    "grease-unknown-and-repeated-extensions": (
        ClientHello(
            0x0303, RANDOM, b"", (0x0A0A, 0xC02F), b"\0",
            ((0x2A2A, b""), (0xEEEE, b"\x01\x02"), (23, b""), (0xEEEE, b"\x03"), (0x2A2A, b"\0")), length=78,
        ),
        (
            f"1603010049 01000045 0303 {RANDOM_HEX} 00 00040a0ac02f 0100"
            "0018 2a2a0000 eeee00020102 00170000 eeee000103 2a2a000100"
        ),
    ),
    "tls-1.3": (
        ClientHello(
            0x0303, RANDOM, b"", (0x1301,), b"\0",
            ((0, bytes.fromhex("000600000361 2e62".replace(" ", ""))), (43, bytes.fromhex("0403040303"))), length=73,
        ),
        f"1603010044 01000040 0303 {RANDOM_HEX} 00 00021301 0100 0015 00000008000600000361 2e62 002b0005 0403040303",
    ),
    "sslv2-format": (
        ClientHello(
            0x0301, RANDOM[:16], b"", (0x010080, 0x00002F), b"\0", sslv2_format=True, length=33, record_version=2,
        ),
        f"801f 01 0301 0006 0000 0010 010080 00002f {RANDOM[:16].hex()}",
    ),
    "sslv2-format-with-a-session": (
        ClientHello(0x0303, RANDOM, b"\xbb" * 16, (0x002F,), b"\0", sslv2_format=True, length=62, record_version=2),
        f"803c 01 0303 0003 0010 0020 00002f {'bb' * 16} {RANDOM_HEX}",
    ),
}  # fmt: skip


@pytest.fixture(params=TABLE)
def row(request: pytest.FixtureRequest) -> tuple[ClientHello, bytes]:
    hello, text = TABLE[request.param]
    return hello, bytes.fromhex(text.replace(" ", ""))


def test_reads(row: tuple[ClientHello, bytes]) -> None:
    hello, data = row
    assert peek_client_hello(data) == hello
    assert peek_client_hello(memoryview(data)) == hello
    assert peek_client_hello(bytearray(data)) == hello


def test_writes(row: tuple[ClientHello, bytes]) -> None:
    hello, data = row
    assert hello.encode() == data


def test_byte_by_byte(row: tuple[ClientHello, bytes]) -> None:
    hello, data = row
    asked = 0
    for size in range(len(data)):
        wanted = peek_client_hello(data[:size])
        assert isinstance(wanted, int)
        assert max(size + 1, asked) <= wanted <= len(data)
        asked = wanted
    assert peek_client_hello(data) == hello


def test_the_reader_takes_single_bytes_and_keeps_what_follows(row: tuple[ClientHello, bytes]) -> None:
    hello, data = row
    reader = HelloReader()
    found = [reader.feed(bytes([byte])) for byte in data]
    assert found == [None] * (len(data) - 1) + [hello]
    assert reader.rest == b""
    assert reader.feed(b"next") == hello
    assert reader.rest == b"next"


def test_bytes_after_the_last_record_are_left_alone(row: tuple[ClientHello, bytes]) -> None:
    hello, data = row
    assert peek_client_hello(data + b"\x14\x03\x03\x00\x01\x01") == hello


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 40, 76])
def test_a_hello_may_span_many_records(size: int) -> None:
    hello, text = TABLE["grease-unknown-and-repeated-extensions"]
    data = hello.encode(size)
    assert len(data) == 73 + 5 * -(-73 // size)
    asked = 0
    for end in range(len(data)):
        wanted = peek_client_hello(data[:end])
        assert isinstance(wanted, int)
        assert max(end + 1, asked) <= wanted <= len(data)
        asked = wanted
    found = peek_client_hello(data + b"more")
    assert isinstance(found, ClientHello)
    assert found.length == len(data)
    assert found.encode() == bytes.fromhex(text.replace(" ", ""))


def test_a_hello_over_two_segments_asks_once_for_the_rest() -> None:
    data = encode_client_hello(cipher_suites=[0x1301], extensions=[(21, bytes(1700))], versions=[Version.TLS1_3])
    assert peek_client_hello(data[:1448]) == len(data)


def _hello(*extensions: tuple[int, bytes], legacy: int = 0x0303, suites: tuple[int, ...] = (0x1301,)) -> ClientHello:
    data = encode_client_hello(legacy_version=legacy, cipher_suites=suites, extensions=extensions)
    hello = peek_client_hello(data)
    assert isinstance(hello, ClientHello)
    return hello


@pytest.mark.parametrize(
    ("numbers", "offered"),
    [
        ([0x0304, 0x0303], [Version.TLS1_3, Version.TLS1_2]),
        ([0x0A0A, 0x0301, 0x0303, 0x7F1C], [Version.TLS1_0, Version.TLS1_2]),
        ([0x0A0A], []),
        ([0x0302], [Version.TLS1_1]),
    ],
)
def test_supported_versions_decide(numbers: list[int], offered: list[Version]) -> None:
    hello = _hello(ext.number_list(43, numbers, 1), legacy=0x0301)
    assert list(hello.offered) == offered
    assert hello.newest == max(offered, default=None)
    assert hello.version_numbers == tuple(numbers)


@pytest.mark.parametrize(
    ("legacy", "newest"),
    [
        (0x0303, Version.TLS1_2), (0x0304, Version.TLS1_2), (0x03FF, Version.TLS1_2), (0x0302, Version.TLS1_1),
        (0x0301, Version.TLS1_0), (0x0300, Version.SSL3), (0x0000, None), (0x0200, None),
    ],
)  # fmt: skip
def test_without_supported_versions_the_old_field_counts_up_to_tls_1_2(legacy: int, newest: Version | None) -> None:
    hello = _hello(legacy=legacy)
    assert hello.newest is newest
    assert hello.offered == (() if newest is None else (newest,))


def test_what_a_sighting_shows() -> None:
    hello = _hello(
        ext.server_name("manager.example"),
        ext.alpn([b"h2", b"http/1.1"]),
        ext.number_list(10, [4588, 29]),
        ext.number_list(13, [0x0804]),
        suites=(0x1301, 0x5600),
    )
    assert hello.server_name == "manager.example"
    assert hello.alpn == (b"h2", b"http/1.1")
    assert hello.groups == (4588, 29)
    assert hello.signature_schemes == (0x0804,)
    assert hello.fallback_scsv
    assert hello.extension(16) is not None
    assert hello.extension(99) is None


def test_what_is_not_there_reads_as_absent() -> None:
    hello = _hello()
    assert (hello.server_name, hello.alpn, hello.groups, hello.signature_schemes) == (None, (), (), ())
    assert not hello.fallback_scsv


@pytest.mark.parametrize("body", ["", "00", "0000", "0001", "0003000001", "00040000016161", "0005000001610061"])
def test_a_malformed_body_reads_as_absent(body: str) -> None:
    broken = bytes.fromhex(body)
    hello = _hello((0, broken), (10, broken), (13, broken + b"\0"), (16, broken + b"\xff"))
    assert (hello.server_name, hello.groups, hello.signature_schemes) == (None, (), ())
    assert hello.alpn == ()
    assert isinstance(hello.fingerprint_key, tuple)


def test_a_name_of_another_type_reads_as_absent() -> None:
    assert _hello((0, bytes.fromhex("000401000161"))).server_name is None


def test_a_name_that_is_no_ascii_is_shown_escaped() -> None:
    assert _hello((0, b"\x00\x06\x00\x00\x03a\xff\n")).server_name == "a\\xff\n"


def _refused(text: str, limit: int = 65536) -> HelloError:
    with pytest.raises(HelloError) as caught:
        peek_client_hello(bytes.fromhex(text.replace(" ", "")), limit)
    return caught.value


@pytest.mark.parametrize(
    ("data", "reason", "alert"),
    [
        ("00", Reason.NOT_TLS, None),
        ("1602", Reason.NOT_TLS, None),
        ("170301000501", Reason.NOT_TLS, None),
        (b"SSH-2.0-OpenSSH".hex(), Reason.NOT_TLS, None),
        (b"GOT".hex(), Reason.NOT_TLS, None),
        ("ffffff", Reason.NOT_TLS, None),
        ("8040 02 0301 0003 0000 0010", Reason.NOT_TLS, None),
        ("8040 01 0401 0003 0000 0010", Reason.NOT_TLS, None),
        (b"GET / HTTP/1.1\r\n".hex(), Reason.PLAIN_HTTP, None),
        (b"POST".hex(), Reason.PLAIN_HTTP, None),
        ("8041 01 0301 0003 0000 0010", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("801b 01 0301 0002 0000 0010", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("801b 01 0301 0003 0000 000f", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("801c 01 0002 0003 0000 0010", Reason.SSL2_ONLY, Alert.PROTOCOL_VERSION),
        ("1603010000 01", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("1603014001 01", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("1603010004 02000000", Reason.UNEXPECTED, Alert.UNEXPECTED_MESSAGE),
        ("1603010004 01ffffff", Reason.TOO_LARGE, Alert.ILLEGAL_PARAMETER),
        ("1603010006 01000001 0000", Reason.UNEXPECTED, Alert.UNEXPECTED_MESSAGE),
        ("1603010004 01000005 1703010001 00", Reason.UNEXPECTED, Alert.UNEXPECTED_MESSAGE),
        ("1603010004 01000005 1602010001 00", Reason.MALFORMED, Alert.DECODE_ERROR),
        ("1603010004 01000000", Reason.MALFORMED, Alert.DECODE_ERROR),
    ],
)
def test_what_is_refused_and_why(data: str, reason: Reason, alert: Alert | None) -> None:
    error = _refused(data)
    assert (error.reason, error.alert) == (reason, alert)


@pytest.mark.parametrize(
    "body",
    [
        f"0303{RANDOM_HEX}",
        f"0303{RANDOM_HEX}21{'00' * 33}0002002f0100",
        f"0303{RANDOM_HEX}0000000100",
        f"0303{RANDOM_HEX}000003002f350100",
        f"0303{RANDOM_HEX}00fffe002f0100",
        f"0303{RANDOM_HEX}000002002f00",
        f"0303{RANDOM_HEX}000002002f",
        f"0303{RANDOM_HEX}000002002f0200",
        f"0303{RANDOM_HEX}000002002f010000",
        f"0303{RANDOM_HEX}000002002f01000001",
        f"0303{RANDOM_HEX}000002002f0100000400170001",
        f"0303{RANDOM_HEX}000002002f0100000300170000",
        f"0303{RANDOM_HEX}000002002f0100000500170000ff00",
        f"0303{RANDOM_HEX}000002002f010000070 02b0003020304 00",
        f"0303{RANDOM_HEX}000002002f01000005002b000100",
        f"0303{RANDOM_HEX}000002002f01000007002b0003030304",
    ],
)
def test_a_hello_that_breaks_its_own_lengths_is_malformed(body: str) -> None:
    body = body.replace(" ", "")
    size = len(body) // 2
    assert _refused(f"160301{size + 4:04x}01{size:06x}{body}").reason is Reason.MALFORMED


def test_an_empty_block_of_extensions_is_none() -> None:
    body = f"0303{RANDOM_HEX}000002002f01000000"
    size = len(body) // 2
    hello = peek_client_hello(bytes.fromhex(f"160301{size + 4:04x}01{size:06x}{body}"))
    assert isinstance(hello, ClientHello)
    assert hello.extensions == ()


def test_the_limit_is_on_the_bytes_of_the_wire() -> None:
    data = encode_client_hello(cipher_suites=[0x2F])
    assert isinstance(peek_client_hello(data, len(data)), ClientHello)
    assert _refused(data.hex(), len(data) - 1).reason is Reason.TOO_LARGE
    assert _refused(data[:9].hex(), len(data) - 1).reason is Reason.TOO_LARGE
    assert _refused("803c 01 0303 0003 0010 0020", 61).reason is Reason.TOO_LARGE


def test_a_hello_of_64_kib_is_read_and_a_larger_one_is_not() -> None:
    def hello_of(padding: int) -> bytes:
        return encode_client_hello(cipher_suites=[0x2F], extensions=[(21, bytes(padding))])

    fitting = hello_of(65536 - 5 * 4 - 55)
    assert isinstance(peek_client_hello(fitting), ClientHello)
    assert len(fitting) <= 65536
    assert _refused(hello_of(65535 - 10).hex()).reason is Reason.TOO_LARGE


def test_the_number_of_records_is_bounded() -> None:
    hello = ClientHello(0x0303, RANDOM, b"", tuple(range(MAX_RECORDS)), b"\0")
    assert _refused(hello.encode(1).hex()).reason is Reason.TOO_LARGE
    assert isinstance(peek_client_hello(hello.encode(4)), ClientHello)


@pytest.mark.parametrize("opening", [b"", b"G", b"PO", b"PUT", b"\x16", b"\x16\x03\x01", b"\x80", b"\x80\x40\x01"])
def test_an_opening_that_can_still_become_something_waits(opening: bytes) -> None:
    wanted = peek_client_hello(opening)
    assert isinstance(wanted, int)
    assert wanted > len(opening)


def test_record_sizes_outside_the_standard_cannot_be_written() -> None:
    hello = ClientHello(0x0303, RANDOM, b"", (1,), b"\0")
    for size in (0, 16385):
        with pytest.raises(ValueError, match="a record holds"):
            hello.encode(size)
