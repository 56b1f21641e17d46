"""Which glibc a file needs, read from the file: a package that asks for a newer one than we promise is not made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

Number = tuple[int, ...]


@dataclass(frozen=True)
class Needs:
    """What one ELF file asks of the system it is loaded on."""

    path: Path
    glibc: Number
    libraries: tuple[str, ...]
    machine: str


def elf_files(tree: Path) -> list[Path]:
    """Every ELF file below a folder, whatever its name; links are not followed."""
    found = []
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if stream.read(4) == b"\x7fELF":
                    found.append(path)
    return found


def needs(path: Path) -> Needs:
    """The newest GLIBC_x.y symbol version that the file binds to, and the libraries that it names."""
    versions: list[Number] = [(0,)]
    libraries: list[str] = []
    with path.open("rb") as stream:
        file = ELFFile(stream)
        for section in file.iter_sections():
            if isinstance(section, GNUVerNeedSection):
                for _, parts in section.iter_versions():
                    names = [part.name for part in parts]
                    versions += [_number(name) for name in names if re.fullmatch(r"GLIBC_[\d.]+", name)]
            elif isinstance(section, DynamicSection):
                libraries += [str(vars(tag)["needed"]) for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
        machine = file.get_machine_arch()
    return Needs(path, max(versions), tuple(libraries), machine)


def _number(name: str) -> Number:
    return tuple(int(part) for part in name.removeprefix("GLIBC_").split("."))


def too_new(tree: Path, newest: Number) -> list[Needs]:
    """The files below a folder that would not load with a glibc of version `newest`."""
    return [found for path in elf_files(tree) if (found := needs(path)).glibc > newest]


def foreign(tree: Path, allowed: frozenset[str]) -> list[tuple[Path, str]]:
    """Libraries that files ask for and that neither `allowed` nor the tree itself provides."""
    inside = {path.name for path in elf_files(tree)}
    return [
        (path, library)
        for path in elf_files(tree)
        for library in needs(path).libraries
        if library not in allowed and library not in inside
    ]
