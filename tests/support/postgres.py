"""A PostgreSQL server of our own: Debian's programs, a temporary folder, a Unix socket and a free port on loopback.

It never runs as root, which PostgreSQL refuses: where the tests do, it runs as the user `postgres`. What a crash of the
computer would take is not waited for (``fsync=off``); what a crash of a process would take is.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tests.support.process import PATIENCE, free_ports

HOST = "127.0.0.1"
#: Who may do everything, by the socket only and without a password.
SUPERUSER = "postgres"
#: Who owns the databases of the tests, on loopback with this password.
USER = "plimsoll"
PASSWORD = r"it's a \ secret: %40"

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
_HBA = """\
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def programs() -> Path:
    """The folder of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("postgres")
    assert elsewhere is not None, "PostgreSQL's server is not installed: run 'make deps' as root"
    return Path(elsewhere).parent


def _as_somebody() -> dict[str, Any]:
    """Whom the server's processes run as, for `subprocess`."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Server:
    """Started by `start`, as often as wanted; its data stay until `remove`."""

    def __init__(self, settings: dict[str, str] | None = None, folder: Path | None = None) -> None:
        """`folder` is an empty one that the server may have, a temporary one where none is given."""
        self.folder = folder or Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_ports(1)[0]
        #: What its process finds in its environment, beside ours.
        self.surroundings: dict[str, str] = {}
        self.settings = {**_SETTINGS, **(settings or {})}
        self._somebody = _as_somebody()
        self._process: subprocess.Popen[bytes] | None = None
        if self._somebody:
            os.chown(self.folder, self._somebody["user"], self._somebody["group"])
        self.folder.chmod(0o755)  # whoever runs the tests must come to the socket
        # A language's order, and not the bytes': what relies on the one must not pass by the other.
        order = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
        self._call("initdb", "-D", str(self.data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "-N", *order)
        self.write("pg_hba.conf", _HBA)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A file in the server's data folder, readable by the server alone."""
        path = self.data / name
        path.write_text(text)
        path.chmod(mode)
        if self._somebody:
            os.chown(path, self._somebody["user"], self._somebody["group"])
        return path

    def new_folder(self, name: str) -> Path:
        """An empty folder beside the data, the server's own."""
        path = self.folder / name
        path.mkdir(parents=True)
        if self._somebody:
            os.chown(path, self._somebody["user"], self._somebody["group"])
        return path

    def start(self) -> Server:
        """Returns once it answers; one that runs already is left alone."""
        if self._process is not None and self._process.poll() is None:
            return self
        options = {
            "listen_addresses": HOST,
            **self.settings,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        command = [str(programs() / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.surroundings},
                **self._somebody,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self.connect():
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends every session and writes down what there is; SIGQUIT is a crash that the next start mends."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    # What is in it

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """As the one who may do everything, each statement for itself."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=SUPERUSER, dbname=database, autocommit=True, connect_timeout=5
        )

    def do(self, *statements: str, database: str = "postgres") -> list[Any]:
        """What the last of them answered."""
        with self.connect(database) as connection:
            rows: list[Any] = []
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def url(self, database: str, query: str = "") -> str:
        """By the socket, where nobody is asked for a password."""
        return f"postgresql://{USER}@:{self.port}/{database}?host={self.folder}{'&' + query if query else ''}"

    def tcp_url(self, database: str, query: str = "") -> str:
        """By loopback, where `PASSWORD` is asked for."""
        return f"postgresql://{USER}@{HOST}:{self.port}/{database}{'?' + query if query else ''}"

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(programs() / program), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder, **self._somebody,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def server(settings: dict[str, str] | None = None) -> Iterator[Server]:
    """One that a test may stop, start and fill as it likes, with the user of the tests."""
    made = Server(settings)
    try:
        make_user(made.start())
        yield made
    finally:
        made.remove()


def make_user(made: Server) -> None:
    password = PASSWORD.replace("'", "''")
    made.do(f"create role {USER} login password E'{password.replace(chr(92), chr(92) * 2)}'")


@functools.cache
def shared() -> Server:
    """One for all tests of this process that do nothing to the server itself."""
    made = Server().start()
    atexit.register(made.remove)
    make_user(made)
    return made


_made = 0


def new_database(made: Server, *, template: str = "template0", more: Sequence[str] = ()) -> str:
    """The name of a database of its own, which the tests' user owns."""
    global _made
    _made += 1
    name = f"t{_made}"
    # The files are copied: a template of ours is small, and nobody waits for a disk.
    made.do(f"create database {name} owner {USER} template {template} strategy file_copy {' '.join(more)}")
    return name


def drop(made: Server, *databases: str) -> None:
    made.do(*(f"drop database if exists {name} with (force)" for name in databases))
