"""Certificates for the servers of these tests, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.front import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rsa.pem, rsa.key, ec.pem and ec.key."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))
