"""Plimsoll raises the TLS floor of a whole fleet, proves it by handshake, and can take it back."""

#: The release of manager, agents and relays built from this tree, in the fleet's own numbering.
RELEASE = "12.0.0"
