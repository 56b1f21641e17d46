"""Fixtures of the acceptance tests: a manager of its own for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.manager import Manager, manager


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """A fresh manager, running, shared by the tests of one module."""
    with manager(tmp_path_factory.mktemp("manager") / "home") as made:
        yield made
