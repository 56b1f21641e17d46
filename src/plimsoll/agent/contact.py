"""The first contact with a manager: whose CA is it, before anything is said (design §11).

Nothing is known yet to verify a certificate with, so the handshake verifies nothing and nothing is sent: it only
collects the chain that the manager presents, in which its CA must be the one whose key hash stands in the token.
"""

from __future__ import annotations

import hmac
import socket
import ssl

from plimsoll.net.contexts import client_context
from plimsoll.net.identity import CertificateFormatError, presented_chain, public_key_hash


class ContactError(Exception):
    """The manager could not be reached, or is not the one that was meant. The message is for people."""


def verified_authority(host: str, port: int, ca_hash: str, timeout: float = 15.0) -> str:
    """The PEM of the manager's CA, once its key hash is the expected one.

    Raises ContactError otherwise; nothing but a handshake was sent then.
    """
    chain = _look(host, port, timeout)
    for certificate in chain:
        try:
            found = public_key_hash(certificate)
        except CertificateFormatError:
            continue
        if hmac.compare_digest(found.encode(), ca_hash.encode()):
            return ssl.DER_cert_to_PEM_cert(certificate)
    raise ContactError(
        f"{host}:{port} presents no CA with the key that the token names: it is not the manager that made the token, "
        "or somebody stands in between. The token was not sent. Check the address, or get a new token from that manager"
    )


def _look(host: str, port: int, timeout: float) -> list[bytes]:
    context = client_context(ca=None)
    try:
        with (
            socket.create_connection((host, port), timeout=timeout) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            return presented_chain(connection)
    except ssl.SSLError as error:
        raise ContactError(_explain(host, port, error)) from None
    except TimeoutError:
        raise ContactError(f"{host}:{port} did not answer within {timeout:.0f} s; nothing was sent") from None
    except OSError as error:
        raise ContactError(
            f"{host}:{port} cannot be reached ({error.strerror or error}); nothing was sent. "
            "Check the address, and that the manager runs and its heartbeat port is open"
        ) from None


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
