"""The store: floors, computers, policies, events on SQLite. The only package that knows SQLAlchemy."""

from plimsoll.manager.store.engine import Store

__all__ = ["Store"]
