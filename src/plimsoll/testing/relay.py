"""A simulated relay's 4122: it really listens, at the floor of its release until a policy is sent to it (R17)."""

from __future__ import annotations

import time

import msgspec

from plimsoll.messages import FLOOR_REPORT, FloorOrigin, FloorReport, Policy
from plimsoll.net.board import FloorBoard
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.gate import Gate
from plimsoll.net.http import HttpProtocol, Request, Response
from plimsoll.net.sightings import SightingLog
from plimsoll.testing.caps import relay_default
from plimsoll.testing.home import PeerHome
from plimsoll.tls.floors import FloorSnapshot, Point


class SimulatedRelay:
    """A gate on 4122 with the relay's own certificate. Only a policy that was sent changes its floor."""

    def __init__(self, home: PeerHome, version: str, address: str) -> None:
        self._home = home
        self._address = address
        self._version = version
        sent = home.sent_floor()
        self.floor = sent or relay_default(version)
        self.origin = FloorOrigin.VERSION_DEFAULT if sent is None else FloorOrigin.POLICY
        self.port = 0
        self.log = SightingLog()
        self._since = time.time()
        self._generation = 0
        self._board = FloorBoard(self._snapshot())
        self._gate: Gate | None = None

    async def start(self, port: int) -> None:
        """Listens. Port 0 takes a free one; `port` tells which."""
        contexts = ServerContexts(
            [ServerIdentity(str(self._home.cert), str(self._home.key))], client_ca=str(self._home.ca)
        )
        self._gate = Gate(
            Point.RELAY,
            contexts,
            self._board,
            self.log,
            lambda connection: HttpProtocol(self._answer, connection),
        )
        await self._gate.start(self._address, port)
        self.port = self._gate.port

    async def stop(self) -> None:
        if self._gate is not None:
            await self._gate.stop()
            self._gate = None

    def apply(self, policy: Policy) -> None:
        """Takes the floor of a policy that was sent."""
        self.floor = policy.relay_floor
        self.origin = FloorOrigin.POLICY
        self._generation = policy.generation
        self._since = time.time()
        self._home.save_relay(self._version, self.report())
        self._board.publish(self._snapshot())

    def report(self) -> FloorReport:
        """What this relay says of its floor."""
        return FloorReport(
            floor=self.floor,
            origin=self.origin,
            policy_generation=self._generation,
            since=self._since,
            port=self.port,
        )

    def _snapshot(self) -> FloorSnapshot:
        return FloorSnapshot(generation=self._generation, floors={Point.RELAY: self.floor})

    def _answer(self, request: Request) -> Response:
        if request.method == "GET" and request.path == FLOOR_REPORT:
            return Response(body=msgspec.json.encode(self.report()))
        return Response(status=404, body=b'{"message":"a simulated relay has no files"}')
