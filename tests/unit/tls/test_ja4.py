"""JA4 as its public description gives it, with its own example values."""

from __future__ import annotations

import pytest

from plimsoll.tls import extensions as ext
from plimsoll.tls.hello import ClientHello
from plimsoll.tls.ja4 import ja4, ja4_of_key


def _numbers(text: str) -> list[int]:
    return [int(number, 16) for number in text.split(",")]


SUITES = _numbers("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035")
EXTENSIONS = _numbers("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015")
SCHEMES = _numbers("0403,0804,0401,0503,0805,0501,0806,0601")
BODIES = dict(
    [
        ext.server_name("manager.example"),
        ext.alpn([b"h2", b"http/1.1"]),
        ext.number_list(13, SCHEMES),
        ext.number_list(43, [0x6A6A, 0x0304, 0x0303], 1),
    ]
)


def _hello(suites: list[int], codes: list[int], bodies: dict[int, bytes] = BODIES, legacy: int = 0x0303) -> ClientHello:
    return ClientHello(
        legacy, bytes(32), b"", tuple(suites), b"\0", tuple((code, bodies.get(code, b"")) for code in codes)
    )


def test_the_published_example() -> None:
    assert ja4(_hello(SUITES, EXTENSIONS)) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_grease_is_ignored_everywhere() -> None:
    bodies = BODIES | dict([ext.number_list(13, [0x1A1A, *SCHEMES])])
    greased = _hello([0x0A0A, *SUITES], [0x2A2A, *EXTENSIONS, 0xFAFA], bodies)
    assert ja4(greased) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert greased.fingerprint_key == _hello(SUITES, EXTENSIONS).fingerprint_key


def test_the_order_of_extensions_does_not_matter() -> None:
    shuffled = _hello(SUITES[::-1], EXTENSIONS[::-1])
    assert ja4(shuffled) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert _hello(SUITES, EXTENSIONS[::-1]).fingerprint_key == _hello(SUITES, EXTENSIONS).fingerprint_key


def test_the_published_example_without_signature_algorithms() -> None:
    codes = tuple(sorted(set(EXTENSIONS) - {0, 16}))
    assert ja4_of_key((0x0304, tuple(SUITES), codes, b"", ())).split("_")[2] == "6d807ffa2a79"


@pytest.mark.parametrize(
    ("protocol", "mark"),
    [
        (b"", "00"), (b"h2", "h2"), (b"http/1.1", "h1"), (b"h", "hh"), (b"\xab", "ab"), (b"\xab\xcd", "ad"),
        (b"\x30\xab", "3b"), (b"\x30\x31\xab\xcd", "3d"), (b"\x30\xab\xcd\x31", "01"),
    ],
)  # fmt: skip
def test_the_mark_of_the_protocol(protocol: bytes, mark: str) -> None:
    assert ja4_of_key((0x0303, (1,), (), protocol, ())).split("_")[0] == f"t12i0100{mark}"


@pytest.mark.parametrize(
    ("legacy", "mark"),
    [(0x0002, "s2"), (0x0300, "s3"), (0x0301, "10"), (0x0302, "11"), (0x0303, "12"), (0xFEFD, "d2"), (0x0399, "00")],
)
def test_the_mark_of_the_version(legacy: int, mark: str) -> None:
    assert ja4(_hello(SUITES, [], legacy=legacy))[1:3] == mark


def test_counts_end_at_99_and_no_extensions_hash_to_zeros() -> None:
    assert ja4(_hello(list(range(200)), [])).startswith("t12i990000_")
    assert ja4(_hello(SUITES, [])).endswith("_000000000000")
    assert ja4(_hello(SUITES, [0, 16])).endswith("_000000000000")


def test_ssl2_kinds_take_no_part() -> None:
    plain = ClientHello(0x0301, bytes(32), b"", (0x2F, 0x35), b"\0")
    old = ClientHello(0x0301, bytes(16), b"", (0x2F, 0x010080, 0x35), b"\0", sslv2_format=True)
    assert ja4(old) == ja4(plain)
    assert ja4(old).startswith("t10i020000_")


def test_the_transport_is_named_first() -> None:
    assert ja4(_hello(SUITES, EXTENSIONS), "q") == "q13d1516h2_8daaf6152771_e5627efa2ab1"
