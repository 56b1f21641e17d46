"""Who a certificate says its holder is (design §11, roles in certificates), read with the standard library only."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
from dataclasses import dataclass
from typing import Any

_URI = re.compile(r"plimsoll://([A-Za-z0-9._-]{1,128})/(manager|relay|agent)/([A-Za-z0-9._-]{1,128})")
_CACHE: dict[bytes, Identity | None] = {}
_CACHE_SIZE = 65_536


class CertificateFormatError(ValueError):
    """The bytes are not an X.509 certificate in DER."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a certificate of a fleet. `fingerprint` is the hex SHA-256 of the certificate."""

    installation: str
    role: str
    id: str
    fingerprint: str

    @classmethod
    def from_uri(cls, uri: str, fingerprint: str) -> Identity | None:
        """The identity that a URI SAN names, or None where it names none."""
        match = _URI.fullmatch(uri)
        return None if match is None else cls(match[1], match[2], match[3], fingerprint)


def identity_of(connection: ssl.SSLSocket | ssl.SSLObject) -> Identity | None:
    """Who the verified peer is, or None: no certificate, or none of a fleet.

    Decoding a certificate costs more than the rest of a request, so the answer is kept per certificate.
    """
    der = connection.getpeercert(True)
    if der is None:
        return None
    digest = hashlib.sha256(der).digest()
    try:
        return _CACHE[digest]
    except KeyError:
        pass
    names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
    uris: list[str] = [value for kind, value in names if kind == "URI"]
    # Two names would leave open whom the application sees: such a certificate names nobody.
    identity = Identity.from_uri(uris[0], digest.hex()) if len(uris) == 1 else None
    if len(_CACHE) >= _CACHE_SIZE:
        _CACHE.clear()
    _CACHE[digest] = identity
    return identity


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag, the start of the content and the end of the DER element at that place."""
    if at + 2 > len(data):
        raise CertificateFormatError("the certificate ends early")
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise CertificateFormatError("a length in the certificate is not DER")
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > len(data):
        raise CertificateFormatError("the certificate ends early")
    return tag, start, start + length


def public_key_info(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, both DER. Raises CertificateFormatError, and nothing else."""
    _, at, _ = _element(certificate, 0)
    _, at, _ = _element(certificate, at)
    tag, _, end = _element(certificate, at)
    if tag == 0xA0:
        at = end
    for _ in range(5):  # serial number, signature algorithm, issuer, validity, subject
        _, _, at = _element(certificate, at)
    _, _, end = _element(certificate, at)
    return certificate[at:end]


def public_key_hash(certificate: bytes) -> str:
    """The base64url SHA-256 of a certificate's public key: the form in which an activation token names the CA."""
    return base64.urlsafe_b64encode(hashlib.sha256(public_key_info(certificate)).digest()).rstrip(b"=").decode()


def certificates_in(pem: str) -> list[bytes]:
    """The certificates of a PEM text as DER, in its order. Raises ValueError where one cannot be read."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = [part.partition(end) for part in pem.split(begin)[1:]]
    if not all(found for _, found, _ in parts):
        raise ValueError("a certificate in the PEM text has no end")
    return [ssl.PEM_cert_to_DER_cert(f"{begin}{body}{end}") for body, _, _ in parts]


def certificate_fingerprints(pem: str) -> list[str]:
    """The hex SHA-256 of each certificate of a PEM text. Raises ValueError where one cannot be read."""
    return [hashlib.sha256(der).hexdigest() for der in certificates_in(pem)]


def presented_chain(connection: ssl.SSLSocket) -> list[bytes]:
    """The certificates that the peer sent, DER, its own first. They may be unverified."""
    # Public from Python 3.13 on; before, only the inner object has it, with certificates that need converting.
    public = getattr(connection, "get_unverified_chain", None)
    inner = getattr(connection, "_sslobj", None)
    chain = public() if public is not None else (inner.get_unverified_chain() if inner is not None else None)
    return [item if isinstance(item, bytes) else ssl.PEM_cert_to_DER_cert(item.public_bytes()) for item in chain or []]
