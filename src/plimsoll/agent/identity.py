"""Getting and renewing this computer's identity: key and request here, certificate from the manager."""

from __future__ import annotations

import msgspec

from plimsoll.agent import keys
from plimsoll.agent.home import AgentState, Home


class IdentityError(Exception):
    """The manager's certificate is not one that we can use. What we had is kept."""


def install(home: Home, state: AgentState, key: str, certificate: str, ca: str) -> AgentState:
    """Checks an issued certificate and switches the activated home to it; returns the state with its dates.

    Raises IdentityError, with the identity as it was.
    """
    checked = check(state, key, certificate, ca)
    home.replace_identity(key, certificate, ca)
    home.save_state(checked)
    return checked


def check(state: AgentState, key: str, certificate: str, ca: str) -> AgentState:
    """The state with the certificate's dates, once it is ours, of our installation's CA, and names this computer."""
    try:
        found = keys.ask("inspect", certificate=certificate, key=key, ca=ca)
    except keys.KeysError as error:
        raise IdentityError(f"the manager sent a certificate that is of no use: {error}") from None
    # Whether a relay's certificate says relay or agent is the manager's to choose.
    ours = {f"plimsoll://{state.installation}/{role}/{state.computer}" for role in ("agent", "relay")}
    if not ours & set(found["uris"]):
        raise IdentityError(f"the manager sent a certificate for somebody else ({', '.join(found['uris'])})")
    return msgspec.structs.replace(state, not_before=found["not_before"], not_after=found["not_after"])
