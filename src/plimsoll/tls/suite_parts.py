"""What a cipher suite is made of, read from its name: key exchange, authentication, cipher, mode, MAC.

Names follow one grammar (``TLS_<exchange>_WITH_<cipher>_<mac>``, since TLS 1.3 without the exchange), so that a table
of the words is enough and a new suite needs no new row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from plimsoll.tls.codepoints import suite_name


@dataclass(frozen=True, slots=True)
class SuiteParts:
    """The parts of one suite.

    `kex` and `auth` are "" where TLS 1.3 leaves them to other messages, `auth` is "anon" where nobody proves who they
    are. `bits` is the cipher's *effective* strength, None where nobody has agreed on one: 3DES counts 112, and RC4 80
    since RFC 7465 forbids it. `block_bits` is the size of a block, 0 for stream ciphers and unknown ones. `export` is
    the limit on the key exchange in bits (512, 1024), 0 for suites that were never weakened for export.
    """

    name: str
    kex: str
    auth: str
    cipher: str
    bits: int | None
    block_bits: int
    mode: str
    mac: str
    export: int
    forward_secret: bool
    post_tls13: bool

    @property
    def anonymous(self) -> bool:
        """True where no certificate and no shared secret proves who the server is."""
        return self.auth == "anon"

    @property
    def null(self) -> bool:
        """True where nothing is encrypted."""
        return self.bits == 0

    @property
    def aead(self) -> bool:
        """True for ciphers that protect and authenticate in one."""
        return self.mode in _AEAD


#: Exchange by its words: how keys are agreed, who proves what, and whether past sessions stay secret.
_EXCHANGES: Final[dict[str, tuple[str, str, bool]]] = {
    "NULL": ("NULL", "anon", False),
    "RSA": ("RSA", "RSA", False),
    "RSA_FIPS": ("RSA", "RSA", False),
    "DH_RSA": ("DH", "RSA", False),
    "DH_DSS": ("DH", "DSS", False),
    "DHE_RSA": ("DHE", "RSA", True),
    "DHE_DSS": ("DHE", "DSS", True),
    "DH_anon": ("DHE", "anon", True),
    "ECDH_RSA": ("ECDH", "RSA", False),
    "ECDH_ECDSA": ("ECDH", "ECDSA", False),
    "ECDH_ECNRA": ("ECDH", "ECNRA", False),
    "ECDHE_RSA": ("ECDHE", "RSA", True),
    "ECDHE_ECDSA": ("ECDHE", "ECDSA", True),
    "ECDH_anon": ("ECDHE", "anon", True),
    "ECMQV_ECDSA": ("ECMQV", "ECDSA", False),
    "ECMQV_ECNRA": ("ECMQV", "ECNRA", False),
    "PSK": ("PSK", "PSK", False),
    "RSA_PSK": ("RSA_PSK", "RSA", False),
    "DHE_PSK": ("DHE_PSK", "PSK", True),
    "PSK_DHE": ("DHE_PSK", "PSK", True),
    "ECDHE_PSK": ("ECDHE_PSK", "PSK", True),
    "ECCPWD": ("ECCPWD", "password", True),
    "SRP_SHA": ("SRP", "password", True),
    "SRP_SHA_RSA": ("SRP", "RSA", True),
    "SRP_SHA_DSS": ("SRP", "DSS", True),
    "KRB5": ("KRB5", "KRB5", False),
    "FORTEZZA_KEA": ("FORTEZZA", "FORTEZZA", False),
    "GOSTR341094": ("GOST", "GOST94", False),
    "GOSTR341001": ("GOST", "GOST01", False),
    "GOSTR341112_256": ("GOST", "GOST12", False),
}

#: Cipher by its first word: effective bits (None: the name says them, or nobody does) and bits of a block.
_CIPHERS: Final[dict[str, tuple[int | None, int]]] = {
    "NULL": (0, 0),
    "RC2": (40, 64),
    "RC4": (80, 0),
    "DES40": (40, 64),
    "DES": (56, 64),
    "3DES": (112, 64),
    "IDEA": (128, 64),
    "FORTEZZA": (80, 64),
    "SEED": (128, 128),
    "SM4": (128, 128),
    "CHACHA20": (256, 0),
    "AES": (None, 128),
    "CAMELLIA": (None, 128),
    "ARIA": (None, 128),
    "AEGIS": (None, 128),
}
_AEAD: Final = frozenset({"GCM", "CCM", "CCM_8", "POLY1305", "AEGIS", "MGM"})
_MODES: Final = ("CBC", "GCM", "CCM", "CNT", "CTR", "MGM")
#: What stands at the end of a name that IANA does not know.
_MARKS: Final = re.compile(r"-[a-z]+$")
_EXPORT: Final = re.compile(r"_EXPORT(1024)?$")


@lru_cache(maxsize=1024)
def parts(suite: int | str) -> SuiteParts:
    """The parts of the suite with that number or name. What is not known stays "" or None; nothing is an error."""
    name = suite_name(suite) if isinstance(suite, int) else suite
    words = _MARKS.sub("", name).removeprefix("TLS_").removeprefix("SSL_")
    if words.startswith("CK_"):
        return _ssl2(name, words.removeprefix("CK_"))
    exchange, separator, rest = words.partition("_WITH_")
    if not separator:
        return _modern(name, words)
    limit = _EXPORT.search(exchange)
    export = 0 if limit is None else int(limit[1] or 512)
    kex, auth, forward_secret = _EXCHANGES.get(_EXPORT.sub("", exchange), ("", "", False))
    cipher, bits, block_bits, mode, mac = _cipher(rest, export > 0)
    return SuiteParts(name, kex, auth, cipher, bits, block_bits, mode, mac, export, forward_secret, False)


def _modern(name: str, words: str) -> SuiteParts:
    """A suite of TLS 1.3: exchange and authentication are agreed elsewhere, and always forward secret."""
    known = name.startswith("TLS_") and not name.endswith("_SCSV")
    if words in ("SHA256_SHA256", "SHA384_SHA384"):  # RFC 9150: integrity only
        return SuiteParts(name, "", "", "NULL", 0, 0, "", words.partition("_")[0], 0, True, True)
    cipher, bits, block_bits, mode, mac = _cipher(words, False) if known else ("", None, 0, "", "")
    return SuiteParts(name, "", "", cipher, bits, block_bits, mode, mac, 0, known, known)


def _ssl2(name: str, words: str) -> SuiteParts:
    """A kind of SSL 2: always RSA key transport, and MD5."""
    first = words.partition("_WITH_")[0]
    cipher = "3DES" if "EDE3" in first else first.partition("_")[0]
    export = 512 if "EXPORT40" in first else 0
    bits, block_bits = (40 if export else 128, 64) if cipher == "RC2" else _CIPHERS.get(cipher, (None, 0))
    mode = "stream" if cipher == "RC4" else "CBC"
    bits = 40 if export else bits
    return SuiteParts(name, "RSA", "RSA", cipher, bits, block_bits, mode, "MD5", export, False, False)


def _cipher(text: str, export: bool) -> tuple[str, int | None, int, str, str]:
    """Cipher, effective bits, bits of a block, mode and MAC of what stands after ``_WITH_``."""
    tokens = text.replace("3DES_EDE", "3DES").replace("AEGIS_128L", "AEGIS_128").split("_")
    cipher = tokens.pop(0)
    bits, block_bits = _CIPHERS.get(cipher, (None, 0))
    # A cipher whose strength is agreed on keeps it whatever its name says, unless an export suite says less.
    numbers = [int(token) for token in tokens if token.isdigit() and len(token) > 1]
    if numbers and cipher in _CIPHERS:
        bits = numbers[0] if bits is None or export else min(bits, numbers[0])
    mode = next((token for token in tokens if token in _MODES), "")
    if mode == "CCM" and "8" in tokens:
        mode = "CCM_8"
    if not mode and cipher in ("RC4", "CHACHA20", "AEGIS"):
        mode = {"RC4": "stream", "CHACHA20": "POLY1305", "AEGIS": "AEGIS"}[cipher]
    last = tokens[-1] if tokens else ""
    mac = last if len(last) > 1 and not last.isdigit() and last not in _MODES else ""
    # RFC 6655: without another word, CCM's hash is SHA-256.
    return cipher, bits, block_bits, mode, mac or ("SHA256" if mode.startswith("CCM") else "")
