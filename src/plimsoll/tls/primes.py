"""Diffie-Hellman primes that everybody knows, by name. A shared prime can be attacked once for all who use it.

The primes of RFC 2409, RFC 3526 and RFC 7919 follow a rule (2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) * c] + k), with pi
or e for c), so that they are computed here instead of being copied; the few others are known by their digest.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

#: bits, the offset k, and the name.
_OF_PI: Final = (
    (768, 149686, "Oakley group 1"), (1024, 129093, "Oakley group 2"), (1536, 741804, "MODP group 5"),
    (2048, 124476, "MODP group 14"), (3072, 1690314, "MODP group 15"), (4096, 240904, "MODP group 16"),
    (6144, 929484, "MODP group 17"), (8192, 4743158, "MODP group 18"),
)  # fmt: skip
_OF_E: Final = (
    (2048, 560316, "ffdhe2048"), (3072, 2625351, "ffdhe3072"), (4096, 5736041, "ffdhe4096"),
    (6144, 15705020, "ffdhe6144"), (8192, 10965728, "ffdhe8192"),
)  # fmt: skip
#: The first 16 bytes of the SHA-256 of primes without such a rule (RFC 5114).
_BY_DIGEST: Final = {
    "44c55cfee5c075927cf682da5b681bde": "RFC 5114 1024/160",
    "bfe545862ca102ad1eeddb5fbfa5bf85": "RFC 5114 2048/224",
    "0b7835722cb619827610c2549fdda558": "RFC 5114 2048/256",
}


def prime_name(prime: bytes) -> str:
    """The name of a known prime (big-endian, without leading zeros), or "" for one that is nobody's."""
    bits = len(prime) * 8
    for known_bits, offset, name in _OF_PI:
        if bits == known_bits and prime == _prime(bits, offset, "pi"):
            return name
    for known_bits, offset, name in _OF_E:
        if bits == known_bits and prime == _prime(bits, offset, "e"):
            return name
    return _BY_DIGEST.get(hashlib.sha256(prime).hexdigest()[:32], "")


@lru_cache(maxsize=32)
def _prime(bits: int, offset: int, constant: str) -> bytes:
    # 2^(n-130) * c for RFC 2409/3526; RFC 7919 takes e with the same number of digits.
    whole = (_pi(bits - 130) if constant == "pi" else _e(bits - 130)) + offset
    value = (1 << bits) - (1 << (bits - 64)) - 1 + (whole << 64)
    return value.to_bytes(bits // 8, "big")


@lru_cache(maxsize=8)
def _pi(bits: int) -> int:
    """Pi times 2^bits, cut to a whole number (Machin's formula)."""
    guard = 64
    one = 1 << (bits + guard)
    return (4 * (4 * _arctan(5, one) - _arctan(239, one))) >> guard


def _arctan(inverse: int, one: int) -> int:
    term = total = one // inverse
    square, divisor, sign = inverse * inverse, 3, -1
    while term:
        term //= square
        total += sign * (term // divisor)
        divisor, sign = divisor + 2, -sign
    return total


@lru_cache(maxsize=8)
def _e(bits: int) -> int:
    """E times 2^bits, cut to a whole number."""
    guard = 64
    term = total = 1 << (bits + guard)
    number = 1
    while term:
        term //= number
        total += term
        number += 1
    return total >> guard
