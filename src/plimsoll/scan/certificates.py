"""What a chain of certificates is worth: read, matched with the name that was asked for, and judged for trust.

`report` needs nothing heavy until it is given a `TrustStore`: only checking signatures loads a library. The path to a
trusted root is looked for among what was sent and what is trusted, in any order, with bounds on the work that a
hostile chain can cause. Name constraints, revocation and transparency logs are not looked at.
"""

from __future__ import annotations

import binascii
import hashlib
import ipaddress
import re
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plimsoll.scan.der import Certificate, CertificateError, read_certificate
from plimsoll.scan.report import CertificateReport
from plimsoll.tls.codepoints import SIGNATURE_SCHEMES
from plimsoll.tls.versions import Version

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

_DAY: Final = 86_400
#: Certificates of one chain that are looked at.
MAX_CHAIN: Final = 32
#: Signatures that are checked for one chain: a chain of look-alike issuers costs no more.
_MAX_CHECKS: Final = 64
_PEM: Final = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_WEAK_HASHES: Final = ("md2", "md4", "md5", "sha1")
#: What the least size of a key is by NIST SP 800-57 (112 bits of security).
_LEAST_BITS: Final = {"rsa": 2048, "dsa": 2048, "ec": 224}
#: (from when on, days): how long a public authority may issue for (CA/Browser Forum ballots SC31 and SC-081).
_PUBLIC_LIVES: Final = (
    (1_583_020_800, 398),
    (1_773_532_800, 200),
    (1_805_068_800, 100),
    (1_868_227_200, 47),
)
#: What Apple's clients take from any authority, private ones too, issued from July 2019 on.
_ANY_LIFE: Final = (1_561_939_200, 825)


class TrustError(ValueError):
    """The file of trusted certificates cannot be used; the text names it and says why."""


class TrustStore:
    """The certificates that are trusted, by their subject. `public` says that they are the system's."""

    def __init__(self, certificates: Iterable[bytes], *, public: bool = False) -> None:
        self.public = public
        self._by_subject: dict[bytes, list[bytes]] = {}
        for data in certificates:
            try:
                self._by_subject.setdefault(read_certificate(data).subject_der, []).append(data)
            except CertificateError:
                continue  # one that cannot be read can vouch for nobody

    def __len__(self) -> int:
        return sum(map(len, self._by_subject.values()))

    def __contains__(self, data: bytes) -> bool:
        try:
            return data in self.named(read_certificate(data).subject_der)
        except CertificateError:
            return False

    def named(self, subject: bytes) -> Sequence[bytes]:
        """The trusted certificates with that subject (its DER)."""
        return self._by_subject.get(subject, ())

    @classmethod
    def of_file(cls, path: Path) -> TrustStore:
        """Those of a file, PEM or DER. Raises TrustError where it has none."""
        try:
            found = cls(read_pem(path.read_bytes()))
        except OSError as error:
            raise TrustError(f"{path}: {error.strerror}; give a file of trusted certificates in PEM") from None
        if not len(found):
            raise TrustError(f"{path}: no certificate in it; give a file of trusted certificates in PEM")
        return found


@lru_cache(maxsize=1)
def system_store() -> TrustStore:
    """What this system trusts, empty where it has nothing."""
    import ssl

    places = ssl.get_default_verify_paths()
    files = [Path(places.cafile)] if places.cafile else []
    if not files and places.capath:
        files = sorted(Path(places.capath).glob("*.[0-9]"))[:1000]
    found: list[bytes] = []
    for file in files:
        try:
            found += read_pem(file.read_bytes())
        except OSError:
            continue
    return TrustStore(found, public=True)


def read_pem(data: bytes) -> list[bytes]:
    """The certificates of a PEM file as DER, or of a DER file."""
    if data[:1] == b"\x30":
        return [data]
    found = []
    for body in _PEM.findall(data):
        try:
            found.append(binascii.a2b_base64(body))
        except binascii.Error:
            continue
    return found


