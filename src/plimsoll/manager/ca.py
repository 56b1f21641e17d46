"""An issuing authority of the manager: its own key, and certificates that say installation, role and id.

Which one issues, and which are trusted beside it, is `ca_keyring`'s to say. All authorities of an installation have the
same name, so that one may certify the key of another (`cross`, RFC 4210 section 4.4: "new with old"): such a
certificate is self-issued, and does not count for the length of a path (RFC 5280 section 4.2.1.9).

A leaf carries the URI SAN ``plimsoll://<installation>/<role>/<id>``; every side checks role and installation, not only
the chain (design §11). Validity begins a day back, so that a host whose clock is slow is not locked out.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plimsoll.manager.config import write_atomically
from plimsoll.manager.ports import BadInput
from plimsoll.messages.token import key_hash

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

DAY = 86400.0
CA_DAYS = 3650
#: How long before its end a CA is warned of, in seconds: a rotation needs every computer, the rare ones too.
CA_WARNED = 365 * DAY
#: Agents, relays and appliances; they renew themselves at two thirds.
LEAF_DAYS = 90
MANAGER_DAYS = 365
#: An agent that slept past its expiry may still prove its old key for that long.
GRACE_DAYS = 30

CA_KEY = "ca.key"
CA_CERTIFICATE = "ca.pem"

_AUTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate as PEM, with the hex SHA-256 of its DER, the time of its end, and the authority's fingerprint."""

    pem: str
    fingerprint: str
    expires: float
    authority: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a certificate of ours names."""

    role: str
    id: str
    fingerprint: str
    expires: float


def fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def spki(public: object) -> bytes:
    assert isinstance(public, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey))
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _own_name(installation: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Plimsoll CA {installation}"[:64])])


class Authority:
    """The CA of one installation. Its key stays in the home, readable by its owner only.

    `first` is the certificate that its key began with, where `certificate` is a renewed one. The `fingerprint` is that
    of the first for good: by it the store, and the names of files, say which authority is meant.
    """

    def __init__(
        self,
        installation: str,
        certificate: x509.Certificate,
        key: rsa.RSAPrivateKey,
        first: x509.Certificate | None = None,
    ) -> None:
        self.installation = installation
        self.certificate = certificate
        self._key = key
        self._first = first or certificate
        self.certificate_pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.key_hash = key_hash(spki(certificate.public_key()))
        self.fingerprint = fingerprint(self._first)
        self.certificate_fingerprint = fingerprint(certificate)

    @property
    def ends(self) -> float:
        """When its certificate ends, in seconds since the epoch."""
        return self.certificate.not_valid_after_utc.timestamp()

    @property
    def is_renewed(self) -> bool:
        """Whether its certificate is not the one that its key began with."""
        return self.certificate_fingerprint != self.fingerprint

    @property
    def pair_pem(self) -> bytes:
        """Key and first certificate together: one file of both is never half of each."""
        return self.private_pem + self._first.public_bytes(serialization.Encoding.PEM)

    @property
    def private_pem(self) -> bytes:
        """The private key, as it lies in a home."""
        return key_pem(self._key)

    @classmethod
    def make(cls, installation: str, now: float) -> Authority:
        """A new key with its self-signed certificate, in memory."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        certificate = _self_signed(key, installation, _time(now - DAY), _time(now + CA_DAYS * DAY))
        return cls(installation, certificate, key)

    @classmethod
    def create(cls, directory: Path, installation: str, now: float) -> Authority:
        """The first authority of a home: key and certificate in files of their own."""
        made = cls.make(installation, now)
        directory.mkdir(mode=0o700, exist_ok=True)
        write_atomically(directory / CA_KEY, key_pem(made._key), 0o600)
        write_atomically(directory / CA_CERTIFICATE, made.certificate_pem.encode(), 0o644)
        return made

    @classmethod
    def load(cls, directory: Path, installation: str) -> Authority:
        """The first authority. `CA_CERTIFICATE` may hold others that are trusted beside it."""
        found = cls.of(installation, (directory / CA_KEY).read_bytes(), (directory / CA_CERTIFICATE).read_bytes())
        if found is None:
            raise BadInput(f"{directory}: {CA_KEY} and {CA_CERTIFICATE} do not belong together; restore both")
        return found

    @classmethod
    def of(cls, installation: str, key_text: bytes, certificates: bytes) -> Authority | None:
        """The authority of a key, with that one of the certificates that belongs to it; None where none does."""
        key = serialization.load_pem_private_key(key_text, None)
        if not isinstance(key, rsa.RSAPrivateKey):
            return None
        for certificate in x509.load_pem_x509_certificates(certificates):
            if spki(key.public_key()) == spki(certificate.public_key()):
                return cls(installation, certificate, key)
        return None

    def renewed(self, now: float) -> Authority:
        """The same key with a new certificate, which ends ten years from now. What it signed is as good as before.

        It begins when the former began: a host whose clock is slow believes it as it believed that.
        """
        begins = self.certificate.not_valid_before_utc
        certificate = _self_signed(self._key, self.installation, begins, _time(now + CA_DAYS * DAY))
        return Authority(self.installation, certificate, self._key, self._first)

    def showing(self, certificate_pem: str) -> Authority:
        """The same with that certificate of its key. Raises BadInput where it is none."""
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        if spki(certificate.public_key()) != spki(self._key.public_key()):
            raise BadInput(f"a renewed certificate of the CA {self.fingerprint[:16]} in the store is for another key")
        return Authority(self.installation, certificate, self._key, self._first)

    def cross(self, other: Authority) -> str:
        """A certificate of ours for the other's key, PEM: who trusts us alone can follow it to what the other issued.

        It lasts as long as both do.
        """
        mine, theirs = self.certificate, other.certificate
        issuer = mine.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        public = theirs.public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(theirs.subject)
            .issuer_name(mine.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(max(mine.not_valid_before_utc, theirs.not_valid_before_utc))
            .not_valid_after(min(mine.not_valid_after_utc, theirs.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def is_of(self, installation: str) -> bool:
        """Whether it was made for that installation, by its certificate's own name."""
        return self.certificate.subject == _own_name(installation)

    def issue(self, csr_pem: str, role: str, identifier: str, now: float, days: float = LEAF_DAYS) -> Issued:
        """A certificate for the CSR's key. Nothing else of the request is believed.

        Raises BadInput: not a CSR, its signature does not fit, or a key that we do not sign.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
        except ValueError as error:
            raise BadInput(f"the certificate request cannot be read ({error}); nothing was issued") from error
        public = request.public_key()
        problem = key_problem(public)
        if problem is not None:
            raise BadInput(f"the certificate request has {problem}; nothing was issued")
        if not request.is_signature_valid:
            raise BadInput("the certificate request's signature does not fit its key; nothing was issued")
        assert isinstance(public, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey))
        return self._sign(public, role, identifier, [], now, days)

    def issue_for(self, key: PrivateKey, role: str, identifier: str, now: float, days: float = LEAF_DAYS) -> Issued:
        """The same for a key that was made here, which needs no request."""
        return self._sign(key.public_key(), role, identifier, [], now, days)

    def issue_manager(self, key: PrivateKey, names: Iterable[str], now: float) -> Issued:
        """A leaf for the manager's own listeners."""
        return self._sign(key.public_key(), "manager", "manager", sorted(set(names)), now, MANAGER_DAYS)

    def _sign(
        self,
        public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        role: str,
        identifier: str,
        names: list[str],
        now: float,
        days: float,
    ) -> Issued:
        san: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"plimsoll://{self.installation}/{role}/{identifier}")
        ]
        san += [general_name(name) for name in names]
        common = names[0] if names else f"{role} {identifier}"
        issuer = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        expires = min(now + days * DAY, self.certificate.not_valid_after_utc.timestamp())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_time(now - DAY))
            .not_valid_after(_time(expires))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(rsa_leaf=isinstance(public, rsa.RSAPublicKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_AUTH), critical=False)
            .add_extension(x509.SubjectAlternativeName(san), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(pem, fingerprint(certificate), int(expires), self.fingerprint)

    def holder(self, certificate_pem: str) -> tuple[Holder, x509.Certificate]:
        """Whom a certificate names, whether or not it has expired. Raises BadInput where it is not one of ours."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
            certificate.verify_directly_issued_by(self.certificate)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound) as error:
            raise BadInput("the old certificate was not issued by this manager; activate the computer again") from error
        prefix = f"plimsoll://{self.installation}/"
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
            parts = uri.removeprefix(prefix).split("/")
            if uri.startswith(prefix) and len(parts) == 2:
                expires = certificate.not_valid_after_utc.timestamp()
                return Holder(parts[0], parts[1], fingerprint(certificate), expires), certificate
        raise BadInput("the old certificate names no computer of this installation; activate the computer again")


def _self_signed(
    key: rsa.RSAPrivateKey, installation: str, begins: datetime.datetime, ends: datetime.datetime
) -> x509.Certificate:
    name = _own_name(installation)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def proves_key(certificate: x509.Certificate, data: bytes, signature: bytes) -> bool:
    """Whether the signature (SHA-256) over the data was made with the certificate's key."""
    public = certificate.public_key()
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def key_problem(public: object) -> str | None:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return None if public.curve.name in ("secp256r1", "secp384r1") else f"a key on the curve {public.curve.name}"
    if isinstance(public, rsa.RSAPublicKey):
        return None if 2048 <= public.key_size <= 8192 else f"an RSA key of {public.key_size} bits"
    return "a key that is neither RSA nor ECDSA"


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca: bool = False, rsa_leaf: bool = False) -> x509.KeyUsage:
    # RSA leafs also encipher keys: that is how the oldest peers exchange theirs.
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=rsa_leaf,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


