"""The first contact with a manager: whose CA is it, before anything is said (design §11).

Nothing is known yet to verify a certificate with, so the handshake verifies nothing and nothing is sent: it only
collects the chain that the manager presents, in which its CA must be the one whose key hash stands in the token.
"""

from __future__ import annotations

import base64
import hmac
import socket
import ssl
from typing import Any

from plimsoll.agent import keys


class ContactError(Exception):
    """The manager could not be reached, or is not the one that was meant. The message is for people."""


def verified_authority(host: str, port: int, ca_hash: str, timeout: float = 15.0) -> str:
    """The PEM of the manager's CA, once its key hash is the expected one.

    Raises ContactError otherwise; nothing but a handshake was sent then.
    """
    chain = presented_chain(host, port, timeout)
    try:
        found = keys.ask("hash", chain=[base64.b64encode(item).decode() for item in chain])["authorities"]
    except keys.KeysError as error:
        raise ContactError(str(error)) from None
    for authority in found:
        if hmac.compare_digest(str(authority["hash"]).encode(), ca_hash.encode()):
            return str(authority["certificate"])
    what = "a CA with another key than the token names" if found else "no CA certificate in its chain"
    raise ContactError(
        f"{host}:{port} presents {what}, so it is not the manager that made the token, or somebody stands in between; "
        "the token was not sent. Check the address, or get a new token from that manager"
    )


def presented_chain(host: str, port: int, timeout: float) -> list[bytes]:
    """The certificates that the server sent, as DER, unverified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            return _chain(connection)
    except ssl.SSLError as error:
        raise ContactError(_explain(host, port, error)) from None
    except TimeoutError:
        raise ContactError(f"{host}:{port} did not answer within {timeout:.0f} s; nothing was sent") from None
    except OSError as error:
        raise ContactError(
            f"{host}:{port} cannot be reached ({error.strerror or error}); nothing was sent. "
            "Check the address, and that the manager runs and its heartbeat port is open"
        ) from None


def _chain(connection: ssl.SSLSocket) -> list[bytes]:
    public: Any = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return [bytes(item) for item in public() or ()]
    # Before Python 3.13 only the inner object tells, in objects of its own that can be written as PEM (1) or DER (2).
    inner: Any = getattr(connection, "_sslobj", None)
    return [bytes(item.public_bytes(2)) for item in inner.get_unverified_chain() or ()]


def _explain(host: str, port: int, error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if "PROTOCOL_VERSION" in reason:
        return (
            f"{host}:{port} refused the connection because of TLS: it accepts only versions newer than those that "
            f"this computer's {ssl.OPENSSL_VERSION} offers (alert 70, protocol version). Nothing was sent. Update "
            "this computer's TLS library, or lower the manager's floor for heartbeats"
        )
    if "WRONG_VERSION_NUMBER" in reason or "HTTP_REQUEST" in reason:
        return f"{host}:{port} does not speak TLS, so it is no manager's heartbeat port; nothing was sent"
    return f"the TLS handshake with {host}:{port} failed ({reason or error}); nothing was sent"
