"""Private keys that this process has read before are not checked again.

To read an RSA key of 3072 bits costs a seventh of a second, nearly all of it the proof that its factors are primes;
whoever opens a copy of one home a thousand times would pay that a thousand times for the same bytes. What cannot be
read, and what is sealed with a passphrase, is read anew each time.
"""

from __future__ import annotations

import functools
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_read = serialization.load_pem_private_key


@functools.cache
def _known(data: bytes) -> PrivateKeyTypes:
    return _read(data, None)


def _read_once(data: Any, password: bytes | None, *more: Any, **named: Any) -> PrivateKeyTypes:
    return _known(bytes(data)) if password is None else _read(data, password, *more, **named)


def remember() -> None:
    """From now on, for this process and those that it forks."""
    serialization.load_pem_private_key = _read_once
