"""The agent's listening ports: 4118 where the policy's direction asks for it, 4122 where it carries the relay role.

An agent that only calls its manager opens neither, and never loads what serves them.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from plimsoll.agent.home import AgentState, Home
from plimsoll.messages import Direction, FloorReport, Kind, Policy

if TYPE_CHECKING:
    from plimsoll.agent.listener import AgentListener, Obedient
    from plimsoll.net.contexts import ServerIdentity
    from plimsoll.relay.service import RelayService
    from plimsoll.relay.state import RelayFloorKeeper

_log = logging.getLogger("plimsoll.agent")

#: How long a source of a relay may be silent, in seconds.
SOURCE_SECONDS = 15.0


class Ports:
    """Opens, closes and re-floors the ports as policies come."""

    def __init__(self, home: Home, state: AgentState, agent: Obedient) -> None:
        self._home = home
        self._state = state
        self._agent = agent
        self._listener: AgentListener | None = None
        self._relay: RelayService | None = None
        self._keeper: RelayFloorKeeper | None = None
        self._complaint = ""
        if state.kind is Kind.RELAY:
            from plimsoll.relay.state import RelayFloorKeeper

            self._keeper = RelayFloorKeeper.open(home, activated_with=state.software, now=time.time())

    @property
    def listening(self) -> dict[str, int]:
        """The open ports by the reference's number: what stands in the status and in the ready line."""
        ports = {}
        if self._listener is not None:
            ports["4118"] = self._listener.port
        if self._relay is not None:
            ports["4122"] = self._relay.port
        return ports

    def wants_listener(self, policy: Policy | None) -> bool:
        """Whether a manager may call this agent: by the policy, or because no manager's address is known."""
        if policy is not None and policy.direction is not Direction.AGENT_INITIATED:
            return True
        return not self._state.managers

    async def open(self, policy: Policy | None) -> None:
        """Opens what is asked for. Raises what the gate raises: a service that cannot listen must not say ready."""
        if self._keeper is not None:
            await self._open_relay(self._keeper)
        if self.wants_listener(policy):
            await self._open_listener(policy)

    async def settle(self, policy: Policy | None) -> bool:
        """Opens or closes 4118 as the policy asks; returns whether that changed. A taken port is said once."""
        wanted = self.wants_listener(policy)
        if wanted == (self._listener is not None):
            return False
        if not wanted:
            assert self._listener is not None
            listener, self._listener = self._listener, None
            await listener.stop()
            _log.info("4118 closed: the policy is agent-initiated")
            return True
        from plimsoll.net.errors import NetError

        try:
            await self._open_listener(policy)
        except NetError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                _log.error("the policy asks for a listening port, and there is none yet: %s", error)
            return False
        self._complaint = ""
        return True

    def store(self, policy: Policy) -> None:
        """Makes a relay's floor durable, before the policy is acknowledged."""
        if self._keeper is not None:
            self._keeper.hold(policy, time.time())

    def apply(self, policy: Policy) -> None:
        """Puts the floors of a stored policy in force: the next hello is judged by them."""
        if self._relay is not None:
            before = self._relay.floor
            self._relay.apply()
            if self._relay.floor is not before:
                _log.info("4122 floor %s -> %s (policy generation %d)", before, self._relay.floor, policy.generation)
        if self._listener is not None:
            self._listener.set_floor(policy.agent_floor)

    def report(self) -> FloorReport | None:
        """What the relay says of its floor; None where this is no relay."""
        return None if self._relay is None else self._relay.report()

    def log_refusals(self) -> None:
        """One line for each kind of client that was refused since the last call."""
        for port, door in (("4118", self._listener), ("4122", self._relay)):
            for seen in [] if door is None else door.refusals():
                _log.warning(
                    "%s refused %s because of TLS: offered %s, below the floor (%d times)",
                    port,
                    seen.address,
                    seen.offered,
                    seen.count,
                )

    def troubles(self) -> dict[str, str]:
        """What kept a relay from mirroring packages since the last call."""
        return {} if self._relay is None else self._relay.troubles()

    def renewed(self) -> None:
        """Shows a renewed certificate, and verifies peers by the CAs that came with it."""
        self.trust()
        for door in (self._listener, self._relay):
            if door is not None:
                door.reload(self._identity())

    def trust(self) -> None:
        """Verifies peers by the CAs that are trusted now; open connections and downloads go on."""
        for door in (self._listener, self._relay):
            if door is not None:
                door.trust(str(self._home.ca))

    async def close(self) -> None:
        listener, relay = self._listener, self._relay
        self._listener = self._relay = None
        for door in (listener, relay):
            if door is not None:
                await door.stop()

    async def _open_relay(self, keeper: RelayFloorKeeper) -> None:
        from plimsoll.agent.software import sources
        from plimsoll.agent.software.shelf import Shelf
        from plimsoll.relay.cache import LIMIT, Cache
        from plimsoll.relay.mirror import Mirror
        from plimsoll.relay.service import RelayService

        files = self._home.files
        files.mkdir(parents=True, exist_ok=True, mode=0o700)
        cache = Cache(self._home.mirrored, self._state.relay_disk or LIMIT)
        shelf = Shelf(self._home.path)
        mirror = Mirror(cache, lambda: sources.links(self._home, self._state, shelf, SOURCE_SECONDS))
        relay = RelayService(keeper, files, self._identity(), self._home.ca, self._state.installation, mirror)
        await relay.start(self._state.listen_address, self._state.relay_port)
        self._relay = relay
        _log.info("4122 listens on port %d with floor %s (%s)", relay.port, keeper.floor, keeper.origin.value)

    async def _open_listener(self, policy: Policy | None) -> None:
        from plimsoll.agent.listener import AgentListener, Orders
        from plimsoll.tls.versions import Version

        floor = Version.TLS1_2 if policy is None else policy.agent_floor
        orders = Orders(self._state.installation, self._agent)
        listener = AgentListener(self._identity(), str(self._home.ca), floor, orders)
        await listener.start(self._state.listen_address, self._state.listen_port)
        self._listener = listener
        _log.info("4118 listens on port %d with floor %s", listener.port, floor)

    def _identity(self) -> ServerIdentity:
        from plimsoll.net.contexts import ServerIdentity

        return ServerIdentity(str(self._home.cert), str(self._home.key))
