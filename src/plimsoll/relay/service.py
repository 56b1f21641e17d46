"""The relay's port, 4122: files for the fleet, and the answer to which floor is held."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from pathlib import Path

import msgspec

from plimsoll.messages import FILES, FLOOR_REPORT, METADATA, TARGETS, FloorReport
from plimsoll.net.board import FloorBoard
from plimsoll.net.connection import Connection
from plimsoll.net.contexts import ServerContexts, ServerIdentity
from plimsoll.net.files import file_answer
from plimsoll.net.gate import Gate
from plimsoll.net.http import HttpProtocol, Request, Response, problem
from plimsoll.net.sightings import Sighting, SightingLog
from plimsoll.relay.mirror import Mirror
from plimsoll.relay.state import RelayFloorKeeper
from plimsoll.tls.floors import FloorSnapshot, Point
from plimsoll.tls.versions import Version

#: One folder level or more, of plain names: no empty part, no hidden one, and so nothing that leads upwards.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}){0,7}")

#: After a raise a download may go on for this long (design §4).
DOWNLOAD_GRACE = 60.0


class RelayService:
    """Listens with the floor that the keeper holds; `apply` puts the floor of a stored policy in force at once."""

    def __init__(
        self,
        keeper: RelayFloorKeeper,
        files: Path,
        identity: ServerIdentity,
        ca: Path,
        installation: str,
        mirror: Mirror | None = None,
    ) -> None:
        """`mirror` hands out software; without one there are the files alone."""
        self._mirror = mirror
        self._keeper = keeper
        self._files = files
        self._installation = installation
        self._contexts = ServerContexts([identity], client_ca=str(ca))
        self._board = FloorBoard(self._snapshot())
        self.sightings = SightingLog()
        self._gate = Gate(Point.RELAY, self._contexts, self._board, self.sightings, self._protocol)

    @property
    def port(self) -> int:
        return self._gate.port

    @property
    def floor(self) -> Version:
        """The floor in force."""
        return self._board.snapshot.floor(Point.RELAY)

    async def start(self, host: str, port: int) -> None:
        """Opens the port. Raises what the gate raises, PortTaken among it."""
        await self._gate.start(host, port)

    async def stop(self) -> None:
        if self._mirror is not None:
            await self._mirror.close()
        await self._gate.stop()

    def reload(self, identity: ServerIdentity) -> None:
        """Serves a renewed certificate from the next handshake on."""
        self._contexts.reload([identity])

    def trust(self, ca: str) -> None:
        """Verifies peers by these CAs (a path or PEM text) from the next handshake on."""
        self._contexts.trust(ca)

    def apply(self) -> None:
        """Puts in force what the keeper holds: the next hello is judged by it."""
        self._board.publish(self._snapshot())

    def report(self) -> FloorReport:
        return self._keeper.report(self.port)

    def refusals(self) -> list[Sighting]:
        """The kinds of clients that were refused or failed since the last call."""
        return [sighting for sighting in self.sightings.drain() if sighting.outcome.value.startswith("refused")]

    def _snapshot(self) -> FloorSnapshot:
        report = self._keeper.report(0)
        return FloorSnapshot(generation=report.policy_generation, floors={Point.RELAY: report.floor})

    def _protocol(self, connection: Connection) -> HttpProtocol:
        return HttpProtocol(self._answer, connection)

    def troubles(self) -> dict[str, str]:
        """What kept packages from being fetched since the last call, by kind: ``room`` or ``source``."""
        if self._mirror is None or not self._mirror.troubles:
            return {}
        found, self._mirror.troubles = self._mirror.troubles, {}
        return found

    def _answer(self, request: Request) -> Response | Awaitable[Response]:
        who = request.connection.identity
        if who is None or who.installation != self._installation:
            return problem(403, "this relay serves its own installation only: show a certificate of it")
        if request.method not in ("GET", "HEAD"):
            return problem(405, "a relay is only read from")
        if request.path == FLOOR_REPORT:
            if who.role != "manager":
                return problem(403, "only a manager may ask for the floor")
            return Response(body=msgspec.json.encode(self.report()))
        if request.path.startswith(f"{FILES}/"):
            return self._file(request)
        if self._mirror is not None:
            if request.path.startswith(f"{TARGETS}/"):
                request.connection.grace = DOWNLOAD_GRACE
                return self._mirror.package(request, request.path.removeprefix(f"{TARGETS}/"))
            if request.path.startswith(f"{METADATA}/"):
                return self._mirror.metadata(request, request.path.removeprefix(f"{METADATA}/"))
        return problem(404, "there is nothing here")

    def _file(self, request: Request) -> Response:
        path = safe_path(self._files, request.path[len(FILES) + 1 :])
        if path is None:
            return problem(404, "this relay does not have that file")
        request.connection.grace = DOWNLOAD_GRACE
        return file_answer(request, path)


def safe_path(root: Path, name: str) -> Path | None:
    """The regular file of that name below the root, or None. Links that lead out of the root count as missing."""
    if _NAME.fullmatch(name) is None:
        return None
    try:
        path = (root / name).resolve(strict=True)
        inside = path.is_relative_to(root.resolve(strict=True))
    except OSError:
        return None
    return path if inside and path.is_file() else None
