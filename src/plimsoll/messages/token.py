"""The activation token as text: what an administrator copies to a host.

``pt1.<id>.<secret>.<hash>``: the hash is the base64url SHA-256 of the CA's public key (SubjectPublicKeyInfo, DER), so
that a host checks whom it talks to before it sends the secret (design §11, first contact).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass


class TokenError(ValueError):
    """The text is not an activation token."""


@dataclass(frozen=True, slots=True)
class ActivationToken:
    id: str
    secret: str
    ca_hash: str

    def __str__(self) -> str:
        return f"pt1.{self.id}.{self.secret}.{self.ca_hash}"

    def __repr__(self) -> str:
        return f"ActivationToken(id={self.id!r}, secret=…)"

    @classmethod
    def parse(cls, text: str) -> ActivationToken:
        parts = text.strip().split(".")
        if len(parts) != 4 or parts[0] != "pt1" or not all(parts):
            raise TokenError("not an activation token: expected pt1.<id>.<secret>.<hash>, as the manager printed it")
        return cls(id=parts[1], secret=parts[2], ca_hash=parts[3])


def key_hash(spki_der: bytes) -> str:
    """The base64url SHA-256 of a public key in SubjectPublicKeyInfo DER, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(spki_der).digest()).rstrip(b"=").decode()
