"""Alembic from code: no ini file, no command line, one transaction that the caller owns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

#: The shape of homes before 12.0.0, and the newest.
FIRST = "0001"
HEAD = "0002"
KNOWN = (FIRST, HEAD)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def revision(connection: Connection) -> str | None:
    """The revision that the database is at, or None where there is no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, to: str = "head") -> None:
    command.upgrade(_config(connection), to)


def render(dialect: str) -> str:
    """The migrations as SQL for an empty database of that dialect of SQLAlchemy's. No driver is loaded."""
    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    return written.getvalue()


def differences(connection: Connection, metadata: MetaData) -> list[Any]:
    """What the tables in code have and the database has not, or the other way round."""
    here = connection.dialect.name

    def belongs(element: Any, *_: Any) -> bool:
        return bool(getattr(element, "info", {}).get("only", here) == here)

    options = {"compare_type": True, "include_object": belongs}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
