"""Which versions does that port really accept? One handshake each, by OpenSSL (R17: from a handshake, not a belief)."""

from __future__ import annotations

import enum
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from plimsoll.net.contexts import pinned_client
from plimsoll.net.handshake_errors import alert_in
from plimsoll.tls.alerts import Alert
from plimsoll.tls.versions import Version


class Verdict(enum.Enum):
    """What a handshake of one version showed. What could not be found out is never "refused"."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`suite` where accepted; `alert` where the peer sent one; `reason` in words where it is not accepted."""

    version: Version
    verdict: Verdict
    suite: str = ""
    alert: Alert | None = None
    reason: str = ""

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED

    @property
    def refused(self) -> bool:
        return self.verdict is Verdict.REFUSED


def probe(
    host: str,
    port: int,
    versions: Iterable[Version],
    timeout: float = 5.0,
    *,
    cert: str | None = None,
    key: str | None = None,
    local_address: str | None = None,
) -> dict[Version, ProbeResult]:
    """Try one handshake per version, each on a connection of its own. Nothing is verified and nothing is sent."""
    return {version: _attempt(host, port, version, timeout, cert, key, local_address) for version in versions}


def _attempt(
    host: str, port: int, version: Version, timeout: float, cert: str | None, key: str | None, local: str | None
) -> ProbeResult:
    try:
        context = pinned_client(version)
        if cert is not None:
            context.load_cert_chain(cert, key, password=lambda: "")
    except (OSError, ValueError, KeyError) as error:
        return ProbeResult(version, Verdict.INCONCLUSIVE, reason=f"this host cannot speak {version}: {error}")
    try:
        plain = socket.create_connection((host, port), timeout, None if local is None else (local, 0))
    except OSError as error:
        return ProbeResult(version, Verdict.INCONCLUSIVE, reason=f"no connection: {error.strerror or error}")
    with plain:
        try:
            with context.wrap_socket(plain) as sock:
                cipher = sock.cipher()
                return ProbeResult(version, Verdict.ACCEPTED, suite=cipher[0] if cipher else "")
        except (OSError, ValueError) as error:
            return _judged(version, error)


def _judged(version: Version, error: Exception) -> ProbeResult:
    alert = alert_in(error)
    if alert is Alert.PROTOCOL_VERSION:
        return ProbeResult(version, Verdict.REFUSED, alert=alert, reason="alert protocol_version")
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    if reason == "UNSUPPORTED_PROTOCOL":
        # The peer went on with a version that we did not offer: it does not speak the one that we did.
        return ProbeResult(version, Verdict.REFUSED, reason="it answered with another version")
    text = f"alert {alert.label}" if alert is not None else str(reason).lower().replace("_", " ")
    return ProbeResult(version, Verdict.INCONCLUSIVE, alert=alert, reason=text)
