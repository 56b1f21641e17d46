"""The managers that this agent knows, and the connection to the one it talks to."""

from __future__ import annotations

from urllib.parse import urlsplit

from plimsoll.agent.home import AgentState, Home
from plimsoll.net.client import Link
from plimsoll.tls.floors import DEFAULT_PORTS, Point


class ManagerAddressError(ValueError):
    """The text is not a manager's address."""


def parse_manager(text: str) -> tuple[str, int]:
    """Host and heartbeat port of ``dsm://host:port/``, ``host:port`` or ``host``. Raises ManagerAddressError."""
    try:
        parts = urlsplit(text if "://" in text else f"dsm://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if not host or parts.scheme != "dsm" or parts.path not in ("", "/") or parts.query or parts.username:
        raise ManagerAddressError(f"{text!r} is not a manager's address; expected dsm://HOST:4120")
    return host, DEFAULT_PORTS[Point.HEARTBEAT] if port is None else port


class Managers:
    """One link at a time; after a failure the next manager's turn comes."""

    def __init__(self, home: Home, state: AgentState) -> None:
        self._home = home
        self._state = state
        self._addresses = [parse_manager(text) for text in state.managers]
        self._turn = 0
        self._link: Link | None = None

    @property
    def known(self) -> bool:
        """Whether there is a manager to call: one that activated us by a visit may not have said where it is."""
        return bool(self._addresses)

    @property
    def count(self) -> int:
        return len(self._addresses)

    def link(self) -> Link:
        """The connection with our identity, made anew after `forget`."""
        if self._link is None:
            self._link = self._new(with_identity=True)
        return self._link

    def anonymous(self) -> Link:
        """A connection that shows no certificate: ours has expired. Whoever asks for it closes it."""
        return self._new(with_identity=False)

    def forget(self) -> None:
        """Drops the connection and its session: the identity is another one now."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def next(self) -> None:
        """After a failure: another manager, where there is one."""
        if len(self._addresses) > 1:
            self._turn += 1
            self.forget()
        elif self._link is not None:
            self._link.close()

    def _new(self, *, with_identity: bool) -> Link:
        host, port = self._addresses[self._turn % len(self._addresses)]
        return Link(
            host,
            port,
            ca=str(self._home.ca),
            cert=str(self._home.cert) if with_identity else None,
            key=str(self._home.key) if with_identity else None,
            local_address=self._state.local_address or None,
            expect_role="manager",
            installation=self._state.installation,
        )
