"""The certificate that 4119 shows to browsers and programs."""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import Permission, Principal, internal, permits


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
    @permits(Permission.CERTIFICATE_READ)
    def show(self, principal: Principal) -> tuple[CertificateView, ...]:
        """One entry for an own certificate, two (ECDSA and RSA) where the manager's CA issued them."""
        raise NotImplementedError

    @permits(Permission.CERTIFICATE_CHANGE)
    def set(
        self, principal: Principal, chain: bytes, key: bytes | None = None, passphrase: str | None = None
    ) -> tuple[CertificateView, ...]:
        """PEM, leaf first. Without a key: that of the last `csr`. The old ones go to backup/."""
        raise NotImplementedError

    @permits(Permission.CERTIFICATE_CHANGE)
    def csr(
        self, principal: Principal, subject: str = "", names: tuple[str, ...] = (), key_type: str = "ecdsa"
    ) -> bytes:
        """A new key (ecdsa or rsa), kept in the home, and a PEM request for it."""
        raise NotImplementedError

    @internal
    def identities(self, point: str) -> tuple[tuple[str, str], ...]:
        """(certificate path, key path) of each identity to serve at ``gui`` or ``heartbeat``."""
        raise NotImplementedError
