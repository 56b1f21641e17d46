"""JA4: a fingerprint of a client's TLS library, from its hello (FoxIO's public description of JA4, TLS client).

A hello in the SSLv2 format has no extensions; its three-byte SSL 2 kinds are no TLS suites and take no part, so that
its fingerprint is that of the same TLS hello without extensions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from plimsoll.tls.codepoints import EXT_ALPN, EXT_SERVER_NAME
from plimsoll.tls.hello import ClientHello, FingerprintKey

_VERSIONS: Final = {
    0x0002: "s2", 0x0300: "s3", 0x0301: "10", 0x0302: "11", 0x0303: "12", 0x0304: "13",
    0xFEFF: "d1", 0xFEFD: "d2", 0xFEFC: "d3",
}  # fmt: skip
_EMPTY: Final = "0" * 12


def ja4(hello: ClientHello, transport: str = "t") -> str:
    """The fingerprint of that hello; `transport` is t for TCP, q for QUIC, d for DTLS."""
    return ja4_of_key(hello.fingerprint_key, transport)


@lru_cache(maxsize=4096)
def ja4_of_key(key: FingerprintKey, transport: str = "t") -> str:
    """The fingerprint of every hello with that key. Remembered, since a fleet knows few kinds of clients."""
    version, cipher_suites, extensions, protocol, schemes = key
    suites = [number for number in cipher_suites if number <= 0xFFFF]
    name = "d" if EXT_SERVER_NAME in extensions else "i"
    counts = f"{min(len(suites), 99):02}{min(len(extensions), 99):02}"
    hashed = _hex(sorted(code for code in extensions if code not in (EXT_SERVER_NAME, EXT_ALPN)))
    if hashed and schemes:
        hashed += "_" + _hex(schemes)
    head = f"{transport}{_VERSIONS.get(version, '00')}{name}{counts}{_alpn_mark(protocol)}"
    return f"{head}_{_digest(_hex(sorted(suites)))}_{_digest(hashed)}"


def suites_mark(fingerprint: str) -> str:
    """The part of a fingerprint that stands for the suites offered; empty where it is no fingerprint."""
    parts = fingerprint.split("_")
    return parts[1] if len(parts) == 3 else ""


def _alpn_mark(protocol: bytes) -> str:
    """First and last character of the first protocol, or of its hexadecimal form where one is not alphanumeric."""
    if not protocol:
        return "00"
    ends = (protocol[:1] + protocol[-1:]).decode("latin-1")
    if ends.isascii() and ends.isalnum():
        return ends
    text = protocol.hex()
    return text[0] + text[-1]


def _hex(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _EMPTY
