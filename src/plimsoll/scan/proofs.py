"""Signed bundles of evidence: written once, checked anywhere, without a manager and without a network.

A bundle is a folder: ``bundle.json`` (what was seen), ``proof.html`` (the same for people), ``manifest.json`` (their
digests), ``manifest.sig`` (an Ed25519 signature of the manifest's bytes, RFC 8032, in Base64) and ``key.pem``.
Whose key that is a bundle cannot prove of itself: who checks compares it with one that came another way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

SCHEMA: Final = "plimsoll-proof/1"
BUNDLE: Final = "bundle.json"
PAGE: Final = "proof.html"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
KEY: Final = "key.pem"
#: No file of a bundle of 100,000 computers is larger.
LARGEST: Final = 1 << 30
_PLACE: Final = "<!-- the digest of bundle.json -->"


class ProofError(ValueError):
    """A folder that is no bundle, or a key that is none; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a bundle is worth. `faults` names everything that does not fit; `known` says that the key was given."""

    faults: tuple[str, ...]
    key_id: str
    known: bool
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Nothing was changed since somebody with that key signed it."""
        return not self.faults


def key_id(key: Ed25519PublicKey) -> str:
    """What people compare: the first half of the SHA-256 of the public key, in groups of four."""
    digest = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:32]
    return "-".join(digest[at : at + 4] for at in range(0, 32, 4))


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def load_public(pem: bytes) -> Ed25519PublicKey:
    """Raises ProofError."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofError("that is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ProofError("that is no Ed25519 key")
    return key


def sign(content: Mapping[str, Any], page: str, key: Ed25519PrivateKey) -> dict[str, bytes]:
    """The files of a bundle, by name."""
    bundle = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
    shown = page.replace(_PLACE, f"bundle.json SHA-256 {hashlib.sha256(bundle).hexdigest()}").encode()
    manifest = {
        "schema": SCHEMA,
        "id": content["id"],
        "made": content["made"],
        "key": key_id(key.public_key()),
        "files": {BUNDLE: hashlib.sha256(bundle).hexdigest(), PAGE: hashlib.sha256(shown).hexdigest()},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return {
        BUNDLE: bundle,
        PAGE: shown,
        MANIFEST: text,
        SIGNATURE: base64.b64encode(key.sign(text)) + b"\n",
        KEY: public_pem(key.public_key()),
    }


def digest_place() -> str:
    """What a page holds in the place of the bundle's digest before it is signed."""
    return _PLACE


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a bundle into a folder that is new or empty; the signature comes last. Raises ProofError, OSError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProofError(f"{folder} is not empty; nothing was written. Name a folder that is new or empty")
    folder.mkdir(parents=True, exist_ok=True)
    for name in (BUNDLE, PAGE, KEY, MANIFEST, SIGNATURE):
        (folder / name).write_bytes(files[name])


def check(folder: Path, trusted: Ed25519PublicKey | None = None) -> Checked:
    """Checks a bundle, with the key that it must be signed with, or with its own. Raises ProofError for no bundle."""
    files = {name: _read(folder, name) for name in (BUNDLE, PAGE, MANIFEST, SIGNATURE, KEY)}
    faults = [f"{name} is missing" for name, data in files.items() if data is None]
    extra = sorted(path.name for path in folder.iterdir() if path.name not in files)
    faults += [f"{name} does not belong to the bundle, and nothing vouches for it" for name in extra]
    manifest, own = _manifest(files[MANIFEST], faults), _own_key(files[KEY], faults)
    used = trusted or own
    identifier = "" if used is None else key_id(used)
    if files[MANIFEST] is not None and files[SIGNATURE] is not None and used is not None:
        _check_signature(used, files[SIGNATURE] or b"", files[MANIFEST] or b"", faults, trusted is not None)
    if own is not None and used is not None and key_id(own) != key_id(used):
        faults.append(f"{KEY} is another key ({key_id(own)}) than the one that it must be signed with")
    if manifest and manifest.get("key") != identifier and identifier:
        faults.append(f"{MANIFEST} names another key ({manifest.get('key')})")
    listed = manifest.get("files", {}) if manifest else {}
    for name in (BUNDLE, PAGE):
        data = files[name]
        if data is not None and listed.get(name) != hashlib.sha256(data).hexdigest():
            faults.append(f"{name} was changed: its digest is not the one that was signed")
    content = _content(files[BUNDLE], manifest, faults)
    return Checked(tuple(faults), identifier, trusted is not None, content)


def _read(folder: Path, name: str) -> bytes | None:
    if not folder.is_dir():
        raise ProofError(f"{folder} is no folder with a bundle in it")
    path = folder / name
    try:
        if path.stat().st_size > LARGEST:
            raise ProofError(f"{path} is larger than any bundle")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProofError(f"{path} cannot be read: {error.strerror}") from error


def _manifest(data: bytes | None, faults: list[str]) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        manifest = json.loads(data)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        faults.append(f"{MANIFEST} cannot be read")
        return {}
    if manifest.get("schema") != SCHEMA:
        faults.append(f"{MANIFEST} has the schema {manifest.get('schema')!r}, not {SCHEMA}")
    return manifest


def _own_key(data: bytes | None, faults: list[str]) -> Ed25519PublicKey | None:
    if data is None:
        return None
    try:
        key = load_public(data)
    except ProofError as error:
        faults.append(f"{KEY}: {error}")
        return None
    if public_pem(key) != data:
        faults.append(f"{KEY} was changed")
    return key


def _check_signature(key: Ed25519PublicKey, signature: bytes, text: bytes, faults: list[str], given: bool) -> None:
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (ValueError, binascii.Error):
        faults.append(f"{SIGNATURE} is no signature")
        return
    if base64.b64encode(raw) + b"\n" != signature:
        faults.append(f"{SIGNATURE} was changed")
    try:
        key.verify(raw, text)
    except InvalidSignature:
        whose = "the key that was given" if given else "its own key"
        faults.append(f"{MANIFEST} is not what was signed, or not with {whose} ({key_id(key)})")


def _content(data: bytes | None, manifest: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        content = json.loads(data)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        faults.append(f"{BUNDLE} cannot be read")
        return {}
    if manifest and content.get("id") != manifest.get("id"):
        faults.append(f"{BUNDLE} and {MANIFEST} are of different proofs")
    return content
