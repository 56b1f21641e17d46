"""Component versions, in the schemes that the reference's fleet uses.

Written as ``9.6``, ``9.6.2``, ``10.0 Update 8``, ``10.0.0-3367`` (release, patch, build of an agent), ``10.0.3367``
(release and build of a manager), ``12.0.0`` and ``12.0.0.563``. The order is the fleet's own: release, patch, update,
build; what a version does not say sorts before anything that it could have said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_PATTERN = re.compile(
    r"(?P<major>\d{1,4})\.(?P<minor>\d{1,4})"
    r"(?:\.(?P<third>\d{1,9}))?"
    r"(?:[.-](?P<build>\d{1,9}))?"
    r"(?:\s+(?:update|u)\s*(?P<update>\d{1,4}))?",
    re.IGNORECASE | re.ASCII,
)

#: A third number from here on is a build (``10.0.3367``), below it a patch (``9.6.2``): no release had 100 patches.
_FIRST_BUILD = 100


class UnknownComponentVersionError(ValueError):
    """A text that is no component version. The message says which forms are."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(
            f"unknown component version {text!r}; write it like 9.6, 10.0, 10.0 Update 8, 10.0.0-3367 or 12.0.0"
        )


@dataclass(frozen=True, slots=True)
class ComponentVersion:
    """The version of a manager, agent, relay or (embedded agent of an) appliance.

    `update` and `build` are None where the text does not say them: an unknown update level stays unknown (R3).
    """

    major: int
    minor: int
    patch: int = 0
    update: int | None = None
    build: int | None = None
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> ComponentVersion:
        """Read a version. Raises UnknownComponentVersionError for anything that is none."""
        if not isinstance(text, str):
            raise UnknownComponentVersionError(text)
        return _parse(text)

    @property
    def major_minor(self) -> tuple[int, int]:
        return self.major, self.minor

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """What versions are ordered by."""
        return self.major, self.minor, self.patch, _or_before(self.update), _or_before(self.build)

    @property
    def level(self) -> tuple[int, int, int]:
        """Release and update level: all that capabilities depend on. A build or patch says neither."""
        return self.major, self.minor, _or_before(self.update)

    def __lt__(self, other: ComponentVersion) -> bool:
        return self.key < other.key

    def __le__(self, other: ComponentVersion) -> bool:
        return self.key <= other.key

    def __gt__(self, other: ComponentVersion) -> bool:
        return self.key > other.key

    def __ge__(self, other: ComponentVersion) -> bool:
        return self.key >= other.key

    def __str__(self) -> str:
        return self.text or self._spelled()

    def _spelled(self) -> str:
        if self.build is not None and self.patch == 0 and self.update is None:
            return f"{self.major}.{self.minor}.{self.patch}-{self.build}"
        spelled = f"{self.major}.{self.minor}"
        if self.patch or self.build is not None:
            spelled += f".{self.patch}"
        if self.build is not None:
            spelled += f"-{self.build}"
        if self.update is not None:
            spelled += f" Update {self.update}"
        return spelled


def _or_before(number: int | None) -> int:
    return -1 if number is None else number


@lru_cache(maxsize=4096)
def _parse(text: str) -> ComponentVersion:
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise UnknownComponentVersionError(text)
    numbers = {name: int(digits) for name, digits in match.groupdict().items() if digits is not None}
    third, build = numbers.get("third"), numbers.get("build")
    if third is not None and build is None and third >= _FIRST_BUILD:
        third, build = None, third
    return ComponentVersion(
        numbers["major"], numbers["minor"], third or 0, numbers.get("update"), build, text=" ".join(text.split())
    )


def parse_or_none(text: str | None) -> ComponentVersion | None:
    """The version, or None where the text is missing or cannot be read: unknown stays unknown."""
    if not text:
        return None
    try:
        return ComponentVersion.parse(text)
    except UnknownComponentVersionError:
        return None
