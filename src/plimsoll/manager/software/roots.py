"""Root metadata: which keys sign the repository. Functions of bytes, which a machine without a manager can call too.

A root that changes is signed by the keys of the one before it and by its own (TUF 1.0, 5.3), each up to a threshold. So
the root key can lie elsewhere: the manager writes what is to be signed, whoever holds the key signs, the manager takes
it back.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from plimsoll.messages.release import ReleaseKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: The roles of the metadata, and which of our key files signs each.
SIGNED_BY: Mapping[str, str] = {
    Root.type: "root",
    Targets.type: "targets",
    Snapshot.type: "online",
    Timestamp.type: "online",
}
#: Root metadata lives this long, in days; a reminder comes long before.
ROOT_DAYS = 365
LONGEST_DAYS = 3650
#: No root metadata is longer, in bytes.
MAX_ROOT = 256 * 1024


class RootError(ValueError):
    """Root metadata that cannot follow, or is none. The message says why."""


@dataclass(frozen=True, slots=True)
class RootChange:
    """What the next root is to change. `rotated` are new keys by our key files' names (targets, online)."""

    add: Sequence[ReleaseKey] = ()
    remove: Sequence[str] = ()
    threshold: int | None = None
    days: int = ROOT_DAYS
    rotated: Mapping[str, ReleaseKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RootView:
    """`missing` is how many signatures are lacking before it can take effect: by the old root's keys, and its own."""

    version: int
    expires: float
    threshold: int
    keys: Mapping[str, tuple[str, ...]]
    signed: tuple[str, ...]
    missing: tuple[int, int] = (0, 0)


def tuf_key(key: ReleaseKey) -> SSlibKey:
    """The same public key as the metadata writes it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw))


def read(data: bytes) -> Metadata[Root]:
    """Raises RootError."""
    if len(data) > MAX_ROOT:
        raise RootError("that is no root metadata: it is too long")
    try:
        found = Metadata[Root].from_bytes(data)
    except DeserializationError as error:
        raise RootError(f"that is no root metadata ({error})") from None
    if not isinstance(found.signed, Root):
        raise RootError("that is metadata of another role, not of root")
    return found


def written(root: Metadata[Root]) -> bytes:
    """For people to look at as well."""
    return root.to_bytes(JSONSerializer(compact=False)) + b"\n"


def first(keys: Mapping[str, ReleaseKey], now: float) -> Metadata[Root]:
    """The first root, by the names of our key files; nobody has signed it yet."""
    root = Root(version=1, expires=_after(now, ROOT_DAYS), consistent_snapshot=True)
    for role, name in SIGNED_BY.items():
        root.add_key(tuf_key(keys[name]), role)
    return Metadata(root)


def following(current: Metadata[Root], change: RootChange, now: float) -> Metadata[Root]:
    """The next root, not signed yet. Raises RootError where the change cannot be."""
    if not 1 <= change.days <= LONGEST_DAYS:
        raise RootError(f"root metadata lives 1 to {LONGEST_DAYS} days, not {change.days}")
    root = Metadata[Root].from_bytes(current.to_bytes()).signed  # a copy, to the last list
    root.version += 1
    root.expires = _after(now, change.days)
    for key in change.add:
        root.add_key(tuf_key(key), Root.type)
    for keyid in change.remove:
        root.revoke_key(_whole_id(root, keyid), Root.type)
    for name, key in change.rotated.items():
        for role in (role for role, signer in SIGNED_BY.items() if signer == name):
            for keyid in tuple(root.roles[role].keyids):
                root.revoke_key(keyid, role)
            root.add_key(tuf_key(key), role)
    if change.threshold is not None:
        root.roles[Root.type].threshold = change.threshold
    held, wanted = len(root.roles[Root.type].keyids), root.roles[Root.type].threshold
    if not 1 <= wanted <= held:
        raise RootError(f"{wanted} of {held} root keys would have to sign: that cannot be")
    return Metadata(root)


def add_signature(root: Metadata[Root], key: Ed25519PrivateKey) -> str:
    """Signs, beside those who have; the id of the key."""
    return root.sign(CryptoSigner(key), append=True).keyid


def accepted(current: Metadata[Root], new: Metadata[Root]) -> None:
    """Raises RootError unless every client that holds the current root would take the new one."""
    if new.signed.version != current.signed.version + 1:
        raise RootError(
            f"root {new.signed.version} does not follow root {current.signed.version}, which is in force; export the"
            " next one again"
        )
    if not new.signed.consistent_snapshot:
        raise RootError("the root gives up consistent snapshots, which every client here relies on")
    for who, root in (("the root in force", current), ("itself", new)):
        try:
            root.signed.verify_delegate(Root.type, new.signed_bytes, new.signatures)
        except (RepositoryError, ValueError):
            lacking = view(new, current).missing
            raise RootError(
                f"root {new.signed.version} is not signed by enough keys of {who}: {lacking[0]} more by keys of the"
                f" root in force, {lacking[1]} more by its own"
            ) from None


def view(root: Metadata[Root], current: Metadata[Root] | None = None) -> RootView:
    """What a root says, and which signatures hold."""
    signed = root.signed
    result = signed.get_root_verification_result(
        current.signed if current is not None and current.signed.version + 1 == signed.version else None,
        root.signed_bytes,
        root.signatures,
    )
    return RootView(
        version=signed.version,
        expires=signed.expires.timestamp(),
        threshold=signed.roles[Root.type].threshold,
        keys={role: tuple(signed.roles[role].keyids) for role in SIGNED_BY},
        signed=tuple(result.signed),
        missing=(result.first.missing, result.second.missing),
    )


def key_ids(root: Metadata[Root], roles: Iterable[str]) -> frozenset[str]:
    """The ids of the keys of these roles."""
    return frozenset(keyid for role in roles for keyid in root.signed.roles[role].keyids)


def _whole_id(root: Root, begun: str) -> str:
    """People write the first letters of an id."""
    found = [keyid for keyid in root.roles[Root.type].keyids if begun and keyid.startswith(begun)]
    if len(found) != 1:
        ids = ", ".join(keyid[:16] for keyid in root.roles[Root.type].keyids)
        raise RootError(f"{begun!r} names no root key, or more than one; there are {ids}")
    return found[0]


def _after(now: float, days: float) -> datetime.datetime:
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    return moment + datetime.timedelta(days=days)
