"""Which floor a relay is configured to hold (R7, R14, R17). A handshake tells whether it does."""

from __future__ import annotations

from plimsoll.fleet.component import ComponentVersion, parse_or_none
from plimsoll.fleet.kinds import Configured
from plimsoll.tls.versions import Version

POLICY = "policy"
KEPT = "kept through an upgrade"
VERSION_DEFAULT = "version default"

#: From this release on a newly activated relay enforces TLS 1.2 by itself (R6, R17).
_ENFORCED_FROM = (11, 1)


def version_default(version: str | ComponentVersion | None) -> Version:
    """The floor that a newly activated relay of that version holds.

    An unknown version counts as open: nobody shall be told that early TLS is refused where it may not be.
    """
    known = version if isinstance(version, ComponentVersion) else parse_or_none(version)
    if known is not None and known.major_minor >= _ENFORCED_FROM:
        return Version.TLS1_2
    return Version.TLS1_0


def relay_floor(
    version: str | ComponentVersion | None, sent: Version | None = None, kept: Version | None = None
) -> Configured:
    """The relay's floor and where it comes from.

    The policy last sent decides; without one that carried a floor, what the relay held before an upgrade; a version's
    default is for a newly activated relay only, else an upgrade would cut off its old agents unasked (R7).
    """
    if sent is not None:
        return Configured(sent, POLICY)
    if kept is not None:
        return Configured(kept, KEPT)
    return Configured(version_default(version), VERSION_DEFAULT)
