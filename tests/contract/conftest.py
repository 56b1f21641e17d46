"""Fixtures of the contract suite: each test runs on every backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.backends import BACKENDS, Backend

from plimsoll.manager.store import Store


@pytest.fixture(params=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """An empty database."""
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    """A store with the schema of this release, and nothing in it."""
    opened = backend.migrated()
    yield opened
    opened.close()
