"""Which authority of the manager issues, which are trusted beside it, and where their keys lie.

The first authority of a home is ``ca/ca.key`` with its certificate in ``ca/ca.pem``; each later one is one file,
``ca/ca-<fingerprint>.pem``, that holds key and certificate together. Files of keys never change their meaning: what
they are used for stands in the store (`store.ca`), in one row, so that a kill leaves no half of a switch.
A later authority comes to the homes of the other managers through the store (`store.authorities`), its key sealed with
the secret that all of them have; it stays there as long as it counts, for a home that is not up at the moment.
A renewed certificate is in the store alone, a row beside the key's first. The first authority of a home gets a file as
later ones have it then, which keeps its first certificate.
``ca/ca.pem`` is derived: all certificates that are trusted now, the issuing one first. It is what is copied to those
who call 4119.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509

from plimsoll.manager.ca import CA_CERTIFICATE, CA_KEY, Authority, Holder, Issued
from plimsoll.manager.config import write_atomically
from plimsoll.manager.ports import BadInput, Conflict
from plimsoll.manager.sealing import KEY_FILE, Sealer
from plimsoll.manager.store import Connection, authorities
from plimsoll.manager.store import ca as table
from plimsoll.manager.store.authorities import AuthorityRecord
from plimsoll.manager.store.ca import RotationRecord

#: How much of a fingerprint stands in a file's name.
_NAME = 16


@dataclass(frozen=True, slots=True)
class Standing:
    """Who issues and who is trusted, by one row of the store.

    `trusted` has the issuing one first. `chain` is what the manager shows behind its own certificates, `crosses` what
    goes along with a certificate that an authority issued, by its fingerprint. All PEM.
    """

    issuing: Authority
    trusted: tuple[Authority, ...]
    chain: str
    crosses: dict[str, str]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of the certificates that are trusted now, in the order in which agents name them."""
        return tuple(sorted(one.certificate_fingerprint for one in self.trusted))

    @property
    def bundle(self) -> str:
        """Certificates of all that are trusted, the issuing one first."""
        return "".join(one.certificate_pem for one in self.trusted)

    def by_key_hash(self, key_hash: str) -> Authority | None:
        """The trusted authority that an activation token names."""
        return next((one for one in self.trusted if one.key_hash == key_hash), None)

    def with_chain(self, issued: Issued) -> str:
        """A certificate as its holder shows it: those who trust the other authority alone can follow it too."""
        return issued.pem + self.crosses.get(issued.authority, "")

    def holder(self, certificate_pem: str) -> tuple[Holder, x509.Certificate]:
        """As `Authority.holder`, of any that is trusted."""
        for authority in self.trusted[:-1]:
            try:
                return authority.holder(certificate_pem)
            except BadInput:
                continue
        return self.trusted[-1].holder(certificate_pem)


