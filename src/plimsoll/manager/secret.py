"""Secrets: made, hashed, compared. A secret that is random is stored as SHA-256, one that a person chose as argon2."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_HASHER = PasswordHasher()
#: Compared with where the user does not exist, so that an answer takes as long.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5bm9ib2R5MTIzNA$K2ZZlrXlFcLcIDRRc1t5HWqcJpl5YK7F+9Eu1oQ5DSc"

MINIMUM_PASSWORD = 10


def new_password() -> str:
    return secrets.token_urlsafe(15)


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def check_password(stored: str | None, password: str) -> bool:
    """Also for a user who does not exist (None), or has no password (empty): false, after the same work."""
    try:
        return _HASHER.verify(stored or _NOBODY, password) and bool(stored)
    except (Argon2Error, InvalidHashError):
        return False


def new_secret() -> str:
    """For cookies and activation tokens: 256 bits that stand in a URL as they are."""
    return secrets.token_urlsafe(32)


def new_key_secret() -> str:
    """The second half of an API key: 256 bits in base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def new_id() -> str:
    return secrets.token_hex(6)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def same_secret(stored_hash: str, secret: str) -> bool:
    return hmac.compare_digest(stored_hash, hash_secret(secret))
