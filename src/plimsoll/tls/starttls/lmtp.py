"""LMTP (RFC 2033): as SMTP, with LHLO."""

from __future__ import annotations

from plimsoll.tls.starttls.smtp import Smtp


class Lmtp(Smtp):
    """A mail server that delivers locally."""

    hello = b"LHLO scan.invalid\r\n"