def report(
    chain: Sequence[bytes],
    *,
    at: float,
    name: str = "",
    trust: TrustStore | None = None,
    seen_with: Sequence[Version] = (),
    proved: bool | None = None,
    only_without_name: bool = False,
) -> CertificateReport:
    """All that a chain says, leaf first as it was sent, at a time in seconds since the epoch.

    `name` is the host asked for, a name or an address; "" for none. Without `trust` the issuer is not checked.
    `proved` is False where the server did not show that it holds the leaf's key.
    """
    chain = tuple(chain[:MAX_CHAIN])
    fingerprint = hashlib.sha256(chain[0]).hexdigest() if chain else ""
    versions = tuple(seen_with)
    if not chain:
        return CertificateReport("", (), seen_with=versions, faults=("the server sent no certificate",))
    try:
        leaf = read_certificate(chain[0])
        state, below = ("not checked", "") if trust is None else judge_trust(chain, trust, at)
        public = trust is not None and trust.public and state == "trusted"
        faults = _faults(chain, leaf, at, public=public)
    except CertificateError as error:
        return CertificateReport(fingerprint, chain, seen_with=versions, faults=(str(error),))
    matches = name_matches(leaf, name) if name else None
    if below:
        faults.append(below)
    if proved is False:
        faults.append("the server did not prove that it holds the certificate's key")
    return CertificateReport(
        fingerprint=fingerprint,
        chain=chain,
        subject=leaf.subject,
        issuer=leaf.issuer,
        names=leaf.names + leaf.addresses or leaf.common_names,
        serial=f"{leaf.serial:x}",
        key=leaf.key.kind,
        key_bits=leaf.key.bits,
        curve=leaf.key.curve,
        exponent=leaf.key.exponent,
        signature=leaf.signature,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        trust=state,
        name_matches=matches,
        seen_with=versions,
        faults=tuple(faults),
        only_without_name=only_without_name,
    )


# Names


def name_matches(leaf: Certificate, name: str) -> bool:
    """Whether the certificate is for that name or address (RFC 9525): the common name does not count."""
    try:
        return str(ipaddress.ip_address(name.strip("[]"))) in leaf.addresses
    except ValueError:
        pass
    try:
        wanted = name.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return False
    return any(_pattern_matches(pattern.lower().rstrip("."), wanted) for pattern in leaf.names)


def _pattern_matches(pattern: str, name: str) -> bool:
    """A wildcard is the whole first label, stands for exactly one, and leaves two at the least (RFC 9525 §6.3)."""
    if "*" not in pattern:
        return bool(name) and pattern == name
    star, _, rest = pattern.partition(".")
    first, _, beyond = name.partition(".")
    return star == "*" and "*" not in rest and "." in rest and bool(first) and rest == beyond


# Faults of the certificates themselves


def _faults(chain: Sequence[bytes], leaf: Certificate, at: float, *, public: bool) -> list[str]:
    found = []
    if at > leaf.not_after:
        found.append(f"expired on {day(leaf.not_after)}")
    if at < leaf.not_before:
        found.append(f"not valid before {day(leaf.not_before)}")
    found += _own_faults("", leaf)
    if not leaf.names and not leaf.addresses:
        found.append("no alternative names: clients no longer look at the common name")
    if not leaf.for_servers:
        found.append("its extended key usage does not allow it to be a TLS server's")
    found += _life_faults(leaf, public)
    for data in chain[1:]:
        try:
            above = read_certificate(data)
        except CertificateError as error:
            found.append(f"in the chain: {error}")
            continue
        if above.subject_der != above.issuer_der:  # a root's own signature proves nothing, so it cannot be weak
            found += _own_faults(f"{above.subject}: ", above)
    return list(dict.fromkeys(found))


def _own_faults(prefix: str, certificate: Certificate) -> list[str]:
    found, key = [], certificate.key
    signature = certificate.signature.lower()
    if any(weak in signature for weak in _WEAK_HASHES):
        found.append(f"{prefix}signed with {certificate.signature}, which can be forged")
    if 0 < key.bits < _LEAST_BITS.get(key.kind, 0):
        found.append(f"{prefix}a key of {key.bits} bits ({key.kind}); {_LEAST_BITS[key.kind]} are the least")
    if key.kind == "rsa" and (key.exponent < 3 or key.exponent % 2 == 0):
        found.append(f"{prefix}an RSA key with exponent {key.exponent}, which protects nothing")
    return found


def _life_faults(leaf: Certificate, public: bool) -> list[str]:
    days = (leaf.not_after - leaf.not_before) / _DAY
    if public:
        limits = [limit for start, limit in _PUBLIC_LIVES if leaf.not_before >= start]
        if limits and days > limits[-1] + 1:
            return [f"valid for {days:.0f} days; public authorities may issue for {limits[-1]}"]
    start, limit = _ANY_LIFE
    if leaf.not_before >= start and days > limit + 1:
        return [f"valid for {days:.0f} days; some clients refuse more than {limit}"]
    return []


