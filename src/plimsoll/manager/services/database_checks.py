"""Databases of other kinds, asked whether they support TLS 1.2 (R4, R9): SQL Server by handshakes, Oracle by name.

The manager keeps its store in none of them. A deployment that comes from the reference has one all the same, and the
guide asks for it before a floor is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from plimsoll.manager.ports import BadInput, Conflict
from plimsoll.manager.store import Connection, facts
from plimsoll.scan.engine import scan_endpoint
from plimsoll.scan.options import SWEEP, Options
from plimsoll.scan.report import State, Target
from plimsoll.tls.versions import Version

Engine = Literal["sqlserver", "oracle"]

#: What people write, the kind that is meant, and the port that is usual there.
_SCHEMES: Final[dict[str, tuple[Engine, int]]] = {
    "sqlserver": ("sqlserver", 1433),
    "mssql": ("sqlserver", 1433),
    "oracle": ("oracle", 1521),
}
_LABELS: Final[dict[Engine, str]] = {"sqlserver": "SQL Server", "oracle": "Oracle"}
#: What an SQL Server says that was told to speak no TLS at all.
_NO_TLS: Final = "ENCRYPT_NOT_SUP"
#: How many are kept; a deployment has one or two.
MOST: Final = 32


class DatabaseCheck(msgspec.Struct, frozen=True):
    """What was found at `address`. `speaks` is the newest version that it accepted, None where none was, or none was
    asked. `encrypted` is False where it does without TLS, so that no floor concerns it.
    """

    address: str
    engine: Engine
    host: str
    port: int
    time: float
    encrypted: bool
    speaks: Version | None
    accepted: list[Version]
    text: str

    @property
    def label(self) -> str:
        return _LABELS[self.engine]

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def blocks(self) -> bool:
        """Whether a floor from TLS 1.2 on has to wait for it."""
        return self.engine == "sqlserver" and self.encrypted and (self.speaks or Version.SSL2) < Version.TLS1_2


@dataclass(frozen=True, slots=True)
class Address:
    engine: Engine
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.engine}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse(text: str) -> Address:
    """Raises BadInput; the text is not shown, as somebody may have written a password into it."""
    form = "sqlserver://HOST:PORT or oracle://HOST:PORT"
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        raise BadInput(f"that is no address; the form is {form}. Nothing was checked") from None
    if scheme not in _SCHEMES or not host or any(mark.isspace() or not mark.isprintable() for mark in text):
        raise BadInput(f"the address of a database to check has the form {form}. Nothing was checked")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise BadInput(f"a check needs no user, password or database, only {form}. Nothing was checked")
    engine, usual = _SCHEMES[scheme]
    return Address(engine, host, usual if port is None else port)


def look(address: Address, now: float, timeout: float = 5.0) -> DatabaseCheck:
    """Asks it. Takes some seconds where it is silent. Raises Conflict where nothing can be said."""
    if address.engine == "oracle":
        text = "Oracle encrypts natively (sqlnet.ora, SQLNET.ENCRYPTION_SERVER), not by TLS: nothing to do"
        return DatabaseCheck(str(address), "oracle", address.host, address.port, now, False, None, [], text)
    target = Target(address.host, address.port, "mssql")
    report = scan_endpoint(target, Options(mode=SWEEP, timeout=timeout, features=False, groups=False))
    if report.state is State.UNREACHABLE or (report.state is State.NOT_TLS and _NO_TLS not in report.note):
        why = report.note or report.state.value
        raise Conflict(f"no SQL Server was found at {target}: {why}. Nothing was kept")
    accepted = list(report.accepted)
    encrypted = report.state is not State.NOT_TLS
    speaks = accepted[-1] if accepted else None
    if not encrypted:
        text = "speaks no TLS at all: its connections are not encrypted, and no floor concerns them"
    elif speaks is None:
        text = f"no version of TLS was seen accepted ({report.note or report.state.value})"
    else:
        text = f"accepts {', '.join(version.label for version in accepted)}"
    return DatabaseCheck(str(address), "sqlserver", address.host, address.port, now, encrypted, speaks, accepted, text)


def read(connection: Connection) -> Sequence[DatabaseCheck]:
    """All that are kept, by address."""
    text = facts.get(connection, facts.DATABASE_CHECKS)
    return [] if text is None else msgspec.json.decode(text, type=list[DatabaseCheck])


def keep(connection: Connection, found: DatabaseCheck) -> None:
    """In the place of what was known of that address. Raises Conflict where too many are kept already."""
    others = [one for one in read(connection) if one.address != found.address]
    if len(others) >= MOST:
        raise Conflict(f"{MOST} databases are kept already; forget one first. Nothing was kept")
    _write(connection, [*others, found])


def forget(connection: Connection, address: str) -> bool:
    """Whether there was one."""
    known = read(connection)
    left = [one for one in known if one.address != address]
    _write(connection, left)
    return len(left) < len(known)


def _write(connection: Connection, checks: Sequence[DatabaseCheck]) -> None:
    ordered = sorted(checks, key=lambda one: one.address)
    facts.put(connection, facts.DATABASE_CHECKS, msgspec.json.encode(ordered).decode())
