"""The journal of endpoints that are done."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from plimsoll.scan.report import Target
from plimsoll.scan.resume import Journal, JournalError
from plimsoll.scan.targets import TargetList

HEAD = len("plimsoll scan journal 1\n")
TARGETS = [Target(f"192.0.2.{number}", 443) for number in range(5)]


def test_what_was_done_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        assert len(journal) == 0
        for target in TARGETS[:3]:
            journal.add(target)
    with Journal(path) as journal:
        assert len(journal) == 3
        left = TargetList([("", lambda: ["192.0.2.0-4"])], skip=journal.done, done=len(journal))
        assert list(left) == TARGETS[3:]
        assert left.total == 2


def test_the_same_address_asked_in_another_way_is_not_done(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.add(Target("a.example", 25, "smtp", "a.example"))
    with Journal(tmp_path / "journal") as journal:
        assert journal.done(Target("a.example", 25, "smtp", "a.example"))
        assert not journal.done(Target("a.example", 25, "", "a.example"))
        assert not journal.done(Target("a.example", 25, "smtp", "b.example"))


def test_a_torn_end_costs_no_more_than_its_line(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        for target in TARGETS:
            journal.add(target)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        with Journal(path) as journal:
            done = [journal.done(target) for target in TARGETS]
            assert done == sorted(done, reverse=True)
            assert sum(done) == max(0, whole[:length].count(b"\n") - 1)
            journal.add(TARGETS[-1])
        with Journal(path) as journal:
            assert journal.done(TARGETS[-1])


def test_zeros_at_the_end_count_as_torn(tmp_path: Path) -> None:
    """Some file systems leave them where the length was written before the bytes."""
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.add(TARGETS[0])
    path.write_bytes(path.read_bytes() + bytes(700))
    with Journal(path) as journal:
        assert len(journal) == 1
        journal.add(TARGETS[1])
    with Journal(path) as journal:
        assert [journal.done(target) for target in TARGETS[:3]] == [True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        b"something else\n",
        b"a note without an end",
        b"plimsoll scan journal 9\n",
        b"plimsoll",
        b"\0\1\2",
        b"x" * 100_000,
    ],
)
def test_another_file_is_no_journal_and_stays_as_it_was(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(text)
    if text == b"plimsoll":
        with Journal(path):
            pass  # the first line, torn
        return
    with pytest.raises(JournalError, match="is no journal"):
        Journal(path)
    assert path.read_bytes() == text


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.add(TARGETS[0])
    before = path.read_bytes() + b"by hand\n0123456789abcdef x\n"
    path.write_bytes(before)
    with pytest.raises(JournalError, match=r"line 3.*by hand"):
        Journal(path)
    assert path.read_bytes() == before


def test_two_scans_do_not_share_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal"), pytest.raises(JournalError, match="another scan"):
        Journal(tmp_path / "journal")
    with Journal(tmp_path / "journal"):
        pass


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        Journal(tmp_path / "nowhere" / "journal")
    with pytest.raises(JournalError, match="directory"):
        Journal(tmp_path)


def test_many_are_found(tmp_path: Path) -> None:
    number = random.Random(7)
    targets = [Target(f"h{number.random()}.example", 443) for _ in range(5000)]
    with Journal(tmp_path / "journal") as journal:
        for target in targets[::2]:
            journal.add(target)
    with Journal(tmp_path / "journal") as journal:
        assert [journal.done(target) for target in targets] == [True, False] * 2500
