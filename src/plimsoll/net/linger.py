"""Closing without a reset: a socket that is closed with unread bytes sends RST, and the peer may lose our last words.

So a closed connection shuts down its writing side and is looked at a few times, at growing distances and for a bounded
time, until the peer has ended too. Looking at intervals is cheaper than asking the loop for readiness: nearly every
peer has ended by the first look, and one that never does is closed at the last.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from plimsoll.net.deadlines import Deadlines

#: What a peer may still send in one look; more is left unread, and it then gets the reset that it asks for.
_DRAINED = bytearray(65_536)
#: How the time is divided: most of it is for the last, patient look.
_SHARES = (0.01, 0.09, 0.3, 0.6)


class Linger:
    """Lets sockets run dry for at most `seconds`; of more than `capacity` the oldest are closed at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, capacity: int) -> None:
        self._capacity = capacity
        self._stages = [
            Deadlines(loop, seconds * share, partial(self._look, stage)) for stage, share in enumerate(_SHARES)
        ]

    def __len__(self) -> int:
        return sum(len(stage) for stage in self._stages)

    def add(self, sock: socket.socket) -> None:
        """Announce our end and let the socket run dry; it is closed here."""
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            sock.close()
            return
        if len(self) >= self._capacity:
            for stage in reversed(self._stages):
                oldest = stage.pop_oldest()
                if oldest is not None:
                    oldest.close()
                    break
        self._stages[0].add(sock)

    def close(self) -> None:
        """Close all at once."""
        for stage in self._stages:
            for sock in stage.clear():
                sock.close()

    def _look(self, stage: int, sock: socket.socket) -> None:
        if _ended(sock) or stage + 1 == len(self._stages):
            sock.close()
        else:
            self._stages[stage + 1].add(sock)


def drain(sock: socket.socket) -> int:
    """Read what has come and forget it; the answer is its length. One buffer for all, which nobody reads."""
    return sock.recv_into(_DRAINED)


def _ended(sock: socket.socket) -> bool:
    try:
        return not drain(sock)
    except BlockingIOError:
        return False
    except OSError:
        return True
