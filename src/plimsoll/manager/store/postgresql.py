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
import time
import weakref
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
from plimsoll.manager.store.circuit import Away, Circuit
from plimsoll.manager.store.claim import LOCKS, SESSION, WRITER, Claim
from plimsoll.manager.store.columns import NUL
from plimsoll.manager.store.database import Checked, Link, to_json

log = logging.getLogger(__name__)

#: Seconds between two looks of a listener whether it is to stop, and whether its connection lives.
HEAR_SECONDS = 1.0
#: Seconds in which a server that lives answers a new connection; the address may give it less (``connect_timeout=2``).
ANSWER_SECONDS = 3
#: A look that failed sooner was answered by somebody, if only with a refusal.
_REFUSED_SECONDS = 1.5
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
        self._links: weakref.WeakSet[psycopg.Connection[Any]] = weakref.WeakSet()
        self._links_lock = threading.Lock()
        self._circuit = Circuit(self._look, self._end)
        self._claim = Claim(self._connect, busy_timeout)
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
        event.listen(self.engine, "do_connect", self._may_connect)

    def _connected(self, dbapi: Any, _: Any) -> None:
        connection: psycopg.Connection[Any] = getattr(dbapi, "driver_connection", dbapi)
        connection.adapters.register_dumper(str, _TextDumper)
        connection.autocommit = True
        connection.execute(SESSION, (f"{int(self._busy_timeout * 1000)}ms",))
        link = _link(connection)
        if not link.protection and self._encrypted and not connection.info.host.startswith(("/", "@")):
            # libpq does not let it come to this; that it never does is worth a look of our own.
            connection.close()
            raise psycopg.OperationalError("the connection is in clear text, and the address asks for encryption")
        self.link = link
        self._keep(connection)
        connection.autocommit = False
        self._claim.doubted = True
        if self._failing:
            log.info("the database %s is reached again", self.where)
            self._failing = False

    # Whether it is there

    @property
    def away(self) -> bool:
        return self._circuit.cause is not None

    @contextlib.contextmanager
    def operation(self) -> Iterator[None]:
        try:
            with self._circuit.operation():
                yield
        except Away as error:
            raise _away(error.cause) from None

    def _may_connect(self, *_: Any) -> None:
        """Who waited for a connection while the others found nobody need not find that out again."""
        cause = self._circuit.cause
        if cause is not None and not self._circuit.looking:
            raise psycopg.OperationalError(cause)

    def _connect(self) -> psycopg.Connection[Any]:
        """One that the pool knows nothing of."""
        connection = psycopg.connect(**self._parameters, autocommit=True)
        self._keep(connection)
        return connection

    def _keep(self, connection: psycopg.Connection[Any]) -> None:
        with self._links_lock:
            self._links.add(connection)

    def _look(self) -> None:
        """Of the circuit: whether a new connection is answered, or one that is there. Raises Away."""
        began = time.monotonic()
        given = int(self._parameters["connect_timeout"])
        limit = min(given, ANSWER_SECONDS) if given > 0 else ANSWER_SECONDS
        try:
            psycopg.connect(**{**self._parameters, "connect_timeout": str(limit)}).close()
        except psycopg.Error as error:
            silent = time.monotonic() - began >= _REFUSED_SECONDS
            if silent or not self._idle_works():
                raise Away(cause(error), silent=silent) from None

    def _idle_works(self) -> bool:
        """A server that takes no further connections may well serve those that it has."""
        if not self.engine.pool.checkedin():  # type: ignore[attr-defined]  # of the kind of pool that this one is
            return False
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (DBAPIError, PoolTimeoutError):
            return False
        return True

    def _end(self) -> None:
        """Of the circuit: whoever waits for an answer has an error instead, whatever he waits in."""
        with self._links_lock:
            links = list(self._links)
        for connection in links:
            # The descriptor of our own is closed again; what stands behind it is not closed here but shut down, so that
            # the thread which waits for it finds its end.
            with (
                contextlib.suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(connection.fileno())) as one,
            ):
                one.shutdown(socket.SHUT_RDWR)

    def lost(self, error: BaseException) -> None:
        if self.unreachable(error):
            self._circuit.lost(cause(error))

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
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCKS}, {WRITER})")

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
            self._circuit.enter()
            with self._connect() as connection:
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
        except Away as error:
            raise _away(error.cause) from None
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
            return _away(why)
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
        self._circuit.close()
        self.engine.dispose()
        self._claim.release()


def _away(why: str) -> Unavailable:
    return Unavailable(
        "the database cannot be reached; nothing was kept. Try again in a moment: the manager goes on by itself once it"
        " can, and its log says why it cannot",
        5.0,
        why,
    )


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
