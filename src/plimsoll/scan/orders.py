"""Orders of suites that servers are known to have, to ask ahead by: a guess saves a wait, and never decides anything.

Servers of a fleet are configured alike, and most others keep their library's default. Where the first answers fit a
known order, the next questions go out before the answers they depend on; what was guessed wrong is thrown away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from plimsoll.tls.versions import Version

#: Orders that are kept for each version, the latest first.
_KEPT: Final = 8
#: Answers that must fit before the library's default is believed, for it says nothing about this server.
_SIGNS: Final = 2

#: The default order of OpenSSL 1.1.1 and 3 for TLS 1.2 and below (``openssl ciphers -V ALL``): strength, then
#: forward secrecy. What a server was told to leave out is missing from its own.
OPENSSL: Final = (
    0xC02C, 0xC030, 0x00A3, 0x009F, 0xCCA9, 0xCCA8, 0xCCAA, 0xC0AF, 0xC0AD, 0xC0A3, 0xC09F, 0xC05D, 0xC061, 0xC057,
    0xC053, 0x00A7, 0xC02B, 0xC02F, 0x00A2, 0x009E, 0xC0AE, 0xC0AC, 0xC0A2, 0xC09E, 0xC05C, 0xC060, 0xC056, 0xC052,
    0x00A6, 0xC024, 0xC028, 0x006B, 0x006A, 0xC073, 0xC077, 0x00C4, 0x00C3, 0x006D, 0x00C5, 0xC023, 0xC027, 0x0067,
    0x0040, 0xC072, 0xC076, 0x00BE, 0x00BD, 0x006C, 0x00BF, 0xC00A, 0xC014, 0x0039, 0x0038, 0x0088, 0x0087, 0xC019,
    0x003A, 0x0089, 0xC009, 0xC013, 0x0033, 0x0032, 0x0045, 0x0044, 0xC018, 0x0034, 0x0046, 0x009D, 0xC0A1, 0xC09D,
    0xC051, 0x009C, 0xC0A0, 0xC09C, 0xC050, 0x003D, 0x00C0, 0x003C, 0x00BA, 0x0035, 0x0084, 0x002F, 0x0041,
)  # fmt: skip


class Orders:
    """What this scan has seen so far, and what libraries do."""

    def __init__(self) -> None:
        self._seen: dict[Version, deque[tuple[int, ...]]] = {}

    def add(self, version: Version, suites: Iterable[int]) -> None:
        """Keep the whole list of a server, in the order in which it chose."""
        kept = self._seen.setdefault(version, deque(maxlen=_KEPT))
        order = tuple(suites)
        if order in kept:
            kept.remove(order)
        kept.appendleft(order)

    def guess(self, version: Version, pool: Sequence[int], seen: Sequence[int]) -> list[int] | None:
        """What a server that chose `seen` from `pool` so far chooses next, to its end. None: no order fits."""
        if not seen or version is Version.TLS1_3:
            return None
        allowed = set(pool)
        for order in self._seen.get(version, ()):
            fits = [code for code in order if code in allowed]
            if fits[: len(seen)] == list(seen):
                return fits[len(seen) :]
        if len(seen) < _SIGNS:
            return None
        defaults: tuple[Sequence[int], ...] = (OPENSSL, pool)
        for default in defaults:
            # The server's own order, or the client's: what it chose last must be neighbours there.
            fits = [code for code in default if code in allowed and code in _COMMON]
            if seen[-1] in fits:
                at = fits.index(seen[-1])
                if fits[max(0, at - _SIGNS + 1) : at + 1] == list(seen[-_SIGNS:]):
                    return fits[at + 1 :]
        return None


_COMMON: Final = frozenset(OPENSSL)
