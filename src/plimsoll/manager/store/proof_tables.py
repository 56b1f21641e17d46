"""The tables of signed proofs, which belong to those of `tables`."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Table

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.manager.store.tables import metadata

#: Bundles that are kept to be downloaded. `scope` is the verdict over what is in scope; no foreign key to the change.
proofs = Table(
    "proofs",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("made", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("verdict", TEXT, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("scope", TEXT),
    Column("change", LONG),
    Column("key", TEXT, nullable=False),
)

#: The files of a bundle, packed and cut: whoever copies tables has many rows in memory at a time.
proof_pieces = Table(
    "proof_pieces",
    metadata,
    Column("proof", TEXT, ForeignKey("proofs.id"), primary_key=True),
    Column("file", TEXT, primary_key=True),
    Column("number", LONG, primary_key=True, autoincrement=False),
    Column("data", TEXT, nullable=False),
)

#: Keys that signed proofs: the public half of each, and sealed the private half of the one in use, empty of all others.
proof_keys = Table(
    "proof_keys",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("pem", TEXT, nullable=False),
    Column("sealed", TEXT, nullable=False),
    Column("made", Float, nullable=False),
)