def day(moment: float) -> str:
    """The date of that moment, of whatever year."""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))
    except (OverflowError, OSError, ValueError):
        return "a date out of reach"


# Trust


def judge_trust(chain: Sequence[bytes], store: TrustStore, at: float) -> tuple[str, str]:
    """`CertificateReport.trust` of a chain, and a sentence where a certificate above the leaf is why."""
    search = _Search(chain, store)
    try:
        path = search.path_from(chain[0], ())
    except CertificateError as error:
        return "unknown issuer", str(error)
    if path is None:
        return search.why_not(chain[0]), ""
    for data in path:
        one = read_certificate(data)
        about = "" if data == chain[0] else f"in the chain: {one.subject}"
        if at > one.not_after:
            return "expired", about and f"{about} expired on {day(one.not_after)}"
        if at < one.not_before:
            return "not yet valid", about and f"{about} is not valid before {day(one.not_before)}"
    return "trusted", ""


class _Search:
    """Looks for a path from a leaf to a trusted certificate, dates left aside."""

    def __init__(self, chain: Sequence[bytes], store: TrustStore) -> None:
        self.sent = chain[1:]
        self.store = store
        self.checks = 0

    def path_from(self, data: bytes, below: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
        path = (*below, data)
        if data in self.store:
            return path
        one = read_certificate(data)
        if len(path) > MAX_CHAIN // 2:
            return None
        # A trusted issuer ends the search, so it comes first.
        for above in (*self.store.named(one.issuer_der), *self._sent_with(one.issuer_der)):
            if above not in path and self._may_issue(above, len(below)) and self._signed(data, above):
                found = self.path_from(above, path)
                if found:
                    return found
        return None

    def _sent_with(self, subject: bytes) -> list[bytes]:
        found = []
        for data in self.sent:
            try:
                if read_certificate(data).subject_der == subject:
                    found.append(data)
            except CertificateError:
                continue
        return found

    @staticmethod
    def _may_issue(data: bytes, authorities_below: int) -> bool:
        try:
            one = read_certificate(data)
            limit = one.path_length
            return one.is_authority and one.may_sign_certificates and (limit is None or authorities_below <= limit)
        except CertificateError:
            return False

    def _signed(self, data: bytes, above: bytes) -> bool:
        self.checks += 1
        return self.checks <= _MAX_CHECKS and is_signed_by(data, above)

    def why_not(self, data: bytes) -> str:
        """In what the untrusted chain ends."""
        leaf = read_certificate(data)
        if leaf.subject_der == leaf.issuer_der:
            return "self-signed" if is_signed_by(data, data) else "unknown issuer"
        # Whether an unknown issuer would lead to a trusted one cannot be known. Public authorities say where theirs is
        # to be fetched, and a server that sends the leaf alone has most likely forgotten it.
        alone = not self._sent_with(leaf.issuer_der) and not self.store.named(leaf.issuer_der)
        return "incomplete chain" if alone and leaf.names_its_issuers_place else "unknown issuer"


@lru_cache(maxsize=4096)
def is_signed_by(data: bytes, above: bytes) -> bool:
    """Whether the issuer's key made the signature. What the library cannot check does not count as signed."""
    import warnings

    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            x509.load_der_x509_certificate(data).verify_directly_issued_by(x509.load_der_x509_certificate(above))
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion):
            return False
    return True


def proves_key(leaf: bytes, scheme: int, signed: bytes, signature: bytes) -> bool | None:
    """Whether a TLS 1.3 CertificateVerify was made with the leaf's key; None where that cannot be checked here."""
    import warnings

    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

    name = SIGNATURE_SCHEMES.get(scheme, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            key = x509.load_der_x509_certificate(leaf).public_key()
            if isinstance(key, rsa.RSAPublicKey) and name.startswith("rsa_pss"):
                algorithm = _hash(name)
                key.verify(signature, signed, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey) and name.startswith("ecdsa"):
                key.verify(signature, signed, ec.ECDSA(_hash(name)))
            elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and name in ("ed25519", "ed448"):
                key.verify(signature, signed)
            else:
                return None
        except InvalidSignature:
            return False
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            return None
    return True


def _hash(scheme: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    if scheme.endswith("256"):
        return hashes.SHA256()
    return hashes.SHA384() if scheme.endswith("384") else hashes.SHA512()
