"""The hellos that a scan sends: whole, small, classic; with a name and without. Built once, varied cheaply.

A big hello tells most at once, but filters and old stacks choke on size, on the number of suites, and on what they do
not know. `SMALL` is the size that everything lets pass (nmap has kept to it for years).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from plimsoll.tls import extensions as ext
from plimsoll.tls.buffer import Writer
from plimsoll.tls.codepoints import (
    EXT_GROUPS,
    EXT_KEY_SHARE,
    EXT_SIGNATURE_ALGORITHMS,
    EXT_SUPPORTED_VERSIONS,
    FALLBACK_SCSV,
    RENEGOTIATION_SCSV,
    SIGNATURE_SCHEMES,
)
from plimsoll.tls.suites import CIPHER_SUITES
from plimsoll.tls.versions import Version

#: Bytes on the wire and suites of a hello that passes everywhere.
SMALL: Final = 255
CHUNK: Final = 64

#: Suites that a client of any decade would know: the last rung for servers that dislike all else.
CLASSIC: Final = (
    0xC02F, 0xC02B, 0xC013, 0xC009, 0xC014, 0x009C, 0x003C, 0x002F, 0x0035, 0x0033, 0x000A, 0x0005,
)  # fmt: skip

#: Every group of TLS 1.2 and below, newer and likelier first (RFC 8422, RFC 7027, RFC 7919, RFC 4492).
GROUPS_EARLY: Final = (
    23, 24, 25, 29, 30, 26, 27, 28, 22, 256, 257, 258, 259, 260,
    9, 10, 11, 12, 13, 14, 6, 7, 8, 20, 21, 18, 19, 1, 2, 3, 4, 5, 15, 16, 17,
)  # fmt: skip
GROUPS_SMALL: Final = (23, 24, 25, 29, 30, 256)
#: Every group of TLS 1.3, post-quantum hybrids first, so that a server's answer shows them at once.
GROUPS_13: Final = (4588, 4587, 4589, 25497, 514, 513, 512, 23, 24, 25, 29, 30, 31, 32, 33, 256, 257, 258, 259, 260)
GROUPS_13_SMALL: Final = (23, 24, 29)

SCHEMES_SMALL: Final = (
    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807, 0x0201, 0x0203, 0x0202,
)  # fmt: skip
#: All of them. The post-quantum signatures come last: a server that has one beside others should show the others.
SCHEMES_ALL: Final = SCHEMES_SMALL + tuple(code for code in SIGNATURE_SCHEMES if code not in SCHEMES_SMALL)

#: Compression methods in the order offered: nothing is last, so that a server which can compress says so.
COMPRESSORS: Final = {1: "DEFLATE", 64: "LZS", 0: "NULL"}

_NEWER_CIPHERS: Final = ("_GCM_", "_CCM", "_CHACHA20_", "_SHA256", "_SHA384", "_SM3")
_EXCHANGES: Final = (
    "ECDHE_ECDSA_",
    "ECDHE_RSA_",
    "DHE_RSA_",
    "DHE_DSS_",
    "RSA_WITH",
    "ECDHE_",
    "DHE_",
    "RSA_",
    "ECDH_",
)
_CIPHERS: Final = (
    "AES_256_GCM", "AES_128_GCM", "AES_256_CBC", "AES_128_CBC", "CAMELLIA", "AES", "ARIA", "SEED", "3DES", "RC4",
)  # fmt: skip


def is_chacha(suite: int) -> bool:
    """True for the suites that servers put first for clients which put them first."""
    return "CHACHA20" in CIPHER_SUITES.get(suite, "")


def _rank(suite: int) -> tuple[bool, int, int, int]:
    name = CIPHER_SUITES[suite].removeprefix("TLS_")
    exchange = next((at for at, text in enumerate(_EXCHANGES) if name.startswith(text)), len(_EXCHANGES))
    cipher = next((at for at, text in enumerate(_CIPHERS) if text in name), len(_CIPHERS))
    return is_chacha(suite), exchange, cipher, suite


@lru_cache(maxsize=1)
def suites_early() -> tuple[int, ...]:
    """Every suite of TLS 1.2 and below, the likelier first, ChaCha20 last: at the head it would change the order."""
    skipped = (0x0000, RENEGOTIATION_SCSV, FALLBACK_SCSV)
    return tuple(
        sorted((code for code, name in CIPHER_SUITES.items() if "_WITH_" in name and code not in skipped), key=_rank)
    )


@lru_cache(maxsize=1)
def suites_before_12() -> tuple[int, ...]:
    """Those of them that TLS 1.1 and below can use (no AEAD, no SHA-2)."""
    return tuple(code for code in suites_early() if not any(text in CIPHER_SUITES[code] for text in _NEWER_CIPHERS))


@lru_cache(maxsize=1)
def suites_13() -> tuple[int, ...]:
    """Every suite of TLS 1.3."""
    found = [code for code, name in CIPHER_SUITES.items() if "_WITH_" not in name and not name.endswith("_SCSV")]
    return tuple(sorted(found, key=lambda code: (is_chacha(code), code not in (0x1301, 0x1302), -code)))


def name_for_sni(host: str) -> str:
    """What SNI may say for that host: "" for an IP literal (RFC 6066 §3) and for what is no name at all."""
    host = host.removesuffix(".")
    if not host or ":" in host or host.replace(".", "").isdigit():
        return ""
    try:
        return host.encode("ascii" if host.isascii() else "idna").decode("ascii")
    except UnicodeError:
        return ""


#: Drawn once: servers do not care, and a hello that is the same for many endpoints is built once.
_RANDOM: Final = os.urandom(32)
_SESSION: Final = os.urandom(32)
#: Any 32 bytes are a point of x25519; the secret behind these is nobody's, since no such handshake is finished.
_SHARE: Final = b"\x00\x1d\x00\x20" + os.urandom(31) + b"\x09"


@lru_cache(maxsize=64)
def hellos_for(server_name: str) -> Hellos:
    """The hellos for that name; endpoints that share it (or have none) share them."""
    return Hellos(server_name)


class Hellos:
    """Hellos for one server name. Tails are kept, so that a chain of hellos costs little more than its suites.

    `kept` is for whole hellos that every endpoint is asked first, by whatever key their maker likes.
    """

    __slots__ = ("_tails", "kept", "server_name")

    def __init__(self, server_name: str = "") -> None:
        self.server_name = server_name
        self.kept: dict[tuple[object, ...], bytes] = {}
        self._tails: dict[tuple[object, ...], bytes] = {}

    def early(
        self,
        version: Version,
        suites: Sequence[int],
        *,
        named: bool = True,
        rich: bool = False,
        groups: Sequence[int] | None = None,
        compressors: bytes = b"\x01\x40\x00",
    ) -> bytes:
        """A hello whose newest version is that one, SSL 3 to TLS 1.2.

        `rich` asks for the features that a ServerHello admits to (extended master secret, encrypt-then-MAC, a ticket, a
        staple) and names every group and scheme; otherwise there is only what the suites need.
        """
        key = (version.wire, named, rich, groups, compressors)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = self._early_tail(version, named, rich, groups, compressors)
        if version is Version.SSL3:
            suites = (*suites, RENEGOTIATION_SCSV)
        return _assemble(version.wire, b"\x00", suites, tail)

    def tls13(
        self,
        suites: Sequence[int] | None = None,
        *,
        named: bool = True,
        groups: Sequence[int] = GROUPS_13,
        share: bool = False,
        extensions: Iterable[ext.Extension] = (),
    ) -> bytes:
        """A TLS 1.3 hello: without `share` its key_share is empty, so that the server names its group and no more."""
        more = tuple(extensions)
        key = (0x0304, named, groups, share, more)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = self._tail_13(named, groups, share, more)
        return _assemble(Version.TLS1_2.wire, b"\x20" + _SESSION, suites_13() if suites is None else suites, tail)

    def chunks(self, version: Version, suites: Sequence[int], *, named: bool = True) -> list[Sequence[int]]:
        """The suites cut so that each hello stays small."""
        empty = len(self.early(version, (), named=named))
        most = CHUNK - 1 if version is Version.SSL3 else CHUNK  # beside the suite that stands for an extension there
        room = max(8, min(most, (SMALL - empty) // 2))
        return [suites[at : at + room] for at in range(0, len(suites), room)]

    def _early_tail(
        self, version: Version, named: bool, rich: bool, groups: Sequence[int] | None, compressors: bytes
    ) -> bytes:
        methods = bytes(Writer().vector(compressors, 1))
        if version is Version.SSL3:
            return methods
        block: list[ext.Extension] = []
        if named and self.server_name:
            block.append(ext.server_name(self.server_name))
        if rich:
            block += [(23, b""), (0xFF01, b"\0"), (22, b""), (35, b""), (5, b"\x01\0\0\0\0")]
        else:
            block.append((0xFF01, b"\0"))
        if groups is None:
            groups = GROUPS_EARLY if rich else GROUPS_SMALL
        block += [ext.number_list(EXT_GROUPS, groups), (11, b"\x01\x00")]
        if version is Version.TLS1_2:
            block.append(ext.number_list(EXT_SIGNATURE_ALGORITHMS, SCHEMES_ALL if rich else SCHEMES_SMALL))
        return methods + _block(block)

    def _tail_13(self, named: bool, groups: Sequence[int], share: bool, more: tuple[ext.Extension, ...]) -> bytes:
        block: list[ext.Extension] = []
        if named and self.server_name:
            block.append(ext.server_name(self.server_name))
        shares = _SHARE if share else b""
        block += [
            ext.number_list(EXT_GROUPS, groups),
            ext.number_list(EXT_SIGNATURE_ALGORITHMS, SCHEMES_SMALL),
            ext.number_list(EXT_SUPPORTED_VERSIONS, (Version.TLS1_3.wire,), 1),
            (45, b"\x01\x01"),
            (EXT_KEY_SHARE, bytes(Writer().vector(shares, 2))),
            *more,
        ]
        return b"\x01\x00" + _block(block)


def _block(extensions: Iterable[ext.Extension]) -> bytes:
    writer = Writer()
    ext.write_block(writer, extensions)
    return bytes(writer)


def _assemble(version: int, session: bytes, suites: Sequence[int], tail: bytes) -> bytes:
    count = len(suites)
    body = struct.pack(f">H32s{len(session)}sH{count}H", version, _RANDOM, session, 2 * count, *suites) + tail
    length = len(body)
    head = struct.pack(">BHHBBH", 22, min(version, 0x0301), length + 4, 1, length >> 16, length & 0xFFFF)
    return head + body
