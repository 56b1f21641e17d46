"""The key that signs proofs: one for all managers of an installation, sealed in the store they share."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from plimsoll.manager.ports import Conflict, Unavailable
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.store import Connection
from plimsoll.manager.store import proofs as table
from plimsoll.manager.store.proofs import KeyRecord
from plimsoll.scan.proofs import key_id, public_pem


class ProofKeys:
    def __init__(self, core: Core) -> None:
        self._core = core

    def current(self) -> Ed25519PrivateKey:
        """The key in use, which is made when it is wanted first. Raises Unavailable where it cannot be read."""
        known = self._core.store.read(_used)
        if known is None:
            known = self._core.write(self._first)
        return self._open(known)

    def rotate(self, unit: Unit) -> tuple[str, str]:
        """A new one is in use from now on; of the old one the public half stays. (Id of the old, of the new one.)"""
        old = self._first(unit)
        new = self._new(unit.now)
        table.use_key(unit.connection, new)
        return old.id, new.id

    def all(self) -> tuple[tuple[str, str, bool], ...]:
        """(id, PEM of the public half, in use) of each, the one in use first."""
        self.current()
        return tuple((one.id, one.pem, bool(one.sealed)) for one in self._core.store.read(table.keys))

    def _first(self, unit: Unit) -> KeyRecord:
        """Whoever is first makes it: writers take turns, also those of other managers."""
        known = _used(unit.connection)
        if known is None:
            known = self._new(unit.now)
            table.use_key(unit.connection, known)
        return known

    def _new(self, now: float) -> KeyRecord:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key()
        identifier = key_id(public)
        sealed = self._core.home.sealer.seal(pem, _about(identifier))
        return KeyRecord(identifier, public_pem(public).decode(), sealed, now)

    def _open(self, known: KeyRecord) -> Ed25519PrivateKey:
        try:
            pem = self._core.home.sealer.open(known.sealed, _about(known.id))
            key = load_pem_private_key(pem.encode(), password=None)
        except (Conflict, ValueError) as error:
            said = error.message if isinstance(error, Conflict) else str(error)
            raise Unavailable(f"the key that signs proofs cannot be read: {said}; nothing was signed") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise Unavailable("the key that signs proofs is no Ed25519 key; nothing was signed")
        return key


def _used(connection: Connection) -> KeyRecord | None:
    return next((one for one in table.keys(connection) if one.sealed), None)


def _about(identifier: str) -> str:
    return f"the key {identifier} of proofs"
