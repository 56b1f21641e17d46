"""PostgreSQL by psycopg: the same promises as the file's, kept across processes and hosts.

Rules of this file: writers take turns by one advisory lock that their transaction holds, as they do in SQLite by BEGIN
IMMEDIATE, so that what a service read is still so when it writes; the lock is asked for at READ COMMITTED, where the
statements after it see what the writer before it committed. Readers see one state (REPEATABLE READ) and cannot write.
A connection is tried before it is used, so that the call after a restart of the server works. What a client may hear
says nothing of hosts and users: that goes to the log, once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
import psycopg.sql
import sqlalchemy as sa
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from plimsoll.manager.ports import Conflict, Unavailable
from plimsoll.manager.store.columns import NUL
from plimsoll.manager.store.database import Checked, Link, to_json

log = logging.getLogger(__name__)

#: Our advisory locks: "plim" in ASCII, and below it one for whoever writes, one for the manager that uses the database.
_LOCKS = 0x706C696D
_WRITER = 1
_MANAGER = 2
#: The class of the locks that hold a node's identity; the second number is made of its id.
_NODES = 0x706C696E
#: Seconds between two looks of a listener whether it is to stop, and whether its connection lives.
HEAR_SECONDS = 1.0
#: The oldest major version that an installation begins on: older ones have had no corrections for years.
OLDEST = 13
_WRITES = "plimsoll_writes"

#: What libpq does where the address does not say otherwise: seconds until a host counts as not answering, and how soon
#: it is noticed that an established connection leads nowhere any more.
DEFAULTS: Mapping[str, str] = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # milliseconds
}

# One round trip for each new connection. A manager whose host dies holds its lock until the server notices: soon.
# Who turned synchronous_commit off gets it back for us: what was acknowledged is durable.
_SESSION = """\
SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', '60s', false),
 set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
 set_config('tcp_keepalives_count', '3', false), set_config('synchronous_commit',
  CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)
"""
_LINK = """\
SELECT current_setting('server_version'), current_setting('fsync'), s.ssl, s.version, s.cipher, g.encrypted
 FROM (SELECT pg_backend_pid() AS pid) AS me
 LEFT JOIN pg_stat_ssl AS s USING (pid) LEFT JOIN pg_stat_gssapi AS g USING (pid)
"""
_OCCUPIED = """\
SELECT c.relname FROM pg_class AS c
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
 AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
  AND d.deptype = 'e')
 ORDER BY c.relname
"""
_FITNESS = """\
SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_schema(),
 pg_is_in_recovery(), has_schema_privilege(current_schema(), 'CREATE'), current_user
"""
_HOLDER = """\
SELECT a.application_name, host(a.client_addr), a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = %s AND l.objid::bigint = %s
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

#: What SQLSTATEs say that are about the whole database, and how long to stay away (seconds).
_SAID: Mapping[str, tuple[str, float]] = {
    "53100": ("the database's disk is full", 10.0),
    "53200": ("the database is out of memory", 10.0),
    "53300": ("the database has too many connections", 5.0),
    "55P03": ("the store is busy: another writer holds it", 2.0),
    "40001": ("the store is busy", 1.0),
    "40P01": ("the store is busy", 1.0),
    "57014": ("the database took back the statement", 5.0),
    "25006": ("the database can only be read: it is a standby, or was made read-only", 10.0),
    "25P03": ("the database ended a transaction that took too long", 5.0),
    "42501": ("the database does not permit this to the manager's user", 30.0),
}
#: The server ends, or is not up yet.
_GOING = ("57P01", "57P02", "57P03", "57P05")


