"""The certificate that 4119 shows to browsers and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from plimsoll.manager import gui_certificate as own
from plimsoll.manager.ca import fingerprint
from plimsoll.manager.ports import Permission, Principal, internal, permits
from plimsoll.manager.services.events import CERTIFICATE_ACCEPTED, NewEvent
from plimsoll.manager.services.hub import CertificateChanged

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.manager.services.core import Core, Unit

#: Stands in the names of the files that somebody set.
_OWN = "-own-"


@dataclass(frozen=True, slots=True)
class CertificateView:
    """`own` is False for those that the manager's CA issued. `chain` counts the certificates that are sent."""

    own: bool
    subject: str
    issuer: str
    names: tuple[str, ...]
    key: str
    not_before: float
    not_after: float
    fingerprint: str
    chain: int
    path: str


class CertificatesService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def _directory(self) -> Path:
        return self._core.home.path / "tls"

    @permits(Permission.CERTIFICATE_READ)
    def show(self, principal: Principal) -> tuple[CertificateView, ...]:
        """One entry for each own certificate, two (ECDSA and RSA) where the manager's CA issued them."""
        return self._views()

    @permits(Permission.CERTIFICATE_CHANGE)
    def set(
        self, principal: Principal, chain: bytes, key: bytes | None = None, passphrase: str | None = None
    ) -> tuple[CertificateView, ...]:
        """PEM, leaf first. Without a key: that of the last `csr`. What it replaces goes to backup/.

        Raises BadInput, and keeps the one in use, where key, order, dates or kind do not fit.
        """
        core = self._core
        identity = own.check(self._directory, chain, key, passphrase, core.clock())
        before = [view.fingerprint for view in self._views()]
        own.put(self._directory, core.home.path / "backup", identity, core.clock())
        leaf = identity.chain[0]

        def record(unit: Unit) -> None:
            subject = leaf.subject.rfc4514_string()
            unit.audit(principal, "certificate.set", "4119", before, fingerprint(leaf))
            text = f"4119 shows the certificate of {subject}, valid until {leaf.not_valid_after_utc:%Y-%m-%d}"
            unit.event(NewEvent(CERTIFICATE_ACCEPTED, "info", text))
            unit.changes.append(CertificateChanged())

        core.write(record)
        return self._views()

    @permits(Permission.CERTIFICATE_CHANGE)
    def csr(
        self, principal: Principal, subject: str = "", names: tuple[str, ...] = (), key_type: str = "ecdsa"
    ) -> bytes:
        """A new key (ecdsa or rsa), kept in the home, and a PEM request for it."""
        wanted = names or self._own_names()
        pem = own.request(self._directory, subject, wanted, key_type)
        after = {"subject": subject, "names": list(wanted), "key": key_type}
        self._core.write(lambda unit: unit.audit(principal, "certificate.csr", "4119", None, after))
        return pem

    @internal
    def identities(self, point: str) -> tuple[tuple[str, str], ...]:
        """(certificate path, key path) of each identity to serve at ``gui`` or ``heartbeat``."""
        return own.identities(self._directory, point)

    @internal
    def is_own(self) -> bool:
        """Whether 4119 shows a certificate that somebody set. Two look-ups in a folder: it is asked for each answer."""
        return any(_OWN in path for path, _ in own.identities(self._directory, "gui"))

    @internal
    def served(self) -> tuple[CertificateView, ...]:
        """What 4119 shows: scripts are made for it."""
        return self._views()

    def _own_names(self) -> tuple[str, ...]:
        return next((view.names for view in self._views() if view.names), ())

    def _views(self) -> tuple[CertificateView, ...]:
        return tuple(_view(path) for path, _ in own.identities(self._directory, "gui"))


def _view(path: str) -> CertificateView:
    chain: tuple[x509.Certificate, ...] = own.describe(path)
    leaf = chain[0]
    return CertificateView(
        own=_OWN in path,
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=own.names_of(leaf),
        key=own.key_name(leaf),
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        fingerprint=fingerprint(leaf),
        chain=len(chain),
        path=path,
    )
