"""Release signatures: who built a software package, said in a small text beside it that manager and agents check.

A signature is a text of ``name: value`` lines. It says what the file is (product, version, platform, architecture) as
well as its digest, so that nobody who carries an honest old package can pass it off as a newer one, or as one for
another system. Everything above the line ``signature:`` is what Ed25519 (RFC 8032) signs, to the byte; lines of a name
that a release does not know are signed and passed over.

Which keys count is said in a text of the same form, a `TrustStatement`. The first one is believed where a fleet begins;
each later one counts only where a key signed it that the one before it trusts. So neither a relay nor the keys that
sign the repository's metadata can put a release key of their own in the place of ours.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plimsoll.fleet.component import ComponentVersion, UnknownComponentVersionError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: The products that a package can be. A relay is an agent with the role, an appliance has an agent embedded in it.
PRODUCTS = ("agent", "manager", "capabilities")
#: No signature and no statement is longer, in bytes.
MAX_TEXT = 16 * 1024
#: No package is larger, in bytes: room for an installer of every module, and a bound for what a disk must hold.
MAX_LENGTH = 4 << 30
#: The most keys that one statement trusts: each is a door.
MAX_KEYS = 16

_SIGNATURE_HEAD = "plimsoll release signature 1"
_TRUST_HEAD = "plimsoll release keys 1"
_LINE = re.compile(r"([a-z][a-z0-9-]{0,31}): ([\x20-\x7e]{1,512})")
_PLATFORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]{0,63}")
_ARCHITECTURE = re.compile(r"[A-Za-z0-9_]{1,32}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\x20-\x7e]{0,100}")


class ReleaseError(ValueError):
    """A text or key that is not what it should be, or a signature that does not hold. The message says which."""


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """A public release key: the raw 32 bytes of Ed25519, and a name for people."""

    raw: bytes
    name: str = ""

    @property
    def id(self) -> str:
        """What people compare: the first half of the SHA-256 of the key, in groups of four."""
        digest = hashlib.sha256(self.raw).hexdigest()[:32]
        return "-".join(digest[at : at + 4] for at in range(0, 32, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release signature says of one file. `length` is in bytes, `sha256` in hex, `key` the signer's id."""

    product: str
    version: str
    platform: str
    architecture: str
    file: str
    length: int
    sha256: str
    key: str = ""

    @property
    def component(self) -> ComponentVersion:
        """The version as a value with the fleet's own order."""
        return ComponentVersion.parse(self.version)

    @property
    def target(self) -> str:
        """The package's name in the repository, the same in the metadata, on relays and in addresses."""
        version = self.version.replace(" ", "_")
        return f"{self.product}/{self.platform}/{self.architecture}/{version}/{self.file}"

    def __str__(self) -> str:
        return f"{self.product} {self.version} for {self.platform} {self.architecture}"


@dataclass(frozen=True, slots=True)
class TrustStatement:
    """Which release keys count from now on. `number` counts from 1; the first has no signer."""

    number: int
    keys: tuple[ReleaseKey, ...]
    key: str
    text: str

    def trusts(self, key: str) -> bool:
        return any(known.id == key for known in self.keys)


def checked(release: Release) -> Release:
    """The same, where every field is fit for a path, an address and a comparison. Raises ReleaseError."""
    for name, pattern in (
        ("platform", _PLATFORM),
        ("architecture", _ARCHITECTURE),
        ("file", _FILE),
        ("sha256", _SHA256),
    ):
        if pattern.fullmatch(getattr(release, name)) is None or ".." in getattr(release, name):
            raise ReleaseError(f"{getattr(release, name)!r} is no {_MEANS[name]}")
    if release.product not in PRODUCTS:
        raise ReleaseError(f"unknown product {release.product!r}; valid are {', '.join(PRODUCTS)}")
    if not 0 < release.length <= MAX_LENGTH:
        raise ReleaseError(f"a package has 1 to {MAX_LENGTH} bytes, not {release.length}")
    try:
        ComponentVersion.parse(release.version)
    except UnknownComponentVersionError as error:
        raise ReleaseError(str(error)) from None
    return release


