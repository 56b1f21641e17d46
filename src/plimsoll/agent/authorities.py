"""The CAs that this agent trusts: ``ca.pem``, as activation, renewals and heartbeats bring them.

What a heartbeat brings is taken over whole, and only where the agent's own certificate is of one of them: a set without
that would be the end of it, whoever sent it.

Where the certificate of a CA has ended, no manager of it can be verified any more, and so none can tell of another.
Then, and only then, what whoever answers there shows is looked at (`follow`): a renewed certificate of the same CA, for
the same key, vouches for itself. Who is trusted stays the same.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Sequence

from plimsoll.agent import keys
from plimsoll.agent.home import Home
from plimsoll.agent.identity import IdentityError
from plimsoll.net.identity import certificate_fingerprints

#: More than this nobody needs; a rotation has two.
MOST = 8

#: The agent's event that says that it did not take over what it was told to trust.
NOT_TAKEN = 5320
#: The one that says that it trusts a renewed certificate of a CA that has ended.
FOLLOWED = 5321


def trusted(home: Home) -> list[str]:
    """The hex SHA-256 of the certificates that are trusted, sorted, as heartbeats say them."""
    try:
        return sorted(set(certificate_fingerprints((home.read("ca.pem") or b"").decode("ascii"))))
    except ValueError:
        return []


def adopt(home: Home, authorities: Sequence[str]) -> bool:
    """Trusts these (PEM, one each) from now on, durably; returns whether they are others than before.

    Raises IdentityError, with those as they were, where they are none, too many, or would cut this agent off. OSError
    where they cannot be written.
    """
    bundle = "".join(f"{one.strip()}\n" for one in authorities)
    try:
        found = sorted(set(certificate_fingerprints(bundle)))
        if not 0 < len(found) <= MOST:
            raise IdentityError(f"{len(found)} CAs to trust are none, or too many; those before are kept")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=bundle)
    except (ValueError, ssl.SSLError) as error:
        raise IdentityError(f"the CAs to trust cannot be read ({error}); those before are kept") from None
    if found == trusted(home):
        return False
    try:
        keys.ask("inspect", certificate=home.cert.read_text(), ca=bundle)
    except keys.KeysError as error:
        raise IdentityError(
            f"the CAs to trust do not include that of this computer's own certificate ({error}); those before are kept"
        ) from None
    home.write("ca.pem", bundle.encode())
    return True


def follow(home: Home, shown: Sequence[bytes], now: float) -> None:
    """Trusts renewed certificates of CAs that have ended, durably. `shown` is what an unverified peer presents, DER.

    Raises IdentityError, with those trusted as they were, where none has ended or `shown` renews none of them. OSError
    where it cannot be written.
    """
    known = (home.read("ca.pem") or b"").decode("ascii", "replace")
    chain = [base64.b64encode(one).decode() for one in shown[:MOST]]
    try:
        found = keys.ask("renewed", ca=known, shown=chain, now=now)
    except keys.KeysError as error:
        raise IdentityError(str(error)) from None
    home.write("ca.pem", found["ca"].encode())
