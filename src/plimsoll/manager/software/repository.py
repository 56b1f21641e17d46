"""The repository's metadata on disk, as The Update Framework has it: root, targets, snapshot, timestamp.

HOME/software/metadata holds ``N.root.json`` for every N, ``N.targets.json`` and ``N.snapshot.json`` of late, and
``timestamp.json``, which is written last: until it is there nothing of a new state is seen.

Rules of this file: a version is max(last + 1, unix time), so that a manager which was restored from a backup does not
look like an attack to those who saw later versions (a root's version counts by one, as clients demand); what expires is
signed again long before.
"""

from __future__ import annotations

import datetime
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from plimsoll.manager import config
from plimsoll.manager.ports import Conflict, ServiceError, Unavailable
from plimsoll.manager.software import roots
from plimsoll.manager.software.keys import ONLINE, ROOT, TARGETS, KeyUnusable, SigningKeys
from plimsoll.manager.software.roots import SIGNED_BY, RootChange, RootError
from plimsoll.messages import release

DAY = 86400.0
#: How long signed metadata lives, in days. While a manager is down for longer than the timestamp, nobody downloads.
LIFE: Mapping[str, float] = {Targets.type: 90, Snapshot.type: 30, Timestamp.type: 7}
#: What is left of a life, in days, when it is signed again; the timestamp daily.
RENEW: Mapping[str, float] = {Targets.type: 60, Snapshot.type: 20, Timestamp.type: 6}
#: When it is said that the root will expire, in days before: its key may have to be fetched from far away.
ROOT_WARNING = 60
#: Older states stay this long, in seconds: a relay may still hold the timestamp that names them.
KEEP = 7 * DAY

#: The names of metadata files that are handed out.
NAME = re.compile(r"timestamp\.json|[1-9][0-9]{0,14}\.(root|snapshot|targets)\.json")

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class Offer:
    """One target. `custom` is what its metadata says of it beside length and digest."""

    path: str
    length: int
    sha256: str
    custom: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoleView:
    """`expires` is in seconds since the epoch; `keys` are ids; `here` says whether this manager can sign for it."""

    role: str
    version: int
    expires: float
    keys: tuple[str, ...]
    threshold: int
    here: bool


