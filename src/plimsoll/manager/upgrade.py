"""`plimsoll manager upgrade`: brings an older home to this release without moving a floor (R7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plimsoll.tls.versions import Version


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """`already` where there was nothing to do. `floors` are those in force after, equal to those before."""

    already: bool
    from_release: str
    to_release: str
    floors: dict[str, Version]
    kept_relays: int
    backup: str | None


def upgrade_home(directory: Path) -> UpgradeResult:
    """Raises HomeError where the manager runs or the home cannot be read."""
    raise NotImplementedError
