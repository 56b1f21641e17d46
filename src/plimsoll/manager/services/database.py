"""Which database the manager keeps its store in, whether it answers, and what protects the way there (R4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plimsoll.manager import database
from plimsoll.manager.ports import NotFound, Permission, Principal, Unavailable, permits
from plimsoll.manager.services import database_checks
from plimsoll.manager.services.database_checks import DatabaseCheck
from plimsoll.manager.store import facts
from plimsoll.manager.store.database import Checked, Link

if TYPE_CHECKING:
    from plimsoll.manager.services.core import Core, Unit


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """`protection` is what the newest connection itself says that encrypts it (``TLSv1.3``, ``GSSAPI``), empty where
    nothing does. `mode` is libpq's sslmode as it counted, `asked` whether the address asks for encryption, so that
    nothing goes on without it, and `checked` what was checked of the server. `advice` is what can be done about it,
    empty where there is nothing. `local` is a way that does not leave this computer: a file, a socket. `problem` is
    empty where the database answers.
    """

    engine: Literal["sqlite", "postgresql"]
    address: str
    local: bool
    server: str = ""
    protection: str = ""
    cipher: str = ""
    problem: str = ""
    warning: str = ""
    mode: str = ""
    asked: bool = False
    checked: Checked = "nothing"
    advice: str = ""


class DatabaseService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.MANAGER_READ)
    def show(self, principal: Principal) -> DatabaseView:
        """Asks the database now. One that does not answer is a view too, with the problem."""
        store = self._core.store
        problem = ""
        try:
            store.read(lambda c: facts.get(c, facts.INSTALLATION))
        except Unavailable as error:
            problem = error.cause or error.message
        address = database.parse(self._core.home.config.database)
        # Of one that does not answer, what was so before is no news.
        link = store.database.link if not problem else None
        local = address is None or address.local
        if link is None:
            return DatabaseView(store.database.kind, store.database.where, local, problem=problem)
        return DatabaseView(
            store.database.kind,
            store.database.where,
            local,
            link.server,
            link.protection,
            link.cipher,
            problem,
            link.risk,
            link.mode,
            address is not None and address.encrypted,
            link.checked,
            "" if local or address is None else _advice(link, address.encrypted),
        )

    @permits(Permission.MANAGER_READ)
    def checks(self, principal: Principal) -> tuple[DatabaseCheck, ...]:
        """What was found of databases of other kinds, by address."""
        return tuple(self._core.store.read(database_checks.read))

    @permits(Permission.MANAGER_CHANGE)
    def check(self, principal: Principal, address: str) -> DatabaseCheck:
        """Asks an SQL Server which versions it accepts, and keeps the answer for the preflight. Takes some seconds.

        Raises BadInput for what is no address, and Conflict where no such server answers; then nothing is kept.
        """
        found = database_checks.look(database_checks.parse(address), self._core.clock())

        def work(unit: Unit) -> None:
            database_checks.keep(unit.connection, found)
            after = {"accepted": [version.value for version in found.accepted], "encrypted": found.encrypted}
            unit.audit(principal, "database.check", found.address, None, after)

        self._core.write(work)
        return found

    @permits(Permission.MANAGER_CHANGE)
    def forget(self, principal: Principal, address: str) -> None:
        """The preflight does not ask for that database any more. Raises NotFound."""
        name = str(database_checks.parse(address))

        def work(unit: Unit) -> None:
            if not database_checks.forget(unit.connection, name):
                raise NotFound(f"no database {name} was checked; nothing was changed")
            unit.audit(principal, "database.forget", name)

        self._core.write(work)


def _advice(link: Link, asked: bool) -> str:
    full = "sslmode=verify-full&sslrootcert=FILE in database=, then restart"
    if not link.protection:
        return f"turn encryption on by {full}; a connection without never blocks a floor"
    if not asked:
        return f"nothing asks for encryption: the next connection may come without. Write {full}"
    if link.checked == "nothing":
        return f"whoever answers is believed: somebody in between would not be noticed. Write {full}"
    if link.checked == "certificate":
        return f"any server with a certificate of that CA is believed. Write {full}"
    return ""
