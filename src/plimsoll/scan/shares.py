"""Key shares of TLS 1.3 (RFC 8446 §4.2.8): make one, and agree with the peer's.

Every group that a server may insist on and that the library knows, the hybrids of ML-KEM among them; classic
Diffie-Hellman over RFC 7919's primes by plain numbers, which is enough for one handshake that carries no secrets.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from plimsoll.tls.records import HelloError, Reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

X25519: Final = 29
SECP256R1: Final = 23

#: Group -> (bits of the prime, the number X of RFC 7919 appendix A, bits of a private exponent by its table).
_FFDHE: Final = {
    256: (2048, 560316, 225),
    257: (3072, 2625351, 275),
    258: (4096, 5736041, 325),
    259: (6144, 15705020, 375),
    260: (8192, 10965728, 400),
}
_CURVES: Final = {23: "SECP256R1", 24: "SECP384R1", 25: "SECP521R1"}
#: Brainpool's code points for TLS 1.3 (RFC 8734).
_BRAINPOOL: Final = {31: "BrainpoolP256R1", 32: "BrainpoolP384R1", 33: "BrainpoolP512R1"}
#: Group -> (ML-KEM, its ciphertext's length, the classic group, whether ML-KEM's part comes first). The order differs
#: between them (draft-ietf-tls-ecdhe-mlkem).
_HYBRIDS: Final = {
    4587: ("MLKEM768PrivateKey", 1088, SECP256R1, False),
    4588: ("MLKEM768PrivateKey", 1088, X25519, True),
    4589: ("MLKEM1024PrivateKey", 1568, 24, False),
}

#: What can be offered, dear ones last.
GROUPS: Final = (X25519, SECP256R1, 24, 30, 25, *_HYBRIDS, *_BRAINPOOL, *_FFDHE)


class Share(NamedTuple):
    """What goes into the hello, and how to come to the shared secret with what the server answers."""

    group: int
    public: bytes
    agree: Callable[[bytes], bytes]


def make_share(group: int) -> Share:
    """A fresh share. Raises HelloError for a group that is not in GROUPS."""
    if group in (X25519, 30):
        return _montgomery(group)
    if group in _CURVES or group in _BRAINPOOL:
        return _weierstrass(group)
    if group in _FFDHE:
        return _finite_field(group)
    if group in _HYBRIDS:
        return _hybrid(group)
    raise HelloError(Reason.UNEXPECTED, f"key exchange group {group} is not known here")


def _guarded(group: int, agree: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def agreed(peer: bytes) -> bytes:
        try:
            return agree(peer)
        except ValueError:
            raise HelloError(Reason.MALFORMED, f"the server's share for group {group} is no valid one") from None

    return agreed


def _montgomery(group: int) -> Share:
    from cryptography.hazmat.primitives.asymmetric import x448, x25519

    if group == X25519:
        key = x25519.X25519PrivateKey.generate()
        agree = _guarded(group, lambda peer: key.exchange(x25519.X25519PublicKey.from_public_bytes(peer)))
        return Share(group, key.public_key().public_bytes_raw(), agree)
    other = x448.X448PrivateKey.generate()
    agree = _guarded(group, lambda peer: other.exchange(x448.X448PublicKey.from_public_bytes(peer)))
    return Share(group, other.public_key().public_bytes_raw(), agree)


def _weierstrass(group: int) -> Share:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    curve: ec.EllipticCurve = getattr(ec, _CURVES.get(group) or _BRAINPOOL[group])()
    key = ec.generate_private_key(curve)

    def agree(peer: bytes) -> bytes:
        return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(curve, peer))

    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Share(group, public, _guarded(group, agree))


def _hybrid(group: int) -> Share:
    from cryptography.hazmat.primitives.asymmetric import mlkem

    name, length, classic_group, kem_first = _HYBRIDS[group]
    kem: mlkem.MLKEM768PrivateKey = getattr(mlkem, name).generate()
    encapsulation = kem.public_key().public_bytes_raw()
    classic = make_share(classic_group)

    def agree(peer: bytes) -> bytes:
        cut = length if kem_first else len(peer) - length
        if len(peer) <= length:
            raise ValueError("too short for both parts")
        if kem_first:
            return kem.decapsulate(peer[:cut]) + classic.agree(peer[cut:])
        return classic.agree(peer[:cut]) + kem.decapsulate(peer[cut:])

    public = encapsulation + classic.public if kem_first else classic.public + encapsulation
    return Share(group, public, _guarded(group, agree))


def _finite_field(group: int) -> Share:
    bits, _, exponent_bits = _FFDHE[group]
    prime = ffdhe_prime(group)
    exponent = secrets.randbits(exponent_bits) | 1 << (exponent_bits - 1)

    def agree(peer: bytes) -> bytes:
        number = int.from_bytes(peer, "big")
        if not 1 < number < prime - 1:
            raise ValueError("outside the group")
        return pow(number, exponent, prime).to_bytes(bits // 8, "big")

    return Share(group, pow(2, exponent, prime).to_bytes(bits // 8, "big"), _guarded(group, agree))


@cache
def ffdhe_prime(group: int) -> int:
    """The prime of RFC 7919 with that code point, by its formula: 2^b - 2^(b-64) + ([2^(b-130) e] + X) 2^64 - 1."""
    bits, offset, _ = _FFDHE[group]
    return (1 << bits) - (1 << (bits - 64)) + ((_euler(bits - 130) + offset) << 64) - 1


def _euler(shift: int) -> int:
    """[2^shift e], by the series of 1/n! with bits to spare."""
    spare = 64
    term = total = 1 << (shift + spare)
    divisor = 1
    while term:
        term //= divisor
        total += term
        divisor += 1
    return total >> spare
