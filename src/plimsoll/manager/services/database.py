"""Which database the manager keeps its store in, whether it answers, and what protects the way there (R4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from plimsoll.manager import database
from plimsoll.manager.ports import Permission, Principal, Unavailable, permits
from plimsoll.manager.store import facts

if TYPE_CHECKING:
    from plimsoll.manager.services.core import Core


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """`protection` is what the newest connection itself says that encrypts it (``TLSv1.3``, ``GSSAPI``), empty where
    nothing does. `local` is a way that does not leave this computer: a file, a socket. `problem` is empty where the
    database answers.
    """

    engine: Literal["sqlite", "postgresql"]
    address: str
    local: bool
    server: str = ""
    protection: str = ""
    cipher: str = ""
    problem: str = ""
    warning: str = ""


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
        )
