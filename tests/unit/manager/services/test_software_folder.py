"""The watched folder (R9): what comes in by itself, what is refused and said once, and what is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import ROOT, Desk, desk
from tests.support.releases import Publisher

from plimsoll.manager import config
from plimsoll.manager.services import software_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    return made


@pytest.fixture
def at(tmp_path: Path, folder: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        with opened.home.config_path.open("a") as file:
            file.write(f"softwareFolder={folder}\n")
        opened.home.config = config.load(opened.home.config_path)
        yield opened


@pytest.fixture
def publisher(at: Desk) -> Publisher:
    return Publisher().trusted_by(at.services)


def looks(at: Desk, times: int = 2) -> int:
    return sum(at.services.software_folder.look() for _ in range(times))


def refusals(at: Desk) -> list[str]:
    return [one.description for one in at.services.events.list(ROOT) if one.number == 1971]


@pytest.mark.rule("R9")
def test_a_signed_package_comes_in_by_itself(at: Desk, publisher: Publisher, folder: Path) -> None:
    path = publisher.write(folder, b"content")
    assert at.services.software_folder.look() == 0, "it might still grow"
    assert at.services.software_folder.look() == 1
    (package,) = at.services.software.list(ROOT)
    assert (package.version, package.who) == ("12.1.0", "system:manager")
    assert str(folder) in package.origin
    assert any(one.number == 1970 for one in at.services.events.list(ROOT))
    assert path.exists(), "the folder is not ours"
    assert looks(at) == 0
    assert refusals(at) == []


def test_a_file_that_grows_waits(at: Desk, publisher: Publisher, folder: Path) -> None:
    path = publisher.write(folder, b"content")
    path.write_bytes(b"con")
    assert at.services.software_folder.look() == 0
    path.write_bytes(b"content")
    assert at.services.software_folder.look() == 0
    assert at.services.software_folder.look() == 1


def test_what_is_refused_is_said_once(at: Desk, publisher: Publisher, folder: Path) -> None:
    path = Publisher().write(folder, b"content")
    assert looks(at, 4) == 0
    (said,) = refusals(at)
    assert "is not trusted here" in said
    assert str(folder) in said
    path.with_name(f"{path.name}.sig").write_text(publisher.sign(b"content"))
    assert looks(at, 3) == 1, "another signature is another try"


def test_another_content_is_refused(at: Desk, publisher: Publisher, folder: Path) -> None:
    path = publisher.write(folder, b"content")
    path.write_bytes(b"contend")
    assert looks(at, 3) == 0
    assert "is not the one that was signed" in refusals(at)[0]
    publisher.import_into(at.services, b"content")
    publisher.write(folder, b"other")
    assert looks(at, 3) == 0
    assert "with another content" in refusals(at)[1]


def test_a_file_without_a_signature_is_said_after_a_while(
    at: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "agent.deb").write_bytes(b"content")
    (folder / ".agent.part").write_bytes(b"content")
    (folder / "inner").mkdir()
    assert looks(at, 4) == 0
    assert refusals(at) == []
    monkeypatch.setattr(software_folder, "PATIENCE", 0.01)
    time.sleep(0.02)
    assert looks(at, 4) == 0
    (said,) = refusals(at)
    assert "agent.deb has no release signature beside it (agent.deb.sig)" in said


def test_a_folder_that_is_not_there_is_said_once(at: Desk, publisher: Publisher, folder: Path) -> None:
    folder.rmdir()
    assert looks(at, 3) == 0
    (said,) = refusals(at)
    assert "cannot be read" in said
    folder.mkdir()
    publisher.write(folder, b"content")
    assert looks(at, 2) == 1


def test_without_the_setting_nothing_is_watched(tmp_path: Path) -> None:
    with desk(tmp_path) as opened:
        assert opened.services.software_folder.look() == 0