_MEANS = {
    "platform": "platform's name, such as Debian_12, RedHat_EL8, Windows or Linux",
    "architecture": "architecture's name, such as x86_64, i386 or aarch64",
    "file": "plain file name",
    "sha256": "SHA-256 in hexadecimal",
}

# -- signatures of files


def sign(release: Release, key: Ed25519PrivateKey) -> str:
    """The signature's text. Raises ReleaseError where the release is not fit to be signed."""
    checked(release)
    lines = [
        _SIGNATURE_HEAD,
        f"product: {release.product}",
        f"version: {release.version}",
        f"platform: {release.platform}",
        f"architecture: {release.architecture}",
        f"file: {release.file}",
        f"length: {release.length}",
        f"sha256: {release.sha256}",
    ]
    return signed_text(lines, key)


def read(text: str) -> Release:
    """What a signature's text says; whether it holds is for `verify`. Raises ReleaseError."""
    fields = fields_of(text, _SIGNATURE_HEAD, "release signature")
    missing = [name for name in (*_MEANS, "product", "version", "length", "key", "signature") if name not in fields]
    if missing:
        raise ReleaseError(f"the release signature does not say {', '.join(missing)}")
    if not fields["length"][0].isdigit() or len(fields["length"][0]) > 15:
        raise ReleaseError("the length in the release signature is no number")
    values = {name: fields[name][0] for name in (*_MEANS, "product", "version", "key")}
    return checked(Release(length=int(fields["length"][0]), **values))


def verify(text: str, keys: Sequence[ReleaseKey]) -> Release:
    """What the text says, where one of these keys signed it. Raises ReleaseError."""
    release = read(text)
    hold(text, release.key, keys, "release signature")
    return release


# -- which keys count


def first_trust(keys: Sequence[ReleaseKey]) -> TrustStatement:
    """Where a fleet begins: nobody has to sign it, and whoever takes it says so. Raises ReleaseError."""
    return read_trust("\n".join([_TRUST_HEAD, "number: 1", *_key_lines(keys)]) + "\n")


def next_trust(current: TrustStatement, keys: Sequence[ReleaseKey], signer: Ed25519PrivateKey) -> TrustStatement:
    """From now on these keys count, says one that counts now. Raises ReleaseError."""
    mine = public_of(signer)
    if not current.trusts(mine.id):
        raise ReleaseError(f"key {mine.id} is not trusted by statement {current.number}: it cannot say who follows it")
    text = signed_text([_TRUST_HEAD, f"number: {current.number + 1}", *_key_lines(keys)], signer)
    return follow(current, text)


def read_trust(text: str) -> TrustStatement:
    """A statement's content; whether it counts is for `follow`. Raises ReleaseError."""
    fields = fields_of(text, _TRUST_HEAD, "statement of release keys", repeated=("trust",))
    number = fields.get("number", ["0"])[0]
    if not number.isdigit() or not 0 < int(number) < 10**6:
        raise ReleaseError("the statement of release keys has no number")
    keys = tuple(_key_of(line) for line in fields.get("trust", ()))
    if not 0 < len(keys) <= MAX_KEYS or len({key.raw for key in keys}) < len(keys):
        raise ReleaseError(f"a statement trusts 1 to {MAX_KEYS} different release keys, not {len(keys)}")
    signed = "signature" in fields and "key" in fields
    if signed != (int(number) > 1):
        raise ReleaseError("the first statement of release keys has no signature, each later one has")
    return TrustStatement(int(number), keys, fields["key"][0] if signed else "", text)


def follow(current: TrustStatement, text: str) -> TrustStatement:
    """The statement that comes after the current one. Raises ReleaseError where it is not the next, or not signed."""
    following = read_trust(text)
    if following.number != current.number + 1:
        raise ReleaseError(
            f"statement {following.number} of release keys does not follow statement {current.number}, which counts now"
        )
    hold(text, following.key, current.keys, "statement of release keys")
    return following


