"""Where software comes from: relays in the order given, then the managers. Whoever answers is a relay or a manager of
our installation, or is not listened to.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.agent.home import AgentState, Home
from plimsoll.agent.managers import ManagerAddressError, parse_manager
from plimsoll.agent.software.shelf import Shelf, usable
from plimsoll.net.client import Link


def links(home: Home, state: AgentState, shelf: Shelf, timeout: float) -> Iterator[Link]:
    """A link to each source in turn; whoever takes one closes it."""
    for host, port in usable(shelf.sources().relays):
        yield _link(home, state, host, port, "relay", timeout)
    for address in state.managers:
        try:
            host, port = parse_manager(address)
        except ManagerAddressError:
            continue
        yield _link(home, state, host, port, "manager", timeout)


def _link(home: Home, state: AgentState, host: str, port: int, role: str, timeout: float) -> Link:
    return Link(
        host,
        port,
        ca=str(home.ca),
        cert=str(home.cert),
        key=str(home.key),
        local_address=state.local_address or None,
        timeout=timeout,
        expect_role=role,
        installation=state.installation,
    )
