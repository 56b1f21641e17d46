"""TLS alerts (RFC 8446 §6): their numbers, and the records that carry them."""

from __future__ import annotations

import enum

RECORD_ALERT = 21


class Alert(enum.IntEnum):
    """An alert's description, by its number on the wire."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    DECRYPTION_FAILED = 21
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE = 41
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    EXPORT_RESTRICTION = 60
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    INAPPROPRIATE_FALLBACK = 86
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_UNOBTAINABLE = 111
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    BAD_CERTIFICATE_HASH_VALUE = 114
    UNKNOWN_PSK_IDENTITY = 115
    CERTIFICATE_REQUIRED = 116
    NO_APPLICATION_PROTOCOL = 120
    ECH_REQUIRED = 121

    @property
    def label(self) -> str:
        """The name in the standard's spelling, ``protocol_version``."""
        return self.name.lower()


def alert_record(alert: Alert, record_version: int = 0x0301, fatal: bool = True) -> bytes:
    """A whole unencrypted record with that alert.

    The record's version is 3.1 unless told otherwise: every client since SSL 3 reads that.
    """
    return bytes((RECORD_ALERT, record_version >> 8 & 0xFF, record_version & 0xFF, 0, 2, 2 if fatal else 1, alert))


def parse_alert(data: bytes) -> tuple[Alert | int, bool] | None:
    """The alert and whether it is fatal, where the data begin with an unencrypted alert record; else None.

    An alert that is not in the table comes back as its number.
    """
    if len(data) < 7 or data[0] != RECORD_ALERT or data[1] != 3 or data[3:5] != b"\x00\x02" or data[5] not in (1, 2):
        return None
    try:
        return Alert(data[6]), data[5] == 2
    except ValueError:
        return data[6], data[5] == 2
