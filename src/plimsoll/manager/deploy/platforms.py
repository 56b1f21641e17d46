"""Names of platforms as deployment scripts find them, and whose packages serve whom besides."""

from __future__ import annotations

import re

#: A package for any Linux, where there is none for the system at hand.
GENERIC = "Linux"
WINDOWS = "Windows"

#: Rebuilds of Red Hat's system: its packages fit.
_LIKE_RED_HAT = re.compile(r"(?:CentOS_|Rocky_|AlmaLinux_|Oracle_OL|CloudLinux_|Miracle_|RedHatWorkstation_)(\d+)")

#: Kinds of package by the ending of a file's name.
FORMATS = {".deb": "deb", ".rpm": "rpm", ".msi": "msi", ".gz": "gz"}

#: Systems that have neither of Linux's kinds of package.
_OTHERS = ("Windows", "Solaris", "AIX", "macOS")


def candidates(platform: str) -> tuple[str, ...]:
    """The platforms whose packages serve that one, the best first."""
    if platform.split("_")[0] in _OTHERS:
        return (platform,)
    match = _LIKE_RED_HAT.fullmatch(platform)
    relative = (f"RedHat_EL{match[1]}",) if match else ()
    return tuple(dict.fromkeys((platform, *relative, GENERIC)))


def format_of(file: str) -> str:
    """The kind of a package by its file's name, empty for one that is none of ours."""
    return next((kind for ending, kind in FORMATS.items() if file.endswith(ending)), "")