# -- keys


def make_key(passphrase: bytes | None = None) -> tuple[bytes, ReleaseKey]:
    """A new private key as PEM, under the passphrase where one is given, and its public half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    return private_pem(key, passphrase), public_of(key)


def private_pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    from cryptography.hazmat.primitives import serialization

    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        hidden = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


def load_private(pem: bytes, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Raises ReleaseError: no key, a wrong passphrase, or one that is missing."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError:
        if passphrase:
            return load_private(pem)  # it has none: the passphrase was for nothing
        raise ReleaseError("the key is under a passphrase, and none was given") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ReleaseError("that is no private key in PEM, or the passphrase is wrong") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ReleaseError("that is no Ed25519 key")
    return key


def public_of(key: Ed25519PrivateKey, name: str = "") -> ReleaseKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return ReleaseKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), name)


def public_pem(key: ReleaseKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = Ed25519PublicKey.from_public_bytes(key.raw)
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_public(pem: bytes, name: str = "") -> ReleaseKey:
    """Raises ReleaseError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ReleaseError("that is no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ReleaseError("that is no Ed25519 key")
    return ReleaseKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw), name)


# -- the text: also that of a bundle's index


def fields_of(
    text: str, head: str, what: str, repeated: Sequence[str] = (), longest: int = MAX_TEXT
) -> dict[str, list[str]]:
    """The values by their names, each once unless it may be `repeated`. Raises ReleaseError."""
    if len(text) > longest or not text.isascii() or not text.endswith("\n"):
        raise ReleaseError(f"that is no {what}: expected ASCII lines that begin with {head!r}")
    first, *lines = text[:-1].split("\n")
    if first != head:
        raise ReleaseError(f"that is no {what}: it does not begin with {head!r}")
    fields: dict[str, list[str]] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ReleaseError(f"the {what} has a line that is no 'name: value'")
        if match[1] in fields and match[1] not in repeated:
            raise ReleaseError(f"the {what} says {match[1]} twice")
        fields.setdefault(match[1], []).append(match[2])
    if "signature" in fields and not lines[-1].startswith("signature: "):
        raise ReleaseError(f"the {what} goes on after its signature")
    return fields


def signed_text(lines: list[str], key: Ed25519PrivateKey) -> str:
    """The lines with the signer's id, and the signature below them."""
    body = "\n".join([*lines, f"key: {public_of(key).id}"]) + "\n"
    return f"{body}signature: {base64.b64encode(key.sign(body.encode())).decode()}\n"


def hold(text: str, signer: str, keys: Sequence[ReleaseKey], what: str) -> None:
    """Raises ReleaseError unless the key that the text names is among these and signed what stands above the line."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    known = next((key for key in keys if key.id == signer), None)
    if known is None:
        trusted = ", ".join(key.id for key in keys) or "none"
        raise ReleaseError(f"the {what} is by key {signer}, which is not trusted here (trusted: {trusted})")
    body, _, given = text.rpartition("signature: ")
    try:
        Ed25519PublicKey.from_public_bytes(known.raw).verify(
            base64.b64decode(given.strip(), validate=True), body.encode()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        raise ReleaseError(f"the {what} does not hold: it was changed after key {signer} signed it") from None


def _key_lines(keys: Sequence[ReleaseKey]) -> list[str]:
    for key in keys:
        if _NAME.fullmatch(key.name) is None:
            raise ReleaseError(f"a release key's name is at most 100 plain characters, not {key.name!r}")
    return [f"trust: {base64.b64encode(key.raw).decode()} {key.name}".rstrip() for key in keys]


def _key_of(line: str) -> ReleaseKey:
    encoded, _, name = line.partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ReleaseError("the statement of release keys names a key that is none")
    return ReleaseKey(raw, name)
