"""The running agent's local socket, HOME/run/agent.sock: who may open the home may tell the agent something.

One line asks, one line of JSON answers: ``heartbeat`` heartbeats now and tells what came of it, ``stop`` ends the agent
as SIGTERM does. The socket is for the home's owner and root alone; nothing secret passes through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import Protocol

import msgspec

from plimsoll.agent.home import Home
from plimsoll.net.local_socket import short_name

HEARTBEAT = b"heartbeat"
STOP = b"stop"

#: The longest question, and how long somebody may take to ask it, in seconds.
_LONGEST = 64
_SECONDS = 10.0
#: A heartbeat tries every version and manager's address with time-outs of its own; this only bounds a hang, in seconds.
PATIENCE = 120.0


class Told(msgspec.Struct, kw_only=True):
    """What came of an order. `status` is the manager's HTTP status, 0 where it gave none; `text` says why not `ok`."""

    ok: bool
    status: int = 0
    manager: str = ""
    negotiated: str = ""
    reason: str = ""
    text: str = ""


class Controlled(Protocol):
    """What can be asked of a running agent."""

    async def beat_now(self) -> Told: ...

    def stop(self) -> None: ...


class ControlError(Exception):
    """The running agent did not answer. The message is for people."""


def path_of(home: Home) -> Path:
    return home.path / "run" / "agent.sock"


class Control:
    """The socket, from `open` to `close`."""

    def __init__(self, home: Home, agent: Controlled) -> None:
        self._path = path_of(home)
        self._agent = agent
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """A socket that a killed agent left behind is replaced: the home's lock says that it is ours."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Bound under a mask so that there is no moment in which others could open it.
            previous = os.umask(0o177)
            try:
                with short_name(self._path) as name:
                    listener.bind(name)
            finally:
                os.umask(previous)
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST)
        except BaseException:
            listener.close()
            raise

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                asked = (await reader.readline()).strip()
            told = await self._do(asked)
            writer.write(msgspec.json.encode(told) + b"\n")
            await writer.drain()
        writer.close()

    async def _do(self, asked: bytes) -> Told:
        if asked == HEARTBEAT:
            return await self._agent.beat_now()
        if asked == STOP:
            self._agent.stop()
            return Told(ok=True)
        return Told(ok=False, text="this agent does not know that order")


def ask(home: Home, order: bytes) -> Told | None:
    """Tells the running agent of that home something; None where none listens. Raises ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        try:
            with short_name(path_of(home)) as name:
                sock.connect(name)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise ControlError(f"{path_of(home)} cannot be opened: {error.strerror}; nothing was changed") from None
        try:
            sock.sendall(order + b"\n")
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
            return msgspec.json.decode(answer, type=Told)
        except (OSError, msgspec.MsgspecError) as error:
            raise ControlError(f"the running agent did not answer ({type(error).__name__})") from None
