"""The tables of scans, which belong to those of `tables`."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Table

from plimsoll.manager.store.columns import LONG, TEXT
from plimsoll.manager.store.tables import metadata

#: Scans that a manager ran, runs, or has in its queue.
scans = Table(
    "scans",
    metadata,
    Column("id", LONG, primary_key=True),
    Column("created", Float, nullable=False),
    Column("who", TEXT, nullable=False),
    Column("via", TEXT, nullable=False),
    Column("label", TEXT, nullable=False),
    Column("state", TEXT, nullable=False),
    # What was asked for, as it was asked for; and what of it has no address to ask, with the reason.
    Column("asked", JSON, nullable=False),
    Column("left_out", JSON, nullable=False),
    Column("total", LONG, nullable=False),
    Column("done", LONG, nullable=False),
    # Endpoints that break a rule, those of which something is not proved, and the broken rules of all.
    Column("failing", LONG, nullable=False),
    Column("unproved", LONG, nullable=False),
    Column("findings", LONG, nullable=False),
    # Which manager runs it.
    Column("node", TEXT, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("text", TEXT, nullable=False),
    Index("ix_scans_state", "state"),
)

#: Each endpoint of a scan. No foreign key to the computer: what was seen outlives it.
scan_endpoints = Table(
    "scan_endpoints",
    metadata,
    Column("scan", LONG, ForeignKey("scans.id"), primary_key=True),
    Column("position", LONG, primary_key=True),
    Column("host", TEXT, nullable=False),
    Column("port", LONG, nullable=False),
    Column("opening", TEXT, nullable=False),
    Column("server_name", TEXT, nullable=False),
    # Whose port it is: empty where it is none of the fleet's.
    Column("point", TEXT, nullable=False),
    Column("computer", TEXT),
    Column("name", TEXT, nullable=False),
    # Empty until it was asked.
    Column("state", TEXT, nullable=False),
    Column("note", TEXT, nullable=False),
    Column("accepted", JSON, nullable=False),
    Column("letter", TEXT, nullable=False),
    Column("verdicts", JSON, nullable=False),
    # The report's line, packed.
    Column("report", TEXT, nullable=False),
)
