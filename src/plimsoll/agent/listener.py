"""The agent's own port, 4118: it opens only where the policy asks for it, and obeys managers only (design §11).

Before activation it shows a bootstrap certificate and takes part in a visit (`agent.visit`); afterwards it shows its
own identity, asks for the peer's, and does what a manager of its own installation says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from plimsoll.messages import (
    VISIT_BEGIN,
    VISIT_FINISH,
    VISIT_HEARTBEAT,
    VISIT_REPLY,
    WAKE,
    Activation,
    Heartbeat,
    HeartbeatReply,
    Message,
    Problem,
    VisitBegin,
    VisitOffer,
)
from plimsoll.net.board import FloorBoard
from plimsoll.net.connection import Connection
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.gate import Gate
from plimsoll.net.http import HttpProtocol, Request, Response
from plimsoll.net.sightings import Sighting, SightingLog
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import Version

M = TypeVar("M", bound=Message)
Answered = Response | Awaitable[Response]


class Obedient(Protocol):
    """What a manager can make an activated agent do."""

    def visit_heartbeat(self) -> Heartbeat: ...

    def visit_reply(self, reply: HeartbeatReply) -> None: ...

    def wake(self) -> None: ...

    async def visit_renewal(self, begin: VisitBegin) -> VisitOffer: ...

    async def visit_renewed(self, activation: Activation) -> None: ...


class VisitError(Exception):
    """A visit that is refused; the message is for the manager's administrator."""

    def __init__(self, message: str, reason: str, status: int = 403) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class AgentListener:
    """The gate on 4118. `floor` is the policy's; `set_floor` swaps it while connections are open."""

    def __init__(
        self, identity: ServerIdentity, ca: str | None, floor: Version, handler: Callable[[Request], Answered]
    ) -> None:
        self._contexts = ServerContexts([identity], client_ca=ca)
        self._board = FloorBoard(FloorSnapshot(generation=0, floors={Point.AGENT: floor}))
        self._handler = handler
        self._log = SightingLog()
        self._gate = Gate(Point.AGENT, self._contexts, self._board, self._log, self._protocol)

    @property
    def port(self) -> int:
        return self._gate.port

    @property
    def floor(self) -> Version:
        """The floor in force."""
        return self._board.snapshot.floor(Point.AGENT)

    async def start(self, host: str, port: int) -> None:
        """Opens the port. Raises what the gate raises, PortTaken among it."""
        await self._gate.start(host, port)

    async def stop(self) -> None:
        await self._gate.stop()

    def reload(self, identity: ServerIdentity) -> None:
        """Serves a renewed certificate from the next handshake on."""
        self._contexts.reload([identity])

    def trust(self, ca: str) -> None:
        """Verifies peers by these CAs (a path or PEM text) from the next handshake on."""
        self._contexts.trust(ca)

    def set_floor(self, floor: Version) -> None:
        """Puts another floor in force for the next hello."""
        if floor is not self.floor:
            generation = self._board.snapshot.generation + 1
            self._board.publish(FloorSnapshot(generation=generation, floors={Point.AGENT: floor}))

    def refusals(self) -> list[Sighting]:
        """The kinds of clients that were refused since the last call."""
        return [sighting for sighting in self._log.drain() if sighting.outcome.value.startswith("refused")]

    def _protocol(self, connection: Connection) -> HttpProtocol:
        return HttpProtocol(self._handler, connection)


class Orders:
    """The requests that an activated agent takes, and from whom."""

    def __init__(self, installation: str, agent: Obedient) -> None:
        self._installation = installation
        self._agent = agent

    def __call__(self, request: Request) -> Answered:
        who = request.connection.identity
        if who is None or who.role != "manager" or who.installation != self._installation:
            # One stolen agent's or relay's certificate must not command the fleet.
            return problem(403, "this agent obeys managers of its own installation only", "role")
        match request.method, request.path:
            case "GET", path if path == VISIT_HEARTBEAT:
                return said(self._agent.visit_heartbeat())
            case "POST", path if path == VISIT_REPLY:
                return self._reply(request)
            case "POST", path if path == WAKE:
                self._agent.wake()
                return Response(body=b"{}")
            case "POST", path if path == VISIT_BEGIN:
                return answer(request, VisitBegin, self._agent.visit_renewal)
            case "POST", path if path == VISIT_FINISH:
                return answer(request, Activation, self._agent.visit_renewed)
        return problem(404, "there is nothing here", "path")

    def _reply(self, request: Request) -> Response:
        try:
            self._agent.visit_reply(read(request, HeartbeatReply))
        except VisitError as error:
            return problem(error.status, str(error), error.reason)
        return Response(body=b"{}")


async def answer(request: Request, kind: type[M], do: Callable[[M], Awaitable[Message | None]]) -> Response:
    """Reads the body as that message and answers with what `do` makes of it."""
    try:
        made = await do(read(request, kind))
    except VisitError as error:
        return problem(error.status, str(error), error.reason)
    return Response(body=b"{}") if made is None else said(made)


def read(request: Request, kind: type[M]) -> M:
    """The body as that message. Raises VisitError."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.MsgspecError as error:
        raise VisitError(f"the message cannot be read: {error}", "malformed", 400) from None


def said(message: Message) -> Response:
    """The message as an answer."""
    return Response(body=msgspec.json.encode(message))


def problem(status: int, message: str, reason: str) -> Response:
    """A refusal as the fleet's programs read it."""
    return Response(status=status, body=msgspec.json.encode(Problem(message=message, reason=reason)))
