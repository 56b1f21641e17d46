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
from tests.support.store import store_of

HOUR = 3600
DAY = 24 * HOUR


def remake(home: Path, begins: float, ends: float) -> None:
    """Every certificate of 4119 and 4120, good from and until so many seconds from now, by the CA of the home."""
    key = _key(home)
    paths = list((home / "tls").glob("*.pem"))
    assert len(paths) == 4
    for path in paths:
        leaf, *chain = x509.load_pem_x509_certificates(path.read_bytes())
        made = _again(leaf, key, begins, ends)
        path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (made, *chain)))


def remake_ca(home: Path, begins: float, ends: float) -> bytes:
    """The CA's certificate (PEM) with other dates, as if its key had begun with it, where the manager is down.

    What is known of renewals is gone with it, from the folder and from the store.
    """
    path = home / "ca" / "ca.pem"
    (former,) = x509.load_pem_x509_certificates(path.read_bytes())
    made = _again(former, _key(home), begins, ends).public_bytes(serialization.Encoding.PEM)
    path.write_bytes(made)
    for kept in (home / "ca").glob("ca-*.pem"):
        kept.unlink()
    with store_of(home) as store:
        store.execute("delete from authorities")
    return made


def has_followed(former: bytes, renewed: bytes) -> None:
    """That a CA's certificate (PEM) is another for the same key, and good for years from now."""
    old, new = (x509.load_pem_x509_certificate(one) for one in (former, renewed))
    assert new != old
    assert new.public_key() == old.public_key()
    assert new.not_valid_before_utc < _moment(0)
    assert new.not_valid_after_utc > _moment(3600 * DAY)


def _key(home: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key((home / "ca" / "ca.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


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
