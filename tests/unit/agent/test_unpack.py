"""Taking a release's tree out of a package: nothing leaves the folder, and nothing is left of a hostile one."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import trees
from tests.support.disk import small_disk

from plimsoll.agent import unpack
from plimsoll.agent.unpack import UnpackError


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as made:  # type: ignore[call-overload]
        for member, data in members:
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


def file(name: str, data: bytes = b"#!/bin/sh\n", mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.mode = mode
    return member, data


def other(name: str, kind: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def debian(path: Path, data: bytes, name: str = "data.tar.gz") -> Path:
    """A Debian package with these files; the ar format pads members to an even length."""

    def part(named: str, content: bytes) -> bytes:
        head = f"{named:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        return head + content + b"\n" * (len(content) % 2)

    path.write_bytes(b"!<arch>\n" + part("debian-binary", b"2.0\n") + part("control.tar.gz", b"x") + part(name, data))
    return path


@pytest.mark.parametrize("inside", ["plimsoll-agent-12.1.0", "./opt/plimsoll-agent/versions/12.1.0", "."])
def test_the_tree_is_the_folder_with_the_interpreter(tmp_path: Path, inside: str) -> None:
    package = trees.package(tmp_path, "12.1.0", inside=inside)
    unpack.unpack(package, tmp_path / "tree")
    assert {path.name for path in (tmp_path / "tree").iterdir()} == {"bin", "lib"}
    assert os.access(tmp_path / "tree/bin/python3", os.X_OK)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w"])
def test_a_debian_package_is_one_too(tmp_path: Path, mode: str) -> None:
    inner = archive(
        tmp_path / "inner",
        file("./opt/plimsoll-agent/versions/12.1.0/bin/python3"),
        file("./opt/plimsoll-agent/versions/12.1.0/lib/a.py", b"a = 1\n", 0o644),
        other("./opt/plimsoll-agent/versions/12.1.0/bin/python", tarfile.SYMTYPE, "python3"),
        other(
            "./opt/plimsoll-agent/versions/12.1.0/lib/b.py",
            tarfile.LNKTYPE,
            "./opt/plimsoll-agent/versions/12.1.0/lib/a.py",
        ),
        file("./lib/systemd/system/plimsoll-agent.service", b"[Unit]\n"),
        mode=mode,
    )
    package = debian(tmp_path / "agent.deb", inner.read_bytes(), f"data.tar.{mode[2:]}" if mode != "w" else "data.tar")
    unpack.ask(package, tmp_path / "tree")
    found = {str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*")}
    assert found == {"bin", "bin/python3", "bin/python", "lib", "lib/a.py", "lib/b.py"}
    assert (tmp_path / "tree/lib/b.py").read_text() == "a = 1\n"
    assert (tmp_path / "tree/bin/python").readlink() == Path("python3")


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "climbs out": (lambda at: archive(at, file("r/bin/python3"), file("r/../../out", b"!")), "no package of ours"),
    "links out": (
        lambda at: archive(at, file("r/bin/python3"), other("r/etc", tarfile.SYMTYPE, "../../../etc")),
        "no package of ours",
    ),
    "links to the root": (
        lambda at: archive(at, file("r/bin/python3"), other("r/etc", tarfile.SYMTYPE, "/etc")),
        "no package of ours",
    ),
    "hard links to elsewhere": (
        lambda at: archive(at, file("r/bin/python3"), other("r/x", tarfile.LNKTYPE, "etc/passwd")),
        "no package of ours",
    ),
    "goes through a link": (
        lambda at: archive(at, file("r/bin/python3"), other("r/a", tarfile.SYMTYPE, "bin"), file("r/a/out", b"!")),
        "no package of ours",
    ),
    "a device": (
        lambda at: archive(at, file("r/bin/python3"), other("r/null", tarfile.CHRTYPE)),
        "no package of ours",
    ),
    "no interpreter": (lambda at: archive(at, file("r/readme")), "no bin/python3"),
    "nothing": (lambda at: _write(at, b""), "no package of ours"),
    "noise": (lambda at: _write(at, os.urandom(5000)), "no package of ours"),
    "cut off": (lambda at: _cut(archive(at, file("r/bin/python3", os.urandom(50_000)))), "no package of ours"),
    "a bomb": (lambda at: _bomb(at, 3 << 30), "more than any release of ours"),
    "a Debian package without files": (lambda at: debian(at, b"", "other"), "carries no files"),
    "a cut Debian package": (lambda at: _write(at, b"!<arch>\ndebian-binary  "), "carries no files"),
    "a Debian package with a strange size": (
        lambda at: _write(at, b"!<arch>\n" + b"data.tar".ljust(48) + b"many      `\n"),
        "no package of ours",
    ),
}


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _cut(path: Path) -> Path:
    return _write(path, path.read_bytes()[:-20_000])


def _bomb(path: Path, size: int) -> Path:
    """A few kilobytes that say of themselves that they are gigabytes."""
    member = tarfile.TarInfo("r/bin/python3")
    member.size = size
    return _write(path, gzip.compress(member.tobuf() + bytes(1 << 20)))


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.parametrize("name", BAD)
def test_a_package_that_is_none_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, filters: bool
) -> None:
    """Also under a Python whose tarfile has no filters, as packages carry it."""
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter")
    make, why = BAD[name]
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    package = make(tmp_path / "package")
    with pytest.raises(UnpackError, match=why):
        unpack.unpack(package, inside / "tree")
    assert list(inside.iterdir()) == []
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "a" / "out").exists()


def test_the_mode_bits_that_give_rights_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    package = archive(tmp_path / "p", file("r/bin/python3", mode=0o6777))
    unpack.unpack(package, tmp_path / "tree")
    assert (tmp_path / "tree/bin/python3").stat().st_mode & 0o7022 == 0


def test_a_full_disk_is_told_apart_and_nothing_is_left(tmp_path: Path) -> None:
    package = archive(tmp_path / "p", file("r/bin/python3"), file("r/big", os.urandom(1 << 20)))
    with small_disk(tmp_path) as disk:
        disk.home.mkdir()
        disk.fill(os.getpid())
        try:
            with pytest.raises(UnpackError, match="could not be unpacked") as caught:
                unpack.ask(package, disk.home / "tree")
        finally:
            disk.free(os.getpid())
        assert caught.value.full
        assert list(disk.home.iterdir()) == []


def test_a_wrong_call_says_how_it_is_called() -> None:
    done = subprocess.run([sys.executable, "-m", "plimsoll.agent.unpack"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage:" in done.stderr
