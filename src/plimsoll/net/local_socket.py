"""Names of local sockets. The kernel's room for one is about 100 bytes, and a home may lie deeper than that."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: Linux has 108 bytes with the final zero; other systems have a little less.
LONGEST = 100


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name to bind or connect that socket by, valid inside the context.

    A path that is too long is named through its folder, opened here.
    """
    full = str(path.absolute())
    if len(os.fsencode(full)) <= LONGEST:
        yield full
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
