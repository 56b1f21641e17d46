"""Alembic's entry: runs on the connection, and in the transaction, that the store hands over; or writes SQL."""

from __future__ import annotations

from alembic import context

from plimsoll.manager.store.tables import metadata

if context.is_offline_mode():
    dialect = context.config.attributes["dialect"]
    context.configure(dialect_name=dialect, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
    )
    context.run_migrations()