class Repository:
    """Signs and keeps the metadata. Safe to use from several threads."""

    def __init__(self, folder: Path, keys: SigningKeys, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.keys = keys
        self._clock = clock
        self._lock = threading.RLock()

    # -- what there is

    @property
    def begun(self) -> bool:
        return self.path("1.root.json").exists()

    def path(self, name: str) -> Path:
        return self.folder / name

    def root(self) -> Metadata[Root]:
        """The root in force. Raises Unavailable where there is none that can be read."""
        numbers = [int(path.name.partition(".")[0]) for path in self.folder.glob("*.root.json")]
        if not numbers:
            raise Unavailable("the repository has no root yet; it is made when the manager starts")
        return self._read(f"{max(numbers)}.root.json")

    def root_bytes(self) -> bytes:
        """The root in force, as it is signed: what an agent is given to begin with."""
        return self.path(f"{self.root().signed.version}.root.json").read_bytes()

    def roles(self) -> tuple[RoleView, ...]:
        """Of each role its version, end and keys. Raises Unavailable."""
        root = self.root()
        found: list[RoleView] = []
        state = self._state()
        for role, signed in ((Root.type, root.signed), *((name, one.signed) for name, one in state.items())):
            held = root.signed.roles[role]
            found.append(
                RoleView(
                    role, signed.version, signed.expires.timestamp(), tuple(held.keyids), held.threshold,
                    self._can_sign(root, role),
                )
            )  # fmt: skip
        return tuple(found)

    # -- signing

    def begin(self) -> bool:
        """Keys and the first root, where there is none. Raises KeyUnusable. Whether something was made."""
        with self._lock:
            if self.begun:
                return False
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = {name: self.keys.make(name) for name in (ROOT, TARGETS, ONLINE)}
            root = roots.first({name: release.public_of(key) for name, key in made.items()}, self._clock())
            roots.add_signature(root, made[ROOT])
            self._write("1.root.json", root.to_bytes())
            return True

    def publish(self, offers: Mapping[str, Offer]) -> bool:
        """Signs what is to be offered, and what expires soon. Whether anything was signed. Raises KeyUnusable."""
        with self._lock:
            state = self._state()
            now = self._clock()
            root = self.root()
            targets = state.get(Targets.type)
            wanted = {path: _target(offer) for path, offer in offers.items()}
            if targets is None or targets.signed.targets != wanted or self._due(root, targets, now):
                state[Targets.type] = self._sign(Targets(targets=wanted), targets, root, now)
                self._write(_named(state[Targets.type]), state[Targets.type].to_bytes())
            return self._finish(state, targets, root, now)

    def _finish(
        self, state: dict[str, Metadata[Any]], before: Metadata[Any] | None, root: Metadata[Root], now: float
    ) -> bool:
        """Snapshot and timestamp, where what is above them changed or they expire soon."""
        targets, snapshot, timestamp = (state.get(role) for role in (Targets.type, Snapshot.type, Timestamp.type))
        changed = targets is not before
        assert targets is not None
        if changed or snapshot is None or self._due(root, snapshot, now):
            named = MetaFile.from_data(targets.signed.version, targets.to_bytes(), ["sha256"])
            snapshot = self._sign(Snapshot(meta={"targets.json": named}), snapshot, root, now)
            self._write(_named(snapshot), snapshot.to_bytes())
            changed = True
        if changed or timestamp is None or self._due(root, timestamp, now):
            named = MetaFile.from_data(snapshot.signed.version, snapshot.to_bytes(), ["sha256"])
            timestamp = self._sign(Timestamp(snapshot_meta=named), timestamp, root, now)
            self._write("timestamp.json", timestamp.to_bytes())
            changed = True
        if changed:
            self._prune({_named(targets), _named(snapshot)}, now)
        return changed

    # -- the next root

    def next_root(self, change: RootChange, rotate: tuple[str, ...] = ()) -> bytes:
        """The root that is to follow, signed by our own root key where it is here. `rotate` names our key files.

        Nothing changes before `take_root`. Raises Conflict, KeyUnusable.
        """
        with self._lock:
            current = self.root()
            made = {name: release.public_of(self.keys.make(_waiting(name))) for name in rotate}
            try:
                root = roots.following(
                    current, RootChange(change.add, change.remove, change.threshold, change.days, made), self._clock()
                )
            except RootError as error:
                raise Conflict(f"{error}; nothing was changed") from None
            if self.keys.has(ROOT):
                key = self.keys.load(ROOT)
                if roots.tuf_key(release.public_of(key)).keyid in roots.key_ids(current, [Root.type]):
                    roots.add_signature(root, key)
            return roots.written(root)

    def take_root(self, data: bytes) -> Metadata[Root]:
        """Puts a root in force that every client would take. Raises Conflict; nothing was changed then."""
        with self._lock:
            current = self.root()
            try:
                root = roots.read(data)
                roots.accepted(current, root)
            except RootError as error:
                raise Conflict(f"{error}; nothing was changed") from None
            self._check_usable(root)
            self._write(f"{root.signed.version}.root.json", root.to_bytes())
            self._settle_keys(root)
            return root

    def renew_root(self) -> bool:
        """Signs the same root anew before it expires, where its key is here. Whether it did. Raises KeyUnusable."""
        with self._lock:
            root = self.root()
            left = root.signed.expires.timestamp() - self._clock()
            alone = root.signed.roles[Root.type].threshold == 1 and self._can_sign(root, Root.type)
            if left > ROOT_WARNING * DAY or not alone:
                return False
            self.take_root(self.next_root(RootChange()))
            return True

    def settle(self) -> None:
        """At start: keys that a root in force names take their places, should a crash have come between."""
        with self._lock:
            if self.begun:
                self._settle_keys(self.root())

    def _check_usable(self, root: Metadata[Root]) -> None:
        """A root whose online keys nobody has here would end the repository."""
        for role in (Targets.type, Snapshot.type, Timestamp.type):
            name = SIGNED_BY[role]
            ids = {self._id_of(one) for one in (name, _waiting(name)) if self.keys.has(one)}
            if not ids & roots.key_ids(root, [role]):
                raise Conflict(
                    f"root {root.signed.version} names keys for {role} that are not on this manager; nothing was"
                    " changed. Was it exported here, and was no other exported after it?"
                )

    def _settle_keys(self, root: Metadata[Root]) -> None:
        for name, role in ((TARGETS, Targets.type), (ONLINE, Timestamp.type)):
            waiting = _waiting(name)
            if self.keys.has(waiting) and self._id_of(waiting) in roots.key_ids(root, [role]):
                self.keys.move(waiting, name)
        if self.keys.has(ROOT) and self._id_of(ROOT) not in roots.key_ids(root, [Root.type]):
            self.keys.remove(ROOT)

    # -- parts of these

    def _can_sign(self, root: Metadata[Root], role: str) -> bool:
        try:
            return self._id_of(SIGNED_BY[role]) in roots.key_ids(root, [role])
        except ServiceError:
            return False

    def _id_of(self, name: str) -> str:
        return roots.tuf_key(release.public_of(self.keys.load(name))).keyid

    def _due(self, root: Metadata[Root], metadata: Metadata[Any], now: float) -> bool:
        """It expires soon, or the root no longer names who signed it."""
        role = metadata.signed.type
        if metadata.signed.expires.timestamp() - now < RENEW[role] * DAY:
            return True
        try:
            root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except RepositoryError:
            return True
        return False

    def _sign(self, signed: S, before: Metadata[Any] | None, root: Metadata[Root], now: float) -> Metadata[S]:
        role = signed.type
        key = self.keys.load(SIGNED_BY[role])
        signer = CryptoSigner(key)
        if signer.public_key.keyid not in roots.key_ids(root, [role]):
            raise KeyUnusable(
                f"{self.keys.path(SIGNED_BY[role])} is not the key that root {root.signed.version} names for {role};"
                " nothing was signed. Restore it from a backup, or rotate it: plimsoll software root rotate"
            )
        signed.version = max(0 if before is None else before.signed.version + 1, int(now))
        signed.expires = datetime.datetime.fromtimestamp(int(now + LIFE[role] * DAY), datetime.UTC)
        metadata = Metadata(signed)
        metadata.sign(signer)
        return metadata

    def _state(self) -> dict[str, Metadata[Any]]:
        """What the timestamp on disk leads to; what is missing or cannot be read is made anew."""
        found: dict[str, Metadata[Any]] = {}
        try:
            timestamp: Metadata[Timestamp] = self._read("timestamp.json")
            found[Timestamp.type] = timestamp
            snapshot: Metadata[Snapshot] = self._read(f"{timestamp.signed.snapshot_meta.version}.snapshot.json")
            found[Snapshot.type] = snapshot
            found[Targets.type] = self._read(f"{snapshot.signed.meta['targets.json'].version}.targets.json")
        except (Unavailable, KeyError):
            pass
        return {role: found[role] for role in (Targets.type, Snapshot.type, Timestamp.type) if role in found}

    def _read(self, name: str) -> Metadata[Any]:
        try:
            return Metadata.from_bytes(self.path(name).read_bytes())
        except (OSError, DeserializationError) as error:
            raise Unavailable(f"{self.path(name)} cannot be read: {error}") from None

    def _write(self, name: str, data: bytes) -> None:
        try:
            config.write_atomically(self.path(name), data, 0o600)
        except OSError as error:
            raise Unavailable(
                f"{self.path(name)} could not be written: {error.strerror}; nothing was changed"
            ) from None

    def _prune(self, current: set[str], now: float) -> None:
        for path in (*self.folder.glob("*.targets.json"), *self.folder.glob("*.snapshot.json")):
            if path.name not in current and path.stat().st_mtime < now - KEEP:
                path.unlink(missing_ok=True)


def _target(offer: Offer) -> TargetFile:
    return TargetFile(
        offer.length, {"sha256": offer.sha256}, offer.path, unrecognized_fields={"custom": dict(offer.custom)}
    )


def _named(metadata: Metadata[Any]) -> str:
    return f"{metadata.signed.version}.{metadata.signed.type}.json"


def _waiting(name: str) -> str:
    return f"{name}.next"
