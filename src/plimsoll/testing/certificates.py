"""Certificates for tests: an authority of its own, and leaves in the shapes that the fleet uses.

Keys are P-256 unless RSA is asked for: an RSA key costs a hundred times as much to make.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plimsoll.messages.token import key_hash

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = datetime.timedelta(days=1)
#: Of a certificate's KeyUsage; those that go along with an agreement stay out of it.
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def new_key(rsa_bits: int | None = None) -> PrivateKey:
    """A fresh P-256 key, or an RSA one of that size."""
    if rsa_bits is not None:
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS#8 PEM, the form that OpenSSL loads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_request(key: PrivateKey, name: str) -> str:
    """A signed request in PEM, as an agent sends it for its activation."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate with its key; `chain` is the PEM of the leaf and then of its authority."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: bytes

    def write(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Writes ``stem.pem`` and ``stem.key`` (0600) and returns both paths."""
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        certificate.write_bytes(self.chain)
        write_private(key, key_pem(self.key))
        return certificate, key


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, never readable in between."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


class TestAuthority:
    """A certificate authority for one test: `leaf` signs identities of every role, expired ones too."""

    __test__ = False  # the name begins with "Test", and pytest would look for cases in it

    def __init__(self, installation: str = "test-installation", *, rsa_bits: int | None = None) -> None:
        self.installation = installation
        self.key = new_key(rsa_bits)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Plimsoll CA {installation}")])
        self.certificate = self.again(-1, 3650)

    def again(
        self, begins: float, ends: float, *, ca: bool = True, signer: TestAuthority | None = None
    ) -> x509.Certificate:
        """Another certificate of its name and key, good from and until so many days from now.

        It is its own, unless another authority is the `signer`; one that is no `ca` is a leaf with that name.
        """
        now = datetime.datetime.now(datetime.UTC)
        public = self.key.public_key()
        usage = dict.fromkeys(_USAGES, False) | ({"key_cert_sign": True} if ca else {"digital_signature": True})
        builder = x509.CertificateBuilder((signer or self)._name, self._name, public, x509.random_serial_number())
        builder = builder.not_valid_before(now + begins * _DAY).not_valid_after(now + ends * _DAY)
        return (
            builder.add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign((signer or self).key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pin(self) -> str:
        """The hash of the authority's key in the form that activation tokens carry."""
        return public_key_hash(self.certificate)

    def leaf(
        self,
        role: str,
        identifier: str,
        *,
        hosts: Sequence[str] = (),
        rsa_bits: int | None = None,
        key: PrivateKey | None = None,
        age_days: int = 1,
        valid_days: int = 90,
        installation: str | None = None,
    ) -> Leaf:
        """A leaf of that role: `age_days` ago it became valid, for `valid_days`. `hosts` are names or addresses."""
        key = key or new_key(rsa_bits)
        now = datetime.datetime.now(datetime.UTC)
        start = now - age_days * _DAY
        uri = f"plimsoll://{installation or self.installation}/{role}/{identifier}"
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identifier[:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + valid_days * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), *_hosts(hosts)]), False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Leaf(certificate, key, certificate.public_bytes(serialization.Encoding.PEM) + self.pem)


def _hosts(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def public_key_hash(certificate: x509.Certificate) -> str:
    """The hash of a certificate's public key as activation tokens carry it."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key_hash(spki)
