"""The manager as issuing authority."""

from __future__ import annotations


class Authority:
    """The CA of one installation."""

    installation: str
    certificate_pem: str
    key_hash: str
