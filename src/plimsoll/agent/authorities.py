"""The CAs that this agent trusts: ``ca.pem``, as activation, renewals and heartbeats bring them.

What a heartbeat brings is taken over whole, and only where the agent's own certificate is of one of them: a set without
that would be the end of it, whoever sent it.
"""

from __future__ import annotations

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