class _TextDumper(StrDumperUnknown):
    """A NUL in a stranger's hello must not keep a batch from being stored."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\0", NUL).encode()


class PostgresDatabase:
    """`parameters` are libpq's; `where` is the address for people. `encrypted` where it asks for encryption."""

    kind: Literal["sqlite", "postgresql"] = "postgresql"
    shared = True

    def __init__(self, where: str, parameters: Mapping[str, str], busy_timeout: float, encrypted: bool = False) -> None:
        self.where = where
        self._encrypted = encrypted
        self.link: Link | None = None
        self._parameters: dict[str, Any] = {
            **DEFAULTS,
            "application_name": f"plimsoll manager on {socket.gethostname()}, process {os.getpid()}"[:63],
            **parameters,
            "client_encoding": "utf8",
        }
        self._busy_timeout = busy_timeout
        self._claim = _Claim(self._parameters, busy_timeout)
        self._failing = False
        self.engine = sa.create_engine(
            "postgresql+psycopg://",
            connect_args=self._parameters,
            pool_size=5,
            max_overflow=10,
            pool_timeout=10,
            pool_pre_ping=True,
            # An error's text must not carry what was to be stored.
            hide_parameters=True,
            json_serializer=to_json,
            json_deserializer=msgspec.json.decode,
        )
        self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer = self.engine.execution_options(isolation_level="READ COMMITTED", **{_WRITES: True})
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "handle_error", _standby)

    def _connected(self, dbapi: Any, _: Any) -> None:
        connection: psycopg.Connection[Any] = getattr(dbapi, "driver_connection", dbapi)
        connection.adapters.register_dumper(str, _TextDumper)
        connection.autocommit = True
        connection.execute(_SESSION, (f"{int(self._busy_timeout * 1000)}ms",))
        link = _link(connection)
        if not link.protection and self._encrypted and not connection.info.host.startswith(("/", "@")):
            # libpq does not let it come to this; that it never does is worth a look of our own.
            connection.close()
            raise psycopg.OperationalError("the connection is in clear text, and the address asks for encryption")
        self.link = link
        connection.autocommit = False
        self._claim.doubted = True
        if self._failing:
            log.info("the database %s is reached again", self.where)
            self._failing = False

    def reading(self) -> Connection:
        return self._certain(self._reader.connect())

    def writing(self) -> Connection:
        return self._certain(self._writer.connect())

    def _certain(self, connection: Connection) -> Connection:
        """After a lost connection it is looked whether the database is still ours."""
        if self._claim.doubted:
            try:
                self._claim.look()
            except BaseException:
                connection.close()
                raise
        return connection

    def queue(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCKS}, {_WRITER})")

    @contextlib.contextmanager
    def migrating(self) -> Iterator[Connection]:
        """PostgreSQL changes its schema within a transaction like anything else."""
        with self.writing() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            self.queue(connection)
            yield connection

    def claim(self, node: str | None = None) -> None:
        self._claim.take(node)

    def say(self, connection: Connection, channel: str, text: str) -> None:
        connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (channel, text))

    def hear(self, channel: str, heard: Callable[[str | None], None], stopped: Callable[[], bool]) -> None:
        try:
            with psycopg.connect(**self._parameters, autocommit=True) as connection:
                connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                # Whatever was said before this moment is in the tables.
                heard(None)
                while not stopped():
                    for one in connection.notifies(timeout=HEAR_SECONDS):
                        heard(one.payload)
                        if stopped():
                            break
                    # A connection that leads nowhere any more is noticed here.
                    connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise DBAPIError.instance("hear", None, error, psycopg.Error) from error

    def refused(self, error: BaseException) -> bool:
        if isinstance(error, PoolTimeoutError):
            return True
        if not isinstance(error, DBAPIError):
            return False
        if error.connection_invalidated or _state(error) == "42501":
            return True
        return isinstance(error.orig, (psycopg.OperationalError, psycopg.InternalError))

    def unavailable(self, error: BaseException, *, committing: bool = False) -> Unavailable:
        if isinstance(error, PoolTimeoutError):
            return Unavailable("the store is busy; nothing was kept. Try again in a moment", 2.0)
        state = _state(error)
        lost = isinstance(error, DBAPIError) and error.connection_invalidated and state not in _SAID
        if lost or self.unreachable(error):
            why = cause(error)
            if self.link is not None and not self._failing:
                log.error("the database %s cannot be reached: %s", self.where, why)
                self._failing = True
            if committing:
                return Unavailable(
                    "the connection to the database broke while this was being committed: it was kept, or it was not."
                    " Look before you repeat it",
                    5.0,
                    why,
                )
            return Unavailable(
                "the database cannot be reached; nothing was kept. Try again in a moment: the manager goes on by itself"
                " once it can, and its log says why it cannot",
                5.0,
                why,
            )
        said, wait = _SAID.get(state or "", ("the database failed", 10.0))
        return Unavailable(f"{said} ({cause(error)}); nothing was kept. Try again later", wait, cause(error))

    def unreachable(self, error: BaseException) -> bool:
        if not isinstance(error, DBAPIError) or not isinstance(error.orig, psycopg.OperationalError):
            return False
        state = _state(error)
        return state is None or state.startswith("08") or state in _GOING

    def must_be_fresh(self, connection: Connection) -> None:
        version, encoding, schema, standby, may_create, user = connection.exec_driver_sql(_FITNESS).one()
        if version < OLDEST * 10_000:
            raise Conflict(f"{self.where} is PostgreSQL {version // 10_000}; nothing was made. Use {OLDEST} or newer")
        if encoding != "UTF8":
            raise Conflict(
                f"{self.where} is encoded in {encoding}; nothing was made. Make one with: createdb --encoding=UTF8"
                " --template=template0"
            )
        if standby:
            raise Conflict(f"{self.where} is a standby, which can only be read; nothing was made. Name its primary")
        if schema is None:
            raise Conflict(
                f"{self.where} has no schema that {user} may make tables in; nothing was made. Make that user the owner"
                " of the database, or correct search_path"
            )
        if not may_create:
            raise Conflict(
                f"{user} may not make tables in the schema {schema} of {self.where}; nothing was made. Make that user"
                " the owner of the database"
            )
        names = tuple(connection.exec_driver_sql(_OCCUPIED).scalars())
        if {"facts", "alembic_version"} <= set(names):
            known = {row.name: row.value for row in connection.exec_driver_sql("SELECT name, value FROM facts")}
            raise Conflict(
                f"{self.where} already holds the installation {known.get('installation', 'of no name')} of release"
                f" {known.get('release', 'unknown')}; nothing was changed. Name an empty database; drop that one only"
                " if its home is gone for good"
            )
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise Conflict(
                f"{self.where} is not empty: its schema {schema} has {', '.join(names[:3])}{more}; nothing was changed."
                " Name an empty database"
            )

    def close(self) -> None:
        self.engine.dispose()
        self._claim.release()


