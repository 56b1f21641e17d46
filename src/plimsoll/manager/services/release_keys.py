"""Which release keys this fleet trusts: a chain of statements, so that a key is followed only by whom it names.

The manager holds public halves only. Agents follow the same chain by themselves, from the statement that they were
given when they were activated; so a manager that was broken into cannot give them another key in silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from plimsoll.manager.ports import BadInput, Conflict, Permission, Principal, internal, permits
from plimsoll.manager.services import events as event_numbers
from plimsoll.manager.services.core import Core, Unit
from plimsoll.manager.services.events import NewEvent
from plimsoll.manager.services.hub import SoftwareChanged
from plimsoll.manager.store import Connection
from plimsoll.manager.store import software as table
from plimsoll.manager.store.software import StatementRecord
from plimsoll.messages import release
from plimsoll.messages.release import ReleaseError, ReleaseKey, TrustStatement


@dataclass(frozen=True, slots=True)
class ReleaseKeyView:
    """`since` is when the first statement with the key was taken, `number` that statement's."""

    id: str
    name: str
    pem: str
    number: int
    since: float
    who: str


class ReleaseKeysService:
    def __init__(self, core: Core) -> None:
        self._core = core

    @permits(Permission.SOFTWARE_READ)
    def list(self, principal: Principal) -> tuple[ReleaseKeyView, ...]:
        """The keys that count now."""
        chain = self._chain()
        if not chain:
            return ()
        statements = [(one, release.read_trust(one.text)) for one in chain]
        views = []
        for key in statements[-1][1].keys:
            first = next(one for one, statement in statements if statement.trusts(key.id))
            views.append(
                ReleaseKeyView(key.id, key.name, release.public_pem(key).decode(), first.number, first.added, first.who)
            )
        return tuple(views)

    @permits(Permission.SOFTWARE_READ)
    def statement(self, principal: Principal) -> str | None:
        """The text in force: what an owner of a key signs the next one from."""
        chain = self._chain()
        return chain[-1].text if chain else None

    @permits(Permission.SOFTWARE_TRUST)
    def trust(self, principal: Principal, text: str, name: str = "") -> TrustStatement:
        """A first public key in PEM, or the next statement. Raises BadInput, Conflict; nothing was changed then."""
        stripped = text.strip()
        first: ReleaseKey | None = None
        try:
            if stripped.startswith("-----BEGIN"):
                first = release.load_public(stripped.encode(), name)
            else:
                release.read_trust(text)
        except ReleaseError as error:
            raise BadInput(
                f"{error}; nothing was changed. Give a public key in PEM, or a statement made by"
                " 'plimsoll software keys endorse'"
            ) from None

        def work(unit: Unit) -> TrustStatement:
            before = table.statements(unit.connection)
            current = release.read_trust(before[-1].text) if before else None
            try:
                statement = _next(current, first, text)
            except ReleaseError as error:
                raise BadInput(f"{error}; nothing was changed") from None
            if current is not None and statement.number == current.number:
                return statement
            table.add_statement(
                unit.connection, StatementRecord(statement.number, statement.text, unit.now, principal.who)
            )
            ids = [key.id for key in statement.keys]
            former = [key.id for key in current.keys] if current else []
            unit.audit(principal, "software.keys.trust", f"statement {statement.number}", former, ids)
            said = f"Software counts from now on if it is signed by {', '.join(ids)}; by {principal.name}."
            gone = [one for one in former if one not in ids]
            if gone:
                said += f" No longer trusted: {', '.join(gone)}."
            unit.event(NewEvent(event_numbers.RELEASE_KEYS_CHANGED, "warning", said))
            unit.changes.append(SoftwareChanged())
            return statement

        return self._core.write(work)

    @internal
    def trusted(self) -> tuple[ReleaseKey, ...]:
        """The keys that count now; none before the first was trusted."""
        chain = self._chain()
        return release.read_trust(chain[-1].text).keys if chain else ()

    @internal
    def chain(self) -> tuple[str, ...]:
        """Every statement, the first one first: what an agent follows from the one that it has."""
        return tuple(one.text for one in self._chain())

    def _chain(self) -> tuple[StatementRecord, ...]:
        return self._core.store.read(table.statements)


def in_force(connection: Connection) -> tuple[ReleaseKey, ...]:
    """The keys that count, within a transaction."""
    chain = table.statements(connection)
    return release.read_trust(chain[-1].text).keys if chain else ()


def _next(current: TrustStatement | None, first: ReleaseKey | None, text: str) -> TrustStatement:
    """The statement that is to be in force: the current one where there is nothing new. Raises ReleaseError."""
    if current is None:
        if first is not None:
            return release.first_trust([first])
        statement = release.read_trust(text)
        if statement.number != 1:
            raise ReleaseError(f"this fleet trusts no key yet: it begins with statement 1, not {statement.number}")
        return statement
    if first is not None:
        if current.trusts(first.id):
            return current
        ids = ", ".join(key.id for key in current.keys)
        raise Conflict(
            f"this fleet trusts {ids} already, and its agents take another key only from the hand of one of them;"
            " nothing was changed. With the private half of one: plimsoll software keys endorse"
        )
    return current if text == current.text else release.follow(current, text)
