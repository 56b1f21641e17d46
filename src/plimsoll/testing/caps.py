"""What a simulated release can do: its newest TLS version, and the floor that its relay takes by default.

The simulated fleet behaves as the reference's releases do (R3, R17) by what its OpenSSL contexts allow, so that a
manager learns it in real handshakes.
"""

from __future__ import annotations

import re
import ssl

from plimsoll.tls.versions import Version

#: Releases before 10.0, which speak early TLS only, and those from 10.0 on.
OLD_RELEASES = ("9.5", "9.6", "9.6.2")
NEW_RELEASES = ("10.0", "10.0 Update 8", "11.0", "11.1", "11.2", "11.3", "12.0")

# Suites of a client of 2014: key transport by RSA and ECDHE with CBC, SHA-1; no 3DES and no RC4, which nobody
# should serve. The order is the client's own, and differs from what we prefer.
_EARLY_SUITES = "AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"

_OPENSSL = {
    Version.TLS1_0: ssl.TLSVersion.TLSv1,
    Version.TLS1_1: ssl.TLSVersion.TLSv1_1,
    Version.TLS1_2: ssl.TLSVersion.TLSv1_2,
    Version.TLS1_3: ssl.TLSVersion.TLSv1_3,
}


def release(version: str) -> tuple[int, int]:
    """The first two numbers of a release name: (10, 0) for "10.0 Update 8"."""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        raise ValueError(f"not a release: {version!r}; expected a form like 9.6, 10.0 or 12.0")
    return int(match[1]), int(match[2])


def newest_version(version: str) -> Version:
    """The newest TLS version that this release speaks."""
    number = release(version)
    if number < (10, 0):
        return Version.TLS1_0
    return Version.TLS1_2 if number < (12, 0) else Version.TLS1_3


def oldest_version(version: str) -> Version:
    """The oldest version it still speaks as a client: releases from 10.0 on take what the other side has, 12.0 not."""
    return Version.TLS1_0 if release(version) < (12, 0) else Version.TLS1_2


def relay_default(version: str) -> Version:
    """The floor of a newly activated relay of this release, before any policy was sent to it."""
    return Version.TLS1_2 if release(version) >= (11, 1) else Version.TLS1_0


def speaks(version: str) -> list[Version]:
    """Every version that this release speaks, oldest first."""
    return [v for v in _OPENSSL if oldest_version(version) <= v <= newest_version(version)]


def client_context(
    ca: str | None,
    *,
    oldest: Version = Version.TLS1_2,
    newest: Version = Version.TLS1_3,
    suites: str | None = None,
) -> ssl.SSLContext:
    """A client context that speaks exactly these versions. Without a CA file it trusts anyone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    # The cipher string comes first: OpenSSL's default security level would refuse the old versions.
    if suites is not None:
        context.set_ciphers(suites)
    elif newest < Version.TLS1_2:
        context.set_ciphers(_EARLY_SUITES)
    elif oldest < Version.TLS1_2:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = _OPENSSL[oldest]
    context.maximum_version = _OPENSSL[newest]
    return context
