"""Release keys and signed packages, made in a moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plimsoll.manager.services import Services
from plimsoll.manager.services.software import SoftwareView
from plimsoll.messages import release
from plimsoll.messages.release import Release, ReleaseKey
from tests.support.homes import ROOT


@dataclass(frozen=True)
class Publisher:
    """Somebody who builds packages and signs them."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    name: str = "builds"

    @property
    def public(self) -> ReleaseKey:
        return release.public_of(self.key, self.name)

    @property
    def pem(self) -> str:
        return release.public_pem(self.public).decode()

    def sign(self, content: bytes, **said: object) -> str:
        return release.sign(described(content, **said), self.key)

    def write(self, folder: Path, content: bytes, **said: object) -> Path:
        """The package, and its signature beside it."""
        what = described(content, **said)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / what.file
        path.write_bytes(content)
        path.with_name(f"{path.name}.sig").write_text(release.sign(what, self.key))
        return path

    def trusted_by(self, services: Services) -> Publisher:
        services.release_keys.trust(ROOT, self.pem, self.name)
        return self

    def import_into(self, services: Services, content: bytes, **said: object) -> SoftwareView:
        made = services.software.begin(ROOT, self.sign(content, **said))
        made.write(content)
        return made.finish().package


def described(content: bytes, **said: object) -> Release:
    """What a release says of that content: an agent for Debian 12, unless told otherwise."""
    values: dict[str, object] = {
        "product": "agent",
        "version": "12.1.0",
        "platform": "Debian_12",
        "architecture": "x86_64",
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    values |= said
    values.setdefault("file", f"plimsoll-agent_{str(values['version']).replace(' ', '-')}_{values['platform']}.deb")
    return Release(**values)  # type: ignore[arg-type]  # a test says what it likes
