"""plimsoll agent trust-release-key: what a host believes is changed by whoever is root there, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.releases import Publisher
from tests.unit.cli.fake import FakeManager, Shell

from plimsoll.agent.software.shelf import Shelf
from plimsoll.messages import release


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "agent"
    home.mkdir()
    (home / "agent.json").write_text("{}")
    Shelf(home).put_trust(release.first_trust([Publisher(name="lost").public]))
    return home


def test_a_host_believes_what_its_administrator_says(home: Path, tmp_path: Path) -> None:
    old, new = Publisher(), Publisher()
    statement = release.next_trust(release.first_trust([old.public]), [new.public], old.key)
    (tmp_path / "now.txt").write_text(statement.text)
    ran = Shell(FakeManager({})).run(f"plimsoll agent trust-release-key {tmp_path / 'now.txt'} --home {home}")
    assert (ran.code, new.public.id in ran.err) == (0, True)
    assert Shelf(home).trust() == statement
    (tmp_path / "key.pub").write_text(old.pem)
    ran = Shell(FakeManager({})).run(f"plimsoll agent trust-release-key {tmp_path / 'key.pub'} --home {home}")
    trust = Shelf(home).trust()
    assert (ran.code, trust is not None and trust.trusts(old.public.id)) == (0, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"nonsense", "no statement of release keys"), (b"\xff", "no statement"), (None, "No such file")],
)
def test_what_is_no_statement_changes_nothing(home: Path, tmp_path: Path, content: bytes | None, said: str) -> None:
    before = Shelf(home).trust()
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    ran = Shell(FakeManager({})).run(f"plimsoll agent trust-release-key {tmp_path / 'x'} --home {home}")
    assert ran.code != 0
    assert said in ran.err
    assert "nothing was changed" in ran.err
    assert Shelf(home).trust() == before


def test_a_folder_that_is_no_agent(tmp_path: Path) -> None:
    ran = Shell(FakeManager({})).run(f"plimsoll agent trust-release-key x --home {tmp_path}")
    assert (ran.code, "holds no activated agent" in ran.err) == (2, True)
