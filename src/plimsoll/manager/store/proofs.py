"""Signed proofs with their files, and the keys that signed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby

from sqlalchemy import Connection, delete, insert, select, update

from plimsoll.manager.store._rows import packed, records, unpacked
from plimsoll.manager.store.proof_tables import proof_keys, proof_pieces, proofs

_P, _K = proof_pieces.c, proof_keys.c
#: Characters of a piece.
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class ProofRecord:
    """A row of `proof_tables.proofs`. Times are seconds since 1970."""

    id: str
    made: float
    who: str
    verdict: str
    counts: dict[str, int]
    scope: str | None
    change: int | None
    key: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A row of `proof_tables.proof_keys`; `sealed` is empty where the key is not in use any more."""

    id: str
    pem: str
    sealed: str
    made: float


def add(connection: Connection, new: ProofRecord, files: Mapping[str, bytes]) -> None:
    connection.execute(insert(proofs).values(**asdict(new)))
    rows = []
    for name, data in files.items():
        text = packed(data)
        pieces = (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))
        rows += [{"proof": new.id, "file": name, "number": n, "data": piece} for n, piece in enumerate(pieces)]
    connection.execute(insert(proof_pieces), rows)


def everyone(connection: Connection) -> tuple[ProofRecord, ...]:
    """The newest first."""
    return records(ProofRecord, connection.execute(select(proofs).order_by(proofs.c.made.desc(), proofs.c.id)))


def files(connection: Connection, proof: str, only: str | None = None) -> dict[str, bytes]:
    """The bundle's files by name, or `only` that one; nothing where the proof is not kept."""
    query = select(_P.file, _P.data).where(_P.proof == proof).order_by(_P.file, _P.number)
    if only is not None:
        query = query.where(_P.file == only)
    by_name = groupby(connection.execute(query), lambda row: str(row[0]))
    return {name: unpacked("".join(row[1] for row in rows)) for name, rows in by_name}


def remove(connection: Connection, gone: Iterable[str]) -> None:
    for proof in gone:
        connection.execute(delete(proof_pieces).where(_P.proof == proof))
        connection.execute(delete(proofs).where(proofs.c.id == proof))


def keys(connection: Connection) -> tuple[KeyRecord, ...]:
    """The one in use first, then those before it, the newest first."""
    return records(KeyRecord, connection.execute(select(proof_keys).order_by(_K.sealed == "", _K.made.desc(), _K.id)))


def use_key(connection: Connection, new: KeyRecord) -> None:
    """From now on it is the one in use; the private halves of all others are gone."""
    connection.execute(update(proof_keys).values(sealed=""))
    connection.execute(insert(proof_keys).values(**asdict(new)))
