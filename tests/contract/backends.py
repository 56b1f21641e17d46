"""The databases that the store's suite runs on. Another backend joins by a factory here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from plimsoll.manager.store import Store

Factory = Callable[[Path], Store]


def sqlite(folder: Path) -> Store:
    return Store.open(folder / "plimsoll.db", busy_timeout=0.2)


BACKENDS: dict[str, Factory] = {"sqlite": sqlite}


@contextmanager
def migrated(factory: Factory, folder: Path) -> Iterator[Store]:
    store = factory(folder)
    try:
        store.migrate()
        yield store
    finally:
        store.close()
