"""Cipher profiles: which suites a point accepts from a peer of TLS 1.2, beside the floor.

One list, strongest first; each profile is a beginning of it. With the server's preference a peer therefore gets the
same suite under every profile that has one for it, so that no session of a peer that a profile still admits carries a
suite that the profile lacks.

Not governed: TLS 1.3, whose suites the `ssl` module of CPython 3.11 cannot choose (all three are AEAD, RFC 8446
section 9.1), and peers that offer nothing newer than TLS 1.1: where the floor or an exception lets them in, they get
the suites of `legacy`, since no stricter profile has one that TLS 1.1 knows.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from plimsoll.tls.suites import CIPHER_SUITES


class UnknownProfileError(ValueError):
    """A name that is no profile's; the message lists those that are."""


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One suite: its number on the wire and OpenSSL's name."""

    number: int
    openssl: str

    @property
    def name(self) -> str:
        """IANA's name."""
        return CIPHER_SUITES[self.number]


_ALL: Final = (
    # strong: ECDHE with AES-GCM, for keys of either kind (RFC 5289 section 3.2)
    CipherSuite(0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    CipherSuite(0xC030, "ECDHE-RSA-AES256-GCM-SHA384"),
    CipherSuite(0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    CipherSuite(0xC02F, "ECDHE-RSA-AES128-GCM-SHA256"),
    # modern: and ChaCha20 (RFC 7905)
    CipherSuite(0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    CipherSuite(0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305"),
    # intermediate: and CBC with SHA-2 (RFC 5289 section 3.1): with an RSA key all that Windows 2012 R2 has of ECDHE
    CipherSuite(0xC024, "ECDHE-ECDSA-AES256-SHA384"),
    CipherSuite(0xC028, "ECDHE-RSA-AES256-SHA384"),
    CipherSuite(0xC023, "ECDHE-ECDSA-AES128-SHA256"),
    CipherSuite(0xC027, "ECDHE-RSA-AES128-SHA256"),
    # legacy: and what TLS 1.0 has: CBC with SHA-1 (RFC 8422 section 6), key transport by RSA (RFC 5246 A.5)
    CipherSuite(0xC00A, "ECDHE-ECDSA-AES256-SHA"),
    CipherSuite(0xC014, "ECDHE-RSA-AES256-SHA"),
    CipherSuite(0xC009, "ECDHE-ECDSA-AES128-SHA"),
    CipherSuite(0xC013, "ECDHE-RSA-AES128-SHA"),
    CipherSuite(0x0035, "AES256-SHA"),
    CipherSuite(0x002F, "AES128-SHA"),
)

#: What OpenSSL accepts at TLS 1.3, in its order; a hello needs one of them to end there.
TLS13_SUITES: Final = (0x1302, 0x1303, 0x1301)


class CipherProfile(enum.Enum):
    """The strictest first."""

    STRONG = "strong"
    MODERN = "modern"
    INTERMEDIATE = "intermediate"
    LEGACY = "legacy"

    @classmethod
    def parse(cls, name: str) -> CipherProfile:
        """Raises UnknownProfileError, which lists the valid names."""
        try:
            return cls(name)
        except ValueError:
            names = ", ".join(one.value for one in cls)
            raise UnknownProfileError(f"unknown cipher profile {name!r}; valid are {names}") from None

    @property
    def suites(self) -> tuple[CipherSuite, ...]:
        """The suites at TLS 1.2, the best first."""
        return _SUITES[self]

    @property
    def openssl(self) -> str:
        """The same as OpenSSL's cipher string."""
        return _STRINGS[self]

    def allows(self, openssl: str) -> bool:
        """Whether a session of TLS 1.2 with the suite of that OpenSSL name keeps to the profile."""
        return openssl in _NAMES[self]

    def is_stricter(self, than: CipherProfile) -> bool:
        """Whether it lacks suites that the other has."""
        return len(_SUITES[self]) < len(_SUITES[than])

    def __str__(self) -> str:
        return self.value


_LENGTHS: Final = {
    CipherProfile.STRONG: 4,
    CipherProfile.MODERN: 6,
    CipherProfile.INTERMEDIATE: 10,
    CipherProfile.LEGACY: len(_ALL),
}
_SUITES: Final = {profile: _ALL[:length] for profile, length in _LENGTHS.items()}
_STRINGS: Final = {profile: ":".join(suite.openssl for suite in suites) for profile, suites in _SUITES.items()}
_NAMES: Final = {profile: frozenset(suite.openssl for suite in suites) for profile, suites in _SUITES.items()}

#: What every point serves where nothing else was set, and what our own clients offer.
DEFAULT: Final = CipherProfile.INTERMEDIATE


def shared(offered: Collection[int], served: Iterable[CipherSuite]) -> tuple[CipherSuite, ...]:
    """The suites that a hello offers and a server serves at TLS 1.2, in the server's order."""
    return tuple(suite for suite in served if suite.number in offered)
