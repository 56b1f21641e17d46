"""What OpenSSL says when a handshake fails, as something to count and to decide by."""

from __future__ import annotations

import re
import ssl

from plimsoll.tls.alerts import Alert

# OpenSSL 3 names received alerts by their first protocol: SSLV3_ALERT_… and TLSV1_ALERT_…, TLSV13_ALERT_….
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_([A-Z_]+)")
_NAMED = {
    "DECRYPTION_FAILED": Alert.DECRYPTION_FAILED,
    "BAD_CERTIFICATE_STATUS_RESPONSE": Alert.BAD_CERTIFICATE_STATUS_RESPONSE,
    "CERTIFICATE_REQUIRED": Alert.CERTIFICATE_REQUIRED,
    "USER_CANCELLED": Alert.USER_CANCELED,
}
_CERTIFICATE = {
    Alert.NO_CERTIFICATE,
    Alert.BAD_CERTIFICATE,
    Alert.UNSUPPORTED_CERTIFICATE,
    Alert.CERTIFICATE_REVOKED,
    Alert.CERTIFICATE_EXPIRED,
    Alert.CERTIFICATE_UNKNOWN,
    Alert.UNKNOWN_CA,
    Alert.ACCESS_DENIED,
    Alert.CERTIFICATE_REQUIRED,
}


def alert_in(error: BaseException) -> Alert | None:
    """The alert that the peer sent, where the error reports one."""
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    match = _ALERT.fullmatch(reason or "")
    if match is None:
        return None
    return _NAMED.get(match[1]) or Alert.__members__.get(match[1])


def about_certificates(alert: Alert | None) -> bool:
    """True where the alert says that the peer did not like our certificate, or the lack of one."""
    return alert in _CERTIFICATE