class _Claim:
    """A lock that a connection of its own holds as long as it lives. `doubted` after connections were lost.

    `patience` is how long one waits for a manager that has just ended, in seconds.
    """

    def __init__(self, parameters: Mapping[str, Any], patience: float) -> None:
        self._parameters = parameters
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
            connection = psycopg.connect(**self._parameters, autocommit=True)
        except psycopg.Error as error:
            raise DBAPIError.instance("connect", None, error, psycopg.Error) from error
        try:
            connection.execute(_SESSION, (f"{int(self._patience * 1000)}ms",))
            held = _LOCKS, _MANAGER
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
                    if held[0] == _LOCKS
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


def _link(connection: psycopg.Connection[Any]) -> Link:
    """What libpq says of its own end, and the server of its: where the two differ, something stands between them."""
    row = connection.execute(_LINK).fetchone()
    assert row is not None
    version, fsync, ssl, protocol, cipher, gss = row
    risk = "" if fsync == "on" else "fsync is off there: a power cut takes what was acknowledged"
    used = {one.keyword.decode(): (one.val or b"").decode() for one in connection.pgconn.info}
    mode = used.get("sslmode", "")
    if connection.pgconn.ssl_in_use:
        shown = protocol if ssl and protocol else "TLS", cipher if ssl and cipher else ""
        return Link(version, *shown, risk, mode, _checked(mode, used.get("sslrootcert", "")))
    return Link(version, "GSSAPI" if gss else "", "", risk, mode, "Kerberos" if gss else "nothing")


def _checked(mode: str, root: str) -> Checked:
    """What libpq checked in that sslmode (its manual, 34.19.1): with a root to trust, ``require`` is ``verify-ca``."""
    if mode == "verify-full":
        return "certificate and name"
    if mode == "verify-ca":
        return "certificate"
    rooted = Path(root).exists() if root else Path("~/.postgresql/root.crt").expanduser().exists()
    return "certificate" if mode == "require" and rooted else "nothing"


def _standby(context: ExceptionContext) -> None:
    """Whoever may not write any more was demoted: the next connection leads to the one that took over."""
    connection = context.connection
    writes = connection is not None and connection.get_execution_options().get(_WRITES, False)
    if writes and getattr(context.original_exception, "sqlstate", None) == "25006":
        context.is_disconnect = True


def _state(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def cause(error: BaseException) -> str:
    """The first sentence of the driver's words in one line: what follows may carry the data of a row."""
    original = getattr(error, "orig", None) or error
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    lines = [" ".join(line.split()) for line in str(primary or original).splitlines()]
    return next(filter(None, lines), type(original).__name__)
