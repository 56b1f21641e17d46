"""Protocol versions as values with their own order.

Wire numbers do not sort (drafts and GREASE lie above TLS 1.3), so a version carries a rank of its own and
compares by that. Names are those that administrators type (R13): ``TLSv1``, ``TLSv1.1``, ``TLSv1.2``, ``TLSv1.3``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class UnknownVersionError(ValueError):
    """A version name that is not a valid floor. The message lists the valid ones; nothing was changed."""

    def __init__(self, name: object) -> None:
        self.name = name
        super().__init__(f"unknown TLS version {name!r}; valid are {', '.join(v.value for v in FLOORS)}")


class Version(enum.Enum):
    """One protocol version. Members compare by age: ``Version.TLS1_0 < Version.TLS1_2``."""

    SSL2 = "SSLv2"
    SSL3 = "SSLv3"
    TLS1_0 = "TLSv1"
    TLS1_1 = "TLSv1.1"
    TLS1_2 = "TLSv1.2"
    TLS1_3 = "TLSv1.3"

    rank: int
    wire: int

    def __lt__(self, other: Version) -> bool:
        return self.rank < other.rank

    def __le__(self, other: Version) -> bool:
        return self.rank <= other.rank

    def __gt__(self, other: Version) -> bool:
        return self.rank > other.rank

    def __ge__(self, other: Version) -> bool:
        return self.rank >= other.rank

    def __str__(self) -> str:
        return str(self.value)

    @property
    def early(self) -> bool:
        """True for TLS 1.0 and 1.1, which PCI DSS calls early TLS (1.1 being our addition)."""
        return self is Version.TLS1_0 or self is Version.TLS1_1

    @property
    def label(self) -> str:
        """The name with the ``.0`` that people and scanners write: ``TLSv1.0`` for ``TLSv1``."""
        return "TLSv1.0" if self is Version.TLS1_0 else self.value

    @classmethod
    def parse_floor(cls, name: str) -> Version:
        """The version of that exact name, where it may be a floor.

        Raises UnknownVersionError for anything else, SSL versions among them: they are never accepted, at any floor.
        """
        for version in FLOORS:
            if version.value == name:
                return version
        raise UnknownVersionError(name)

    @classmethod
    def from_wire(cls, number: int) -> Version | None:
        """The version with that wire number (RFC 8446 §4.2.1; 0x0002 for SSL 2), or None: unknown, draft or GREASE."""
        return _BY_WIRE.get(number)


for _rank, (_version, _wire) in enumerate(
    [
        (Version.SSL2, 0x0002),
        (Version.SSL3, 0x0300),
        (Version.TLS1_0, 0x0301),
        (Version.TLS1_1, 0x0302),
        (Version.TLS1_2, 0x0303),
        (Version.TLS1_3, 0x0304),
    ]
):
    _version.rank = _rank
    _version.wire = _wire

_BY_WIRE = {version.wire: version for version in Version}

#: The versions that may be a floor, oldest first (design §5).
FLOORS: tuple[Version, ...] = (Version.TLS1_0, Version.TLS1_1, Version.TLS1_2, Version.TLS1_3)


def newest(versions: Iterable[Version]) -> Version | None:
    """The newest of the versions, or None where there are none."""
    return max(versions, key=lambda version: version.rank, default=None)


def from_floor(floor: Version) -> tuple[Version, ...]:
    """The versions that a point with that floor accepts, oldest first."""
    return tuple(version for version in FLOORS if version >= floor)
