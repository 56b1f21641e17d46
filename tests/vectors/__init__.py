"""Captured hellos of real clients, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Vector:
    """One capture: its header fields and its bytes."""

    name: str
    fields: dict[str, str]
    data: bytes

    @property
    def segments(self) -> list[bytes]:
        """The bytes as they arrived, piece by piece."""
        pieces, start = [], 0
        for size in map(int, self.fields["segments"].split()):
            pieces.append(self.data[start : start + size])
            start += size
        return pieces


def load(path: Path) -> Vector:
    """The vector in that file: `name: value` lines, an empty line, hexadecimal."""
    header, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    lines = [line for line in header.splitlines() if not line.startswith("#")]
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Vector(path.stem, fields, bytes.fromhex(body))


def vectors() -> list[Vector]:
    """All vectors of the folder, by name."""
    return [load(path) for path in sorted(FOLDER.glob("*.hello"))]
