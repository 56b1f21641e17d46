"""Listening sockets, and who holds a port that we cannot have."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from plimsoll.net.errors import CannotListen, PortTaken

_BACKLOG = 4096
_LISTEN_STATE = "0A"


def listening_socket(host: str, port: int) -> socket.socket:
    """A non-blocking listening socket. Raises PortTaken or CannotListen, and nothing else.

    ``::`` listens on IPv4 too. What is set here, the accepted connections inherit.
    """
    host = host or "0.0.0.0"  # a manager listens everywhere unless told otherwise
    if not 0 <= port <= 65535:
        raise CannotListen(host, port, "a port is a number from 0 to 65535")  # getaddrinfo would wrap it around
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotListen(host, port, error.strerror or str(error)) from error
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host, port, holder_of(port)) from error
        raise CannotListen(host, port, error.strerror or str(error)) from error
    sock.setblocking(False)
    return sock


def holder_of(port: int) -> str | None:
    """Name and pid of the program that listens on that port, or None where the system does not tell."""
    inodes = {
        f"socket:[{fields[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in _rows(Path(table))
        if fields[3] == _LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port
    }
    if not inodes:
        return None
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            try:
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
            except OSError:
                return f"pid {process.name}"
    return None


def _rows(table: Path) -> list[list[str]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    return [fields for fields in (line.split() for line in lines) if len(fields) > 9]


def _holds(process: Path, links: set[str]) -> bool:
    try:
        with os.scandir(process / "fd") as entries:
            return any(os.readlink(entry.path) in links for entry in entries)  # noqa: PTH115 - thousands
    except OSError:
        return False  # another user's process, or one that has just ended
