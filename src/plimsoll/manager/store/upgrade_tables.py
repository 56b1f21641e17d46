"""The tables of upgrades, which belong to those of `tables`."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Table

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.manager.store.tables import metadata

#: Upgrades of the fleet in waves, stepped like changes.
upgrades = Table(
    "upgrades",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("name", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("target", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    # Which wave, from 0 on, since when, and how long all of it is through.
    Column("wave", LONG, nullable=False),
    Column("entered", Float, nullable=False),
    Column("soaked", Float, nullable=False),
    Column("options", JSON, nullable=False),
    Column("seen", JSON, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("ended", Float),
    Column("version", LONG, nullable=False),
)

upgrade_log = Table(
    "upgrade_log",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("upgrade", LONG, ForeignKey("upgrades.id"), nullable=False),
    Column("time", Float, nullable=False),
    Column("stage", TEXT, nullable=False),
    Column("what", TEXT, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("who", TEXT, nullable=False),
    Index("ix_upgrade_log_upgrade", "upgrade"),
)

#: Each computer of an upgrade, and how far it is. No foreign key to it: what was done outlives the computer.
upgrade_hosts = Table(
    "upgrade_hosts",
    metadata,
    Column("upgrade", LONG, ForeignKey("upgrades.id"), primary_key=True),
    Column("computer", TEXT, primary_key=True),
    Column("name", TEXT, nullable=False),
    Column("wave", LONG, nullable=False),
    Column("state", TEXT, nullable=False),
    # The release that it had, the one that it is to have, and the package and the order by which it gets there.
    Column("former", TEXT, nullable=False),
    Column("goal", TEXT, nullable=False),
    Column("package", TEXT, nullable=False),
    Column("command", TEXT, nullable=False),
    # Since when it is in that state, what it said, and a code for programs.
    Column("since", Float, nullable=False),
    Column("detail", TEXT, nullable=False),
    Column("code", TEXT, nullable=False),
    Index("ix_upgrade_hosts_upgrade", "upgrade", "wave", "state"),
    Index("ix_upgrade_hosts_command", "command"),
)
