"""What is true of the whole home, by name."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from plimsoll.manager.store._rows import upserting
from plimsoll.manager.store.tables import facts

INSTALLATION = "installation"
RELEASE = "release"
#: ``init`` or ``upgrade``, and for an upgrade the release it came from (R8 asks).
ORIGIN = "origin"
INSTALLED_FROM = "installed_from"
CREATED = "created"
#: The ``protocols=`` value last written or applied (its digest, and the value itself), and, while a write of the file
#: is under way, the digest of what stood there before.
PROTOCOLS_DIGEST = "protocols_digest"
PROTOCOLS_VALUE = "protocols_value"
PROTOCOLS_WRITING = "protocols_writing"
#: With a node's id behind it: the digest of what its own file was last seen or made to say, where several managers
#: share the store.
PROTOCOLS_FILE = "protocols_file:"
#: When people were last told that the CA ends (seconds).
CA_END_SAID = "ca_end_said"
FLOOR_GENERATION = "floor_generation"
#: The last day (since 1970) up to which sightings were rolled up.
SIGHTINGS_TIDIED = "sightings_tidied"
#: What was found of databases of other kinds, as JSON: `services.database_checks`.
DATABASE_CHECKS = "database_checks"
#: When this home was restored from a backup (seconds), and from when that was; without the two it never was.
RESTORED = "restored"
RESTORED_FROM = "restored_from"
#: The proof that is being made, or why the last one was not, as JSON: `services.proof_shelf`.
PROOF_MAKING = "proof_making"
POLICY_GENERATION = "policy_generation"


def get(connection: Connection, name: str) -> str | None:
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one_or_none()


def put(connection: Connection, name: str, value: str) -> None:
    statement = upserting(connection, facts).values(name=name, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def drop(connection: Connection, name: str) -> None:
    connection.execute(delete(facts).where(facts.c.name == name))


def counter(connection: Connection, name: str) -> int:
    return int(get(connection, name) or 0)


def advance(connection: Connection, name: str, now: float) -> int:
    """The counter's next value: at least the time, so that a restored manager never repeats a number."""
    value = max(counter(connection, name) + 1, int(now))
    put(connection, name, str(value))
    return value
