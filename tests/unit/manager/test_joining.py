"""Node files: what they need, what they refuse, and that a refusal leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.homes import drop_database, new_home

from plimsoll.manager.home import open_home
from plimsoll.manager.joining import SHARED, join, write_node_file
from plimsoll.manager.opening import HomeError
from plimsoll.manager.ports import BadInput

SECRET = b"a passphrase of a node"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("first")
    home, _ = new_home(folder, "postgresql")
    (folder / "software").mkdir()
    with (home / "configuration.properties").open("a") as file:
        file.write(f"softwareDirectory={folder / 'software'}\n")
    yield home
    drop_database(home)


@pytest.fixture(scope="module")
def node_file(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "b.node"
    write_node_file(first, out, SECRET)
    return out


def test_a_further_home_has_what_all_have_and_an_identity_of_its_own(
    first: Path, node_file: Path, tmp_path: Path
) -> None:
    assert node_file.stat().st_mode & 0o077 == 0
    made = join(tmp_path / "b", node_file, SECRET, 14119, 14120, name="b.example.test")
    assert "secret" not in made.database
    for name in SHARED:
        for path in (first / name).rglob("*") if (first / name).is_dir() else [first / name]:
            if path.is_file():
                other = tmp_path / "b" / path.relative_to(first)
                assert other.read_bytes() == path.read_bytes()
                assert other.stat().st_mode & 0o077 == 0
    opened, second = open_home(first), open_home(tmp_path / "b")
    try:
        assert opened.installation == second.installation
        assert opened.node != second.node
        assert opened.sealer.open(second.sealer.seal("x", "test"), "test") == "x"
        assert second.config.gui_port == 14119
    finally:
        second.close()
        opened.close()


def test_what_cannot_have_a_further_manager_says_what_to_do(tmp_path: Path, first: Path, node_file: Path) -> None:
    alone, _ = new_home(tmp_path, "sqlite")
    with pytest.raises(HomeError, match="migrate-database"):
        write_node_file(alone, tmp_path / "x", SECRET)
    with pytest.raises(BadInput, match="fewer than"):
        write_node_file(first, tmp_path / "x", b"short")
    with pytest.raises(HomeError, match="there already"):
        write_node_file(first, node_file, SECRET)
    assert not (tmp_path / "x").exists()


def test_without_a_shared_folder_there_is_no_node_file(tmp_path: Path) -> None:
    home, _ = new_home(tmp_path, "postgresql")
    with pytest.raises(HomeError, match="softwareDirectory="):
        write_node_file(home, tmp_path / "x", SECRET)
    drop_database(home)


def test_a_refusal_leaves_nothing_behind(node_file: Path, first: Path, tmp_path: Path) -> None:
    home = tmp_path / "b"
    with pytest.raises(HomeError, match="passphrase is wrong"):
        join(home, node_file, b"another passphrase")
    data = bytearray(node_file.read_bytes())
    data[-20] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(HomeError, match="damaged"):
        join(home, tmp_path / "damaged", SECRET)
    with pytest.raises(HomeError, match="must differ"):
        join(home, node_file, SECRET, 4120, 4120)
    shared = first.parent / "software"
    shared.rename(first.parent / "elsewhere")
    try:
        with pytest.raises(HomeError, match="Mount it"):
            join(home, node_file, SECRET)
    finally:
        (first.parent / "elsewhere").rename(shared)
    assert not home.exists()
    shutil.copytree(first, home)
    with pytest.raises(HomeError, match="home already"):
        join(home, node_file, SECRET)
