"""Refused hellos that are known again: only what differs in the random bytes alone, and bounded."""

from __future__ import annotations

from plimsoll.net.refusals import Refusals
from plimsoll.net.sightings import kind_of
from plimsoll.tls.hello import ClientHello, encode_client_hello, peek_client_hello
from plimsoll.tls.versions import Version

ANSWER = b"the answer"


def old(random: bytes = bytes(32), suites: tuple[int, ...] = (0x002F, 0x0035), record_size: int = 16_384) -> bytes:
    return encode_client_hello(
        legacy_version=Version.TLS1_0.wire, random=random, cipher_suites=suites, record_size=record_size
    )


def read(data: bytes) -> ClientHello:
    hello = peek_client_hello(data)
    assert isinstance(hello, ClientHello)
    return hello


def kept(refusals: Refusals, data: bytes) -> ClientHello:
    hello = read(data)
    refusals.keep(data, hello, ANSWER)
    return hello


def test_the_same_hello_with_other_random_bytes_is_known() -> None:
    refusals = Refusals()
    hello = kept(refusals, old())
    found = refusals.find(old(random=b"\xa5" * 32))
    assert found is not None
    assert (found.hello, found.newest, found.kind, found.answer) == (hello, Version.TLS1_0, kind_of(hello), ANSWER)


def test_whatever_else_differs_is_not_known() -> None:
    refusals = Refusals()
    data = old()
    kept(refusals, data)
    assert refusals.find(old(suites=(0x002F, 0x000A))) is None
    assert refusals.find(data + b"\x00") is None
    assert refusals.find(data[:-1]) is None
    for at in (*range(11), *range(43, len(data))):
        assert refusals.find(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]) is None, at


def test_a_hello_in_several_records_is_not_kept() -> None:
    """A record's header then lies where the random bytes would be."""
    refusals = Refusals()
    kept(refusals, old(record_size=20))
    kept(refusals, old(record_size=44))
    assert len(refusals) == 0


def test_bytes_behind_the_hello_keep_it_from_being_kept() -> None:
    refusals = Refusals()
    kept(refusals, old() + b"\x16\x03\x01")
    assert len(refusals) == 0


def test_a_hello_in_the_format_of_ssl_2_is_not_kept() -> None:
    """Its suites lie where the random bytes would be."""
    refusals = Refusals()
    hello = ClientHello(Version.TLS1_0.wire, bytes(32), b"", tuple(range(1, 20)), b"\x00", sslv2_format=True)
    kept(refusals, hello.encode())
    assert len(refusals) == 0


def test_new_kinds_without_end_stay_bounded() -> None:
    refusals = Refusals(capacity=8)
    for suite in range(1, 100):
        kept(refusals, old(suites=(suite,)))
        assert len(refusals) <= 8
        assert refusals.find(old(suites=(suite,))) is not None
    before = len(refusals)
    long = old(suites=tuple(range(1, 1000)))
    kept(refusals, long)
    assert len(refusals) == before
