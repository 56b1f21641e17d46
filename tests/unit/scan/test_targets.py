"""Targets as people write them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.scan.spans import Spans
from plimsoll.scan.targets import TargetError, TargetList, understand


def listed(*words: str, **options: str) -> list[str]:
    found = TargetList([("", lambda: words)], **options)  # type: ignore[arg-type]
    return [f"{target.opening + ' ' if target.opening else ''}{target}" for target in found]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("example.org", ["example.org:443"]),
        ("EXAMPLE.org:8443", ["example.org:8443"]),
        ("example.org:443,8443", ["example.org:443", "example.org:8443"]),
        ("192.0.2.1", ["192.0.2.1:443"]),
        ("2001:db8::1", ["[2001:db8::1]:443"]),
        ("[2001:db8::1]:4119", ["[2001:db8::1]:4119"]),
        ("192.0.2.0/30", ["192.0.2.1:443", "192.0.2.2:443"]),
        ("192.0.2.0/31:4120", ["192.0.2.0:4120", "192.0.2.1:4120"]),
        ("192.0.2.9-11:25", ["smtp 192.0.2.9:25", "smtp 192.0.2.10:25", "smtp 192.0.2.11:25"]),
        ("[2001:db8::]/127:443", ["[2001:db8::]:443", "[2001:db8::1]:443"]),
        ("smtp://mail.example.org", ["smtp mail.example.org:25"]),
        ("postgres://db:6432", ["postgres db:6432"]),
        ("https://example.org/", ["example.org:443"]),
        ("tls://example.org:25", ["example.org:25"]),
        ("db:5432", ["postgres db:5432"]),
        ("192.0.2.254-192.0.3.1", ["192.0.2.254:443", "192.0.2.255:443", "192.0.3.0:443", "192.0.3.1:443"]),
        ("smtp://192.0.2.8/31", ["smtp 192.0.2.8:25", "smtp 192.0.2.9:25"]),
        ("smtp://192.0.2.8/31:587", ["smtp 192.0.2.8:587", "smtp 192.0.2.9:587"]),
        ("https://example.org:8443/path/to?a=1", ["example.org:8443"]),
        ("postgres://db/name", ["postgres db:5432"]),
        ("rdp://[2001:db8::1]", ["rdp [2001:db8::1]:3389"]),
        ("ldap://[2001:db8::2/127]", ["ldap [2001:db8::2]:389", "ldap [2001:db8::3]:389"]),
        ("fe80::1%eth0", ["[fe80::1%eth0]:443"]),
        ("example.org.", ["example.org.:443"]),
        ("_x._tcp.example.org:5269", ["xmpp-server _x._tcp.example.org:5269"]),
        ("10.0.0.1-node.example", ["10.0.0.1-node.example:443"]),
    ],
)
def test_forms(word: str, expected: list[str]) -> None:
    assert listed(word) == expected


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("example.org:0", "not a port"),
        ("example.org:https", "not a port"),
        ("gopher://example.org", "scheme 'gopher'"),
        ("192.0.2.300", "looks like an IPv4 address"),
        ("192.0.2.0/33", "192.0.2.0/33"),
        ("192.0.2.9-3", "does not go upwards"),
        ("2001:db8::/64", "addresses; at most"),
        ("-bad-.example", "neither a host name"),
        ("a" * 64, "neither a host name"),
        (":443", "names no host"),
        ("example.org:", "'' is not a port"),
        ("example.org:٤٤٣", "is not a port"),
        ("example.org:99999999999999999999999", "is not a port"),
        ("[::1", "brackets belong"),
        ("[example.org]:443", "brackets belong"),
        ("[::1]443", "brackets belong"),
        ("::12345", "looks like an IPv6 address and is none"),
        ("fe80::1%a;b", "is no interface"),
        ("1.2.3", "looks like an IPv4"),
        ("192.0.2.1-192.0.1.1", "does not go upwards"),
        ("192.0.2.1-300", "192.0.2.300"),
        ("example.org/24", "is no network"),
        ("bü..cher", "is no host name"),
    ],
)
def test_what_is_not_understood_is_said(word: str, why: str) -> None:
    with pytest.raises(TargetError, match=why):
        understand(word)


def test_a_fault_is_named_by_file_and_line_before_anything_is_scanned() -> None:
    lines = ["good.example", "# a comment", "bad.example:http  # here"]
    with pytest.raises(TargetError, match=r"hosts\.txt, line 3: 'bad\.example:http': 'http' is not a port"):
        TargetList([("hosts.txt", lambda: lines)])


def test_duplicates_are_asked_once() -> None:
    words = (
        "a.example",
        "A.example:443",
        "192.0.2.1",
        "192.0.2.0/29",
        "192.0.2.4-12",
        "192.0.2.1:443,444",
        "b.example",
    )
    found = listed(*words)
    assert len(found) == len(set(found))
    assert set(found) == {"a.example:443", "b.example:443", "192.0.2.1:444"} | {
        f"192.0.2.{number}:443" for number in range(1, 13)
    }


def test_names_go_into_sni_and_addresses_never_do() -> None:
    targets = list(TargetList([("", lambda: ["example.org", "192.0.2.1", "::1", "bücher.example"])]))
    assert [target.server_name for target in targets] == ["example.org", "", "", "xn--bcher-kva.example"]
    named = list(TargetList([("", lambda: ["192.0.2.1"])], server_name="site.example"))
    assert named[0].server_name == "site.example"


def test_a_large_network_is_counted_and_not_listed() -> None:
    found = TargetList([("", lambda: ["10.0.0.0/8:443,8443"])])
    assert found.total == 2 * ((1 << 24) - 2)
    assert str(next(iter(found))) == "10.0.0.1:443"


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(word: str) -> None:
    try:
        understood = understand(word)
    except TargetError as error:
        assert str(error).isprintable()
        return
    assert understood.count >= 1
    assert understood.host.isascii()
    assert understood.host.isprintable()
    assert all(0 < port < 65536 for port in understood.ports)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(TargetError) as caught:
        understand("postgres://me:secret@db:5432/x")
    assert "secret" not in str(caught.value)


def test_what_is_no_text_is_said_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"a.example\n\xff\xfe\n")
    with path.open(encoding="utf-8") as file, pytest.raises(TargetError, match=r"^hosts, after line \d: .* UTF-8"):
        TargetList([("hosts", lambda: file)])


def test_what_is_left_is_counted_without_what_comes_again() -> None:
    words = [
        "192.0.2.0/28",
        "192.0.2.3",
        "192.0.2.3",
        "192.0.2.10-20",
        "a.example",
        "a.example:443",
        "b.example:443,444",
    ]
    found = TargetList([("", lambda: words)])
    assert len(list(found)) == found.total == 20 + 1 + 2
    assert found.duplicates == 14 + 2 + 11 + 2 + 2 - found.total
    assert TargetList([("", lambda: words)], done=5).total == found.total - 5


def test_one_port_asked_in_two_ways_is_two_endpoints() -> None:
    assert listed("tls://a.example:25", "a.example:25", "smtp://a.example") == ["a.example:25", "smtp a.example:25"]
    assert listed("tls://192.0.2.0/31:25", "192.0.2.0:25") == ["192.0.2.0:25", "192.0.2.1:25", "smtp 192.0.2.0:25"]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=25))
def test_spans_hold_what_a_set_holds(given_spans: list[tuple[int, int]]) -> None:
    spans, held = Spans(), set[int]()
    for start, length in given_spans:
        new = [number for low, high in spans.add(start, start + length) for number in range(low, high)]
        assert new == sorted(set(range(start, start + length)) - held)
        held |= set(range(start, start + length))
    assert spans.count() == len(held)
    assert {number for number in range(80) if number in spans} == held


_octet = st.integers(0, 15)
_words = st.one_of(
    st.builds("192.0.2.{}".format, _octet),
    st.builds("192.0.2.{}/{}".format, _octet, st.integers(28, 32)),
    st.builds(lambda one, other: f"192.0.2.{min(one, other)}-{max(one, other)}:25", _octet, _octet),
    st.builds("2001:db8::{:x}/126".format, _octet),
    st.builds("[2001:db8::{:x}]:443".format, _octet),
    st.sampled_from(["a.example", "A.EXAMPLE.", "a.example:25", "smtp://a.example"]),
)


@given(st.lists(_words, max_size=12))
def test_each_endpoint_comes_once_whatever_the_list(words: list[str]) -> None:
    found = TargetList([("", lambda: words)])
    targets = list(found)
    keys = [(target.host.removesuffix("."), target.port, target.opening) for target in targets]
    assert len(keys) == len(set(keys))
    alone = [target for word in words for target in TargetList([("", [word].copy)])]
    assert {(one.host.removesuffix("."), one.port, one.opening) for one in alone} == set(keys)
    assert found.total >= len(targets)
    if not any("[" in word for word in words):
        assert found.total == len(targets)


def test_a_list_of_many_networks_stays_small() -> None:
    """Each is given twice; what was handed out is known by its bounds, not by its addresses."""
    words = [f"10.{number >> 8}.{number & 255}.0/23" for number in range(20_000)]
    found = TargetList([("", lambda: words)])
    assert found.total == found.duplicates == 10_000 * 510
    assert len({target.host for target in itertools.islice(found, 2000)}) == 2000