class Keyring:
    """The keys of a home. Safe to use from several threads. Without a `sealer` it has those of the home alone."""

    def __init__(self, directory: Path, installation: str, sealer: Sealer | None = None) -> None:
        self._directory = directory
        self._sealer = sealer
        self.installation = installation
        self._lock = threading.Lock()
        self._known: dict[str, Authority] = {}
        #: The fingerprint of the one in `CA_KEY`. Reading a key checks its numbers, some 80 ms for RSA-3072: once.
        self._first: str | None = None
        self._read()

    @property
    def first(self) -> Authority:
        """The authority of a home whose store names none. Raises BadInput where it is not there."""
        with self._lock:
            if self._first is None and (self._directory / CA_KEY).exists():
                self._read()
            found = self._known.get(self._first or "")
            if found is None and len(self._known) == 1:
                found = next(iter(self._known.values()))
        if found is not None:
            return found
        raise BadInput(f"{self._directory} does not hold the key of this installation's CA; restore it from a backup")

    def is_of(self, installation: str) -> bool:
        """Whether the keys were made for that installation, by their certificates' own name."""
        return bool(self._known) and all(one.is_of(installation) for one in self._known.values())

    def get(self, fingerprint: str) -> Authority:
        """Raises BadInput where the home does not hold that key."""
        with self._lock:
            if fingerprint not in self._known:
                self._read()
            found = self._known.get(fingerprint)
        if found is None:
            raise BadInput(
                f"the store names the CA {fingerprint[:_NAME]}, whose key is not in {self._directory}; restore that"
                " folder from a backup of the same time"
            )
        return found

    def make(self, now: float) -> Authority:
        """A new authority, durable before this returns, and trusted by nobody yet."""
        made = Authority.make(self.installation, now)
        write_atomically(self._path(made.fingerprint), made.pair_pem, 0o600)
        with self._lock:
            self._known[made.fingerprint] = made
        return made

    def record_of(self, authority: Authority, now: float) -> AuthorityRecord:
        """What brings that authority to the other managers, with its key."""
        assert self._sealer is not None, "who makes authorities has a home"
        sealed = self._sealer.seal(authority.private_pem.decode(), _about(authority.key_hash))
        return AuthorityRecord(authority.fingerprint, authority.key_hash, now, authority.certificate_pem, sealed)

    def stored(self, connection: Connection) -> Standing:
        """As the store says in this transaction; what this home does not hold is taken from there.

        Raises BadInput where a key is in neither, or cannot be opened.
        """
        record = table.newest(connection)
        while True:
            try:
                for fingerprint in _named(record):
                    self._take(connection, fingerprint)
                return self.standing(record, partial(_renewed, connection))
            except BadInput:
                # Another manager may have ended the rotation since its row was read, and then the key is gone.
                newer = table.newest(connection)
                if _step(newer) == _step(record):
                    raise
                record = newer

    def standing(
        self, record: RotationRecord | None, renewed: Callable[[Authority], Authority] = lambda one: one
    ) -> Standing:
        """By the newest rotation, or by none. Raises BadInput where a key is missing.

        `renewed` says which certificate an authority of the home has by now.
        """
        if record is None:
            return _alone(renewed(self.first))
        if record.state == table.RETIRED:
            return _alone(renewed(self.get(record.new)))
        old = renewed(self.get(record.old))
        if record.state == table.WITHDRAWN:
            return _alone(old)
        new = renewed(self.get(record.new))
        if record.state == table.SWITCH:
            issuing, other = new, old
        else:
            issuing, other = old, new
        crosses = {} if record.switched is None else {record.new: record.new_with_old, record.old: record.old_with_new}
        # The order counts. OpenSSL takes the first issuer that it finds here, and goes no other way after that: so the
        # certificate by which those who trust the other one alone get on stands before the issuing one's own. Who
        # looks for the hash in a token takes the last.
        links = (crosses[issuing.fingerprint], other.certificate_pem) if crosses else ()
        chain = "".join((*links, issuing.certificate_pem))
        return Standing(issuing, (issuing, other), chain, crosses)

    def settle(self, standing: Standing, backup: Path, now: float) -> None:
        """Writes what follows from the store: keys that came from there, ``ca.pem``; keys that count no more go to
        the backup folder.
        """
        keep = {one.fingerprint for one in standing.trusted}
        with self._lock:
            for one in standing.trusted:
                if (one.fingerprint != self._first or one.is_renewed) and not self._path(one.fingerprint).exists():
                    write_atomically(self._path(one.fingerprint), one.pair_pem, 0o600)
                    self._known[one.fingerprint] = one
            for fingerprint, authority in list(self._known.items()):
                if fingerprint not in keep:
                    self._put_away(authority, backup, now)
                    del self._known[fingerprint]
        bundle = self._directory / CA_CERTIFICATE
        if not bundle.exists() or bundle.read_bytes() != standing.bundle.encode():
            write_atomically(bundle, standing.bundle.encode(), 0o644)

    # -- the store

    def _take(self, connection: Connection, fingerprint: str) -> None:
        """Reads a key that the home does not hold; it is written there by `settle`. Nothing where it is in neither."""
        with self._lock:
            if fingerprint not in self._known:
                self._read()
            if fingerprint in self._known or self._sealer is None:
                return
        kept = authorities.get(connection, fingerprint)
        if kept is None or not kept.sealed_key:
            return
        taken = self._open(kept, self._sealer)
        with self._lock:
            self._known.setdefault(fingerprint, taken)

    def _open(self, kept: AuthorityRecord, sealer: Sealer) -> Authority:
        try:
            key = sealer.open(kept.sealed_key, _about(kept.key_hash))
        except Conflict:
            raise BadInput(
                f"the key of the CA {kept.fingerprint[:_NAME]} is in the store, sealed with another {KEY_FILE} than"
                f" the one beside {self._directory}; bring that file from a manager that has the CA, or let this one"
                " join anew (plimsoll manager node-file)"
            ) from None
        opened = Authority.of(self.installation, key.encode(), kept.certificate.encode())
        if opened is None:
            raise BadInput(f"the key of the CA {kept.fingerprint[:_NAME]} in the store is not its certificate's")
        return opened

    # -- files

    def _read(self) -> None:
        found: list[Authority] = []
        self._first = None
        if (self._directory / CA_KEY).exists():
            found.append(Authority.load(self._directory, self.installation))
            self._first = found[0].fingerprint
        for path in sorted(self._directory.glob("ca-*.pem")):
            text = path.read_bytes()
            one = Authority.of(self.installation, text, text)
            if one is None:
                raise BadInput(f"{path} holds no key with its certificate; restore it from a backup")
            if self._first is not None and one.key_hash == found[0].key_hash:
                found[0], self._first = one, one.fingerprint
                continue
            found.append(one)
        self._known = {one.fingerprint: one for one in found}

    def _put_away(self, authority: Authority, backup: Path, now: float) -> None:
        """First the copy, then the file: a kill in between leaves both, and the next start goes on."""
        first = authority.fingerprint == self._first
        if not first and not self._path(authority.fingerprint).exists():
            return  # it was read from the store for a moment, and never lay here
        backup.mkdir(mode=0o700, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        name = f"ca-{authority.fingerprint[:_NAME]}-{stamp}.pem"
        write_atomically(backup / name, authority.pair_pem, 0o600)
        self._path(authority.fingerprint).unlink(missing_ok=True)
        if first:
            (self._directory / CA_KEY).unlink(missing_ok=True)
            self._first = None

    def _path(self, fingerprint: str) -> Path:
        return self._directory / f"ca-{fingerprint[:_NAME]}.pem"


def _alone(authority: Authority) -> Standing:
    return Standing(authority, (authority,), authority.certificate_pem, {})


def _renewed(connection: Connection, authority: Authority) -> Authority:
    """With the certificate of its key that ends last."""
    shown = [authority.showing(one.certificate) for one in authorities.of_key(connection, authority.key_hash)]
    return max((authority, *shown), key=lambda one: (one.ends, one.certificate_fingerprint))


def _named(record: RotationRecord | None) -> tuple[str, ...]:
    """The authorities that count by that row."""
    if record is None:
        return ()
    ends = {table.RETIRED: (record.new,), table.WITHDRAWN: (record.old,)}
    return ends.get(record.state, (record.old, record.new))


def _step(record: RotationRecord | None) -> tuple[int, str]:
    return (0, "") if record is None else (record.id, record.state)


def _about(key_hash: str) -> str:
    return f"the key of the CA {key_hash}"
