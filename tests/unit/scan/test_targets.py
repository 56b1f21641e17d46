"""Targets as people write them, and the journal of those that are done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.scan.report import Target
from plimsoll.scan.resume import Journal, JournalError
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
    except TargetError:
        return
    assert understood.count >= 1
    assert next(understood.hosts())


def test_a_journal_skips_what_was_done_and_forgives_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "scan.journal"
    one, two, three = (Target(f"192.0.2.{number}", 443) for number in (1, 2, 3))
    with Journal(path) as journal:
        journal.add(one)
        journal.add(two)
    path.write_bytes(path.read_bytes()[:-4])
    with Journal(path) as journal:
        assert [journal.done(target) for target in (one, two, three)] == [True, False, False]
        journal.add(three)
    with Journal(path) as journal:
        left = TargetList([("", lambda: ["192.0.2.1-3"])], skip=journal.done)
        assert [target.host for target in left] == ["192.0.2.2"]


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("something else\n")
    with pytest.raises(JournalError, match="is no journal"):
        Journal(path)
    assert path.read_text() == "something else\n"
