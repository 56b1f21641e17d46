"""Kind and size of a certificate's public key, and what signed it, read by hand: enough to name and grade a suite.

A scan sees thousands of certificates and wants only this of most of them; a whole parser costs a thousand times more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_SEQUENCE: Final = 0x30
_CURVES: Final = {
    "2a8648ce3d030107": "secp256r1", "2b81040022": "secp384r1", "2b81040023": "secp521r1", "2b8104000a": "secp256k1",
    "2b81040021": "secp224r1", "2a8648ce3d030101": "secp192r1", "2b2403030208010107": "brainpoolP256r1",
    "2b240303020801010b": "brainpoolP384r1", "2b240303020801010d": "brainpoolP512r1",
}  # fmt: skip
_CURVE_BITS: Final = {
    "secp256r1": 256, "secp384r1": 384, "secp521r1": 521, "secp256k1": 256, "secp224r1": 224, "secp192r1": 192,
    "brainpoolP256r1": 256, "brainpoolP384r1": 384, "brainpoolP512r1": 512,
}  # fmt: skip
_RSA: Final = ("2a864886f70d010101", "2a864886f70d01010a")
_EC: Final = "2a8648ce3d0201"
_DSA: Final = "2a8648ce380401"
_OTHER: Final = {"2b6570": ("ed25519", 256), "2b6571": ("ed448", 448)}
#: OpenSSL's names of what certificates are signed with.
_SIGNATURES: Final = {
    "2a864886f70d010102": "md2WithRSAEncryption", "2a864886f70d010103": "md4WithRSAEncryption",
    "2a864886f70d010104": "md5WithRSAEncryption", "2a864886f70d010105": "sha1WithRSAEncryption",
    "2b0e03021d": "sha1WithRSAEncryption", "2a864886f70d01010e": "sha224WithRSAEncryption",
    "2a864886f70d01010b": "sha256WithRSAEncryption", "2a864886f70d01010c": "sha384WithRSAEncryption",
    "2a864886f70d01010d": "sha512WithRSAEncryption", "2a864886f70d01010a": "rsassaPss",
    "2a8648ce3d0401": "ecdsa-with-SHA1", "2a8648ce3d040301": "ecdsa-with-SHA224",
    "2a8648ce3d040302": "ecdsa-with-SHA256", "2a8648ce3d040303": "ecdsa-with-SHA384",
    "2a8648ce3d040304": "ecdsa-with-SHA512", "2a8648ce380403": "dsaWithSHA1", "2b0e03021b": "dsaWithSHA1",
    "608648016503040301": "dsaWithSHA224", "608648016503040302": "dsaWithSHA256", "2b6570": "ED25519",
    "2b6571": "ED448",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`kind` is "rsa", "ec", "dsa", "ed25519", "ed448", or "" for an unknown one; `curve` is named for "ec"."""

    kind: str = ""
    bits: int = 0
    curve: str = ""


@lru_cache(maxsize=256)
def public_key(certificate: bytes) -> PublicKey:
    """The key in a DER certificate; one of kind "" where it cannot be read."""
    try:
        return _read(certificate)
    except (IndexError, ValueError):
        return PublicKey()


@lru_cache(maxsize=256)
def signature_name(certificate: bytes) -> str:
    """What a DER certificate is signed with, its object identifier in hexadecimal if unknown, "" if unreadable."""
    try:
        body, _ = _enter(certificate, 0, _SEQUENCE)
        algorithm, _ = _enter(certificate, _skip(certificate, body), _SEQUENCE)
        start, end = _enter(certificate, algorithm, 0x06)
    except (IndexError, ValueError):
        return ""
    oid = certificate[start:end].hex()
    return _SIGNATURES.get(oid, oid)


def _read(der: bytes) -> PublicKey:
    body, _ = _enter(der, 0, _SEQUENCE)
    at, end = _enter(der, body, _SEQUENCE)
    if der[at] == 0xA0:
        at = _skip(der, at)
    for _ in range(5):  # serial number, signature, issuer, validity, subject
        at = _skip(der, at)
    if at >= end:
        return PublicKey()
    info, _ = _enter(der, at, _SEQUENCE)
    inside, algorithm_end = _enter(der, info, _SEQUENCE)
    oid_at, oid_end = _enter(der, inside, 0x06)
    oid = der[oid_at:oid_end].hex()
    key_at, key_end = _enter(der, algorithm_end, 0x03)
    if oid in _RSA:
        modulus_at, modulus_end = _enter(der, _enter(der, key_at + 1, _SEQUENCE)[0], 0x02)
        return PublicKey("rsa", _bits(der[modulus_at:modulus_end]))
    if oid == _EC:
        curve_at, curve_end = _enter(der, oid_end, 0x06)
        curve = _CURVES.get(der[curve_at:curve_end].hex(), "")
        return PublicKey("ec", _CURVE_BITS.get(curve, (key_end - key_at - 2) * 4), curve)
    if oid == _DSA:
        prime_at, prime_end = _enter(der, _enter(der, oid_end, _SEQUENCE)[0], 0x02)
        return PublicKey("dsa", _bits(der[prime_at:prime_end]))
    kind, bits = _OTHER.get(oid, ("", 0))
    return PublicKey(kind, bits)


def _bits(number: bytes) -> int:
    return int.from_bytes(number, "big").bit_length()


def _enter(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the contents of the element at that place begin and end."""
    if der[at] != tag:
        raise ValueError("an element of another kind")
    return _bounds(der, at)


def _skip(der: bytes, at: int) -> int:
    return _bounds(der, at)[1]


def _bounds(der: bytes, at: int) -> tuple[int, int]:
    length = der[at + 1]
    start = at + 2
    if length & 0x80:
        width = length & 0x7F
        if not 0 < width <= 4:
            raise ValueError("a length of that form is not DER")
        length = int.from_bytes(der[start : start + width], "big")
        start += width
    if start + length > len(der):
        raise ValueError("an element past the end")
    return start, start + length
