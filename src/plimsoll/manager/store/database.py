"""What differs from one database to the next: how transactions begin and queue, and how a failure is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
from sqlalchemy import Connection, Engine

from plimsoll.manager.ports import Unavailable

Checked = Literal["nothing", "certificate", "certificate and name", "Kerberos"]


@dataclass(frozen=True, slots=True)
class Link:
    """The connection to the database, as the newest one showed it itself.

    `protection` is what encrypts it (``TLSv1.3``, ``GSSAPI``; ``TLS`` where the version is not known) and empty where
    nothing does. `risk` is what the server's own settings put at risk, in words, or empty. `mode` is libpq's sslmode
    as it counted, from the address or from its environment. `checked` is what was checked of whoever answered.
    """

    server: str
    protection: str = ""
    cipher: str = ""
    risk: str = ""
    mode: str = ""
    checked: Checked = "nothing"


class Database(Protocol):
    """One kind of database behind a store. Connections that it gives are used as context managers."""

    kind: Literal["sqlite", "postgresql"]
    #: Where it is, for people; never with a password.
    where: str
    engine: Engine
    #: None where there is no connection: the database is a file, or was never reached.
    link: Link | None

    def reading(self) -> Connection:
        """A connection whose transaction sees one state of the database, and cannot change it."""
        ...

    def writing(self) -> Connection: ...

    def queue(self, connection: Connection) -> None:
        """The first thing in a transaction that writes: returns when no other writer is under way anywhere."""
        ...

    def migrating(self) -> AbstractContextManager[Connection]:
        """A transaction in which the schema may be changed; committed at the end."""
        ...

    #: Whether several managers can share it.
    shared: bool

    def claim(self, node: str | None = None) -> None:
        """From now on no other manager uses this database, or, where a node is named, none but other nodes do.

        Raises Conflict where one does.
        """
        ...

    def say(self, connection: Connection, channel: str, text: str) -> None:
        """Tells every other manager once the transaction is committed. At most 7,900 bytes."""
        ...

    def hear(self, channel: str, heard: Callable[[str | None], None], stopped: Callable[[], bool]) -> None:
        """Blocks, and gives what others say to `heard`; None where something may have been missed, first of all at
        the beginning. Returns when `stopped` says so, which is asked each second; raises DBAPIError where the
        connection is lost.
        """
        ...

    def refused(self, error: BaseException) -> bool:
        """Whether it is about the whole database (full, locked, gone) and not about one item's data."""
        ...

    def unavailable(self, error: BaseException, *, committing: bool = False) -> Unavailable:
        """Such an error in words. `committing` where it came in answer to the commit."""
        ...

    @property
    def away(self) -> bool:
        """Whether it is known to be away. Then whoever comes is told so at once, until it is found to be back."""
        ...

    def operation(self) -> AbstractContextManager[None]:
        """Around whatever uses a connection. Raises Unavailable at once where the database is known to be away."""
        ...

    def lost(self, error: BaseException) -> None:
        """An operation failed. Where there was no answer at all, the database counts as away."""
        ...

    def must_be_fresh(self, connection: Connection) -> None:
        """Raises Conflict where no installation can begin here, or something stands here already."""
        ...

    def close(self) -> None: ...


def to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
