"""The tables of several managers on one database, which belong to those of `tables`."""

from __future__ import annotations

from sqlalchemy import Column, Float, Table

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.manager.store.tables import metadata

#: Each manager of the installation, and what it last said of itself. Times are the database's.
nodes = Table(
    "nodes",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    # Where the others reach it.
    Column("address", TEXT, nullable=False),
    Column("release", TEXT, nullable=False),
    Column("gui_port", LONG, nullable=False),
    Column("heartbeat_port", LONG, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),
    # The generation of the floors that its gates have in force.
    Column("generation", LONG, nullable=False),
    # running, or stopped where it said so.
    Column("state", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    # The fingerprints of the CAs that it goes by, the issuing one first.
    Column("authorities", TEXT, nullable=False),
)

#: Who does a work that only one manager does at a time, and until when.
leases = Table(
    "leases",
    metadata,
    Column("name", TEXT, primary_key=True),
    Column("node", TEXT, nullable=False),
    Column("until", Float, nullable=False),
)

#: The ids that a judgement named to a person, packed; see `kept_judgements`. `at` is when it was asked for.
kept_judgements = Table(
    "kept_judgements",
    metadata,
    Column("id", TEXT, primary_key=True),
    Column("at", Float, nullable=False),
    Column("names", TEXT, nullable=False),
)

#: How often a user or key asked a manager since its process began. `first` and `last` are that manager's times,
#: `changed` is the database's.
api_usage = Table(
    "api_usage",
    metadata,
    Column("node", TEXT, primary_key=True),
    Column("who", TEXT, primary_key=True),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
    Column("requests", LONG, nullable=False),
    Column("limited", LONG, nullable=False),
    Column("changed", Float, nullable=False),
)