@dataclass(frozen=True, slots=True)
class ServingIdentity:
    """Files of one identity that a listener shows."""

    certificate: Path
    key: Path


KINDS = ("ecdsa", "rsa")


def new_key(kind: str) -> PrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def serving_identity(directory: Path, point: str, kind: str) -> ServingIdentity:
    return ServingIdentity(directory / f"{point}-{kind}.pem", directory / f"{point}-{kind}.key")


def ensure_serving(authority: Authority, chain: str, directory: Path, names: Iterable[str], now: float) -> None:
    """Makes or renews the manager's own leafs: where one is missing, two thirds old, lacks a name, or is another
    authority's. `chain` (PEM) is what stands behind each.

    The key stays, so that a crash between the two files never leaves a pair that does not fit.
    """
    wanted = set(names)
    directory.mkdir(mode=0o700, exist_ok=True)
    for point in ("gui", "heartbeat"):
        for kind in KINDS:
            files = serving_identity(directory, point, kind)
            if not files.key.exists():
                write_atomically(files.key, key_pem(new_key(kind)), 0o600)
            leaf = _fresh(authority, files, wanted, now)
            if leaf is not None:
                text = (leaf + chain).encode()
                if files.certificate.read_bytes() != text:
                    write_atomically(files.certificate, text, 0o600)
                continue
            key = serialization.load_pem_private_key(files.key.read_bytes(), None)
            assert isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
            issued = authority.issue_manager(key, wanted, now)
            # The CA goes along: a host that activates checks its key's hash against the token's before it speaks.
            write_atomically(files.certificate, (issued.pem + chain).encode(), 0o600)


def _fresh(authority: Authority, files: ServingIdentity, wanted: set[str], now: float) -> str | None:
    """The leaf that is served, PEM, where it may stay."""
    if not files.certificate.exists():
        return None
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return None
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = {str(name.value) for name in san if not isinstance(name, x509.UniformResourceIdentifier)}
    begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if not (wanted <= names and now < begin + (end - begin) * 2 / 3):
        return None
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
