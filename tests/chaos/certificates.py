"""The manager's own certificates, made anew with other dates, and what it serves."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support.manager import HOST

HOUR = 3600


def remake(home: Path, begins: float, ends: float) -> None:
    """Every certificate of 4119 and 4120, good from and until so many seconds from now, by the CA of the home."""
    pair = (home / "ca" / "ca.key").read_bytes()
    key = serialization.load_pem_private_key(pair, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    paths = list((home / "tls").glob("*.pem"))
    assert len(paths) == 4
    for path in paths:
        leaf, *chain = x509.load_pem_x509_certificates(path.read_bytes())
        made = _again(leaf, key, begins, ends)
        path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (made, *chain)))


def _again(leaf: x509.Certificate, key: rsa.RSAPrivateKey, begins: float, ends: float) -> x509.Certificate:
    builder = x509.CertificateBuilder(leaf.issuer, leaf.subject, leaf.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(_moment(begins)).not_valid_after(_moment(ends))
    for extension in leaf.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256())


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)


def served(port: int) -> str:
    """The certificate in PEM that is shown there."""
    return ssl.get_server_certificate((HOST, port))
