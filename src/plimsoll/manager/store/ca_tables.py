"""The tables of the CA's rotations, which belong to those of `tables`."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Table

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.manager.store.tables import metadata

#: Certificates of authorities, one row each: a key may have several. What a rotation made is here, so that every
#: manager of the installation gets it; the first authority's key is in the homes alone.
authorities = Table(
    "authorities",
    metadata,
    # SHA-256 of the certificate, and of its key as activation tokens name it.
    Column("fingerprint", TEXT, primary_key=True),
    Column("key_hash", TEXT, nullable=False),
    Column("made", Float, nullable=False),
    # PEM.
    Column("certificate", TEXT, nullable=False),
    # The private key (PEM) under the homes' `secrets.key`; empty where another row has it, or every home.
    Column("sealed_key", TEXT, nullable=False),
    Index("ix_authorities_key_hash", "key_hash"),
)

#: Rotations of the CA. The newest row says which authority issues and which are trusted.
ca_rotations = Table(
    "ca_rotations",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    # Since when it is in that state, and how long everybody has been ready for the next.
    Column("entered", Float, nullable=False),
    Column("soaked", Float, nullable=False),
    # The fingerprints of the authorities' certificates, and what each says of the other's key (PEM).
    Column("old", TEXT, nullable=False),
    Column("new", TEXT, nullable=False),
    Column("new_with_old", TEXT, nullable=False),
    Column("old_with_new", TEXT, nullable=False),
    # When the new one began to issue, if it ever did.
    Column("switched", Float),
    Column("options", JSON, nullable=False),
    Column("seen", JSON, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("ended", Float),
    Column("version", LONG, nullable=False),
)

ca_rotation_log = Table(
    "ca_rotation_log",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("rotation", LONG, ForeignKey("ca_rotations.id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("stage", TEXT, nullable=False),
    Column("what", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Index("ix_ca_rotation_log_rotation", "rotation"),
)
