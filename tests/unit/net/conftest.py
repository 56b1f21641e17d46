"""One authority with its leaves for all tests of this folder, and gates that run beside blocking clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.net.running import RunningGate

from plimsoll.net.contexts import ServerIdentity
from plimsoll.testing.certificates import TestAuthority


@dataclass(frozen=True)
class Files:
    """Paths of PEM files: the CA, the manager's two identities, and a few clients."""

    folder: Path
    ca: str
    identities: tuple[ServerIdentity, ServerIdentity]
    authority: TestAuthority

    def client(self, name: str) -> tuple[str, str]:
        """Certificate and key of an agent, made on first use."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        if not certificate.exists():
            self.authority.leaf("agent", name).write(self.folder, name)
        return str(certificate), str(key)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("net")
    authority = TestAuthority("net-tests")
    (folder / "ca.pem").write_bytes(authority.pem)
    identities = []
    for name, bits in (("ecdsa", None), ("rsa", 2048)):
        paths = authority.leaf("manager", "m1", hosts=["localhost"], rsa_bits=bits).write(folder, name)
        identities.append(ServerIdentity(*map(str, paths)))
    return Files(folder, str(folder / "ca.pem"), (identities[0], identities[1]), authority)


@pytest.fixture
def gate(files: Files) -> Iterator[Callable[..., RunningGate]]:
    """Starts gates that are stopped when the test ends."""
    with ExitStack() as stack:

        def start(**options: Any) -> RunningGate:
            options.setdefault("client_ca", files.ca)
            return stack.enter_context(RunningGate(files.identities, **options))

        yield start
