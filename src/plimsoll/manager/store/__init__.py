"""The store: floors, computers, policies, events on SQLite. The only package that knows SQLAlchemy.

One module a subject, of functions that take the transaction's connection first; they check nothing but the data's
shape. Who may call them, and what a change means, is the services' business.
"""

from sqlalchemy import Connection

from plimsoll.manager.store import ca_tables as ca_tables  # whoever asks for the metadata gets these too
from plimsoll.manager.store import node_tables as node_tables  # and these
from plimsoll.manager.store import scan_tables as scan_tables  # and these
from plimsoll.manager.store import upgrade_tables as upgrade_tables  # and these
from plimsoll.manager.store.engine import Store

__all__ = ["Connection", "Store"]
