"""One database file: transactions, group commit, recovery from a full disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Store:
    @classmethod
    def open(cls, path: Path) -> Store:
        raise NotImplementedError

    def read(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    def write(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    def enqueue(self, work: Callable[[Connection], T]) -> Future[T]:
        raise NotImplementedError

    def migrate(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
