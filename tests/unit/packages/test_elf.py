"""Which glibc a file needs: a check that cannot fail would promise nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from packages.elf import elf_files, foreign, needs, too_new


def a_program(tmp_path: Path) -> Path:
    copied = tmp_path / "deep" / "inside" / "no-name-that-tells"
    copied.parent.mkdir(parents=True)
    shutil.copyfile("/bin/sh", copied)
    return copied


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    program = a_program(tmp_path)
    (tmp_path / "deep" / "text.so").write_text("not really")
    (tmp_path / "deep" / "link").symlink_to(program)
    assert elf_files(tmp_path) == [program]


def test_what_a_program_of_this_machine_needs_is_found(tmp_path: Path) -> None:
    found = needs(a_program(tmp_path))
    assert (2, 2) < found.glibc < (3, 0)
    assert "libc.so.6" in found.libraries


def test_a_file_that_needs_more_is_named_and_one_that_needs_just_that_is_not(tmp_path: Path) -> None:
    program = a_program(tmp_path)
    needed = needs(program).glibc
    assert too_new(tmp_path, needed) == []
    assert [one.path for one in too_new(tmp_path, (*needed[:1], needed[1] - 1))] == [program]


def test_a_library_that_nobody_brings_is_named(tmp_path: Path) -> None:
    program = a_program(tmp_path)
    assert foreign(tmp_path, frozenset({"libc.so.6"})) == []
    assert foreign(tmp_path, frozenset()) == [(program, "libc.so.6")]
    (tmp_path / "libc.so.6").write_bytes(program.read_bytes())
    assert foreign(tmp_path, frozenset()) == []


def test_a_file_without_versions_needs_nothing(tmp_path: Path) -> None:
    assert sys.platform == "linux"
    static = tmp_path / "empty"
    # An ELF header alone: 64 bits, little-endian, x86-64, no sections.
    kind, header = b"\x02\x00\x3e\x00\x01\x00\x00\x00", bytes(28) + b"@\x00" + bytes(10)
    static.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + kind + header)
    assert needs(static).glibc == (0,)
