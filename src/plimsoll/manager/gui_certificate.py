"""The certificate of 4119: the manager's own CA's, or the administrator's, with RSA and ECDSA side by side.

An own identity is one file, ``tls/gui-own-<kind>.pem``, that holds key and chain together: replaced by one rename, it
can never be half of each. Nothing here talks to a listener; who serves reloads the paths that `identities` gives.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from plimsoll.manager.ca import KINDS, PrivateKey, general_name, key_pem, new_key, serving_identity, spki
from plimsoll.manager.config import write_atomically
from plimsoll.manager.ports import BadInput

_KEPT = "the certificate in use was kept"


@dataclass(frozen=True, slots=True)
class OwnIdentity:
    """A certificate chain, leaf first, with its key: checked, and not yet in use."""

    kind: str
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        public = b"".join(part.public_bytes(serialization.Encoding.PEM) for part in self.chain)
        return key_pem(self.key) + public


def own_path(directory: Path, kind: str) -> Path:
    return directory / f"gui-own-{kind}.pem"


def request_key_path(directory: Path, kind: str) -> Path:
    """Where the key of the last request waits for its certificate."""
    return directory / f"gui-request-{kind}.key"


def identities(directory: Path, point: str) -> tuple[tuple[str, str], ...]:
    """(certificate path, key path) of each identity to serve. An own one at 4119 replaces those of our CA there."""
    if point == "gui":
        own = [str(own_path(directory, kind)) for kind in KINDS if own_path(directory, kind).exists()]
        if own:
            return tuple((path, path) for path in own)
    files = [serving_identity(directory, point, kind) for kind in KINDS]
    return tuple((str(one.certificate), str(one.key)) for one in files)


def check(directory: Path, chain_pem: bytes, key_text: bytes | None, passphrase: str | None, now: float) -> OwnIdentity:
    """What an administrator hands over, held to what a listener needs. Raises BadInput, and keeps all as it is."""
    chain = _read_chain(chain_pem)
    leaf = chain[0]
    kind = _kind(leaf)
    key = _read_key(key_text, passphrase) if key_text is not None else _requested_key(directory, kind, leaf)
    if spki(key.public_key()) != spki(leaf.public_key()):
        raise BadInput(f"the key does not belong to the certificate of {_name(leaf)}; {_KEPT}")
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begin.timestamp() <= now < end.timestamp():
        raise BadInput(f"the certificate of {_name(leaf)} is valid from {begin} to {end}, not now; {_KEPT}")
    _check_order(chain)
    return OwnIdentity(kind, chain, key)


def put(directory: Path, backup: Path, identity: OwnIdentity, now: float) -> Path:
    """Brings the identity into use for the next handshake; what it replaces goes to the backup folder."""
    path = own_path(directory, identity.kind)
    if path.exists():
        backup.mkdir(mode=0o700, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        write_atomically(backup / f"{path.stem}-{stamp}.pem", path.read_bytes(), 0o600)
    write_atomically(path, identity.pem, 0o600)
    waiting = request_key_path(directory, identity.kind)
    if waiting.exists() and spki(_read_key(waiting.read_bytes(), None).public_key()) == spki(identity.key.public_key()):
        waiting.unlink()
    return path


def request(directory: Path, subject: str, names: Sequence[str], kind: str) -> bytes:
    """A new key, kept in the home until its certificate comes, and a PEM request for the names."""
    if kind not in KINDS:
        raise BadInput(f"unknown key type {kind!r}; valid are {', '.join(KINDS)}. Nothing was made")
    common = subject or (names[0] if names else "")
    if not common:
        raise BadInput("a request needs a name: give the host name that browsers use. Nothing was made")
    key = new_key(kind)
    try:
        alternatives = [general_name(name) for name in names or (common,)]
        csr = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(key, hashes.SHA256())
        )
    except ValueError as error:
        raise BadInput(
            f"names are host names in ASCII (xn--… for others) or addresses: {error}. Nothing was made"
        ) from None
    write_atomically(request_key_path(directory, kind), key_pem(key), 0o600)
    return csr.public_bytes(serialization.Encoding.PEM)


def describe(path: str) -> tuple[x509.Certificate, ...]:
    """The chain in a file that is served, leaf first."""
    return tuple(x509.load_pem_x509_certificates(Path(path).read_bytes()))


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses that the certificate is good for."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in san if isinstance(name, (x509.DNSName, x509.IPAddress)))


def key_name(certificate: x509.Certificate) -> str:
    public = certificate.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa {public.key_size}"
    return f"ecdsa {public.curve.name}" if isinstance(public, ec.EllipticCurvePublicKey) else type(public).__name__


def _read_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise BadInput(f"the certificate cannot be read as PEM ({error}); {_KEPT}") from error
    return chain


def _read_key(text: bytes, passphrase: str | None) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(text, passphrase.encode() if passphrase else None)
    except TypeError as error:
        # The library's word for both: encrypted without a passphrase, or a passphrase for a plain key.
        raise BadInput(f"the key cannot be opened: {error}; {_KEPT}") from error
    except ValueError as error:
        raise BadInput(f"the key cannot be read (wrong passphrase, or no PEM key); {_KEPT}") from error
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise BadInput(f"the key is neither RSA nor ECDSA; {_KEPT}")
    return key


def _requested_key(directory: Path, kind: str, leaf: x509.Certificate) -> PrivateKey:
    waiting = request_key_path(directory, kind)
    if waiting.exists():
        return _read_key(waiting.read_bytes(), None)
    raise BadInput(f"no key was given for the certificate of {_name(leaf)}, and no request waits for one; {_KEPT}")


def _kind(leaf: x509.Certificate) -> str:
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= 2048:
        return "rsa"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in ("secp256r1", "secp384r1"):
        return "ecdsa"
    raise BadInput(f"a key of the kind {key_name(leaf)}; RSA from 2048 bits, P-256 and P-384 are served. {_KEPT}")


def _check_order(chain: Sequence[x509.Certificate]) -> None:
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise BadInput(
                f"the chain is out of order: {_name(certificate)} was not issued by {_name(issuer)}, which follows it;"
                f" put the leaf first and each issuer after. {_KEPT}"
            ) from error


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "an unnamed subject"
