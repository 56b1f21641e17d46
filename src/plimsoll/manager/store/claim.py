"""Whose a PostgreSQL database is: advisory locks that one connection of each manager holds as long as it lives."""

from __future__ import annotations

import contextlib
import logging
import threading
import zlib
from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from plimsoll.manager.ports import Conflict, Unavailable

log = logging.getLogger(__name__)

#: Our advisory locks: "plim" in ASCII, and below it one for whoever writes, one for the manager that uses the database.
LOCKS = 0x706C696D
WRITER = 1
_MANAGER = 2
#: The class of the locks that hold a node's identity; the second number is made of its id.
_NODES = 0x706C696E

#: One round trip for each new connection. A manager whose host dies, or that is cut off, holds its lock until the
#: server notices, within twenty seconds; until then no other can write. A slow one has a kernel that answers.
#: Who turned synchronous_commit off gets it back for us: what was acknowledged is durable.
SESSION = """\
SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', '60s', false),
 set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
 set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '20s', false),
 set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
_HOLDER = """\
SELECT a.application_name, host(a.client_addr), a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s AND l.objid::bigint = %s
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Claim:
    """A lock that a connection of its own holds as long as it lives. `doubted` after connections were lost.

    `patience` is how long one waits for a manager that has just ended, in seconds.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._connection: psycopg.Connection[Any] | None = None
        self._wanted = False
        self._node: str | None = None
        self._guard = threading.Lock()
        self.doubted = False

    def take(self, node: str | None) -> None:
        """Raises Conflict where somebody else has it, and psycopg's errors wrapped as SQLAlchemy's are.

        `node` None is for whoever must be alone; nodes share the database, and each is there once.
        """
        with self._guard:
            self._wanted = True
            self._node = node
            self._take()

    def look(self) -> None:
        """Takes it again where it was lost. Raises Unavailable where somebody else has it by now."""
        with self._guard:
            if self._wanted and not self._alive():
                try:
                    self._take()
                except Conflict as error:
                    log.error("%s", error.message)
                    raise Unavailable("another manager uses the database; nothing was kept", 30.0) from None
            self.doubted = False

    def release(self) -> None:
        with self._guard:
            self._wanted = False
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _alive(self) -> bool:
        if self._connection is None:
            return False
        with contextlib.suppress(psycopg.Error):
            self._connection.execute("SELECT 1")
            return True
        return False

    def _take(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            connection = self._connect()
        except psycopg.Error as error:
            raise DBAPIError.instance("connect", None, error, psycopg.Error) from error
        try:
            connection.execute(SESSION, (f"{int(self._patience * 1000)}ms",))
            held = LOCKS, _MANAGER
            if self._node is None:
                connection.execute("SELECT pg_advisory_lock(%s, %s)", held)
            else:
                connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", held)
                held = _NODES, zlib.crc32(self._node.encode()) & 0x7FFFFFFF
                connection.execute("SELECT pg_advisory_lock(%s, %s)", held)
        except psycopg.errors.LockNotAvailable:
            holder = connection.execute(_HOLDER, held).fetchone()
            connection.close()
            raise Conflict(
                f"another manager uses this database{_named(holder)}; nothing was changed. "
                + (
                    "For this all managers of the installation must be stopped"
                    if held[0] == LOCKS
                    else "It has the identity of this home, which is a copy of the other's: stop one of the two, and"
                    " make a further manager with plimsoll manager init --join"
                )
            ) from None
        except psycopg.Error as error:
            connection.close()
            raise DBAPIError.instance("claim", None, error, psycopg.Error) from error
        self._connection = connection


def _named(holder: Any) -> str:
    if holder is None:
        return ""
    name, address, pid = holder
    at = f", from {address}" if address else ""
    return f" ({name or 'of no name'}{at}, the server's process {pid})"
