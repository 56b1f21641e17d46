"""Which manager this is among those that share a database: a name of the home's own, which no copy of it may use."""

from __future__ import annotations

import uuid
from pathlib import Path

from plimsoll.manager.config import write_atomically

#: In the home; made when the home is opened for the first time.
NODE_FILE = "node"
#: In the home of a manager that joined an installation: says which, and when.
JOINED = "joined"


def node_of(home: Path) -> str:
    """The home's node id, 32 hexadecimal digits."""
    path = home / NODE_FILE
    try:
        known = path.read_text().strip()
    except FileNotFoundError:
        known = ""
    if len(known) == 32:
        return known
    made = uuid.uuid4().hex
    write_atomically(path, f"{made}\n".encode(), 0o600)
    return made
